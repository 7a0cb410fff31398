"""Margin of eight units of one kind at once, from packed rows, for the bucket basis model.

The formulas are those of `kernels.unit_margin_of`; each lane is the unit of another account. Sums
over tenors run by halves, so that the last bit may differ from theirs.

Source: portfolio-margin.md sections 16.3 to 16.11.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import packed_rows as pack
from risk.eight import WIDTH, any_above, load, store, totals, transpose
from risk.kernels import peg_hedges, spot_in_use

Floats = NDArray[np.float64]
Rows = NDArray[np.uint64]
Eight = Any  # to mypy; `eight.EIGHT` to numba


@njit(cache=True, forceinline=True)
def raw_charge_of(one: Floats, i: int, size: Any) -> Any:
    """MR7 of one position, or of eight in one instrument, before its tiers.  Source: 16.10."""
    return max(size, 0.0) * one[i, pack.ONE_LONG] + max(-size, 0.0) * one[i, pack.ONE_SHORT]


@njit(cache=True, forceinline=True)
def _add_tiers(
    charge: Any, amount: Eight, params: Floats, unit: int, first: tuple[int, int, int], count: int
) -> Eight:
    """`charge` and the marginal charge of `count` tiers; tiers that no lane reaches cost nothing.

    first: columns of the first tier's upper bound and rate, and columns from tier to tier.
    """
    bound, rate, step = first
    lower, k = 0.0, 0
    while k < count and any_above(amount, lower):
        upper = params[unit, bound + step * k]
        within = max(0.0, min(amount, upper) - lower)
        charge = charge + within * params[unit, rate + step * k]
        lower = upper
        k += 1
    return charge


@njit(cache=True, forceinline=True)
def _tiered_charge(raw: Eight, params: Floats, unit: int) -> Eight:
    """MR7.  Source: 6.7, 16.10."""
    count = int(params[unit, at.U_TIER_COUNT])
    return _add_tiers(0.0, raw, params, unit, (at.U_TIERS, at.U_TIERS + 1, 2), count)


@njit(cache=True, forceinline=True)
def _depeg_charge(usdt: Eight, usdc: Eight, usd: Eight, params: Floats, unit: int) -> Eight:
    """MR9.  Source: 6.9, 16.11."""
    count, bounds = int(params[unit, at.U_PEG_COUNT]), int(params[unit, at.U_PEG_FROM])
    first, second, third = peg_hedges(usdt, usdc, usd)
    charge = _add_tiers(0.0, first, params, unit, (bounds, bounds + count, 1), count)
    charge = _add_tiers(charge, second, params, unit, (bounds, bounds + 2 * count, 1), count)
    return _add_tiers(charge, third, params, unit, (bounds, bounds + 3 * count, 1), count)


@njit(cache=True, forceinline=True)
def margins_alone(
    one: Floats,
    params: Floats,
    i: int,
    unit: int,
    usd: float,
    size: Eight,
    coins: Eight,
    cap: Eight,
) -> Eight:
    """Maintenance margin of units whose only position is `size` lots of instrument `i`, USD.

    Nothing offsets: MR3, MR5 and MR9 are 0. The worst volatility state of a shock is the same for
    every size of one sign, since multiplying keeps the order and rounds all states the same way.
    """
    # Tiers first: with their loop in between, constants of other terms would take a register each.
    charge = _tiered_charge(raw_charge_of(one, i, size), params, unit)
    use = spot_in_use(size * one[i, pack.ONE_DELTA], coins, cap) * params[unit, at.U_TAKES_SPOT]
    spot = use * usd
    worst = size * one[i, pack.ONE_THETA]
    for s in range(at.SHOCKS):
        cell = min(size * one[i, pack.LOW + s], size * one[i, pack.HIGH + s])
        worst = min(worst, cell + spot * params[unit, at.U_SHOCKS + s])
    move = spot * params[unit, at.U_EXTREME_MOVE]
    extreme = min(size * one[i, pack.ONE_UP] + move, size * one[i, pack.ONE_DOWN] - move)
    worst = min(worst, extreme * params[unit, at.U_EXTREME_FACTOR])
    basis = abs(size * one[i, pack.ONE_BASIS]) * one[i, pack.ONE_RATE]
    basis = basis + abs(spot) * params[unit, at.U_BASIS_SPOT_RATE]
    return max(max(0.0, -worst) + basis, charge)


@njit(cache=True)
def sums_of(marks: pack.Packed) -> Floats:
    """Room for the sums of eight units: a row each, and one for their raw MR7."""
    return pack.aligned(WIDTH + 1, marks.rows.shape[1] + 2 * marks.tenors)


@njit(cache=True, forceinline=True)
def _eight_columns(
    rows: Floats, instrument: Rows, size: Floats, first: int, end: int, j: int
) -> Eight:
    """Sum of the columns j to j + 7 over the positions from `first` up to, without, `end`."""
    columns = load(rows, instrument[first], j) * size[first]
    for p in range(first + np.uint64(1), end):
        columns = columns + load(rows, instrument[p], j) * size[p]
    return columns


@njit(cache=True, forceinline=True)
def add_positions(
    marks: pack.Packed,
    params: Floats,
    unit: int,
    instrument: Rows,
    size: Floats,
    first: int,
    end: int,
    sums: Floats,
    lane: int,
) -> float:
    """Sum the rows of the positions from `first` up to, without, `end`; their raw MR7.

    sums: float64 (8, columns), row `lane` is written from SAME on: the worst volatility state of
    each shock, sums of the single columns, and charges of the tenors: |delta| at its rate; of a
    unit with options also shocked vega and value x years of the long ones, and 2 x tenors further
    on those of the short ones.
    """
    rows, rates, tenors = marks.rows, marks.units, marks.tenors
    options, raw = params[unit, at.U_FIRST_COLUMN] == 0.0, 0.0
    for p in range(first, end):
        raw += raw_charge_of(marks.one, instrument[p], size[p])
    same = _eight_columns(rows, instrument, size, first, end, pack.SAME)
    if options:
        a = _eight_columns(rows, instrument, size, first, end, 0)
        b = _eight_columns(rows, instrument, size, first, end, WIDTH)
        c = _eight_columns(rows, instrument, size, first, end, 2 * WIDTH)
        d = _eight_columns(rows, instrument, size, first, end, 3 * WIDTH)
        same = min(min(same, a), min(min(b, c), d))
    store(sums, lane, pack.SAME, same)
    singles = _eight_columns(rows, instrument, size, first, end, pack.SINGLES)
    store(sums, lane, pack.SINGLES, singles)
    vega, value, short = pack.TENORS + tenors, pack.TENORS + 2 * tenors, 2 * tenors
    for j in range(0, tenors, WIDTH):
        if options:
            shocked = _eight_columns(rows, instrument, size, first, end, vega + j)
            shocked = shocked * load(rates, unit, tenors + j)
            worth = _eight_columns(rows, instrument, size, first, end, value + j)
            store(sums, lane, vega + j, max(shocked, 0.0))
            store(sums, lane, vega + short + j, max(-shocked, 0.0))
            store(sums, lane, value + j, max(worth, 0.0))
            store(sums, lane, value + short + j, max(-worth, 0.0))
        delta = _eight_columns(rows, instrument, size, first, end, pack.TENORS + j)
        store(sums, lane, pack.TENORS + j, abs(delta) * load(rates, unit, j))
    return float(raw)


@njit(cache=True, forceinline=True)
def _open(sums: Floats, long: int, short: int, tenors: int) -> Eight:
    """What offsets leave open: the lesser of the sums of long and short over tenors."""
    longs, shorts = totals(sums, 0, long), totals(sums, 0, short)
    for j in range(WIDTH, tenors, WIDTH):
        longs = longs + totals(sums, 0, long + j)
        shorts = shorts + totals(sums, 0, short + j)
    return min(longs, shorts)


@njit(cache=True, forceinline=True)
def _single(sums: Floats, column: int) -> Eight:
    """A single column of the eight units, after `transpose`."""
    return load(sums, column - pack.SINGLES, pack.SINGLES)


@njit(cache=True, forceinline=True)
def margins_together(
    sums: Floats,
    raw: Eight,
    tenors: int,
    params: Floats,
    unit: int,
    usd: float,
    coins: Eight,
    cap: Eight,
) -> Eight:
    """Maintenance margin of `unit` in eight accounts from the sums of its rows, USD.

    sums: float64 (8, columns), written by `add_positions`; changed. raw: MR7 before its tiers.
    """
    transpose(sums, 0, pack.SAME)
    transpose(sums, 0, pack.SINGLES)
    # Tiers first: with their loops in between, constants of other terms would take a register each.
    charge = _tiered_charge(raw, params, unit)
    usdt, usdc = _single(sums, pack.USDT), _single(sums, pack.USDC)
    depeg = _depeg_charge(usdt, usdc, _single(sums, pack.USD), params, unit)
    use = spot_in_use(_single(sums, pack.DELTA), coins, cap) * params[unit, at.U_TAKES_SPOT]
    spot = use * usd
    worst = _single(sums, pack.THETA)
    for s in range(at.SHOCKS):
        worst = min(worst, load(sums, s, pack.SAME) + spot * params[unit, at.U_SHOCKS + s])
    move = spot * params[unit, at.U_EXTREME_MOVE]
    extreme = min(_single(sums, pack.UP) + move, _single(sums, pack.DOWN) - move)
    worst = min(worst, extreme * params[unit, at.U_EXTREME_FACTOR])
    margin = max(0.0, -worst) + abs(spot) * params[unit, at.U_BASIS_SPOT_RATE]
    for j in range(0, tenors, WIDTH):
        margin = margin + totals(sums, 0, pack.TENORS + j)
    if params[unit, at.U_FIRST_COLUMN] == 0.0:
        vega, value, short = pack.TENORS + tenors, pack.TENORS + 2 * tenors, 2 * tenors
        hedge = _open(sums, vega, vega + short, tenors)
        margin = margin + hedge * params[unit, at.U_VEGA_FACTOR]
        worth = _open(sums, value, value + short, tenors)
        margin = margin + worth * params[unit, at.U_INTEREST_SHIFT]
    return max(margin + depeg, charge)
