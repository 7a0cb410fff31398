"""A real depth snapshot as the shape of an order book at any price.

Levels become relative distances from the mid price and sizes in coins (or in quote currency, for
another coin), so that a book at 5,000 USD can start with the shape that was seen at 62,000.

Source: issue "Scenarios, agents and reports that people believe", order-book seeding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from scenarios.errors import UserError
from scenarios.feed import ATOMS, read_feed
from scenarios.replay import DepthBook, Replay

BUY, SELL = 1, -1  # as exchange.order.Side


@dataclass(frozen=True, slots=True)
class SeedLevel:
    """One level of a book to be: `side` 1 bid, -1 ask; `distance` > 0, share of the mid price away
    from it; `size` in coins; `notional` its value in the quote currency at the snapshot's price.
    """

    side: int
    distance: float
    size: float
    notional: float

    def price(self, mid: float) -> float:
        """The level's price in a book around `mid`."""
        return mid * (1 - self.side * self.distance)


@dataclass(frozen=True, kw_only=True)
class DepthSeed:
    """Which snapshot, and how it becomes a book.

    file: a feed with a snapshot, as `selloff replay` reads; None: the one that ships (BTC-USDT
    spot, 1000 levels a side, 35 bps deep). at: "snapshot" takes the first snapshot as it is, "end"
    the rebuilt book after the whole feed.
    size_factor: on all sizes. stretch: on all distances (2: half as dense).
    largest_distance: levels farther from the mid are left out (0.01: 1 %). bin_bps: levels of a
    side within one bin become one, at their size-weighted mean distance; 0 keeps every level.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    file: str | None = None
    at: Literal["snapshot", "end"] = "snapshot"
    size_factor: Annotated[float, Interval(ge=1e-6, le=1e6)] = 1.0
    stretch: Annotated[float, Interval(ge=1e-3, le=1e3)] = 1.0
    largest_distance: Annotated[float, Interval(ge=1e-6, le=0.99)] = 0.05
    bin_bps: Annotated[float, Interval(ge=0, le=1000)] = 0.0


def seed_levels(parameters: DepthSeed, directory: Path | None = None) -> list[SeedLevel]:
    """Bids, then asks, each from the mid outwards.

    Raises:
        UserError: the feed cannot be read, or has no snapshot with both sides.
    """
    book = _book(parameters, directory)
    quote = book.best()
    if quote is None or quote[0] >= quote[2]:
        raise UserError(f"{parameters.file}: the snapshot has an empty side or is crossed")
    mid = (quote[0] + quote[2]) / 2
    levels: list[SeedLevel] = []
    for side, prices in ((BUY, reversed(book.bids.items())), (SELL, book.asks.items())):
        raw = []
        for price, size in prices:
            distance = side * (1 - price / mid) * parameters.stretch
            coins = size / ATOMS * parameters.size_factor
            if distance <= parameters.largest_distance:
                raw.append(SeedLevel(side, distance, coins, coins * price / ATOMS))
        levels += _binned(raw, parameters.bin_bps) if parameters.bin_bps else raw
    return levels


def _book(parameters: DepthSeed, directory: Path | None) -> DepthBook:
    file = None if parameters.file is None else Path(directory or ".") / parameters.file
    run = Replay()
    for line in read_feed(file):
        run.take(line)
        if parameters.at == "snapshot" and run.snapshot is not None:
            return run.snapshot
    run.finish()
    return run.book


def _binned(levels: list[SeedLevel], bin_bps: float) -> list[SeedLevel]:
    """Levels of one side, sorted by distance, joined by bin: sizes and size times distance are
    kept.
    """
    bins: dict[int, list[SeedLevel]] = {}
    for level in levels:
        bins.setdefault(int(level.distance * 1e4 / bin_bps), []).append(level)
    joined = []
    for members in bins.values():
        size = math.fsum(level.size for level in members)
        distance = math.fsum(level.size * level.distance for level in members) / size
        notional = math.fsum(level.notional for level in members)
        joined.append(SeedLevel(members[0].side, distance, size, notional))
    return joined
