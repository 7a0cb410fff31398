"""Estimators of the stylised facts by which a simulated market is judged.

Plain numpy, no simulation objects. A series is given as segments (one array per simulated day or
seed), so that days can be pooled without returns, lags or metaorders that span two days.
Source: calibration.md (bands, real BTC values); ecology.md section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Segments = Sequence[Floats]


def log_returns(prices: ArrayLike) -> Floats:
    """Log returns of a price series; returns over a missing (NaN) price are left out."""
    moves = np.diff(np.log(np.asarray(prices, dtype=np.float64)))
    return moves[np.isfinite(moves)]


def hill_index(values: ArrayLike, tail_share: float = 0.01) -> float:
    """Hill estimator of the tail index of |values| from the largest `tail_share` of them.

    NaN with fewer than 10 values in the tail. Standard error: index / sqrt(tail count).
    O(n log n)."""
    sizes = np.sort(np.abs(np.asarray(values, dtype=np.float64)))[::-1]
    count = int(tail_share * sizes.size)
    if count < 10 or sizes[count] <= 0.0:
        return float("nan")
    return float(1.0 / np.mean(np.log(sizes[:count] / sizes[count])))


def autocorrelation(segments: Segments, lags: Sequence[int]) -> Floats:
    """Autocorrelation at each lag, pooled over segments around their common mean.

    segments: float64 (n_i,) each. Returns float64 (lags,), NaN where no pair exists.
    O(total length x lags)."""
    mean = np.concatenate(segments).mean()
    centred = [np.asarray(segment, dtype=np.float64) - mean for segment in segments]
    count = sum(segment.size for segment in centred)
    variance = sum(float(segment @ segment) for segment in centred) / count
    result = np.full(len(lags), np.nan)
    if variance <= 0.0:
        return result
    for i, lag in enumerate(lags):
        pairs = sum(max(0, segment.size - lag) for segment in centred)
        if pairs > 0:
            products = sum(float(s[:-lag] @ s[lag:]) for s in centred if s.size > lag)
            result[i] = products / pairs / variance
    return result


def log_spaced_lags(longest: int, count: int = 20) -> list[int]:
    """Distinct whole lags from 1 to `longest`, evenly spaced in the logarithm."""
    return sorted({round(lag) for lag in np.geomspace(1, longest, count)})


def decay_exponent(segments: Segments, longest_lag: int = 60) -> float:
    """Exponent b of a power law lag^-b fitted to the autocorrelation up to `longest_lag`.

    Least squares of the logarithms on log-spaced lags; lags with a correlation at or below zero
    are left out; NaN when fewer than three remain."""
    lags = log_spaced_lags(longest_lag)
    return _power_fit(lags, autocorrelation(segments, lags))


def sign_memory_exponent(
    segments: Segments, shortest_lag: int = 5, longest_lag: int = 500
) -> float:
    """Exponent of the autocorrelation of trade signs (+1, -1, in trade time).

    The correlation is averaged within log-spaced windows first, as single lags are noisy. The first
    lags are left out: with several metaorders at work at once the correlation is flat there,
    and from lag 1 the split orders of Lillo, Mike and Farmer give 0.35 for a true 0.5."""
    lags = list(range(1, longest_lag + 1))
    correlation = autocorrelation(segments, lags)
    edges = np.unique(np.round(np.geomspace(shortest_lag, longest_lag + 1, 16)).astype(int))
    centres, means = [], []
    for first, end in pairwise(edges):
        window = correlation[first - 1 : end - 1]
        centres.append(float(np.exp(np.mean(np.log(np.arange(first, end))))))
        means.append(float(np.mean(window)))
    return _power_fit(centres, means)


def _power_fit(lags: Sequence[float], correlation: ArrayLike) -> float:
    values = np.asarray(correlation, dtype=np.float64)
    usable = values > 0.0
    if usable.sum() < 3:
        return float("nan")
    x = np.log(np.asarray(lags, dtype=np.float64)[usable])
    return float(-np.polyfit(x, np.log(values[usable]), 1)[0])


def volume_correlation(returns: Segments, volumes: Segments) -> float:
    """Correlation of |return| with log volume over bars; bars without volume are left out.

    returns, volumes: one pair of equally long arrays per segment."""
    sizes = np.abs(np.concatenate(returns))
    traded = np.concatenate(volumes)
    usable = traded > 0.0
    if usable.sum() < 3:
        return float("nan")
    return float(np.corrcoef(sizes[usable], np.log(traded[usable]))[0, 1])


@dataclass(frozen=True, slots=True)
class Metaorder:
    """One executed metaorder.

    sign +1 bought; size as a share of the market's daily volume (Q/V); `log_move` is the log mid
    after the last child minus before the first, over the day's volatility (I/sigma); children is
    the number of orders that traded.
    """

    sign: int
    volume_share: float
    log_move: float
    children: int


@dataclass(frozen=True, slots=True)
class ImpactFit:
    """impact / sigma = prefactor x (Q/V)^exponent over bins; `prefactor_root` is Y with the
    exponent held at one half. `errors` are standard errors of exponent and Y."""

    exponent: float
    prefactor_root: float
    errors: tuple[float, float]
    bins: int


def impact_fit(
    metaorders: Sequence[Metaorder], bins: int = 10, smallest_children: int = 10
) -> ImpactFit:
    """Fit the impact of metaorders against their size.

    Only metaorders of `smallest_children` or more count: one or two orders are not a metaorder, and
    their impact is that of walking the book. They go into log-spaced bins of size; bins with five
    members and a positive mean impact enter a least-squares fit of logarithms, weighted by the
    precision of each mean. Y is the weighted least-squares coefficient on sqrt(Q/V) over the bins.
    NaN when fewer than three bins are usable. O(n)."""
    proper = [
        m
        for m in metaorders
        if m.children >= smallest_children and m.volume_share > 0.0 and isfinite(m.log_move)
    ]
    shares = np.array([m.volume_share for m in proper], dtype=np.float64)
    moves = np.array([m.sign * m.log_move for m in proper], dtype=np.float64)
    if shares.size < 15 or shares.min() == shares.max():
        return ImpactFit(float("nan"), float("nan"), (float("nan"), float("nan")), 0)
    edges = np.geomspace(shares.min(), shares.max() * (1 + 1e-12), bins + 1)
    index = np.clip(np.searchsorted(edges, shares, side="right") - 1, 0, bins - 1)
    x, y, weight, root, mean_move, precision = [], [], [], [], [], []
    for b in range(bins):
        members = moves[index == b]
        if members.size < 5:
            continue
        mean = float(members.mean())
        error = float(members.std(ddof=1)) / sqrt(members.size)
        if error <= 0.0:
            error = abs(mean) * 1e-9 + 1e-300
        root.append(float(np.sqrt(shares[index == b]).mean()))
        mean_move.append(mean)
        precision.append(error**-2)
        if mean > 0.0:
            x.append(float(np.log(shares[index == b]).mean()))
            y.append(log(mean))
            weight.append((mean / error) ** 2)
    if len(x) < 3:
        return ImpactFit(float("nan"), float("nan"), (float("nan"), float("nan")), len(x))
    slope, slope_error = _weighted_line(np.array(x), np.array(y), np.array(weight))
    r, m, w = np.array(root), np.array(mean_move), np.array(precision)
    norm = float((w * r * r).sum())
    return ImpactFit(
        slope, float((w * r * m).sum()) / norm, (slope_error, 1.0 / sqrt(norm)), len(x)
    )


def _weighted_line(x: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Slope of a weighted straight line and its standard error, weights = 1/variance."""
    total = weight.sum()
    centre = (weight * x).sum() / total
    spread = (weight * (x - centre) ** 2).sum()
    slope = float((weight * (x - centre) * y).sum() / spread)
    return slope, float(1.0 / sqrt(spread))


def linear_fit_quality(distances: ArrayLike, depths: ArrayLike) -> float:
    """R^2 of a straight line fitted to cumulative depth against distance."""
    x = np.asarray(distances, dtype=np.float64)
    y = np.asarray(depths, dtype=np.float64)
    total = float(((y - y.mean()) ** 2).sum())
    if total == 0.0:
        return float("nan")
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    return 1.0 - float((residual**2).sum()) / total


def depth_power(distances: ArrayLike, depths: ArrayLike) -> float:
    """Exponent of cumulative depth against distance; 1 where depth is proportional."""
    return float(np.polyfit(np.log(np.asarray(distances)), np.log(np.asarray(depths)), 1)[0])


def one_tick_share(
    times_ns: ArrayLike, spreads_ticks: ArrayLike, end_ns: int, start_ns: int | None = None
) -> float:
    """Share of time with a spread of one tick.

    times_ns: int (n,), rising, time from which each spread holds; spreads_ticks: (n,), anything
    but 1 (also NaN for a one-sided book) counts as wider."""
    times = np.asarray(times_ns, dtype=np.int64)
    start = int(times[0]) if start_ns is None else start_ns
    edges = np.clip(np.append(times, end_ns), start, end_ns)
    durations = np.diff(edges).astype(np.float64)
    total = durations.sum()
    if total <= 0.0:
        return float("nan")
    return float(durations[np.asarray(spreads_ticks) == 1].sum() / total)


def cancelled_share(limit_orders: int, cancelled: int) -> float:
    """Share of finished or live limit orders that were cancelled (a part-filled one counts)."""
    return cancelled / limit_orders if limit_orders else float("nan")


def jackknife_error(estimates_without_one: Sequence[float]) -> float:
    """Standard error of a pooled estimate from its delete-one-segment repetitions."""
    values = np.asarray(estimates_without_one, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = values.size
    if n < 2:
        return float("nan")
    return float(sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum()))
