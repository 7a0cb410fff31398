"""A recorded depth snapshot as the shape of an order book at any price.

Levels become relative distances from the mid price and sizes in coins, exact as fractions, so that
a book at 5,000 USD can start with the shape that was seen at 62,000, and one at the snapshot's own
price with the very same levels. `scenarios.book_seeding` makes orders of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval, Len
from pydantic import BeforeValidator

from agents.setup import AccountModeName
from scenarios.bar_file import format_time, parse_time_ns
from scenarios.errors import UserError
from scenarios.feed import ATOMS, SHIPPED_FEED, FeedLine, read_feed
from scenarios.replay import DepthBook, Replay
from scenarios.validation_errors import not_allowed

BUY, SELL = 1, -1  # as exchange.order.Side
SNAPSHOT, END = "snapshot", "end"


def _moment(value: object) -> str:
    """What `at` may be, as text. Raises PydanticCustomError."""
    text = value.isoformat() if hasattr(value, "isoformat") else value
    if isinstance(text, str):
        if text in (SNAPSHOT, END):
            return text
        try:
            return format_time(parse_time_ns(text))
        except (ValueError, OverflowError):
            pass
    raise not_allowed(value, "'snapshot', 'end' or a UTC time as in 2024-08-08T23:55:00Z")


@dataclass(frozen=True, kw_only=True)
class DepthSeed:
    """One entry of `book_seeds`: a book that starts with recorded depth.

    instrument_id: the book, spot, perpetual or future. file: a feed with a snapshot, plain or
    gzip, as `selloff replay` reads; None: the one that ships (BTC-USDT spot, 1000 levels a side, 35
    bps deep). at: "snapshot" takes the first snapshot as it is, "end" the rebuilt book after the
    whole feed, a UTC time the book after all messages received by then.

    prices: "relative" keeps distances from the mid, around the first mark of the instrument;
    "absolute" keeps the prices. sizes: "coins" keeps coins, "value" what a level is worth in the
    quote currency (for another coin, or another decade). size_factor: on all sizes.
    stretch: on all distances (2: half as dense). largest_distance: levels farther from the mid are
    left out (0.01: 1 %), after stretching. bin_bps: levels of a side within one bin become one, at
    their size-weighted mean distance; 0 keeps every level.

    capital: money of the accounts that own the orders, in multiples of what the orders are worth.
    account_mode: their margin mode. half_life_s: orders are withdrawn one by one at random, half of
    them within this time; None: they rest until they are filled or the run ends.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    instrument_id: str
    file: Annotated[str, Len(1, 1000)] | None = None
    at: Annotated[str, BeforeValidator(_moment)] = SNAPSHOT
    prices: Literal["relative", "absolute"] = "relative"
    sizes: Literal["coins", "value"] = "coins"
    size_factor: Annotated[float, Interval(ge=1e-6, le=1e6)] = 1.0
    stretch: Annotated[float, Interval(ge=1e-3, le=1e3)] = 1.0
    largest_distance: Annotated[float, Interval(ge=1e-6, le=0.99)] = 0.05
    bin_bps: Annotated[float, Interval(ge=0, le=1000)] = 0.0
    capital: Annotated[float, Interval(ge=0.01, le=1000)] = 4.0
    account_mode: AccountModeName = "portfolio"
    half_life_s: Annotated[float, Interval(ge=1, le=1e7)] | None = None


@dataclass(frozen=True, slots=True)
class SeedLevel:
    """One level of a book to be: `side` 1 bid, -1 ask; `distance` > 0, share of the mid price away
    from it; `size` in coins; `recorded_price` in the quote currency. All exact.
    """

    side: int
    distance: Fraction
    size: Fraction
    recorded_price: Fraction

    def price(self, mid: Fraction | int) -> Fraction:
        """The level's price in a book around `mid`."""
        return mid * (1 - self.side * self.distance)


@dataclass(frozen=True, slots=True)
class DepthShape:
    """A book as it was recorded. levels: bids, then asks, each from the mid outwards; mid: in the
    quote currency. too_far: the levels beyond the largest distance, which are not in `levels`.
    symbol: as the feed says it, "" if it does not.
    """

    levels: tuple[SeedLevel, ...]
    too_far: tuple[SeedLevel, ...]
    mid: Fraction
    symbol: str


def depth_shape(seed: DepthSeed, directory: Path | None = None) -> DepthShape:
    """Read the feed and take its book at the wanted moment. O(lines until then).

    directory: where the name of a file starts; one that is not there may be one that ships.

    Raises:
        UserError, beginning with the field: the feed cannot be read, has no valid book at that
            moment, or one that is crossed, or a side without levels near enough.
    """
    book, symbol = _recorded_book(seed, directory)
    name = seed.file or SHIPPED_FEED
    quote = book.best()
    if quote is None:
        missing = "asks" if book.bids else "bids"
        raise UserError(f"file: {name}: the book has no {missing} at the moment {seed.at!r}")
    if quote[0] >= quote[2]:
        raise UserError(
            f"file: {name}: the book is crossed at the moment {seed.at!r}:"
            f" bid {quote[0] / ATOMS:.12g}, ask {quote[2] / ATOMS:.12g}"
        )
    mid = Fraction(quote[0] + quote[2], 2)
    levels: list[SeedLevel] = []
    too_far: list[SeedLevel] = []
    stretch, factor, widest = map(exact, (seed.stretch, seed.size_factor, seed.largest_distance))
    for side, recorded in ((BUY, reversed(book.bids.items())), (SELL, book.asks.items())):
        near: list[SeedLevel] = []
        for atoms, size in recorded:
            distance = side * (1 - atoms / mid) * stretch
            level = SeedLevel(side, distance, size * factor / ATOMS, Fraction(atoms, ATOMS))
            (near if distance <= widest else too_far).append(level)
        if not near:
            raise UserError(
                f"largest_distance: {seed.largest_distance:g} leaves none of the"
                f" {'bids' if side > 0 else 'asks'} of {name}"
            )
        levels += _binned(near, exact(seed.bin_bps)) if seed.bin_bps else near
    return DepthShape(tuple(levels), tuple(too_far), mid / ATOMS, symbol)


def exact(number: float) -> Fraction:
    """A parameter as it is written: 0.05 is one twentieth."""
    return Fraction(repr(number))


def _recorded_book(seed: DepthSeed, directory: Path | None) -> tuple[DepthBook, str]:
    """The book of the feed at the wanted moment, and the feed's symbol. Raises UserError."""
    name, run = seed.file or SHIPPED_FEED, Replay()
    until = None if seed.at in (SNAPSHOT, END) else parse_time_ns(seed.at)
    try:
        has_more = _replay_until(run, read_feed(_place(seed.file, directory)), seed.at, until)
    except UserError as error:
        raise UserError(f"file: {error}") from None
    if seed.at == SNAPSHOT and run.snapshot is not None:
        return run.snapshot, run.report.symbol
    if until is not None and not has_more:
        last = run.report.last_ns
        ends = "which have no time" if last is None else f"the last of {format_time(last)}"
        raise UserError(f"at: {seed.at} is after all messages of {name}, {ends}")
    if until is not None and run.snapshot is None:
        raise UserError(f"at: {seed.at} is before the first snapshot of {name}")
    try:
        report = run.finish()
    except UserError as error:
        raise UserError(f"file: {name}: {error}") from None
    if not run.is_valid:
        raise UserError(f"at: {seed.at!r}: {name} has no valid book then: {report.problems[0]}")
    return run.book, report.symbol


def _replay_until(run: Replay, lines: Iterable[FeedLine], at: str, until_ns: int | None) -> bool:
    """Replay the lines that `at` wants; whether there are later ones."""
    for line in lines:
        if until_ns is not None and line.time_ns is not None and line.time_ns > until_ns:
            return True
        run.take(line)
        if at == SNAPSHOT and run.snapshot is not None:
            return True
    return False


def _place(file: str | None, directory: Path | None) -> Path | None:
    """Where a feed is; None: the shipped one."""
    if file is None:
        return None
    path = Path(directory or ".") / file
    shipped = resources.files("scenarios.data") / "replay" / Path(file).name
    if file == Path(file).name and not path.exists() and shipped.is_file():
        return Path(str(shipped))
    return path


def _binned(levels: list[SeedLevel], bin_bps: Fraction) -> list[SeedLevel]:
    """Levels of one side, sorted by distance, joined by bin: sizes and size times distance are
    kept.
    """
    bins: dict[int, list[SeedLevel]] = {}
    for level in levels:
        bins.setdefault(int(level.distance * 10_000 / bin_bps), []).append(level)
    joined = []
    for members in bins.values():
        size = sum((level.size for level in members), Fraction(0))
        distance = sum((level.size * level.distance for level in members), Fraction(0)) / size
        price = sum((level.size * level.recorded_price for level in members), Fraction(0)) / size
        joined.append(SeedLevel(members[0].side, distance, size, price))
    return joined
