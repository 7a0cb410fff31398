"""A ladder of resting orders that is moved with as few messages as its owner tolerates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp

from agents.base import OwnOrder, Venue
from exchange.order import OrderRequest, OrderType, Side


class Ladder:
    """One own order per level and side of one instrument.

    An order stays while it is within its level's tolerance of the target price and holds
    between `low` and `high` times its target size; otherwise it is cancelled and sent anew.
    This tolerance is what sets the number of messages. Source: ecology.md sections 3, 7.
    """

    __slots__ = (
        "_high",
        "_instrument_id",
        "_log_sd",
        "_low",
        "_market",
        "_order_type",
        "_orders",
        "_venue",
    )

    def __init__(
        self,
        venue: Venue,
        instrument_id: str,
        levels: int,
        order_type: OrderType = OrderType.POST_ONLY,
        low: float = 0.5,
        high: float = 2.0,
        log_sd: float = 0.0,
    ) -> None:
        self._venue = venue
        self._market = venue.market(instrument_id)
        self._instrument_id = instrument_id
        self._order_type = order_type
        self._low = low
        self._high = high
        self._log_sd = log_sd
        self._orders: dict[Side, list[OwnOrder | None]] = {
            Side.BUY: [None] * levels,
            Side.SELL: [None] * levels,
        }

    def orders(self, side: Side) -> list[OwnOrder | None]:
        """The current order of each level (None: never sent or withdrawn)."""
        return self._orders[side]

    def lots_at(self, side: Side, price_ticks: int) -> int:
        """Own lots resting at one price, as reported. O(levels)."""
        total = 0
        for own in self._orders[side]:
            if own is not None and not own.is_done and own.request.price_ticks == price_ticks:
                total += own.remaining_lots
        return total

    def move(
        self,
        side: Side,
        prices: Sequence[int],
        targets: Sequence[float],
        tolerances: Sequence[float],
        noise: Callable[[], float] | None = None,
    ) -> None:
        """Bring one side to its targets.

        prices: ticks per level; one beyond the venue's price limit, where an order would be
        refused, counts as the limit. targets: lots against which a standing order is judged; a new
        order has the target's size, times exp(log_sd x noise()) if a source of standard
        normals is given; below half a lot the level is left empty. tolerances: ticks. O(levels)."""
        venue, market = self._venue, self._market
        orders = self._orders[side]
        band, instrument = market.price_limits(), market.instrument
        if side > 0:
            limit = instrument.floor_to_grid(band.high_ticks)
            prices = [price if price < limit else limit for price in prices]
        else:
            limit = instrument.ceil_to_grid(band.low_ticks)
            prices = [price if price > limit else limit for price in prices]
        for level, price in enumerate(prices):
            own = orders[level]
            target = targets[level]
            if own is not None and not own.is_done:
                gap = own.request.price_ticks - price  # type: ignore[operator]
                slack = tolerances[level]
                if (
                    -slack <= gap <= slack
                    and self._low * target <= own.remaining_lots <= self._high * target
                ):
                    continue
                venue.cancel(own)
            size = int((target * exp(self._log_sd * noise()) if noise else target) + 0.5)
            if size < 1 or price < 1:
                orders[level] = None
                continue
            orders[level] = venue.submit(
                OrderRequest(self._instrument_id, side, self._order_type, size, price)
            )

    def withdraw(self, side: Side) -> None:
        """Cancel all orders of one side. O(levels)."""
        orders = self._orders[side]
        for level, own in enumerate(orders):
            if own is not None and not own.is_done:
                self._venue.cancel(own)
            orders[level] = None
