"""A second market of one instrument: one list of orders, sorted again for every order.

Slow and obviously right: from spec 9.1-9.3, sharing no code with `exchange.matching`. It
answers with plain tuples, which `plain_events` also makes of the engine's events:

    ("accepted", order)              ("fill", maker, taker, price, lots)
    ("cancelled", order, left, source)   ("amended", order, old_price, old_size)
    ("rejected", reason name)

Numbers of types and modes are written out: they are part of the contract, not of the code.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exchange.events import (
    Event,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderRejected,
)

LIMIT, MARKET, POST_ONLY, IOC, FOK, OPTIMAL, MMP, MMP_POST_ONLY = range(8)
CANCEL_MAKER, CANCEL_TAKER, CANCEL_BOTH = range(3)
SOURCE_USER, SOURCE_FOK, SOURCE_IOC, SOURCE_POST_ONLY, SOURCE_STP = 1, 13, 14, 31, 32
SOURCE_PRICE_LIMIT = 15
SPOT, PERPETUAL, FUTURE, OPTION = range(4)

PlainEvent = tuple[str | int, ...]


@dataclass
class NaiveOrder:
    order_id: int
    owner: int
    side: int  # 1 buy, -1 sell
    order_type: int
    size: int
    left: int
    price: int | None
    stp_mode: int
    arrival: int = 0

    @property
    def rests(self) -> bool:
        return self.order_type in (LIMIT, POST_ONLY, MMP, MMP_POST_ONLY)

    @property
    def is_post_only(self) -> bool:
        return self.order_type in (POST_ONLY, MMP_POST_ONLY)


class NaiveMarket:
    """Order ids count from 1, one for each request that passes the instrument's rules."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.resting: list[NaiveOrder] = []
        self.last_id = 0
        self.arrivals = 0

    # Queries -----------------------------------------------------------------------------------

    def queue(self, side: int) -> list[NaiveOrder]:
        """Resting orders of a side by price, then arrival."""
        mine = [order for order in self.resting if order.side == side]
        return sorted(mine, key=lambda order: (-side * (order.price or 0), order.arrival))

    def depth(self, side: int) -> list[tuple[int, int]]:
        lots: dict[int, int] = {}
        for order in self.queue(side):
            assert order.price is not None
            lots[order.price] = lots.get(order.price, 0) + order.left
        return list(lots.items())

    def find(self, order_id: int) -> NaiveOrder | None:
        found = [order for order in self.resting if order.order_id == order_id]
        return found[0] if found else None

    # Actions -----------------------------------------------------------------------------------

    def submit(
        self,
        owner: int,
        side: int,
        order_type: int,
        size: int,
        price: int | None,
        stp_mode: int = CANCEL_MAKER,
    ) -> list[PlainEvent]:
        refusal = self._refusal(order_type, size, price, stp_mode)
        if refusal:
            return [("rejected", refusal)]
        self.last_id += 1
        order = NaiveOrder(self.last_id, owner, side, order_type, size, size, price, stp_mode)
        return self._enter(order, ("accepted", order.order_id))

    def cancel(self, order_id: int) -> list[PlainEvent]:
        order = self.find(order_id)
        if order is None:
            return []
        self.resting.remove(order)
        return [("cancelled", order_id, order.left, SOURCE_USER)]

    def amend(self, order_id: int, size: int | None, price: int | None) -> list[PlainEvent]:
        order = self.find(order_id)
        if order is None:
            return []
        old_size, old_price = order.size, order.price
        assert old_price is not None
        new_size = old_size if size is None else size
        new_price = old_price if price is None else price
        refusal = self._refusal(LIMIT, new_size, new_price, CANCEL_MAKER)
        if not refusal and (new_size, new_price) == (old_size, old_price):
            refusal = "AMEND_EMPTY"
        moved = NaiveOrder(0, order.owner, order.side, LIMIT, 1, 1, new_price, CANCEL_MAKER)
        if not refusal and order.is_post_only and self._tradable(moved):
            refusal = "AMEND_POST_ONLY"
        if refusal:
            return [("rejected", refusal)]
        filled = old_size - order.left
        if new_size <= filled:
            return self.cancel(order_id)
        event = ("amended", order_id, old_price, old_size)
        order.size, order.left, order.price = new_size, new_size - filled, new_price
        if new_price == old_price and new_size < old_size:
            return [event]
        self.resting.remove(order)
        return self._enter(order, event)

    # Rules -------------------------------------------------------------------------------------

    def _refusal(self, order_type: int, size: int, price: int | None, stp_mode: int) -> str:
        if size <= 0:
            return "BAD_SIZE"
        if order_type == MARKET and self.kind == OPTION:
            return "BAD_ORDER_TYPE"
        if order_type == OPTIMAL and self.kind not in (PERPETUAL, FUTURE):
            return "BAD_ORDER_TYPE"
        if order_type not in (MARKET, OPTIMAL):
            if price is None or price <= 0:
                return "BAD_PRICE"
            if self.kind == OPTION and price >= 50 and price % 5:
                return "BAD_TICK"
        if order_type in (MMP, MMP_POST_ONLY) and self.kind != OPTION:
            return "BAD_ORDER_TYPE"
        if order_type == FOK and stp_mode == CANCEL_BOTH:
            return "BAD_STP_MODE"
        return ""

    def _tradable(self, taker: NaiveOrder) -> list[NaiveOrder]:
        """Resting orders on the other side that the taker's price reaches, in priority."""
        queue = self.queue(-taker.side)
        if not taker.price:
            return queue
        return [maker for maker in queue if taker.side * (taker.price - (maker.price or 0)) >= 0]

    def _plan(self, taker: NaiveOrder) -> tuple[list[tuple[NaiveOrder, int]], int, bool]:
        """What would happen: (maker, lots; 0 = removed by STP) steps, lots left, taker stopped."""
        steps: list[tuple[NaiveOrder, int]] = []
        left = taker.left
        for maker in self._tradable(taker):
            if left == 0:
                break
            if maker.owner != taker.owner:
                lots = min(left, maker.left)
                steps.append((maker, lots))
                left -= lots
            elif taker.stp_mode == CANCEL_TAKER:
                return steps, left, True
            else:
                steps.append((maker, 0))
                if taker.stp_mode == CANCEL_BOTH:
                    return steps, left, True
        return steps, left, False

    def _enter(self, taker: NaiveOrder, first: PlainEvent) -> list[PlainEvent]:
        """Trade, rest or cancel the order; `first` opens the events if it trades or rests."""
        steps, left, stopped = self._plan(taker)
        gone = ("cancelled", taker.order_id, taker.left)
        if taker.is_post_only and self._tradable(taker):
            return [(*gone, SOURCE_POST_ONLY)]
        if taker.order_type == FOK and left:
            return [(*gone, SOURCE_STP if stopped else SOURCE_FOK)]
        events: list[PlainEvent] = []
        for maker, lots in steps:
            if lots:
                assert maker.price is not None
                events.append(("fill", maker.order_id, taker.order_id, maker.price, lots))
                maker.left -= lots
            else:
                events.append(("cancelled", maker.order_id, maker.left, SOURCE_STP))
            if lots == 0 or maker.left == 0:
                self.resting.remove(maker)
        traded = left < taker.left
        taker.left = left
        if left and (stopped or not taker.rests):
            sweeps = taker.order_type in (MARKET, OPTIMAL)
            source = SOURCE_STP if stopped else SOURCE_IOC
            if not stopped and sweeps and taker.price and self.queue(-taker.side):
                source = SOURCE_PRICE_LIMIT
            events.append(("cancelled", taker.order_id, left, source))
        elif left:
            self.arrivals += 1
            taker.arrival = self.arrivals
            self.resting.append(taker)
        rests = left > 0 and taker in self.resting
        return [first, *events] if first[0] == "amended" or traded or rests else events


def plain_events(events: Iterable[Event]) -> list[PlainEvent]:
    """The engine's events as the tuples of this module."""
    plain: list[PlainEvent] = []
    for event in events:
        if isinstance(event, OrderAccepted):
            plain.append(("accepted", event.order.order_id))
        elif isinstance(event, Fill):
            maker, taker = event.maker.order_id, event.taker.order_id
            plain.append(("fill", maker, taker, event.price_ticks, event.size_lots))
        elif isinstance(event, OrderCancelled):
            left = event.remaining_lots
            plain.append(("cancelled", event.order.order_id, left, int(event.reason)))
        elif isinstance(event, OrderAmended):
            old = event.old_price_ticks, event.old_size_lots
            plain.append(("amended", event.order.order_id, *old))
        else:
            assert isinstance(event, OrderRejected), event
            plain.append(("rejected", event.reason.name))
    return plain
