"""Shared by the tests of paths: windows, files of bars, statistics of returns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.bar_file import format_time, parse_time_ns
from scenarios.sampling import Window

SECOND = 10**9
FloatArray = NDArray[np.float64]


def span(start: str, end: str, step_s: float = 1.0) -> Window:
    """A window by its times, without the Z."""
    return Window(parse_time_ns(f"{start}Z"), parse_time_ns(f"{end}Z"), round(step_s * SECOND))


def hours(count: float, step_s: float = 1.0) -> Window:
    """A window of some hours at an arbitrary date."""
    start = parse_time_ns("2024-01-01T00:00:00Z")
    return Window(start, start + round(count * 3600 * SECOND), round(step_s * SECOND))


def write_bars(
    path: Path, step_s: int, rows: Iterable[Iterable[float]], series: str = "BTC-USDT"
) -> Path:
    """A file of bars (open, high, low, close) of one series from 2024-01-01 on."""
    name = f"{step_s // 60}m" if step_s < 3600 else f"{step_s // 3600}h"
    start = parse_time_ns("2024-01-01T00:00:00Z")
    lines = ["time,series,step,open,high,low,close"]
    for i, row in enumerate(rows):
        time = format_time(start + i * step_s * SECOND)
        lines.append(",".join([time, series, name, *(repr(float(p)) for p in row)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def hill(returns: FloatArray, share: float = 0.01) -> float:
    """Hill's tail index of the largest `share` of absolute returns."""
    ordered = np.sort(np.abs(returns))[::-1]
    count = int(len(ordered) * share)
    return float(1.0 / np.log(ordered[:count] / ordered[count]).mean())


def acf(values: FloatArray, lag: int) -> float:
    """Autocorrelation at a lag."""
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).sum() / (centred**2).sum())


def decay(returns: FloatArray) -> float:
    """Exponent of the decay of the autocorrelation of absolute returns over lags 1 to 60."""
    lags = (1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60)
    values = [max(acf(np.abs(returns), lag), 1e-6) for lag in lags]
    return float(-np.polyfit(np.log(lags), np.log(values), 1)[0])


def annual_volatility(returns: FloatArray, step_s: float) -> float:
    """Root mean square of returns, for a year of 365 days."""
    return float(np.sqrt((returns**2).mean() * 365 * 86400 / step_s))
