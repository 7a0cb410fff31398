"""Borrowing: margin tiers of a liability and its interest.

Source: portfolio-margin.md sections 7.2 to 7.4, 8, 16.13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.rules import RuleSet

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0


@lru_cache(maxsize=1024)
def borrow_array(rules: RuleSet, currency: str) -> Floats:
    """Borrow tiers of a currency for `kernels.borrow_rates`: float64 (1 + tiers, 3).

    RulesError for a currency that the rule set does not list.
    """
    tiers = rules.currency(currency).borrow
    steps = (tiers.step, tiers.maintenance_step, tiers.initial_step)
    return np.array([steps, *zip(tiers.bounds, tiers.maintenance, tiers.initial, strict=True)])


def borrow_arrays(rules: RuleSet, currencies: Sequence[str]) -> Floats:
    """Tiers of several currencies at one length: float64 (currencies, 1 + tiers, 3).

    Shorter tables are continued by their steps, which changes no rate.
    """
    arrays = [borrow_array(rules, currency) for currency in currencies]
    size = max((array.shape[0] for array in arrays), default=2)
    packed = np.empty((len(arrays), size, at.BORROW_COLUMNS))
    for number, array in enumerate(arrays):
        length = array.shape[0]
        packed[number, :length] = array
        for row in range(length, size):
            packed[number, row] = packed[number, row - 1] + array[0]
    return packed


def interest_free_limit(rules: RuleSet, currency: str, equities: Mapping[str, float]) -> float:
    """Liability that bears no interest, coins.

    equities: currency -> equity in coins; for USDT and USDC the positive equity of the other
    stablecoin raises the limit.  Source: 8.3.
    """
    terms = rules.currency(currency)
    raised = sum(max(0.0, equities.get(other, 0.0)) for other in terms.interest_free_plus)
    return terms.interest_free + raised


def chargeable_liability(cash: float, equity: float, free_limit: float, auto_borrow: bool) -> float:
    """The part of a liability that bears interest, coins.

    cash: balance; equity: cash plus unrealised P&L and option value. With auto-borrow the liability
    of a negative balance bears interest in full, and that of unrealised losses beyond the limit;
    without it both together beyond the limit.  Source: 8.2.
    """
    liability = max(0.0, -equity)
    if not auto_borrow:
        return max(0.0, liability - free_limit)
    borrowed = min(liability, max(0.0, -cash))
    return borrowed + max(0.0, liability - borrowed - free_limit)
