"""What follows from the prices of a mark for one lot of each instrument: values, charges, fees.

Column numbers are those of `order_tables` (M_*). One pass, since numpy calls over the few rows of a
market cost more than the arithmetic. Source: portfolio-margin.md 3.4, 11.7, 16.10, 16.14, 16.18.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.stress_kernels import StressPrices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class TermPlan(NamedTuple):
    """What does not change with the mark; arrays of length instruments.

    settle, base: currency numbers. tick: price units. units_per_lot: coins, or USD face (inverse).
    taker_fee: rate. settle_scale: coins per atom of the settlement currency. fee_cap: of an
    option's fee, USD per tick of its price, lot and USD price of the coin.
    """

    kind: Ints
    inverse: Ints
    settle: Ints
    base: Ints
    tick: Floats
    units_per_lot: Floats
    taker_fee: Floats
    settle_scale: Floats
    fee_cap: Floats


@njit(cache=True)
def write_terms(
    plan: TermPlan, mark: Floats, mr7_long: Floats, mr7_short: Floats, usd: Floats, terms: Floats
) -> None:
    """Write the columns of `terms` that move with the mark; M_RATE is there, option columns apart.

    mark: price units (options: coins), mr7_long, mr7_short: USD per lot, (instruments,); usd: USD
    per coin of each currency. O(instruments).
    """
    for i in range(plan.kind.size):
        kind, inverse, rate = plan.kind[i], plan.inverse[i] == 1, terms[i, t.M_RATE]
        reference, coin = mark[i] / plan.tick[i], usd[plan.base[i]]
        notional = plan.units_per_lot[i] * (1.0 if inverse else coin)
        value = rate * (-1.0 / reference if inverse else reference)
        terms[i, t.M_REFERENCE] = reference
        terms[i, t.M_VALUE] = 0.0 if kind == t.SPOT else value
        terms[i, t.M_MR7_LONG] = mr7_long[i]
        terms[i, t.M_MR7_SHORT] = mr7_short[i]
        terms[i, t.M_NOTIONAL] = notional
        terms[i, t.M_FEE] = plan.taker_fee[i] * notional * 1e8
        terms[i, t.M_FEE_CAP] = plan.fee_cap[i] * coin * 1e8 if kind == t.OPTION else np.inf
        if inverse or kind == t.OPTION:
            terms[i, t.M_USD] = notional
        else:
            scale = plan.settle_scale[i]
            terms[i, t.M_USD] = abs(rate * reference) * scale * usd[plan.settle[i]]


@njit(cache=True)
def write_prices(
    plan: TermPlan, given: StressPrices, clock: float, usd: Floats, terms: Floats, prices: Floats
) -> None:
    """Write all that a margin may move with: the price vector of `order_watch`.

    prices: float64, USD per currency, then per instrument mark (ticks), index, forward and
    volatility, then the clock. 0 stands for none, and for the mark of an option, which follows from
    the others. O(currencies + instruments).
    """
    count, first = plan.kind.size, usd.size
    prices[:first] = usd
    for i in range(count):
        option = plan.kind[i] == t.OPTION
        prices[first + i] = 0.0 if option else terms[i, t.M_REFERENCE]
        prices[first + count + i] = given.pair_index[i]
        prices[first + 2 * count + i] = given.forward[i] if option else 0.0
        prices[first + 3 * count + i] = given.volatility[i] if option else 0.0
    prices[prices.size - 1] = clock
