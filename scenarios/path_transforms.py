"""What can be laid over any path: the split of news from cascade, and shocks.

Source: ecology, section 2 (news or cascade).
"""

from __future__ import annotations

import math

import numpy as np

from scenarios.bar_file import SECOND_NS
from scenarios.errors import UserError
from scenarios.path_kinds import NewsSplit, PathOptions, Shock
from scenarios.sampling import FloatArray, Sampled, Window

STABLECOINS = frozenset(
    ["USD", "USDT", "USDC", "USDE", "UST", "USTC", "DAI", "TUSD", "BUSD", "FDUSD", "PYUSD", "USDP"]
)


def apply_options(sampled: Sampled, options: PathOptions, window: Window) -> None:
    """Lays the options of a path over its series, in place.

    Raises:
        UserError: an option names a series that the path does not have.
    """
    split = options.news_split
    if split is not None and split.kappa > 0.0:
        width = max(1, round(split.width_s * SECOND_NS / window.step_ns))
        for series in _split_series(split, sampled):
            sampled.prices[series] = without_healed(sampled.prices[series], width, split.kappa)
        sampled.notes.append(
            f"news split: {split.kappa:g} of what healed within {split.width_s:g} s is left out"
        )
    for index, shock in enumerate(options.shocks):
        names = shock.series or tuple(sampled.prices)
        _check_has(f"shocks.{index}.series", names, sampled)
        factor = shock_factor(shock, window)
        for series in names:
            sampled.prices[series] = sampled.prices[series] * factor


def without_healed(prices: FloatArray, width: int, kappa: float) -> FloatArray:
    """X + kappa (closing of X - X) in logs: raises valleys that heal within `width` samples.

    Outside the window the price is taken to stand still, so that a fall at its end, of which nobody
    knows whether it heals, stays. kappa 0 returns the prices, kappa 1 the closing.
    """
    return prices * (closing(prices, width) / prices) ** kappa


def closing(values: FloatArray, width: int) -> FloatArray:
    """Morphological closing: rolling maximum, then rolling minimum, both over `width` samples;
    O(n).

    Never below `values`. float64 (n,) in and out.
    """
    padded = np.concatenate((np.full(width, values[0]), values, np.full(width, values[-1])))
    highest = rolling_maximum(padded, width)
    # The windows of the minimum open to the other side: together they are symmetric for any width.
    lowest = -rolling_maximum(-highest, width)
    return lowest[1 : 1 + len(values)]


def rolling_maximum(values: FloatArray, width: int) -> FloatArray:
    """Largest of each `width` consecutive values, float64 (n - width + 1,); van Herk and
    Gil-Werman, O(n).
    """
    n = len(values)
    blocks = -(-n // width)
    padded = np.full(blocks * width, -np.inf)
    padded[:n] = values
    table = padded.reshape(blocks, width)
    from_left = np.maximum.accumulate(table, axis=1).ravel()
    from_right = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1].ravel()
    starts = n - width + 1
    return np.maximum(from_right[:starts], from_left[width - 1 : width - 1 + starts])


def shock_factor(shock: Shock, window: Window) -> FloatArray:
    """Factor on the price at each sample, float64 (samples,): a ramp in the log, then decay."""
    since = window.offsets_s() - shock.at_s
    done = (since >= 0).astype(np.float64)
    if shock.over_s > 0:
        done = np.clip(since / shock.over_s, 0.0, 1.0)
    if shock.half_life_s is not None:
        after = np.maximum(since - shock.over_s, 0.0)
        done *= np.exp2(-after / shock.half_life_s)
    return np.exp(math.log1p(shock.size) * done)


def _split_series(split: NewsSplit, sampled: Sampled) -> tuple[str, ...]:
    if split.series:
        _check_has("news_split.series", split.series, sampled)
        return split.series
    return tuple(name for name in sampled.prices if name.split("-")[0] not in STABLECOINS)


def _check_has(field: str, names: tuple[str, ...], sampled: Sampled) -> None:
    for name in names:
        if name not in sampled.prices:
            raise UserError(f"{field}: {name} is not in this path: {', '.join(sampled.prices)}")
