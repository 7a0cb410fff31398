"""The bars of one series over a window: the finest step that there is, gaps and misprints settled.

Where steps overlap, the finer bars win, but only where they cover a coarser bar entirely: half an
hour of which the last fifteen minutes exist only in the 30-minute bar is taken from the 30-minute
bar as a whole, since nothing tells how its extremes divide (2020: 5-minute bars until 12 March
21:10, so the 30-minute bars take over at 21:00).

Source: data README, section "paths/"; ecology, section 2 (seam).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenarios.bar_file import SECOND_NS, BarFile, Bars, format_time
from scenarios.errors import UserError

# A series may start or end this much inside the window: minutes without a trade leave no bar.
EDGE_NS = 300 * SECOND_NS
# Consecutive bars further apart than this factor are more likely a typing error than a market.
LARGEST_JUMP = 3.0

OPEN, HIGH, LOW, CLOSE = range(4)


@dataclass(frozen=True, slots=True)
class Misprint:
    """A wick that no market traded at: the bar's `high` is cut to the larger of open and close."""

    series: str
    time_ns: int
    high: float
    reason: str


# Recognised by series, time and value, so that a user's copy of a file is corrected too.
MISPRINTS = (
    Misprint("ETH-USDT-SWAP", 1584064800 * SECOND_NS, 323.0, "single prints of one venue"),
    Misprint("USDC-USDT", 1652299200 * SECOND_NS, 3.99, "a single print"),
)


@dataclass(frozen=True, slots=True, eq=False)
class BarWindow:
    """The bars of one series that a window needs, ordered, without overlap.

    Shapes: `open_ns`, `end_ns` int64 (bars,), unix ns; `prices` float64 (bars, 4), open, high, low,
    close.
    `steps`: how many bars of each step are used. `notes`: what was corrected or held, for the
    manifest.
    `is_points`: every bar of the series is a single price (an hourly close, say): the price goes
    from one to the next in a straight line of the log instead of jumping at each bar's end; a bar
    before the window is added.
    """

    series: str
    open_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    prices: NDArray[np.float64]
    steps: dict[str, int]
    notes: tuple[str, ...] = field(default=())
    is_points: bool = False


@dataclass(frozen=True, slots=True)
class BarOptions:
    """How to read bars.

    largest_gap_ns: a longer time without bars inside the window is refused; in a shorter one the
    price stands.
    hold_last_price: whether a series that ends before the window does keeps its last price to the
    end.
    clip_wicks: largest distance of high and low from the body, as a share (0.5: high at most 1.5
    times the
        larger of open and close, low at least the smaller one / 1.5); None leaves wicks alone.
    """

    largest_gap_ns: int = 3600 * SECOND_NS
    hold_last_price: bool = False
    clip_wicks: float | None = None


def coverage(file: BarFile, series: str) -> tuple[int, int]:
    """First open and last end of a series over all its steps, unix ns."""
    parts = [bars for (name, _), bars in file.bars.items() if name == series]
    return (
        min(int(bars.open_ns[0]) for bars in parts),
        max(int(bars.open_ns[-1]) + bars.step_ns for bars in parts),
    )


def covers(file: BarFile, series: str, start_ns: int, end_ns: int, options: BarOptions) -> bool:
    """Whether a series has bars for the window, up to the five minutes allowed at its edges."""
    first, last = coverage(file, series)
    late_start, early_end = first > start_ns + EDGE_NS, last < end_ns - EDGE_NS
    return not late_start and last > start_ns and (options.hold_last_price or not early_end)


def bars_in_window(
    file: BarFile, series: str, start_ns: int, end_ns: int, options: BarOptions
) -> BarWindow:
    """The bars of `series` that [start_ns, end_ns) touches.

    Raises:
        UserError: the file lacks the series, or the window is not covered; says which one is.
    """
    if series not in file.series():
        raise UserError(f"{file.name}: no series {series}; it has {', '.join(file.series())}")
    first, last = coverage(file, series)
    if not covers(file, series, start_ns, end_ns, options):
        raise UserError(
            f"{file.name}: {series} covers {format_time(first)} to {format_time(last)}, "
            f"not the window {format_time(start_ns)} to {format_time(end_ns)}"
        )
    merged = merge_steps([bars for (name, _), bars in file.bars.items() if name == series])
    is_points = bool((merged.prices == merged.prices[:, :1]).all())
    inside = (merged.end_ns > start_ns) & (merged.open_ns < end_ns)
    if not inside.any():
        _refuse_gap(file.name, series, start_ns, end_ns, options)
    first_inside = int(np.argmax(inside))
    if first_inside and (is_points or merged.open_ns[first_inside] > start_ns):
        # The price that stands, or the line that is under way, when the window opens.
        inside[first_inside - 1] = True
    open_ns, end_of_bar_ns = merged.open_ns[inside], merged.end_ns[inside]
    _check_gaps(file.name, series, open_ns, end_of_bar_ns, options)
    if end_of_bar_ns[-1] < end_ns - options.largest_gap_ns and last > end_ns:
        _refuse_gap(file.name, series, int(end_of_bar_ns[-1]), end_ns, options)
    prices, notes = _settle_wicks(series, open_ns, merged.prices[inside], options)
    notes += _jump_notes(series, open_ns, prices)
    notes += _edge_notes(series, (open_ns[0], end_of_bar_ns[-1]), (start_ns, end_ns))
    if is_points:
        notes.append(
            f"{series}: one price per bar, a straight line in the log from one to the next"
        )
    steps = {name: int((merged.step_of_bar[inside] == name).sum()) for name in merged.step_names}
    used = {name: count for name, count in steps.items() if count}
    return BarWindow(series, open_ns, end_of_bar_ns, prices, used, tuple(notes), is_points)


@dataclass(frozen=True, slots=True, eq=False)
class MergedBars:
    """All bars of one series, the finer ones where they cover a coarser one entirely.

    Shapes: `open_ns`, `end_ns` int64 (bars,); `prices` float64 (bars, 4); `step_of_bar` (bars,),
    names.
    """

    open_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    prices: NDArray[np.float64]
    step_of_bar: NDArray[np.str_]
    step_names: tuple[str, ...]


def merge_steps(parts: Sequence[Bars]) -> MergedBars:
    """One ordered run of bars out of one series' bars of several steps; O(bars log bars)."""
    ordered = sorted(parts, key=lambda bars: bars.step_ns)
    merged: MergedBars | None = None
    for bars in ordered:
        merged = _as_merged(bars) if merged is None else _add_coarser(merged, bars)
    assert merged is not None, "a series without bars"
    return merged


def _as_merged(bars: Bars) -> MergedBars:
    names = np.full(len(bars.open_ns), bars.step)
    return MergedBars(bars.open_ns, bars.open_ns + bars.step_ns, bars.prices, names, (bars.step,))


def _add_coarser(fine: MergedBars, coarse: Bars) -> MergedBars:
    """`fine` where it covers a bar of `coarse` entirely, `coarse` elsewhere."""
    open_ns, end_ns = coarse.open_ns, coarse.open_ns + coarse.step_ns
    # Runs of fine bars; a hole shorter than the coarse step is minutes without a trade.
    breaks = np.flatnonzero(fine.open_ns[1:] - fine.end_ns[:-1] >= coarse.step_ns)
    run_start = fine.open_ns[np.concatenate(([0], breaks + 1))]
    run_end = fine.end_ns[np.concatenate((breaks, [len(fine.end_ns) - 1]))]
    run = np.searchsorted(run_start, open_ns, side="right") - 1
    covered = (run >= 0) & (end_ns <= run_end[run])
    # A fine bar stays if the last kept coarse bar that opens before its end is over by its open.
    kept_open, kept_end = open_ns[~covered], end_ns[~covered]
    before = np.searchsorted(kept_open, fine.end_ns, side="left") - 1
    stays = np.ones(len(fine.open_ns), bool)
    if len(kept_open):
        stays = (before < 0) | (kept_end[before] <= fine.open_ns)
    joined_open = np.concatenate((fine.open_ns[stays], kept_open))
    order = np.argsort(joined_open, kind="stable")
    coarse_names = np.full(len(kept_open), coarse.step)
    return MergedBars(
        joined_open[order],
        np.concatenate((fine.end_ns[stays], kept_end))[order],
        np.concatenate((fine.prices[stays], coarse.prices[~covered]))[order],
        np.concatenate((fine.step_of_bar[stays], coarse_names))[order],
        (*fine.step_names, coarse.step),
    )


def _check_gaps(
    name: str,
    series: str,
    open_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    options: BarOptions,
) -> None:
    gaps = open_ns[1:] - end_ns[:-1]
    wide = np.flatnonzero(gaps > options.largest_gap_ns)
    if len(wide):
        _refuse_gap(name, series, int(end_ns[wide[0]]), int(open_ns[wide[0] + 1]), options)


def _refuse_gap(name: str, series: str, start_ns: int, end_ns: int, options: BarOptions) -> None:
    seconds = options.largest_gap_ns / SECOND_NS
    raise UserError(
        f"{name}: {series} has no bars from {format_time(start_ns)} to {format_time(end_ns)}; "
        f"a gap may be {seconds:g} s long (largest_gap_s)"
    )


def _settle_wicks(
    series: str, open_ns: NDArray[np.int64], prices: NDArray[np.float64], options: BarOptions
) -> tuple[NDArray[np.float64], list[str]]:
    """Prices with misprints corrected and wicks clipped, and a note for each bar that changed."""
    prices = prices.copy()
    notes: list[str] = []
    body_high = np.maximum(prices[:, OPEN], prices[:, CLOSE])
    body_low = np.minimum(prices[:, OPEN], prices[:, CLOSE])
    for misprint in MISPRINTS:
        hit = (open_ns == misprint.time_ns) & (prices[:, HIGH] == misprint.high)
        if misprint.series == series and hit.any():
            prices[hit, HIGH] = body_high[hit]
            when = format_time(misprint.time_ns)
            notes.append(
                f"{series}: the high of {misprint.high:g} at {when} is left out ({misprint.reason})"
            )
    if options.clip_wicks is not None:
        most = 1.0 + options.clip_wicks
        long = (prices[:, HIGH] > body_high * most) | (prices[:, LOW] < body_low / most)
        prices[:, HIGH] = np.minimum(prices[:, HIGH], body_high * most)
        prices[:, LOW] = np.maximum(prices[:, LOW], body_low / most)
        if long.any():
            notes.append(f"{series}: wicks of {int(long.sum())} bars clipped")
    return prices, notes


def _jump_notes(series: str, open_ns: NDArray[np.int64], prices: NDArray[np.float64]) -> list[str]:
    """A note where a bar opens far from the close before it: a misplaced decimal point looks so."""
    ratio = prices[1:, OPEN] / prices[:-1, CLOSE]
    jumps = np.flatnonzero((ratio > LARGEST_JUMP) | (ratio < 1.0 / LARGEST_JUMP)) + 1
    return [
        f"{series}: jumps from {prices[i - 1, CLOSE]:g} to {prices[i, OPEN]:g} at "
        f"{format_time(int(open_ns[i]))}; is that right?"
        for i in jumps[:3]
    ]


def _edge_notes(series: str, covered: tuple[int, int], wanted: tuple[int, int]) -> list[str]:
    notes = []
    if covered[0] > wanted[0]:
        notes.append(f"{series}: held at its first price until {format_time(int(covered[0]))}")
    if covered[1] < wanted[1]:
        notes.append(f"{series}: held at its last price from {format_time(int(covered[1]))}")
    return notes
