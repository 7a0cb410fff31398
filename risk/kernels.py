"""The margin kernels: compiled functions over float64 arrays, used by report and simulation alike.

Sums run in a fixed order and fastmath is off, so that the same input gives the same bits. Column
numbers are those of `layout`. Small kernels are inlined by force: a call that takes array views
costs more in reference counting than in arithmetic. Spot in use and the hedges of MR9 also take
eight numbers at once (`eight`). Plain twin: tests/oracles/plain_margin.py.

Source: portfolio-margin.md section 16.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, forceinline=True)
def spot_in_use(coin_delta: float, equity_coins: float, cap: float) -> float:
    """Spot that hedges the unit's derivatives, coins, signed; 0 where it would not hedge.

    coin_delta: of the unit's derivatives; equity_coins: of the base coin, without option value;
    cap: the user's limit (infinite for none).  Source: 5.2, 16.3.
    """
    # Without branches, whose outcome is a coin toss: at most one of the two is positive.
    hedges_short = max(0.0, min(-coin_delta, equity_coins, cap))
    hedges_long = max(0.0, min(coin_delta, -equity_coins, cap))
    return hedges_short - hedges_long


@njit(cache=True, forceinline=True)
def discounted_value_of(tiers: Floats, currency: int, amount: float) -> float:
    """`discounted_value` with row `currency` of float64 (currencies, tiers, 4)."""
    row = 0
    while amount > tiers[currency, row, at.TIER_UPPER]:
        row += 1
    within = amount - tiers[currency, row, at.TIER_LOWER]
    below, rate = tiers[currency, row, at.TIER_BELOW], tiers[currency, row, at.TIER_RATE]
    return float(below + within * rate) if amount > 0.0 else amount


@njit(cache=True)
def discounted_value(tiers: Floats, amount: float) -> float:
    """What an amount of coins counts for, in coins; a negative amount counts in full.

    tiers: float64 (tiers, 4), the columns TIER_*.  Source: 4.3, 4.4.
    """
    return discounted_value_of(np.expand_dims(tiers, 0), 0, amount)


@njit(cache=True, forceinline=True)
def _borrow_tier_of(tiers: Floats, currency: int, amount: float) -> int:
    row, last = 1, tiers.shape[1] - 1
    while row < last and amount > tiers[currency, row, at.BORROW_UPPER]:
        row += 1
    over = amount - tiers[currency, last, at.BORROW_UPPER]
    beyond = max(0.0, float(over / tiers[currency, 0, at.BORROW_UPPER]))
    # A borrowing beyond all reason still has a tier.
    further: int = math.ceil(min(beyond, 1e15))
    return int(row) + further


@njit(cache=True, forceinline=True)
def borrow_rates_of(tiers: Floats, currency: int, amount: float) -> tuple[float, float]:
    """`borrow_rates` with row `currency` of float64 (currencies, 1 + tiers, 3)."""
    tier, last = _borrow_tier_of(tiers, currency, amount), tiers.shape[1] - 1
    row = min(tier, last)
    beyond = float(tier - row)
    maintenance = tiers[currency, row, at.BORROW_MAINTENANCE]
    maintenance += beyond * tiers[currency, 0, at.BORROW_MAINTENANCE]
    initial = tiers[currency, row, at.BORROW_INITIAL]
    initial += beyond * tiers[currency, 0, at.BORROW_INITIAL]
    return maintenance, initial


@njit(cache=True)
def borrow_tier(tiers: Floats, amount: float) -> int:
    """The tier, from 1, that a borrowing of `amount` coins reaches.  Source: 16.13."""
    return _borrow_tier_of(np.expand_dims(tiers, 0), 0, amount)


@njit(cache=True)
def borrow_rates(tiers: Floats, amount: float) -> tuple[float, float]:
    """Maintenance and initial rate of a borrowing of `amount` coins.

    tiers: float64 (1 + tiers, 3), row 0 the steps, the columns BORROW_*. The rate of the tier that
    the amount reaches applies to all of it; an amount equal to a bound belongs to the lower tier.
    Source: 7.2, 16.13.
    """
    return borrow_rates_of(np.expand_dims(tiers, 0), 0, amount)


@njit(cache=True, forceinline=True)
def _worst_shock(vector: Floats, spot_usd: float, params: Floats, unit: int) -> float:
    """MR1: the largest loss over shocks and volatility states.  Source: 16.4."""
    shifted = params[unit, at.U_FIRST_COLUMN] == 0.0
    worst = 0.0
    for s in range(at.SHOCKS):
        cell = vector[at.SAME + s]
        if shifted:
            for state in range(at.SHIFTED_STATES):
                cell = min(cell, vector[at.SHOCKS * state + s])
        worst = min(worst, cell + spot_usd * params[unit, at.U_SHOCKS + s])
    return float(0.0 - worst)


@njit(cache=True, forceinline=True)
def _term_risks(vector: Floats, params: Floats, unit: int, out: Floats) -> None:
    """MR3 and MR5: what hedges across expiries leave open.  Source: 16.6, 16.8."""
    vega_long, vega_short, value_long, value_short = 0.0, 0.0, 0.0, 0.0
    expiry = int(params[unit, at.U_EXPIRY_FROM])
    options = params[unit, at.U_FIRST_COLUMN] == 0.0
    for e in range(int(params[unit, at.U_EXPIRY_COUNT]) if options else 0):
        column = at.EXPIRIES + at.PER_EXPIRY * e
        vega = vector[column + at.EXPIRY_VEGA]
        points = params[unit, expiry + at.PER_EXPIRY * e + at.EXPIRY_POINTS]
        vega_long += max(0.0, vega) * points
        vega_short += max(0.0, -vega) * points
        value = vector[column + at.EXPIRY_VALUE_YEARS]
        value_long += max(0.0, value)
        value_short += max(0.0, -value)
    out[at.OUT_MR3] = params[unit, at.U_VEGA_FACTOR] * min(vega_long, vega_short)
    out[at.OUT_MR5] = params[unit, at.U_INTEREST_SHIFT] * min(value_long, value_short)


@njit(cache=True, forceinline=True)
def _bucket_basis(vector: Floats, spot_usd: float, params: Floats, unit: int) -> float:
    """MR4 since 2025: |delta| per expiry at its rate.  Source: 16.7."""
    charge = abs(vector[at.PERPETUALS]) * params[unit, at.U_BASIS_RATE]
    expiry = int(params[unit, at.U_EXPIRY_FROM])
    for e in range(int(params[unit, at.U_EXPIRY_COUNT])):
        delta = vector[at.EXPIRIES + at.PER_EXPIRY * e + at.EXPIRY_DELTA]
        charge += abs(delta) * params[unit, expiry + at.PER_EXPIRY * e + at.EXPIRY_RATE]
    return float(charge + abs(spot_usd) * params[unit, at.U_BASIS_SPOT_RATE])


@njit(cache=True, forceinline=True)
def _tenor(
    vector: Floats, spot_usd: float, params: Floats, unit: int, number: int
) -> tuple[float, float]:
    """USD delta and days of tenor `number`: 0 spot, 1 perpetuals, then the expiries."""
    if number == 0:
        return spot_usd, 0.0
    if number == 1:
        return float(vector[at.PERPETUALS]), 0.0
    e = at.PER_EXPIRY * (number - 2)
    days = params[unit, int(params[unit, at.U_EXPIRY_FROM]) + e + at.EXPIRY_DAYS]
    return float(vector[at.EXPIRIES + e + at.EXPIRY_DELTA]), max(0.0, days)


@njit(cache=True, forceinline=True)
def _hedged_basis(vector: Floats, spot_usd: float, params: Floats, unit: int) -> float:
    """MR4 until 2024: forward move on both legs of what is hedged, and the annual basis.

    Long and short tenors are matched from the nearest on; a matched pair pays the annual basis for
    the days between its legs.  Source: 6.4, 16.19.
    """
    count = 2 + int(params[unit, at.U_EXPIRY_COUNT])
    long_at, short_at = -1, -1
    long_usd, short_usd, long_days, short_days = 0.0, 0.0, 0.0, 0.0
    hedged, hedged_days = 0.0, 0.0
    while True:
        while long_usd <= 0.0 and long_at < count - 1:
            long_at += 1
            long_usd, long_days = _tenor(vector, spot_usd, params, unit, long_at)
        while short_usd <= 0.0 and short_at < count - 1:
            short_at += 1
            delta, short_days = _tenor(vector, spot_usd, params, unit, short_at)
            short_usd = -delta
        if long_usd <= 0.0 or short_usd <= 0.0:
            break
        matched = min(long_usd, short_usd)
        hedged += matched
        hedged_days += matched * abs(long_days - short_days)
        long_usd -= matched
        short_usd -= matched
    annual = params[unit, at.U_BASIS_ANNUAL] * hedged_days / 365.0
    return float(params[unit, at.U_BASIS_RATE] * 2.0 * hedged + annual)


@njit(cache=True, forceinline=True)
def tiered_charge(raw: float, params: Floats, unit: int) -> float:
    """MR7: the raw charge times the marginal multipliers of its tiers.  Source: 6.7, 16.10."""
    charge, lower = 0.0, 0.0
    k, count = 0, int(params[unit, at.U_TIER_COUNT])
    while raw > lower and k < count:
        upper = params[unit, at.U_TIERS + 2 * k]
        charge += params[unit, at.U_TIERS + 2 * k + 1] * (min(raw, upper) - lower)
        lower = upper
        k += 1
    return charge


@njit(cache=True, forceinline=True)
def _hedge(a: float, b: float) -> float:
    """What two cash deltas hedge of each other: the smaller size, if the signs differ."""
    # Without a branch, whose outcome is a coin toss.
    return max(0.0, min(a, -b), min(-a, b))


@njit(cache=True, forceinline=True)
def _toward_zero(amount: float, by: float) -> float:
    return amount - math.copysign(by, amount)


@njit(cache=True, forceinline=True)
def peg_hedges(usdt: float, usdc: float, usd: float) -> tuple[float, float, float]:
    """Hedged volumes USDT-USD, USDT-USDC, USDC-USD, matched in this order, USD.  Source: 6.9."""
    first = _hedge(usdt, usd)
    usdt, usd = _toward_zero(usdt, first), _toward_zero(usd, first)
    second = _hedge(usdt, usdc)
    third = _hedge(_toward_zero(usdc, second), usd)
    return first, second, third


@njit(cache=True, forceinline=True)
def depeg_charge(usdt: float, usdc: float, usd: float, params: Floats, unit: int) -> float:
    """MR9: marginal charge of the hedged volumes of three pairs.  Source: 6.9, 16.11."""
    first, second, third = peg_hedges(usdt, usdc, usd)
    if first + second + third == 0.0:
        return 0.0
    count, bounds = int(params[unit, at.U_PEG_COUNT]), int(params[unit, at.U_PEG_FROM])
    charge = 0.0
    for pair in range(at.PEG_PAIRS if count > 0 else 0):
        hedge = first if pair == 0 else (second if pair == 1 else third)
        factors = bounds + count * (1 + pair)
        # The first tier without a branch: most hedges end in it, or are 0.
        lower = params[unit, bounds]
        charge += params[unit, factors] * min(hedge, lower)
        k = 1
        while hedge > lower and k < count:
            upper = params[unit, bounds + k]
            charge += params[unit, factors + k] * (min(hedge, upper) - lower)
            lower = upper
            k += 1
    return charge


@njit(cache=True, forceinline=True)
def unit_margin_of(
    vector: Floats,
    mr7_raw: float,
    spot_in_use_coins: float,
    usd_base: float,
    params: Floats,
    unit: int,
    out: Floats,
) -> None:
    """`unit_margin` with row `unit` of the packed parameters, float64 (units, size)."""
    spot_usd = spot_in_use_coins * usd_base
    out[at.OUT_MR1] = _worst_shock(vector, spot_usd, params, unit)
    move = spot_usd * params[unit, at.U_EXTREME_MOVE]
    extreme = min(vector[at.EXTREME_UP] + move, vector[at.EXTREME_DOWN] - move)
    out[at.OUT_MR6] = params[unit, at.U_EXTREME_FACTOR] * max(0.0, -extreme)
    out[at.OUT_MR2] = max(0.0, -vector[at.THETA])
    _term_risks(vector, params, unit, out)
    if params[unit, at.U_BASIS_MODEL] == at.BUCKET_MODEL:
        out[at.OUT_MR4] = _bucket_basis(vector, spot_usd, params, unit)
    else:
        out[at.OUT_MR4] = _hedged_basis(vector, spot_usd, params, unit)
    out[at.OUT_MR7] = tiered_charge(mr7_raw, params, unit)
    out[at.OUT_MR8] = 0.0
    usdt, usdc, usd = vector[at.CASH_USDT], vector[at.CASH_USDC], vector[at.CASH_USD]
    out[at.OUT_MR9] = depeg_charge(usdt, usdc, usd, params, unit)
    largest = max(out[at.OUT_MR1], out[at.OUT_MR2], out[at.OUT_MR6])
    scenario = largest + out[at.OUT_MR3] + out[at.OUT_MR4] + out[at.OUT_MR5] + out[at.OUT_MR9]
    out[at.OUT_MMR] = max(scenario, out[at.OUT_MR7])


@njit(cache=True)
def unit_margin(
    vector: Floats,
    mr7_raw: float,
    spot_in_use_coins: float,
    usd_base: float,
    params: Floats,
    out: Floats,
) -> None:
    """All components of one risk unit and its maintenance margin, USD.

    vector: float64 (columns,), the sum of contracts x stress row, columns of `layout` (those below
    `params[U_FIRST_COLUMN]` are not read). mr7_raw: the sum of the instruments' raw charges.
    params: `pack_unit_params`. out: float64 (OUT_SIZE,), written; MR8 is the account's and 0 here.
    Source: 6, 16.4 to 16.12.
    """
    unit_margin_of(vector, mr7_raw, spot_in_use_coins, usd_base, np.expand_dims(params, 0), 0, out)


@njit(cache=True)
def update_unit_params(
    params: Floats,
    expiries_ns: Ints,
    time_ns: int,
    pair_prices: Floats,
    volatility: Floats,
    calm_price: float,
    peg_prices: Floats,
    peg_factors: Floats,
) -> None:
    """Write what changes with time and peg into the packed parameters of all units.

    params: float64 (units, size), changed in place. expiries_ns: int64 (units, expiries).
    pair_prices: (3,), the order of PEG_PAIRS. volatility: (3, rows): days, points, percent.
    peg_factors: (tiers, 1 + prices), the calm column first.  Source: 16.6, 16.7, 16.11.
    """
    for u in range(params.shape[0]):
        row = params[u]
        start = int(row[at.U_EXPIRY_FROM])
        for e in range(int(row[at.U_EXPIRY_COUNT])):
            days = (expiries_ns[u, e] - time_ns) / 86_400e9
            annual = row[at.U_BASIS_ANNUAL] * days / 365.0
            row[start + 3 * e + at.EXPIRY_DAYS] = days
            row[start + 3 * e + at.EXPIRY_RATE] = max(row[at.U_BASIS_RATE], annual)
            row[start + 3 * e + at.EXPIRY_POINTS] = interpolated(days, volatility[0], volatility[1])
        count = int(row[at.U_PEG_COUNT])
        factors = int(row[at.U_PEG_FROM]) + count
        for pair in range(at.PEG_PAIRS if count > 0 else 0):
            price = min(pair_prices[pair], 1.0 / pair_prices[pair])
            for k in range(count):
                if price > calm_price:
                    factor = peg_factors[k, 0]
                else:
                    factor = interpolated(-price, -peg_prices, peg_factors[k, 1:])
                row[factors + count * pair + k] = factor


@njit(cache=True, forceinline=True)
def interpolated(x: float, known: Floats, values: Floats) -> float:
    """Linear interpolation over ascending `known`, flat outside."""
    last = known.size - 1
    if x <= known[0]:
        return float(values[0])
    if x >= known[last]:
        return float(values[last])
    k = 0
    while x > known[k + 1]:
        k += 1
    share = (x - known[k]) / (known[k + 1] - known[k])
    return float(values[k] + share * (values[k + 1] - values[k]))


@njit(cache=True)
def weighted_rows(sizes: Floats, rows: Floats) -> Floats:
    """Sum of size x row in the order given: float64 (columns,).

    sizes: float64 (instruments,); rows: float64 (instruments, columns).
    """
    total = np.zeros(rows.shape[1])
    for i in range(sizes.size):
        for j in range(rows.shape[1]):
            total[j] += sizes[i] * rows[i, j]
    return total


@njit(cache=True)
def raw_charge(sizes: Floats, mr7_long: Floats, mr7_short: Floats) -> float:
    """MR7 before its tiers: each instrument must be closed, nothing nets.  Source: 6.7, 16.10."""
    total = 0.0
    for i in range(sizes.size):
        total += sizes[i] * mr7_long[i] if sizes[i] > 0.0 else -sizes[i] * mr7_short[i]
    return total
