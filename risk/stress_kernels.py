"""The stress row of every instrument at one mark: compiled, one pass, nothing shared.

Source: portfolio-margin.md 16.1, 16.2, 16.4 to 16.11.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk.black76 import (
    delta_vega_gamma,
    deviation_of,
    intrinsic_value,
    log_moneyness,
    otm_value_at,
)
from risk.contracts import OPTION, PERPETUAL, SPOT
from risk.kernels import interpolated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING = 1e-200  # USD
_NOW = at.THETA + 1


class InstrumentTerms(NamedTuple):
    """What does not change with the mark; arrays of length instruments unless said otherwise.

    amount: coins per contract, or USD face (inverse). slot: expiry number in its unit, -1 = none.
    cash_column: CASH_USDT, CASH_USDC or CASH_USD. shocks: (instruments, 7), signed.
    """

    kind: Ints
    inverse: Ints
    amount: Floats
    strike: Floats
    is_call: Ints
    expiry_ns: Ints
    slot: Ints
    cash_column: Ints
    shocks: Floats
    extreme: Floats
    minimum_rate: Floats
    option_rate: Floats


class StressPrices(NamedTuple):
    """Prices of one mark, float64 (instruments,).

    mark: quote currency (options: coin, nan = from volatility). usd_base: USD index of the base;
    usd_quote: X(q). pair_index: of the pair, in quote currency. forward: USD, and volatility: a
    fraction a year, for options only (nan elsewhere).
    """

    mark: Floats
    usd_base: Floats
    usd_quote: Floats
    pair_index: Floats
    forward: Floats
    volatility: Floats


class StressRules(NamedTuple):
    """Numbers of the rule set that all rows share.  volatility: (3, rows) days, points, percent."""

    volatility: Floats
    volatility_floor: float
    price_floor: float
    decay_years: float


class StressRows(NamedTuple):
    """What the kernel writes, per one contract.

    rows: float64 (instruments, columns). mr7_long, mr7_short: raw charge of one contract long and
    short. mark: as given, options filled in. gamma: USD delta per 1 % move. value: mark value in
    the settlement currency (linear: n x mark; inverse: -N / mark; option: n x mark, coins).
    """

    rows: Floats
    mr7_long: Floats
    mr7_short: Floats
    mark: Floats
    gamma: Floats
    value: Floats


@njit(cache=True)
def _linear_row(i: int, terms: InstrumentTerms, prices: StressPrices, out: StressRows) -> float:
    """Cells of a linear contract; returns its USD delta.  Source: 16.2, 16.4."""
    amount, row = terms.amount[i], out.rows[i]
    index_usd = amount * prices.pair_index[i] * prices.usd_quote[i]
    for s in range(at.SHOCKS):
        row[at.SAME + s] = index_usd * terms.shocks[i, s]
    row[at.EXTREME_UP] = index_usd * terms.extreme[i]
    row[at.EXTREME_DOWN] = -row[at.EXTREME_UP]
    out.value[i] = amount * prices.mark[i]
    return float(amount * prices.mark[i] * prices.usd_quote[i])


@njit(cache=True)
def _inverse_pnl(face: float, mark: float, usd: float, shock: float, floor: float) -> float:
    """USD P&L of a coin-margined contract under a shock of the index.  Source: 16.4."""
    shocked = max(mark + shock * usd, floor * usd)
    return face * (1.0 / mark - 1.0 / shocked) * usd * (1.0 + shock)


@njit(cache=True)
def _inverse_row(
    i: int, terms: InstrumentTerms, prices: StressPrices, rules: StressRules, out: StressRows
) -> float:
    face, mark, usd, row = terms.amount[i], prices.mark[i], prices.usd_base[i], out.rows[i]
    for s in range(at.SHOCKS):
        row[at.SAME + s] = _inverse_pnl(face, mark, usd, terms.shocks[i, s], rules.price_floor)
    move = terms.extreme[i]
    row[at.EXTREME_UP] = _inverse_pnl(face, mark, usd, move, rules.price_floor)
    row[at.EXTREME_DOWN] = _inverse_pnl(face, mark, usd, -move, rules.price_floor)
    out.value[i] = -face / mark
    return float(face * usd / mark)


@njit(cache=True)
def _same_strike(i: int, j: int, terms: InstrumentTerms, prices: StressPrices) -> bool:
    """Whether options i and j, -1 for none, differ in nothing but being a call or a put."""
    if j < 0 or terms.strike[i] != terms.strike[j] or terms.expiry_ns[i] != terms.expiry_ns[j]:
        return False
    if prices.forward[i] != prices.forward[j] or prices.volatility[i] != prices.volatility[j]:
        return False
    same = prices.usd_base[i] == prices.usd_base[j] and terms.extreme[i] == terms.extreme[j]
    for s in range(at.SHOCKS):
        same = same and terms.shocks[i, s] == terms.shocks[j, s]
    return bool(same)


@njit(cache=True)
def _otm(price: float, strike: float, moneyness: float, deviation: float) -> float:
    """Out-of-the-money value, 0 where an option is worth what exercise would bring."""
    if deviation == 0.0 or price <= 0.0:
        return 0.0
    return otm_value_at(price, strike, moneyness, deviation)


@njit(cache=True)
def _write_otm(
    i: int,
    terms: InstrumentTerms,
    prices: StressPrices,
    rules: StressRules,
    years: float,
    otm: Floats,
) -> None:
    """Out-of-the-money values of an option's MR1, MR2 and MR6 cells, and of now at `_NOW`.

    otm: float64 (1 + _NOW,), USD per coin, columns of `layout`. A call and a put at one strike have
    the same: they differ by what exercise would bring.  Source: 16.4, 16.5, 16.9.
    """
    strike, usd = terms.strike[i], prices.usd_base[i]
    forward, sigma = prices.forward[i], prices.volatility[i]
    days = years * 365.0
    points = interpolated(days, rules.volatility[0], rules.volatility[1]) / 100.0
    percent = interpolated(days, rules.volatility[0], rules.volatility[2])
    down_points = max(sigma - points, rules.volatility_floor)
    down_percent = max(sigma * (1.0 - percent), rules.volatility_floor)
    # sigma sqrt(T) is the same at all prices above 0
    up_points = deviation_of(1.0, years, sigma + points)
    up_percent = deviation_of(1.0, years, sigma * (1.0 + percent))
    down_points = deviation_of(1.0, years, down_points)
    down_percent = deviation_of(1.0, years, down_percent)
    same = deviation_of(1.0, years, sigma)
    lowest = rules.price_floor * usd
    for s in range(at.SHOCKS):
        shocked = max(forward + terms.shocks[i, s] * usd, lowest)
        moneyness = log_moneyness(shocked, strike)
        otm[at.UP_POINTS + s] = _otm(shocked, strike, moneyness, up_points)
        otm[at.UP_PERCENT + s] = _otm(shocked, strike, moneyness, up_percent)
        otm[at.DOWN_POINTS + s] = _otm(shocked, strike, moneyness, down_points)
        otm[at.DOWN_PERCENT + s] = _otm(shocked, strike, moneyness, down_percent)
        otm[at.SAME + s] = _otm(shocked, strike, moneyness, same)
    high = max(forward + terms.extreme[i] * usd, lowest)
    low = max(forward - terms.extreme[i] * usd, lowest)
    otm[at.EXTREME_UP] = _otm(high, strike, log_moneyness(high, strike), same)
    otm[at.EXTREME_DOWN] = _otm(low, strike, log_moneyness(low, strike), same)
    moneyness = log_moneyness(forward, strike)
    decayed = deviation_of(1.0, years - rules.decay_years, sigma)
    otm[at.THETA] = _otm(forward, strike, moneyness, decayed)
    otm[_NOW] = _otm(forward, strike, moneyness, same)


@njit(cache=True)
def _option_row(
    i: int,
    terms: InstrumentTerms,
    prices: StressPrices,
    rules: StressRules,
    years: float,
    otm: Floats,
    out: StressRows,
) -> float:
    """Cells and greeks of an option; returns its USD delta.  Source: 16.1, 16.2, 16.4 to 16.10."""
    amount, strike, usd, row = terms.amount[i], terms.strike[i], prices.usd_base[i], out.rows[i]
    forward, sigma, call = prices.forward[i], prices.volatility[i], terms.is_call[i] == 1
    now = intrinsic_value(forward, strike, call)
    value, lowest = now + otm[_NOW], rules.price_floor * usd
    for s in range(at.SHOCKS):
        shocked = max(forward + terms.shocks[i, s] * usd, lowest)
        intrinsic = intrinsic_value(shocked, strike, call)
        for state in range(at.SHIFTED_STATES + 1):
            column = at.SHOCKS * state + s
            row[column] = amount * (intrinsic + otm[column] - value)
    high = intrinsic_value(max(forward + terms.extreme[i] * usd, lowest), strike, call)
    low = intrinsic_value(max(forward - terms.extreme[i] * usd, lowest), strike, call)
    row[at.EXTREME_UP] = amount * (high + otm[at.EXTREME_UP] - value)
    row[at.EXTREME_DOWN] = amount * (low + otm[at.EXTREME_DOWN] - value)
    row[at.THETA] = amount * (now + otm[at.THETA] - value)
    column = at.EXPIRIES + at.PER_EXPIRY * terms.slot[i]
    delta, vega, gamma = delta_vega_gamma(forward, strike, years, sigma, call)
    row[column + at.EXPIRY_VEGA] = amount * (vega * 0.01)
    row[column + at.EXPIRY_VALUE_YEARS] = amount * value * max(0.0, years)
    out.gamma[i] = amount * gamma * forward * forward * 0.01
    if np.isnan(out.mark[i]):
        out.mark[i] = value / forward
    out.value[i] = amount * out.mark[i]
    short_charge = terms.option_rate[i] * usd
    out.mr7_short[i] = amount * short_charge
    out.mr7_long[i] = amount * min(short_charge, value)
    return float(amount * delta * forward)


@njit(cache=True)
def stress_rows(
    terms: InstrumentTerms,
    prices: StressPrices,
    rules: StressRules,
    time_ns: int,
    out: StressRows,
) -> None:
    """Fill `out` for all instruments; one Black-76 value per option cell, or per pair of a call
    and a put at one strike where they are neighbours."""
    out.rows[:] = 0.0
    out.gamma[:] = 0.0
    otm, before = np.empty(_NOW + 1), -1
    for i in range(terms.kind.size):
        out.mark[i] = prices.mark[i]
        kind = terms.kind[i]
        if kind == SPOT:
            out.mr7_long[i], out.mr7_short[i], out.value[i] = 0.0, 0.0, 0.0
            continue
        row = out.rows[i]
        if kind == OPTION:
            years = (terms.expiry_ns[i] - time_ns) / 86_400e9 / 365.0
            if not _same_strike(i, before, terms, prices):
                _write_otm(i, terms, prices, rules, years, otm)
            before = i
            delta = _option_row(i, terms, prices, rules, years, otm, out)
        elif terms.inverse[i] == 1:
            delta = _inverse_row(i, terms, prices, rules, out)
        else:
            delta = _linear_row(i, terms, prices, out)
        row[at.USD_DELTA] = delta
        row[at.COIN_DELTA] = delta / prices.usd_base[i]
        row[terms.cash_column[i]] = delta
        if kind == PERPETUAL:
            row[at.PERPETUALS] = delta
        else:
            row[at.EXPIRIES + at.PER_EXPIRY * terms.slot[i] + at.EXPIRY_DELTA] = delta
        if kind != OPTION:
            # A future or perpetual has the same volatility cells in all states.
            for state in range(at.SHIFTED_STATES):
                for s in range(at.SHOCKS):
                    row[at.SHOCKS * state + s] = row[at.SAME + s]
            out.mr7_long[i] = abs(delta) * terms.minimum_rate[i]
            out.mr7_short[i] = out.mr7_long[i]


class RoundedStress(NamedTuple):
    """Stress rows per LOT whose integer multiples add up without any rounding error.

    rows: float64 (instruments, columns), every entry a multiple of `quantum[unit, column]`, a power
    of two; mr7_long, mr7_short: multiples of `mr7_quantum[unit]`.
    """

    rows: Floats
    mr7_long: Floats
    mr7_short: Floats
    quantum: Floats
    mr7_quantum: Floats


@njit(cache=True, forceinline=True)
def _quantum(largest: float) -> float:
    """The power of two of which `largest` is below 2^52; 1, which makes it 0, for next to nothing:
    the option far out of the money whose quantum would be no float any more."""
    return math.ldexp(1.0, math.frexp(largest)[1] - 52) if largest > _NOTHING else 1.0


@njit(cache=True)
def round_rows(
    table: StressRows, lots_per_contract: Floats, limits: Floats, unit_of: Ints, out: RoundedStress
) -> None:
    """Round the rows of one lot to the quanta of their unit.

    lots_per_contract, limits (lots), unit_of: (instruments,). O(instruments x columns).
    """
    rows, quantum, charges = table.rows, out.quantum, out.mr7_quantum
    quantum[:] = 0.0
    charges[:] = 0.0
    largest_long, largest_short = np.zeros(charges.size), np.zeros(charges.size)
    for i in range(unit_of.size):
        unit, lots, limit = unit_of[i], lots_per_contract[i], limits[i]
        for j in range(rows.shape[1]):
            per_lot = rows[i, j] / lots
            out.rows[i, j] = per_lot
            quantum[unit, j] += abs(per_lot) * limit
        largest_long[unit] += abs(table.mr7_long[i] / lots) * limit
        largest_short[unit] += abs(table.mr7_short[i] / lots) * limit
    for unit in range(charges.size):
        for j in range(rows.shape[1]):
            quantum[unit, j] = _quantum(quantum[unit, j])
        charges[unit] = max(_quantum(largest_long[unit]), _quantum(largest_short[unit]))
    for i in range(unit_of.size):
        unit, lots = unit_of[i], lots_per_contract[i]
        for j in range(rows.shape[1]):
            grain = quantum[unit, j]
            out.rows[i, j] = np.rint(out.rows[i, j] / grain) * grain
        grain = charges[unit]
        out.mr7_long[i] = np.rint(table.mr7_long[i] / lots / grain) * grain
        out.mr7_short[i] = np.rint(table.mr7_short[i] / lots / grain) * grain
