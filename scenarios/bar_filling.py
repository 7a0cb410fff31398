"""What a price does inside a bar.

A bar of n samples has its open at the first and its close at the last of them, its high and low in
between; the step to the next bar's open lies between two bars. A bar with fewer than four samples
keeps what fits.

Source: data README, "From bars to a path"; ecology, section 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.bars import CLOSE, HIGH, LOW, OPEN
from scenarios.path_kinds import Bridging
from scenarios.sampling import YEAR_S, FloatArray


def knots_of_bars(
    counts: NDArray[np.int64], prices: FloatArray
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """The four prices of each bar at equal thirds: the nearer extreme first.

    Args:
        counts: int64 (bars,), samples of each bar, at least 1.
        prices: float64 (bars, 4), open, high, low, close.
    Returns:
        bar, sample within the bar (int64, strictly increasing within a bar) and price of every
        knot.
    """
    first, high, low, last = prices.T
    up_first = np.log(high / first) <= np.log(first / low)
    visited = np.stack(
        (first, np.where(up_first, high, low), np.where(up_first, low, high), last), axis=1
    )
    # Three samples have room for one extreme: the one farther from the open.
    visited[counts == 3, 1] = visited[counts == 3, 2]
    samples = np.stack((np.zeros_like(counts), counts // 3, 2 * counts // 3, counts - 1), axis=1)
    keep = np.ones(samples.shape, bool)
    keep[:, 1:] = counts[:, None] > 1
    keep[counts == 2, 1:3] = False
    keep[counts == 3, 2] = False
    bars = np.broadcast_to(np.arange(len(counts))[:, None], samples.shape)
    return bars[keep], samples[keep], visited[keep]


def fill_in_thirds(
    first_samples: NDArray[np.int64],
    counts: NDArray[np.int64],
    prices: FloatArray,
) -> tuple[NDArray[np.int64], FloatArray]:
    """The simple rule over all bars at once: the knots' places and the path through them.

    Args:
        first_samples: int64 (bars,), increasing; bars without a sample must be left out.
    Returns:
        knots int64 (knots,), sample numbers relative to the first bar's first sample;
        path float64 (samples,), from there to the last bar's last sample. Gaps between bars hold
        the last price.
    """
    bars, samples, values = knots_of_bars(counts, prices)
    knots = first_samples[bars] - first_samples[0] + samples
    length = int(first_samples[-1] - first_samples[0] + counts[-1])
    path = np.exp(np.interp(np.arange(length), knots, np.log(values)))
    # exp(log(x)) may miss x by a bit: no sample may leave its bar, and the knots are exact.
    path = np.clip(path, *bounds_of_samples(first_samples, counts, prices))
    path[knots] = values
    hold_gaps(path, first_samples, counts)
    return knots, path


def bounds_of_samples(
    first_samples: NDArray[np.int64], counts: NDArray[np.int64], prices: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Low and high of the last bar that began at or before each sample, float64 (samples,)."""
    lengths = np.append(np.diff(first_samples), counts[-1])
    return np.repeat(prices[:, LOW], lengths), np.repeat(prices[:, HIGH], lengths)


def hold_gaps(
    path: FloatArray, first_samples: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    """Between two bars the price stands at the first one's close. In place."""
    ends = first_samples + counts - first_samples[0]
    for bar in np.flatnonzero(ends[:-1] < first_samples[1:] - first_samples[0]):
        path[ends[bar] : first_samples[bar + 1] - first_samples[0]] = path[ends[bar] - 1]


def lay_noise(
    path: FloatArray,
    knots: NDArray[np.int64],
    bounds: tuple[FloatArray, FloatArray],
    annual_volatility: float,
    step_s: float,
    generator: np.random.Generator,
) -> FloatArray:
    """`path` with a Brownian bridge between each two knots, kept within `bounds` (low, high) by
    sample.
    """
    sd = annual_volatility * math.sqrt(step_s / YEAR_S)
    walk = np.cumsum(generator.normal(0.0, sd, len(path)))
    bridge = walk - np.interp(np.arange(len(path)), knots, walk[knots])
    return np.clip(path * np.exp(bridge), *bounds)


def bridge_bar(
    prices: FloatArray, count: int, step_s: float, how: Bridging, generator: np.random.Generator
) -> FloatArray | None:
    """The best of several Brownian bridges through one bar; hits its four prices exactly.

    Args:
        prices: float64 (4,), open, high, low, close. count: samples of the bar, at least 4.
    Returns:
        float64 (count,), or None where no bridge leaves the body of open and close as the bar does.
    """
    first, high, low, last = prices
    if high == low:
        return np.full(count, first)
    x0, top, bottom, x1 = np.log(prices)
    weights = _variance_weights(count, step_s, how, generator)
    clock = np.cumsum(weights)
    spread = generator.uniform(-how.total_sd_spread, how.total_sd_spread, (how.candidates, 1))
    sd = how.total_sd * (top - bottom) * np.exp(spread)
    walk = np.cumsum(generator.standard_normal((how.candidates, count - 1)) * np.sqrt(weights), 1)
    walk -= clock * walk[:, -1:]
    walk *= sd
    walk += x0 + clock * (x1 - x0)
    upper, lower = max(x0, x1), min(x0, x1)
    peaks, troughs = walk.max(1), walk.min(1)
    miss = (peaks - top) ** 2 + (troughs - bottom) ** 2
    # What lies outside the body is stretched to the extremes: it needs something outside the body.
    flat = ((top > upper) & (peaks <= upper)) | ((bottom < lower) & (troughs >= lower))
    miss[flat] = np.inf
    best = int(np.argmin(miss))
    if not math.isfinite(miss[best]):
        return None
    chosen = np.concatenate(([x0], walk[best]))
    above, below = chosen > upper, chosen < lower
    if above.any():
        chosen[above] = upper + (chosen[above] - upper) * ((top - upper) / (peaks[best] - upper))
    if below.any():
        chosen[below] = lower - (lower - chosen[below]) * (
            (lower - bottom) / (lower - troughs[best])
        )
    return _exact(chosen, (first, high, low, last))


def _variance_weights(
    count: int, step_s: float, how: Bridging, generator: np.random.Generator
) -> FloatArray:
    """Shares of the bar's variance for its count - 1 increments, by a multiplicative cascade."""
    weights: FloatArray = np.ones(count - 1)
    length, blocks = count * step_s, 1
    places = np.arange(count - 1)
    while length > how.smallest_block_s and blocks < count - 1:
        length, blocks = length / 2, blocks * 2
        multipliers = np.exp(generator.normal(0.0, how.cascade_sd, blocks))
        weights *= multipliers[places * blocks // (count - 1)]
    weights /= weights.sum()
    return weights


def _exact(log_path: FloatArray, prices: tuple[float, float, float, float]) -> FloatArray | None:
    """Prices of `log_path`, with the bar's prices put where rounding in exp and log left a gap.

    None where the bar is so narrow that its prices share a logarithm and take each other's place.
    """
    first, high, low, last = prices
    top, bottom = int(np.argmax(log_path)), int(np.argmin(log_path))
    path = np.clip(np.exp(log_path), low, high)
    path[top], path[bottom] = high, low
    path[0], path[-1] = first, last
    return path if path.max() == high and path.min() == low else None


assert (OPEN, HIGH, LOW, CLOSE) == (0, 1, 2, 3), "the rows of prices are unpacked in this order"
