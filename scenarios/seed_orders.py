"""Recorded depth laid into an instrument's book: prices on its ticks, sizes in its lots.

Bids are rounded down to the tick and asks up, so that a book never crosses itself; levels that meet
on one tick become one, and its size is rounded to the nearest lot once. What does not become an
order is counted by reason. All arithmetic is exact: a snapshot laid around its own mid price, on
its own ticks and lots, comes out as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from scenarios.depth_seed import BUY, SELL, DepthSeed, DepthShape, SeedLevel
from scenarios.errors import UserError
from scenarios.formats import plural

if TYPE_CHECKING:
    from exchange.instrument import Instrument
    from exchange.price_limits import PriceBand

TOO_FAR = "beyond largest_distance"
BELOW_TICK = "below one tick"
OUTSIDE_LIMITS = "outside the price limits"
BELOW_LOT = "below half a lot"


class SeedOrder(NamedTuple):
    """An order to be placed; `side` 1 buys, -1 sells."""

    side: int
    price_ticks: int
    lots: int


class LeftOut(NamedTuple):
    """Levels that become no order, and their share of the size of all recorded levels."""

    levels: int
    size_share: Fraction


@dataclass(frozen=True, slots=True)
class LaidBook:
    """orders: bids, then asks, each from the best price outwards; one for each price. left_out: by
    reason, those that have any.
    """

    orders: tuple[SeedOrder, ...]
    left_out: dict[str, LeftOut]


def lay_book(
    shape: DepthShape, seed: DepthSeed, instrument: Instrument, mid_ticks: int, band: PriceBand
) -> LaidBook:
    """The orders that put a recorded shape into a book around `mid_ticks`. O(levels).

    Raises UserError where a side has nothing left.
    """
    outside: dict[str, list[SeedLevel]] = {TOO_FAR: list(shape.too_far)}
    orders: list[SeedOrder] = []
    for side, name in ((BUY, "bid"), (SELL, "ask")):
        by_price: dict[int, list[SeedLevel]] = {}
        for level in shape.levels:
            if level.side == side:
                ticks = _ticks(level, seed, instrument, mid_ticks)
                reason = _refusal(side, ticks, band)
                if reason:
                    outside.setdefault(reason, []).append(level)
                else:
                    by_price.setdefault(ticks, []).append(level)
        before = len(orders)
        for ticks, levels in by_price.items():
            lots = _lots(ticks, levels, seed, instrument)
            if lots:
                orders.append(SeedOrder(side, ticks, lots))
            else:
                outside.setdefault(BELOW_LOT, []).extend(levels)
        if len(orders) == before:
            raise UserError(_nothing_left(name, outside, instrument, mid_ticks, band))
    whole = sum((level.size for level in (*shape.levels, *shape.too_far)), Fraction(0))
    left_out = {
        reason: LeftOut(len(levels), sum((x.size for x in levels), Fraction(0)) / whole)
        for reason, levels in outside.items()
        if levels
    }
    return LaidBook(tuple(orders), left_out)


def _ticks(level: SeedLevel, seed: DepthSeed, instrument: Instrument, mid_ticks: int) -> int:
    """The level's price in ticks, rounded away from the other side."""
    if seed.prices == "absolute":
        ticks = level.recorded_price / Fraction(instrument.tick)
    else:
        ticks = level.price(mid_ticks)
    return floor(ticks) if level.side == BUY else ceil(ticks)


def _refusal(side: int, ticks: int, band: PriceBand) -> str:
    """Why no order may have this price; "" if it may."""
    if ticks < 1:
        return BELOW_TICK
    outside = ticks > band.high_ticks if side == BUY else ticks < band.low_ticks
    return OUTSIDE_LIMITS if outside else ""


def _lots(ticks: int, levels: Sequence[SeedLevel], seed: DepthSeed, instrument: Instrument) -> int:
    """Size of the levels that meet at one price, to the nearest lot."""
    price = ticks * Fraction(instrument.tick)
    coins = sum((level.size for level in levels), Fraction(0))
    if seed.sizes == "value":
        coins = sum((x.size * x.recorded_price for x in levels), Fraction(0)) / price
    units = coins * price if instrument.inverse else coins
    return round(units / instrument.units_per_lot)


def _nothing_left(
    name: str,
    outside: dict[str, list[SeedLevel]],
    instrument: Instrument,
    mid_ticks: int,
    band: PriceBand,
) -> str:
    reasons = ", ".join(f"{plural(len(x), 'level')} {reason}" for reason, x in outside.items() if x)
    low, mid, high = (instrument.price(x) for x in (band.low_ticks, mid_ticks, band.high_ticks))
    return (
        f"no {name} of the snapshot is left for {instrument.instrument_id}: {reasons} (the mark is"
        f" {mid}; buys are allowed up to {high}, sells from {low})"
    )
