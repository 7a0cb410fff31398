"""A market to write short tests with: one engine, orders in words, events as plain tuples."""

from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import OrderRequest, OrderType, Side, StpMode
from tests.oracles.naive_book import PlainEvent, plain_events


class TestVenue:
    """Order ids count from 1 in the order of the calls; every call is one nanosecond later."""

    __test__ = False

    def __init__(self, instrument_id: str = "BTC-USDT-SWAP") -> None:
        self.engine = MatchingEngine(parse_instrument(instrument_id))
        self.book = self.engine.book
        self.now_ns = 0

    def send(
        self,
        side: Side,
        size: int,
        price: int | None,
        order_type: OrderType = OrderType.LIMIT,
        *,
        owner: int,
        stp_mode: StpMode = StpMode.CANCEL_MAKER,
    ) -> list[PlainEvent]:
        self.now_ns += 1
        instrument_id = self.engine.instrument.instrument_id
        request = OrderRequest(instrument_id, side, order_type, size, price, "", stp_mode)
        events = self.engine.place(owner, request, self.now_ns)
        assert all(event.time_ns == self.now_ns for event in events)
        self.book._check()
        return plain_events(events)

    def buy(
        self,
        size: int,
        price: int | None,
        order_type: OrderType = OrderType.LIMIT,
        *,
        owner: int = 1,
        stp_mode: StpMode = StpMode.CANCEL_MAKER,
    ) -> list[PlainEvent]:
        return self.send(Side.BUY, size, price, order_type, owner=owner, stp_mode=stp_mode)

    def sell(
        self,
        size: int,
        price: int | None,
        order_type: OrderType = OrderType.LIMIT,
        *,
        owner: int = 2,
        stp_mode: StpMode = StpMode.CANCEL_MAKER,
    ) -> list[PlainEvent]:
        return self.send(Side.SELL, size, price, order_type, owner=owner, stp_mode=stp_mode)

    def cancel(self, order_id: int) -> list[PlainEvent]:
        self.now_ns += 1
        events = plain_events(self.engine.cancel(order_id, self.now_ns))
        self.book._check()
        return events

    def amend(
        self, order_id: int, size: int | None = None, price: int | None = None
    ) -> list[PlainEvent]:
        self.now_ns += 1
        events = plain_events(self.engine.amend(order_id, self.now_ns, size, price))
        self.book._check()
        return events

    def resting(self) -> list[tuple[int, int]]:
        """(order id, lots left) of the live orders: bids then asks, in priority."""
        return [(order.order_id, order.remaining_lots) for order in self.book]
