"""Matching: price-time priority in one instrument, with every outcome as an event.

`sweep` is the one loop that trades; `MatchingEngine` adds order types, amends and events.
Expected refusals are values (`RejectReason`, `CancelReason`), never exceptions.

Sides, order types and modes are compared as plain integers below: building or hashing an enum
member per order would cost more than resting the order. Where a local variable is declared `int`,
compiled code takes the number out of the member once and compares it like any other.

Source: spec 9.1, 9.2, 9.3, 9.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exchange.book import OrderBook
from exchange.events import (
    CancelReason,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderRejected,
    RejectReason,
)
from exchange.instrument import Instrument, InstrumentKind
from exchange.order import Order, OrderRequest, OrderType, StpMode

if TYPE_CHECKING:
    from exchange.events import Event

_LIMIT: Final = int(OrderType.LIMIT)
_MARKET: Final = int(OrderType.MARKET)
_FOK: Final = int(OrderType.FOK)
_OPTIMAL: Final = int(OrderType.OPTIMAL_LIMIT_IOC)
_POST_ONLY_TYPES: Final = (int(OrderType.POST_ONLY), int(OrderType.MMP_AND_POST_ONLY))
_RESTING_TYPES: Final = (_LIMIT, int(OrderType.MMP), *_POST_ONLY_TYPES)
_MMP_TYPES: Final = (int(OrderType.MMP), int(OrderType.MMP_AND_POST_ONLY))
_CANCEL_MAKER: Final = StpMode.CANCEL_MAKER
_CANCEL_TAKER: Final = int(StpMode.CANCEL_TAKER)
_CANCEL_BOTH: Final = int(StpMode.CANCEL_BOTH)
_NO_LIMIT: Final = 1 << 62


def check_request(instrument: Instrument, request: OrderRequest) -> RejectReason | None:
    """Return why the instrument's own rules refuse the request; None if they accept it.

    Checks type, size, price and tick. Price limits need a market (`exchange.price_limits`), margin
    needs an account. Options have no market orders; optimal_limit_ioc is for perpetuals and
    futures, mmp for options. O(1). Source: spec 9.1, 9.2, 9.7.
    """
    order_type: int = request.order_type
    if request.size_lots <= 0:
        return RejectReason.BAD_SIZE
    if order_type in (_MARKET, _OPTIMAL):
        kind = instrument.kind
        if kind == InstrumentKind.OPTION or (
            order_type == _OPTIMAL and kind == InstrumentKind.SPOT
        ):
            return RejectReason.BAD_ORDER_TYPE
        return None
    price_ticks = request.price_ticks
    if price_ticks is None or price_ticks <= 0:
        return RejectReason.BAD_PRICE
    if instrument.coarse_from_ticks and not instrument.is_on_tick(price_ticks):
        return RejectReason.BAD_TICK
    if order_type == _LIMIT:
        return None
    if order_type in _MMP_TYPES and instrument.kind != InstrumentKind.OPTION:
        return RejectReason.BAD_ORDER_TYPE
    if order_type == _FOK and request.stp_mode == _CANCEL_BOTH:
        return RejectReason.BAD_STP_MODE
    return None


def sweep(
    book: OrderBook,
    taker: Order,
    limit_ticks: int,
    matches: list[tuple[Order, int]],
    most_matches: int = _NO_LIMIT,
) -> bool:
    """Trade the taker against the other side, up to limit_ticks (0: no limit).

    Appends (maker, lots) to matches in order of execution; lots 0 is a maker that self-trade
    prevention removed; stops at `most_matches` of them. Lowers remaining_lots on both sides; the
    taker does not rest here. Returns True when self-trade prevention ends the taker. O(1) for each
    order touched, O(log p) for each level emptied. Source: spec 9.2.
    """
    sign: int = taker.side
    buying = sign > 0
    side = book.asks if buying else book.bids
    limit = limit_ticks or (_NO_LIMIT if buying else 0)
    remaining = taker.remaining_lots
    owner = taker.owner
    orders = book.orders
    level = side.best
    while (
        level is not None
        and (level.price_ticks <= limit if buying else level.price_ticks >= limit)
        and len(matches) < most_matches
    ):
        maker = level.head
        assert maker is not None
        if maker.owner == owner:
            mode: int = taker.stp_mode
            if mode != _CANCEL_TAKER:
                book.cancel(maker.order_id)
                matches.append((maker, 0))
            if mode:
                taker.remaining_lots = remaining
                return True
            level = side.best
            continue
        lots = maker.remaining_lots
        if lots > remaining:
            maker.remaining_lots = lots - remaining
            level.lots -= remaining
            matches.append((maker, remaining))
            remaining = 0
            break
        # The maker is filled: this is `book.cancel` for the head of a queue, without its branches.
        matches.append((maker, lots))
        remaining -= lots
        maker.remaining_lots = 0
        del orders[maker.order_id]
        following = maker.next_order
        if following is None:
            side.close_level(level)
            level = side.best
        else:
            maker.next_order = following.previous_order = None
            level.head = following
            level.lots -= lots
        if not remaining:
            break
    taker.remaining_lots = remaining
    return False


def crosses(book: OrderBook, side: int, price_ticks: int) -> bool:
    """Return whether an order of this side and price (0: no limit) would trade at once. O(1)."""
    if side > 0:
        best = book.asks.best
        return best is not None and (best.price_ticks <= price_ticks or not price_ticks)
    best = book.bids.best
    return best is not None and best.price_ticks >= price_ticks


def fok_obstacle(
    book: OrderBook, order: Order, limit_ticks: int, most_matches: int = _NO_LIMIT
) -> CancelReason | None:
    """Return why a fill-or-kill order cannot fill now; None if it can, in full.

    limit_ticks: the order's price, or the nearer one where the price gap ends it.

    The owner's own orders give no volume: cancel-maker passes over them, cancel-taker stops at
    the first. O(orders that the fill would touch). Source: spec 9.2.
    """
    wanted, matches = order.remaining_lots, 0
    sign: int = order.side
    for level in book.asks if sign > 0 else book.bids:
        if (level.price_ticks - limit_ticks) * sign > 0:
            if (level.price_ticks - order.price_ticks) * sign <= 0:
                return CancelReason.PRICE_GAP
            break
        for maker in level:
            if matches == most_matches:
                return CancelReason.TOO_MANY_MATCHES
            matches += 1
            if maker.owner == order.owner:
                if order.stp_mode:
                    return CancelReason.SELF_TRADE
                continue
            wanted -= maker.remaining_lots
            if wanted <= 0:
                return None
    return CancelReason.FOK


class Ids:
    """A source of ids: 1, 2, 3 and so on. last: the newest one given out, 0 for none."""

    __slots__ = ("last",)

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def take(self) -> int:
        """Return the next id. O(1)."""
        self.last += 1
        return self.last


class MatchingEngine:
    """The market of one instrument: its book, and what orders do to it.

    order_ids, fill_ids: sources of new ids, of its own by default; engines of one venue share them,
    so that ids are unique and in order of time over all instruments. price_gap_bps: how much worse
    than the best price a taker may trade before the rest of it is cancelled (0: no such limit;
    never for options, whose tick may be a large part of the price); most_matches: makers that one
    taker may meet (0: no limit). Neither binds liquidation orders. Source: spec 9.5 (27, 33).
    """

    __slots__ = (
        "book",
        "fill_ids",
        "instrument",
        "most_matches",
        "order_ids",
        "price_gap_bps",
    )

    def __init__(
        self,
        instrument: Instrument,
        *,
        order_ids: Ids | None = None,
        fill_ids: Ids | None = None,
        price_gap_bps: int = 0,
        most_matches: int = 0,
    ) -> None:
        self.instrument = instrument
        self.price_gap_bps = 0 if instrument.kind == InstrumentKind.OPTION else price_gap_bps
        self.most_matches = most_matches or _NO_LIMIT
        self.book = OrderBook(instrument)
        self.order_ids = Ids() if order_ids is None else order_ids
        self.fill_ids = Ids() if fill_ids is None else fill_ids

    def place(self, owner: int, request: OrderRequest, now_ns: int) -> list[Event]:
        """Check the request against the instrument's rules, then submit it as an order.

        Returns one OrderRejected, or the events of `submit`.
        """
        reason = check_request(self.instrument, request)
        if reason is not None:
            return [OrderRejected(now_ns, request, owner, reason)]
        return self.submit(self.new_order(owner, request, now_ns), now_ns)

    def new_order(
        self,
        owner: int,
        request: OrderRequest,
        now_ns: int,
        *,
        is_liquidation: bool = False,
        cause_id: int = 0,
    ) -> Order:
        """Return an order with the next id, not yet submitted. O(1)."""
        size_lots = request.size_lots
        return Order(
            self.order_ids.take(),
            self.instrument,
            owner,
            request.side,
            request.order_type,
            request.price_ticks or 0,
            size_lots,
            size_lots,
            now_ns,
            request.stp_mode or _CANCEL_MAKER,
            request.client_order_id,
            is_liquidation,
            cause_id,
            -1,
            owner,
        )

    def submit(self, order: Order, now_ns: int) -> list[Event]:
        """Match the order, rest what may rest, cancel what may not.

        Returns OrderAccepted first if the order trades or rests; then, in order of execution,
        Fill and OrderCancelled(SELF_TRADE) of makers; last OrderCancelled if the order ends with
        lots left. The order passed `check_request`. Complexity: as `sweep`.
        """
        order_type: int = order.order_type
        book = self.book
        if not crosses(book, order.side, order.price_ticks):
            if order_type in _RESTING_TYPES:
                book.add(order)
                return [OrderAccepted(now_ns, order)]
            if order_type == _FOK:
                reason = CancelReason.FOK
            else:
                reason = self._end_of_sweep(order)
            return [OrderCancelled(now_ns, order, order.remaining_lots, reason)]
        if order_type in _POST_ONLY_TYPES:
            return [OrderCancelled(now_ns, order, order.remaining_lots, CancelReason.POST_ONLY)]
        if order_type == _FOK:
            obstacle = fok_obstacle(book, order, self._within_gap(order), self.most_matches)
            if obstacle is not None:
                return [OrderCancelled(now_ns, order, order.remaining_lots, obstacle)]
        return self._trade(order, now_ns, None)

    def _trade(self, order: Order, now_ns: int, amended: OrderAmended | None) -> list[Event]:
        """Sweep with an order that crosses; return its events, after `amended` if it is one."""
        before = order.remaining_lots
        matches: list[tuple[Order, int]] = []
        if order.is_liquidation:
            stopped = sweep(self.book, order, order.price_ticks, matches)
        else:
            stopped = sweep(self.book, order, self._within_gap(order), matches, self.most_matches)
        remaining = order.remaining_lots
        unstopped = remaining > 0 and not stopped
        # What still crosses was ended by the price gap or by the number of matches.
        cut = unstopped and crosses(self.book, order.side, order.price_ticks)
        order_type: int = order.order_type
        rests = unstopped and not cut and order_type in _RESTING_TYPES
        events: list[Event] = []
        if amended is not None:
            events.append(amended)
        elif rests or remaining < before:
            events.append(OrderAccepted(now_ns, order))
        instrument = self.instrument
        for maker, lots in matches:
            if lots:
                price_ticks = maker.price_ticks
                fill_id = self.fill_ids.take()
                events.append(Fill(now_ns, fill_id, instrument, price_ticks, lots, maker, order))
            else:
                left = maker.remaining_lots
                events.append(OrderCancelled(now_ns, maker, left, CancelReason.SELF_TRADE))
        if rests:
            self.book.add(order)
        elif remaining:
            # A fill-or-kill order never gets here: it fills in full or was refused before.
            if stopped:
                reason = CancelReason.SELF_TRADE
            elif cut:
                many = len(matches) >= self.most_matches
                reason = CancelReason.TOO_MANY_MATCHES if many else CancelReason.PRICE_GAP
            else:
                reason = self._end_of_sweep(order)
            events.append(OrderCancelled(now_ns, order, remaining, reason))
        return events

    def _end_of_sweep(self, order: Order) -> CancelReason:
        """Return why the rest of an order that may not rest ends: PRICE_LIMIT where a market order
        stopped at its protective limit before the book was empty, else IOC. O(1)."""
        order_type: int = order.order_type
        if order_type in (_MARKET, _OPTIMAL) and order.price_ticks:
            side = self.book.asks if order.side > 0 else self.book.bids
            if side.best is not None:
                return CancelReason.PRICE_LIMIT
        return CancelReason.IOC

    def _within_gap(self, order: Order) -> int:
        """Return the order's limit, or the price where the gap from the best ends it. O(1)."""
        gap, limit = self.price_gap_bps, order.price_ticks
        sign: int = order.side
        best = (self.book.asks if sign > 0 else self.book.bids).best
        if not gap or best is None:
            return limit
        if sign > 0:
            bound = best.price_ticks * (10_000 + gap) // 10_000
            return min(bound, limit) if limit else bound
        return max(limit, -(-(best.price_ticks * (10_000 - gap)) // 10_000))

    def cancel(
        self, order_id: int, now_ns: int, reason: CancelReason = CancelReason.USER
    ) -> list[Event]:
        """Cancel a live order; an empty list if there is none (filled or cancelled already).

        O(1), O(log p) when it empties a level.
        """
        order = self.book.cancel(order_id)
        if order is None:
            return []
        return [OrderCancelled(now_ns, order, order.remaining_lots, reason)]

    def cancel_all(self, now_ns: int, reason: CancelReason) -> list[Event]:
        """Cancel every live order (delivery, expiry), bids before asks, best first. O(n log p)."""
        events: list[Event] = []
        for order in list(self.book):
            events += self.cancel(order.order_id, now_ns, reason)
        return events

    def amend(
        self,
        order_id: int,
        now_ns: int,
        new_size_lots: int | None = None,
        new_price_ticks: int | None = None,
    ) -> list[Event]:
        """Change size (what is filled included) or price of a live order; None keeps the old one.

        The order keeps its place only when its size shrinks at the same price; otherwise it goes
        to the end of the queue, or trades like a new order if its new price crosses. A size at or
        below what is filled cancels the rest. Returns an empty list if the order is not live;
        OrderRejected, and an untouched order, if the new terms break a rule; otherwise
        OrderAmended, then events as in `submit`. Source: spec 9.3.
        """
        order = self.book.get(order_id)
        if order is None:
            return []
        size_lots = order.size_lots if new_size_lots is None else new_size_lots
        price_ticks = order.price_ticks if new_price_ticks is None else new_price_ticks
        reason = self._amend_refusal(order, size_lots, price_ticks)
        if reason is not None:
            request = OrderRequest(
                order.instrument.instrument_id,
                order.side,
                order.order_type,
                size_lots,
                price_ticks,
                order.client_order_id,
                order.stp_mode,
            )
            return [OrderRejected(now_ns, request, order.owner, reason)]
        remaining = order.remaining_lots + size_lots - order.size_lots
        if remaining <= 0:
            return self.cancel(order_id, now_ns)
        amended = OrderAmended(now_ns, order, order.price_ticks, order.size_lots)
        if price_ticks == order.price_ticks and size_lots < order.size_lots:
            self.book.shrink(order, remaining)
            order.size_lots = size_lots
            return [amended]
        self.book.cancel(order_id)
        order.size_lots = size_lots
        order.remaining_lots = remaining
        order.price_ticks = price_ticks
        order.time_ns = now_ns
        if crosses(self.book, order.side, price_ticks):
            return self._trade(order, now_ns, amended)
        self.book.add(order)
        return [amended]

    def _amend_refusal(self, order: Order, size_lots: int, price_ticks: int) -> RejectReason | None:
        """Return why the new terms are refused; None if they are accepted."""
        if size_lots <= 0:
            return RejectReason.BAD_SIZE
        if price_ticks <= 0:
            return RejectReason.BAD_PRICE
        if not self.instrument.is_on_tick(price_ticks):
            return RejectReason.BAD_TICK
        if size_lots == order.size_lots and price_ticks == order.price_ticks:
            return RejectReason.AMEND_EMPTY
        if order.order_type in _POST_ONLY_TYPES and crosses(self.book, order.side, price_ticks):
            return RejectReason.AMEND_POST_ONLY
        return None
