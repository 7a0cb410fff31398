"""Paths out of recorded bars: as they were, filled with bridges, scaled, or drawn again in blocks.

Random numbers of a bar come from a stream named by series and time of the bar: a window that starts
later sees the same prices, and a twin with another window or other series sees them too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.bar_file import SECOND_NS, BarFile, format_time, parse_time_ns, read_bar_file
from scenarios.bar_filling import (
    bounds_of_samples,
    bridge_bar,
    fill_in_thirds,
    hold_gaps,
    lay_noise,
)
from scenarios.bars import CLOSE, HIGH, LOW, BarOptions, BarWindow, bars_in_window, coverage, covers
from scenarios.errors import UserError
from scenarios.path_kinds import (
    BarPath,
    BarSource,
    BootstrapPath,
    BridgedBarPath,
    Bridging,
    ScaledEventPath,
)
from scenarios.sampling import FloatArray, Sampled, SeriesSource, Window
from scenarios.streams import Streams

FEWEST_SAMPLES = 4  # of a bar in which all its four prices have room


@dataclass(frozen=True, slots=True)
class PathRequest:
    """What a path is wanted for. `directory`: where relative file names start. `wanted`: series;
    None: all.
    """

    window: Window
    streams: Streams
    directory: Path
    wanted: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Bars with their place on the sampling grid; only bars with at least one sample.

    Shapes: `bars` int64 (bars,), rows of the bar window; `first`, `counts` int64 (bars,), samples.
    """

    bars: NDArray[np.int64]
    first: NDArray[np.int64]
    counts: NDArray[np.int64]


def simple_bars(parameters: BarPath, request: PathRequest) -> Sampled:
    """Bars by the simple rule. Source: data README."""
    window = request.window
    sampled = Sampled()
    for bar_window in _read(sampled, parameters, request, window):
        placed = _place(bar_window, window, window.start_ns, 1.0)
        if bar_window.is_points:
            sampled.prices[bar_window.series] = _join_points(bar_window, placed, window)
            continue
        prices = bar_window.prices[placed.bars]
        knots, path = fill_in_thirds(placed.first, placed.counts, prices)
        if parameters.noise_annual_volatility:
            bounds = bounds_of_samples(placed.first, placed.counts, prices)
            noise = request.streams.within(bar_window.series).generator("noise")
            volatility = parameters.noise_annual_volatility
            path = lay_noise(path, knots, bounds, volatility, window.step_s, noise)
        sampled.prices[bar_window.series] = _cut(path, int(placed.first[0]), window.samples)
    return sampled


def bridged_bars(parameters: BridgedBarPath, request: PathRequest) -> Sampled:
    """Bars filled with bridges. Source: ecology, section 2."""
    sampled = Sampled()
    for bar_window in _read(sampled, parameters, request, request.window):
        sampled.prices[bar_window.series] = _bridge(
            bar_window,
            request.window,
            request.window.start_ns,
            1.0,
            parameters.bridging,
            request.streams,
        )
    return sampled


def scaled_event(parameters: ScaledEventPath, request: PathRequest) -> Sampled:
    """A real event at another speed and size: its bars are scaled, then filled, so extremes are
    hit.
    """
    window, speed = request.window, parameters.speed
    start_ns = parse_time_ns(parameters.event_start)
    event = Window(start_ns, start_ns + round((window.end_ns - window.start_ns) * speed))
    sampled = Sampled()
    for bar_window in _read(sampled, parameters, request, event):
        size = parameters.size_by_series.get(bar_window.series, parameters.size)
        scaled = _scale(bar_window, size)
        sampled.prices[bar_window.series] = _bridge(
            scaled, window, start_ns, speed, parameters.bridging, request.streams
        )
    _check_named("size_by_series", tuple(parameters.size_by_series), sampled, parameters.file)
    sampled.notes.append(
        f"{parameters.file} from {parameters.event_start} at {speed:g} times the speed, "
        f"moves times {parameters.size:g}"
    )
    return sampled


def bootstrap(parameters: BootstrapPath, request: PathRequest) -> Sampled:
    """Blocks of an event's returns in random order, the same blocks for all series (moving
    blocks).
    """
    window = request.window
    start_ns, end_ns = (
        parse_time_ns(parameters.event_start),
        parse_time_ns(parameters.event_end),
    )
    event = Window(start_ns, end_ns, window.step_ns)
    sampled = Sampled()
    block = max(1, round(parameters.block_s / window.step_s))
    returns_in_event = event.samples - 1
    if block > returns_in_event:
        raise UserError(
            f"block_s: {parameters.block_s:g} needs {block + 1} samples of the event, "
            f"which has {event.samples}"
        )
    count = -(-(window.samples - 1) // block)
    starts = request.streams.generator("blocks").integers(0, returns_in_event - block + 1, count)
    chosen = (starts[:, None] + np.arange(block)).ravel()[: window.samples - 1]
    for bars in _read(sampled, parameters, request, event):
        path = _bridge(bars, event, start_ns, 1.0, parameters.bridging, request.streams)
        returns = np.diff(np.log(path))
        if not parameters.keep_drift:
            returns -= returns.mean()
        initial = parameters.initial_prices.get(bars.series, float(path[0]))
        log_path = np.concatenate(([0.0], np.cumsum(returns[chosen])))
        sampled.prices[bars.series] = initial * np.exp(log_path)
    _check_named("initial_prices", tuple(parameters.initial_prices), sampled, parameters.file)
    return sampled


def _read(
    sampled: Sampled, parameters: BarSource, request: PathRequest, event: Window
) -> list[BarWindow]:
    """The bars of every series of the path over `event`, with their sources noted in `sampled`."""
    file = read_bar_file(parameters.file, request.directory)
    options = BarOptions(
        round(parameters.largest_gap_s * SECOND_NS),
        parameters.hold_last_price,
        parameters.clip_wicks,
    )
    windows = []
    for series in _chosen_series(file, parameters, request, event, options, sampled):
        bar_window = bars_in_window(file, series, event.start_ns, event.end_ns, options)
        windows.append(bar_window)
        kind = type(parameters).__dataclass_fields__["kind"].default
        sampled.sources[series] = SeriesSource(
            series, str(kind), file.name, file.sha256, bar_window.steps
        )
        sampled.notes.extend(bar_window.notes)
    return windows


def _chosen_series(
    file: BarFile,
    parameters: BarSource,
    request: PathRequest,
    event: Window,
    options: BarOptions,
    sampled: Sampled,
) -> tuple[str, ...]:
    """Series named in the path; else those of the file that are wanted and cover the window."""
    if parameters.series:
        wanted = request.wanted
        return tuple(s for s in parameters.series if wanted is None or s in wanted)
    chosen: list[str] = []
    left_out: list[str] = []
    for series in file.series():
        if request.wanted is not None and series not in request.wanted:
            continue
        fits = covers(file, series, event.start_ns, event.end_ns, options)
        (chosen if fits else left_out).append(series)
    if not chosen:
        spans = "; ".join(_span(file, series) for series in left_out or file.series())
        wanted_text = "" if request.wanted is None else f" of {', '.join(request.wanted)}"
        raise UserError(
            f"{file.name}: no series{wanted_text} covers {format_time(event.start_ns)} to "
            f"{format_time(event.end_ns)}; covered: {spans}"
        )
    sampled.notes.extend(
        f"{_span(file, series)}: does not cover the window, left out" for series in left_out
    )
    return tuple(chosen)


def _span(file: BarFile, series: str) -> str:
    first, last = coverage(file, series)
    return f"{series} {format_time(first)} to {format_time(last)}"


def _scale(bars: BarWindow, size: float) -> BarWindow:
    """All log prices times `size`, counted from the first bar's open; a negative size turns highs
    to lows.
    """
    if size == 1.0:
        return bars
    origin = bars.prices[0, 0]
    prices = origin * (bars.prices / origin) ** size
    if size < 0:
        prices[:, [HIGH, LOW]] = prices[:, [LOW, HIGH]]
    return replace(bars, prices=prices)


def _place(bars: BarWindow, window: Window, event_start_ns: int, speed: float) -> _Placed:
    first, end = (
        window.first_sample_from(_scaled_times(times, window, event_start_ns, speed))
        for times in (bars.open_ns, bars.end_ns)
    )
    used = np.flatnonzero(end > first)
    return _Placed(used, first[used], (end - first)[used])


def _scaled_times(
    times_ns: NDArray[np.int64], window: Window, event_start_ns: int, speed: float
) -> NDArray[np.int64]:
    since = times_ns - event_start_ns
    if speed != 1.0:
        since = np.rint(since / speed).astype(np.int64)
    return since + window.start_ns


def _bridge(
    bars: BarWindow,
    window: Window,
    event_start_ns: int,
    speed: float,
    how: Bridging,
    streams: Streams,
) -> FloatArray:
    """One series' bars filled with bridges, float64 (samples,)."""
    placed = _place(bars, window, event_start_ns, speed)
    if bars.is_points:
        return _join_points(bars, placed, window)
    own = streams.within(bars.series)
    path = np.empty(int(placed.first[-1] - placed.first[0] + placed.counts[-1]))
    for bar, first, count in zip(
        placed.bars.tolist(), placed.first.tolist(), placed.counts.tolist(), strict=True
    ):
        prices = bars.prices[bar]
        filled = None
        if count >= FEWEST_SAMPLES:
            generator = own.generator(format_time(int(bars.open_ns[bar])))
            filled = bridge_bar(prices, count, window.step_s * speed, how, generator)
        if filled is None:
            _, filled = fill_in_thirds(np.array([0]), np.array([count]), prices[None])
        start = first - int(placed.first[0])
        path[start : start + count] = filled
    hold_gaps(path, placed.first, placed.counts)
    return _cut(path, int(placed.first[0]), window.samples)


def _join_points(bars: BarWindow, placed: _Placed, window: Window) -> FloatArray:
    """Single prices, each at its bar's last sample, joined by straight lines in the log."""
    closes = bars.prices[placed.bars, CLOSE]
    ends = placed.first + placed.counts - 1
    path: FloatArray = np.exp(np.interp(np.arange(window.samples), ends, np.log(closes)))
    inside = (ends >= 0) & (ends < window.samples)
    path[ends[inside]] = closes[inside]
    return path


def _cut(path: FloatArray, first: int, samples: int) -> FloatArray:
    """The window's samples of a path whose first sample has the number `first`; held beyond its
    ends.
    """
    inside = path[max(0, -first) : samples - first]
    before = max(0, first)
    return np.pad(inside, (before, samples - before - len(inside)), mode="edge")


def _check_named(field: str, names: tuple[str, ...], sampled: Sampled, file: str) -> None:
    for name in names:
        if name not in sampled.prices:
            raise UserError(
                f"{field}: {name} is not taken from {file}: {', '.join(sampled.prices)}"
            )
