"""Margin of one risk unit from packed rows, for units with the bucket basis model.

The formulas are those of `kernels.unit_margin_of`; what that does cell by cell is done here with
eight at once. Sums over tenors run by halves, so that the last bit may differ.

Source: portfolio-margin.md sections 16.3 to 16.11.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import packed_rows as pack
from risk.eight import (
    WIDTH,
    below_zero,
    least,
    lesser,
    load,
    negative,
    plus,
    product,
    store,
    times,
    total,
)
from risk.kernels import depeg_charge, spot_in_use, tiered_charge

Floats = NDArray[np.float64]
Rows = NDArray[np.uint64]


@njit(cache=True, forceinline=True)
def raw_charge_of(one: Floats, i: int, size: float) -> float:
    """MR7 of one position before its tiers.  Source: 16.10."""
    long, short = one[i, pack.ONE_LONG], one[i, pack.ONE_SHORT]
    return float(max(size, 0.0) * long + max(-size, 0.0) * short)


@njit(cache=True, forceinline=True)
def margin_alone(
    one: Floats,
    units: Floats,
    params: Floats,
    i: int,
    unit: int,
    size: float,
    coins: float,
    cap: float,
    usd: float,
) -> float:
    """Maintenance margin of a unit whose only position is `size` lots of instrument `i`, USD.

    Nothing offsets: MR3, MR5 and MR9 are 0. The worst volatility state of a shock is the same for
    every size of one sign, since multiplying keeps the order and rounds all states the same way.
    """
    use = spot_in_use(size * one[i, pack.ONE_DELTA], coins, cap) * params[unit, at.U_TAKES_SPOT]
    spot = use * usd
    cells = lesser(times(load(one, i, pack.LOW), size), times(load(one, i, pack.HIGH), size))
    worst = least(plus(cells, times(load(units, unit, pack.SHOCKS), spot)))
    worst = min(worst, size * one[i, pack.ONE_THETA])
    move = spot * params[unit, at.U_EXTREME_MOVE]
    extreme = min(size * one[i, pack.ONE_UP] + move, size * one[i, pack.ONE_DOWN] - move)
    worst = min(worst, params[unit, at.U_EXTREME_FACTOR] * extreme)
    basis = abs(size * one[i, pack.ONE_BASIS]) * one[i, pack.ONE_RATE]
    basis += abs(spot) * params[unit, at.U_BASIS_SPOT_RATE]
    charge = tiered_charge(raw_charge_of(one, i, size), params, unit)
    return float(max(max(0.0, -worst) + basis, charge))


@njit(cache=True, forceinline=True)
def add_positions(
    rows: Floats,
    one: Floats,
    tenors: int,
    options: bool,
    instrument: Rows,
    lots: NDArray[np.int64],
    first: int,
    end: int,
    sums: Floats,
) -> float:
    """Sum the rows of the positions from `first` up to, without, `end`; their raw MR7.

    sums: float64 (1, columns), written from SAME on: the worst volatility state of each shock,
    then the sums of the other columns (of a unit with linear contracts only, those that it has).
    """
    last = pack.TENORS + (3 * tenors if options else tenors)
    i, size = instrument[first], np.float64(lots[first])
    raw = raw_charge_of(one, i, size)
    same = times(load(rows, i, pack.SAME), size)
    a, b, c, d = same, same, same, same
    if options:
        a, b = times(load(rows, i, 0), size), times(load(rows, i, 8), size)
        c, d = times(load(rows, i, 16), size), times(load(rows, i, 24), size)
    for j in range(pack.SINGLES, last, WIDTH):
        store(sums, 0, j, times(load(rows, i, j), size))
    for p in range(first + 1, end):
        i, size = instrument[p], np.float64(lots[p])
        raw += raw_charge_of(one, i, size)
        same = plus(same, times(load(rows, i, pack.SAME), size))
        if options:
            a = plus(a, times(load(rows, i, 0), size))
            b = plus(b, times(load(rows, i, 8), size))
            c = plus(c, times(load(rows, i, 16), size))
            d = plus(d, times(load(rows, i, 24), size))
        for j in range(pack.SINGLES, last, WIDTH):
            store(sums, 0, j, plus(load(sums, 0, j), times(load(rows, i, j), size)))
    if options:
        same = lesser(same, lesser(lesser(a, b), lesser(c, d)))
    store(sums, 0, pack.SAME, same)
    return raw


@njit(cache=True, forceinline=True)
def _open_hedge(sums: Floats, first: int, tenors: int, units: Floats, unit: int) -> float:
    """MR3 before its factor: the lesser of long and short shocked vega."""
    long, short = 0.0, 0.0
    for j in range(0, tenors, WIDTH):
        points = load(units, unit, pack.RATES + tenors + j)
        shocked = product(load(sums, 0, first + j), points)
        long -= total(below_zero(negative(shocked)))
        short -= total(below_zero(shocked))
    return min(long, short)


@njit(cache=True, forceinline=True)
def _open_value(sums: Floats, first: int, tenors: int) -> float:
    """MR5 before its factor: the lesser of long and short value x years."""
    long, short = 0.0, 0.0
    for j in range(0, tenors, WIDTH):
        value = load(sums, 0, first + j)
        long -= total(below_zero(negative(value)))
        short -= total(below_zero(value))
    return min(long, short)


@njit(cache=True, forceinline=True)
def margin_together(
    sums: Floats,
    raw: float,
    tenors: int,
    options: bool,
    units: Floats,
    params: Floats,
    unit: int,
    coins: float,
    cap: float,
    usd: float,
) -> float:
    """Maintenance margin of a unit from the sums of its rows (`add_positions`), USD."""
    delta = sums[0, pack.DELTA]
    spot = spot_in_use(delta, coins, cap) * params[unit, at.U_TAKES_SPOT] * usd
    shocked = plus(load(sums, 0, pack.SAME), times(load(units, unit, pack.SHOCKS), spot))
    worst = min(least(shocked), sums[0, pack.THETA])
    move = spot * params[unit, at.U_EXTREME_MOVE]
    extreme = min(sums[0, pack.UP] + move, sums[0, pack.DOWN] - move)
    worst = min(worst, params[unit, at.U_EXTREME_FACTOR] * extreme)
    margin = max(0.0, -worst) + abs(spot) * params[unit, at.U_BASIS_SPOT_RATE]
    for j in range(0, tenors, WIDTH):
        held = load(sums, 0, pack.TENORS + j)
        size = negative(lesser(held, negative(held)))
        margin += total(product(size, load(units, unit, pack.RATES + j)))
    if options:
        vega = pack.TENORS + tenors
        margin += params[unit, at.U_VEGA_FACTOR] * _open_hedge(sums, vega, tenors, units, unit)
        value = _open_value(sums, vega + tenors, tenors)
        margin += params[unit, at.U_INTEREST_SHIFT] * value
    usdt, usdc, dollars = sums[0, pack.USDT], sums[0, pack.USDC], sums[0, pack.USD]
    margin += depeg_charge(usdt, usdc, dollars, params, unit)
    return float(max(margin, tiered_charge(raw, params, unit)))
