"""What equity in each currency counts for: discount tiers and the adjusted equity.

Source: portfolio-margin.md sections 4.1 to 4.4, 16.13, 16.14.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.rules import RuleSet
from risk.rules_model import DiscountTiers

Floats = NDArray[np.float64]

# A discount that never falls to its minimum would need no end of tiers.
_MOST_TIERS = 10_000


@lru_cache(maxsize=1024)
def discount_array(rules: RuleSet, currency: str) -> Floats:
    """Discount tiers of a currency for `kernels.discounted_value`: float64 (tiers, 4).

    RulesError for a currency that the rule set does not list.
    """
    return _packed(_rates(rules.currency(currency).discount))


def discount_arrays(rules: RuleSet, currencies: Sequence[str]) -> Floats:
    """Tiers of several currencies padded to one length: float64 (currencies, tiers, 4)."""
    arrays = [discount_array(rules, currency) for currency in currencies]
    size = max((array.shape[0] for array in arrays), default=1)
    packed = np.full((len(arrays), size, at.TIER_COLUMNS), math.inf)
    for number, array in enumerate(arrays):
        packed[number, : array.shape[0]] = array
    return packed


def _rates(tiers: DiscountTiers) -> list[tuple[float, float]]:
    """Upper bound and rate of every tier, the last bound infinite."""
    rows = list(zip(tiers.bounds, tiers.rates, strict=True))
    if rows[-1][0] == math.inf:
        return rows
    if tiers.step is not None and tiers.rate_step is not None:
        last, rate = rows[-1]
        for k in range(1, _MOST_TIERS):
            # Rounded so that 0.97 - 194 x 0.005 is zero and not 1e-17.
            below = round(rate - k * tiers.rate_step, 12)
            if below <= tiers.minimum:
                break
            rows.append((last + k * tiers.step, below))
    rows.append((math.inf, tiers.minimum))
    return rows


def _packed(rows: list[tuple[float, float]]) -> Floats:
    packed = np.empty((len(rows), at.TIER_COLUMNS))
    lower, below = 0.0, 0.0
    for number, (upper, rate) in enumerate(rows):
        packed[number] = (upper, rate, lower, below)
        if upper < math.inf:
            below += (upper - lower) * rate
            lower = upper
    return packed


def discount_rate(rules: RuleSet, currency: str, amount: float) -> float:
    """Rate of the tier that `amount` coins reach; the liquidation penalty is 1 less it.

    Source: 4.4.
    """
    tiers = discount_array(rules, currency)
    row = 0
    while amount > tiers[row, at.TIER_UPPER]:
        row += 1
    return float(tiers[row, at.TIER_RATE])
