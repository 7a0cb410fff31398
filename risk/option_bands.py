"""The price limits of all options at once: `exchange.price_limits.option_band` as a kernel.

mark +- coefficient x max(floor, slope x |delta|), in ticks, on the grid of each option.
Source: portfolio-margin.md section 11.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MILLIONTH = 1_000_000


class BandRates(NamedTuple):
    """floor, slope: ticks; the coefficient as numerator and denominator; step: the coarse grid."""

    floor: int
    slope: int
    numerator: int
    denominator: int
    step: int


@njit(cache=True)
def option_bands(
    rows: Ints, coarse_from: Ints, rates: BandRates, mark_ticks: Ints, deltas: Floats, bands: Ints
) -> None:
    """Write the lowest and highest price of each option into `bands`, int64 (2, options).

    rows: their instrument numbers; coarse_from: ticks from which the coarse grid holds, 0: never;
    mark_ticks: int64 (instruments,); deltas: float64 (options,), |delta|. O(options).
    """
    for n in range(rows.size):
        mark = mark_ticks[rows[n]]
        millionths = int(np.rint(deltas[n] * MILLIONTH))
        widest = max(rates.floor * MILLIONTH, rates.slope * millionths)
        width = widest * rates.numerator // (MILLIONTH * rates.denominator)
        low = max(1, mark - width)
        high = max(low, mark + width)
        if coarse_from[n] > 0 and low >= coarse_from[n]:
            low += -low % rates.step
        if coarse_from[n] > 0 and high >= coarse_from[n]:
            high -= high % rates.step
        bands[0, n], bands[1, n] = low, high
