"""Drive the matching engine and the naive market with the same orders; they must never differ."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from exchange.events import Event, Fill, OrderAccepted, OrderCancelled
from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import OrderRequest, OrderType, Side, StpMode
from tests.oracles.naive_book import NaiveMarket, plain_events

# Ten ticks around 50, where the option grid turns coarse: orders meet often, some are off grid.
PRICES = st.integers(45, 56)
SIZES = st.integers(1, 12)
OWNERS = st.integers(1, 3)


class BookMachine(RuleBasedStateMachine):
    @initialize(
        instrument_id=st.sampled_from(["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-250328-100000-C"])
    )
    def start(self, instrument_id: str) -> None:
        self.instrument = parse_instrument(instrument_id)
        self.engine = MatchingEngine(self.instrument)
        self.naive = NaiveMarket(int(self.instrument.kind))
        self.now_ns = 0
        self.entered_lots = 0  # of all orders that were accepted or cancelled on entry, by amends
        self.filled_lots = 0
        self.cancelled_lots = 0
        self.accepted: set[int] = set()
        self.ended: set[int] = set()

    def compare(self, events: list[Event], expected: list[tuple[str | int, ...]]) -> None:
        assert plain_events(events) == expected
        for event in events:
            assert event.time_ns == self.now_ns
            if isinstance(event, OrderAccepted):
                assert event.order.order_id not in self.accepted
                self.accepted.add(event.order.order_id)
            elif isinstance(event, Fill):
                assert event.maker.owner != event.taker.owner
                assert event.maker.side == -event.taker.side
                self.filled_lots += event.size_lots
            elif isinstance(event, OrderCancelled):
                assert event.order.order_id not in self.ended
                self.ended.add(event.order.order_id)
                self.cancelled_lots += event.remaining_lots

    @rule(
        owner=OWNERS,
        side=st.sampled_from(Side),
        order_type=st.sampled_from(OrderType),
        size=st.integers(0, 12),
        price=PRICES,
        stp_mode=st.sampled_from(StpMode),
        bare=st.booleans(),
    )
    def submit(
        self,
        owner: int,
        side: Side,
        order_type: OrderType,
        size: int,
        price: int,
        stp_mode: StpMode,
        bare: bool,
    ) -> None:
        self.now_ns += 1
        # `bare` orders have no price: a market order without protection, a mistake for others.
        price_ticks = None if bare else price
        if bare and order_type not in (OrderType.MARKET, OrderType.OPTIMAL_LIMIT_IOC):
            price_ticks = None if size % 2 else 0
        request = OrderRequest(
            self.instrument.instrument_id, side, order_type, size, price_ticks, "", stp_mode
        )
        events = self.engine.place(owner, request, self.now_ns)
        expected = self.naive.submit(
            owner, int(side), int(order_type), size, price_ticks, int(stp_mode)
        )
        if expected[0][0] != "rejected":
            self.entered_lots += size
        self.compare(events, expected)

    @rule(owner=OWNERS, side=st.sampled_from(Side), size=SIZES, distance=st.integers(0, 4))
    def quote(self, owner: int, side: Side, size: int, distance: int) -> None:
        """A plain resting order on its own side of the range, so that books get deep."""
        price = 49 - distance if side == Side.BUY else 50 + 5 * (distance // 2)
        self.submit(owner, side, OrderType.LIMIT, size, price, StpMode.CANCEL_MAKER, False)

    @precondition(lambda self: self.naive.last_id > 0)
    @rule(pick=st.integers(0, 10**6))
    def cancel(self, pick: int) -> None:
        self.now_ns += 1
        order_id = 1 + pick % (self.naive.last_id + 1)  # sometimes an id that never was
        self.compare(self.engine.cancel(order_id, self.now_ns), self.naive.cancel(order_id))

    @precondition(lambda self: self.naive.resting)
    @rule(
        pick=st.integers(0, 10**6),
        size=st.none() | st.integers(0, 14),
        price=st.none() | st.integers(44, 56),
    )
    def amend(self, pick: int, size: int | None, price: int | None) -> None:
        self.now_ns += 1
        order = self.naive.resting[pick % len(self.naive.resting)]
        old_size = order.size
        expected = self.naive.amend(order.order_id, size, price)
        if expected[0][0] == "amended":
            self.entered_lots += order.size - old_size
        self.compare(self.engine.amend(order.order_id, self.now_ns, size, price), expected)

    @precondition(lambda self: self.naive.last_id > 0)
    @rule()
    def amend_dead_order(self) -> None:
        self.now_ns += 1
        order_id = self.naive.last_id + 1
        assert self.engine.amend(order_id, self.now_ns, 1, 50) == []

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "engine"):
            return
        book, naive = self.engine.book, self.naive
        book._check()
        assert len(book) == len(naive.resting)
        for side in (Side.BUY, Side.SELL):
            depth = naive.depth(side)
            assert book.depth(side, 100) == depth
            assert book.depth(side, 2) == depth[:2]
            best = book.best_bid() if side == Side.BUY else book.best_ask()
            assert best == (depth[0][0] if depth else None)
            for price, lots in depth:
                assert book.level_lots(side, price) == lots
                within = sum(n for other, n in depth if side * (other - price) >= 0)
                assert book.volume_within(side, price) == within
        queue = naive.queue(1) + naive.queue(-1)
        assert [(o.order_id, o.remaining_lots, o.size_lots, o.price_ticks) for o in book] == [
            (o.order_id, o.left, o.size, o.price) for o in queue
        ]
        assert all(order.order_id in self.accepted for order in book)
        assert not any(order.order_id in self.ended for order in book)

    @invariant()
    def no_lot_is_lost(self) -> None:
        if not hasattr(self, "engine"):
            return
        resting = sum(order.remaining_lots for order in self.engine.book)
        assert self.entered_lots == 2 * self.filled_lots + self.cancelled_lots + resting


BookMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestBookMachine = BookMachine.TestCase
