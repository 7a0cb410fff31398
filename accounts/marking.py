"""Mark prices and price limits from the index and the venue's own books.

mark = index + moving average of (mid - index); the same samples give the average premium of the
price limits. One sample per call of `sample`, by default every second. All integers: half ticks.

Source: portfolio-margin.md sections 11.2 and 11.4.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from exchange.instrument import InstrumentKind
from exchange.price_limits import PriceBand, contract_band, spot_band
from exchange.units import divide_rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accounts.listing import Listing
    from risk.rules_venue import MarkRules

E8: Final = 10**8
SPOT_TIER: Final = 3
LIMIT_WINDOW_S: Final = 120.0


class MovingMean:
    """Mean of the last `size` integers; O(1) per sample, exact."""

    __slots__ = ("samples", "size", "total")

    def __init__(self, size: int) -> None:
        self.size = max(1, size)
        self.samples: deque[int] = deque()
        self.total = 0

    def add(self, value: int) -> None:
        """Take one sample, drop the oldest beyond the window."""
        self.samples.append(value)
        self.total += value
        if len(self.samples) > self.size:
            self.total -= self.samples.popleft()

    def half(self) -> int:
        """Half the mean, rounded: half ticks in, ticks out; 0 without samples."""
        count = len(self.samples)
        return divide_rounded(self.total, 2 * count) if count else 0


class Marker:
    """The basis of one listed instrument."""

    __slots__ = ("basis", "is_option", "is_spot", "listed_ns", "listing", "premium", "tick_e8")

    def __init__(self, listing: Listing, rules: MarkRules, listed_ns: int) -> None:
        instrument = listing.instrument
        is_future = instrument.kind == InstrumentKind.FUTURE
        window = rules.future_basis_window_s if is_future else rules.basis_window_s
        self.listing = listing
        self.listed_ns = listed_ns
        self.is_spot = listing.is_spot
        self.is_option = listing.is_option
        self.tick_e8 = (instrument.tick * 10**8).as_integer_ratio()
        self.basis = MovingMean(round(window / rules.basis_sample_s))
        self.premium = MovingMean(round(LIMIT_WINDOW_S / rules.basis_sample_s))

    def sample(self, now_ns: int, index_e8: int) -> int:
        """Take the book's mid against the index; the new mark in ticks. Sets the price limits."""
        listing = self.listing
        numerator, denominator = self.tick_e8
        index_ticks = max(1, divide_rounded(index_e8 * denominator, numerator))
        if self.is_spot:
            self._limit(spot_band(index_ticks, SPOT_TIER))
            return index_ticks
        book = listing.engine.book
        bid, ask = book.bids.best, book.asks.best
        if bid is not None and ask is not None:
            difference = bid.price_ticks + ask.price_ticks - 2 * index_ticks
            self.basis.add(difference)
            self.premium.add(difference)
        mark = max(1, index_ticks + self.basis.half())
        self._limit(
            contract_band(
                listing.instrument, now_ns, self.listed_ns, index_ticks, self.premium.half()
            )
        )
        return mark

    def _limit(self, band: PriceBand) -> None:
        self.listing.low_ticks = band.low_ticks
        self.listing.high_ticks = band.high_ticks


def sample_marks(
    markers: Sequence[Marker],
    now_ns: int,
    usd_index_e8: Mapping[str, int],
    index_e8: Mapping[str, int],
) -> list[int]:
    """The marks of all instruments in ticks; 1 for options, whose mark follows from volatility."""
    marks: list[int] = []
    for marker in markers:
        if marker.is_option:
            marks.append(1)
            continue
        instrument = marker.listing.instrument
        pair = index_e8.get(instrument.family)
        if pair is None:
            base, quote = usd_index_e8[instrument.base], usd_index_e8.get(instrument.quote, E8)
            pair = divide_rounded(base * E8, quote)
        marks.append(marker.sample(now_ns, pair))
    return marks
