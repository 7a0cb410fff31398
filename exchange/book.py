"""The order book of one instrument: price levels in price order, orders in time order.

The book rests and removes orders; it never matches (`exchange.matching` does) and never sends
anything to anybody. Prices are integer ticks, sizes integer lots.

Complexity is stated in n live orders and p price levels of one side. Opening or closing a level
costs O(log p), the best one O(1) (`exchange.price_levels`); everything inside a level is O(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exchange.price_levels import BookSide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exchange.instrument import Instrument
    from exchange.order import Order


class OrderBook:
    """The live orders of one instrument.

    orders: live orders by id. bids, asks: the two sides. The fields are for `exchange.matching`;
    everybody else uses the methods.
    """

    __slots__ = ("asks", "bids", "instrument", "orders")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.orders: dict[int, Order] = {}
        self.bids = BookSide(1)
        self.asks = BookSide(-1)

    def __len__(self) -> int:
        """Return the number of live orders. O(1)."""
        return len(self.orders)

    def __contains__(self, order_id: int) -> bool:
        """Return whether an order with this id is live. O(1)."""
        return order_id in self.orders

    def __iter__(self) -> Iterator[Order]:
        """Yield live orders: bids then asks, best price first, oldest first. O(n)."""
        for side in (self.bids, self.asks):
            for level in side:
                yield from level

    def get(self, order_id: int) -> Order | None:
        """Return the live order with this id. O(1)."""
        return self.orders.get(order_id)

    def add(self, order: Order) -> None:
        """Rest the order at the end of its level's queue, without matching.

        The caller guarantees a new id, remaining_lots > 0 and a price that does not cross; see
        `_check`. O(1), O(log p) when it opens a level.
        """
        sign: int = order.side
        side = self.bids if sign > 0 else self.asks
        level = side.level(order.price_ticks)
        if level is None:
            level = side.open_level(order.price_ticks)
            level.head = order
            order.previous_order = None
        else:
            tail = level.tail
            assert tail is not None
            tail.next_order = order
            order.previous_order = tail
        order.next_order = None
        level.tail = order
        level.lots += order.remaining_lots
        order.level = level
        self.orders[order.order_id] = order

    def cancel(self, order_id: int) -> Order | None:
        """Remove and return the live order with this id; None if there is none.

        O(1), O(log p) when it empties a level.
        """
        orders = self.orders
        order = orders.get(order_id)
        if order is None:
            return None
        del orders[order_id]
        level = order.level
        level.lots -= order.remaining_lots
        previous = order.previous_order
        following = order.next_order
        # Cleared, so that an order kept in a log keeps no chain of dead orders alive.
        order.previous_order = order.next_order = None
        if previous is not None:
            previous.next_order = following
            if following is not None:
                following.previous_order = previous
            else:
                level.tail = previous
        elif following is not None:
            following.previous_order = None
            level.head = following
        else:
            sign: int = order.side
            (self.bids if sign > 0 else self.asks).close_level(level)
        return order

    def shrink(self, order: Order, remaining_lots: int) -> None:
        """Lower a live order's remaining size, keeping its place in the queue. O(1)."""
        assert 0 < remaining_lots <= order.remaining_lots, (order, remaining_lots)
        order.level.lots -= order.remaining_lots - remaining_lots
        order.remaining_lots = remaining_lots

    def best_bid(self) -> int | None:
        """Return the highest bid in ticks. O(1)."""
        best = self.bids.best
        return None if best is None else best.price_ticks

    def best_ask(self) -> int | None:
        """Return the lowest ask in ticks. O(1)."""
        best = self.asks.best
        return None if best is None else best.price_ticks

    def level_lots(self, side: int, price_ticks: int) -> int:
        """Return the lots resting on a side (1 bids, -1 asks) at a price. O(1)."""
        level = (self.bids if side > 0 else self.asks).level(price_ticks)
        return 0 if level is None else level.lots

    def depth(self, side: int, levels: int) -> list[tuple[int, int]]:
        """Return up to `levels` pairs (price ticks, lots) of a side, best first. O(levels)."""
        pairs: list[tuple[int, int]] = []
        if levels <= 0:
            return pairs
        for level in self.bids if side > 0 else self.asks:
            pairs.append((level.price_ticks, level.lots))
            if len(pairs) == levels:
                break
        return pairs

    def volume_within(self, side: int, limit_ticks: int) -> int:
        """Return the lots of a side at limit_ticks or better (bids: at or above it).

        O(levels within the limit).
        """
        return self.volumes_within(side, (limit_ticks,))[0]

    def volumes_within(self, side: int, limits_ticks: Sequence[int]) -> tuple[int, ...]:
        """Return `volume_within` of each limit; limits go from the best price outwards.

        One walk: O(levels within the last limit).
        """
        volumes: list[int] = []
        total, limit = 0, limits_ticks[0]
        for level in self.bids if side > 0 else self.asks:
            while level.price_ticks < limit if side > 0 else level.price_ticks > limit:
                volumes.append(total)
                if len(volumes) == len(limits_ticks):
                    return tuple(volumes)
                limit = limits_ticks[len(volumes)]
            total += level.lots
        return (*volumes, *([total] * (len(limits_ticks) - len(volumes))))

    def _check(self) -> None:
        """Assert every invariant of the book; O(n + p log p). For tests and debugging."""
        seen: list[int] = []
        for side, sign in ((self.bids, 1), (self.asks, -1)):
            side._check()
            for level in side:
                price, orders = level.price_ticks, list(level)
                assert orders, f"empty level {price}"
                assert level.head is orders[0] and level.tail is orders[-1], price
                assert level.lots == sum(order.remaining_lots for order in orders), price
                previous = None
                for order in orders:
                    assert order.previous_order is previous, order
                    assert order.level is level and order.price_ticks == price, order
                    assert order.side == sign and order.instrument is self.instrument, order
                    assert 0 < order.remaining_lots <= order.size_lots, order
                    assert previous is None or previous.time_ns <= order.time_ns, order
                    assert self.orders.get(order.order_id) is order, order
                    seen.append(order.order_id)
                    previous = order
        assert len(seen) == len(set(seen)) == len(self.orders), "ids are unique and all indexed"
        bid, ask = self.best_bid(), self.best_ask()
        assert bid is None or ask is None or bid < ask, f"crossed or locked: {bid} >= {ask}"
