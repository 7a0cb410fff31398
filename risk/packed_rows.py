"""Stress rows and unit parameters in blocks of eight, for the pass over all accounts.

The columns are those of `layout` in another order, so that what is treated alike lies side by side
(`eight`), and instruments get a record of what they need when they are the only one of their unit.
Packing costs about 0.15 us an instrument and is part of each pass.

Source: portfolio-margin.md section 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk.eight import WIDTH, load, store

if TYPE_CHECKING:
    from risk.account_kernels import MarketArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# packed rows: cells of the four shifted states, of the unchanged one, single columns, tenors
SAME: Final = WIDTH * at.SHIFTED_STATES
SINGLES: Final = SAME + WIDTH
UP: Final = SINGLES
DOWN: Final = SINGLES + 1
THETA: Final = SINGLES + 2
DELTA: Final = SINGLES + 3  # coins
USDT: Final = SINGLES + 4  # cash, USD
USDC: Final = SINGLES + 5
USD: Final = SINGLES + 6
TENORS: Final = SINGLES + WIDTH  # USD delta of perpetuals and expiries, then vega, then value

# records of instruments: least and largest P&L of each shock over the volatility states, then
LOW: Final = 0
HIGH: Final = 8
ONE_UP: Final = 16
ONE_DOWN: Final = 17
ONE_THETA: Final = 18
ONE_DELTA: Final = 19
ONE_BASIS: Final = 20  # USD delta of its tenor, and the rate in MR4
ONE_RATE: Final = 21
ONE_LONG: Final = 22  # MR7
ONE_SHORT: Final = 23


class Packed(NamedTuple):
    """One mark, packed. rows: float64 (instruments, columns); one: float64 (instruments, ONE_*);
    units: float64 (units, 2 x tenors), MR4 rates and then MR3 points of the tenors; tenors: columns
    of one value by tenor, a multiple of 8; base: int64 (instruments,), currency of the unit's coin;
    spot: float64 (instruments,), what of an instrument's value is spot, in the settlement currency.
    """

    rows: Floats
    one: Floats
    units: Floats
    tenors: int
    base: Ints
    spot: Floats


@njit(cache=True)
def aligned(rows: int, columns: int) -> Floats:
    """Zeros that begin with a cache line: eight numbers then never lie across two."""
    numbers = np.zeros(rows * columns + WIDTH)
    first = -(numbers.ctypes.data // 8) % WIDTH
    return numbers[first : first + rows * columns].reshape(rows, columns)


@njit(cache=True)
def packed(market: MarketArrays) -> Packed:
    """Pack one mark. A cell or shock without a place gets shock 0's, which changes no minimum."""
    instruments, columns = market.rows.shape
    params = market.unit_params
    expiries = (columns - at.EXPIRIES) // at.PER_EXPIRY
    tenors = WIDTH * ((expiries + WIDTH) // WIDTH)
    rows = aligned(instruments, TENORS + 3 * tenors)
    one = aligned(instruments, 3 * WIDTH)
    units = aligned(params.shape[0], 2 * tenors)
    base, spot = np.empty(instruments, np.int64), np.empty(instruments)
    for u in range(params.shape[0]):
        units[u, 0] = params[u, at.U_BASIS_RATE]
        expiry = int(params[u, at.U_EXPIRY_FROM])
        for e in range(int(params[u, at.U_EXPIRY_COUNT])):
            term = expiry + at.PER_EXPIRY * e
            units[u, 1 + e] = params[u, term + at.EXPIRY_RATE]
            units[u, tenors + 1 + e] = params[u, term + at.EXPIRY_POINTS]
    for i in range(instruments):
        unit = market.unit_of[i]
        base[i] = market.unit_base[unit]
        options = params[unit, at.U_FIRST_COLUMN] == 0.0
        _pack_row(market.rows, i, options, int(params[unit, at.U_EXPIRY_COUNT]), tenors, rows)
        _pack_one(rows, i, options, units, unit, tenors, one)
        one[i, ONE_LONG], one[i, ONE_SHORT] = market.mr7_long[i], market.mr7_short[i]
        # Option value is not spot: its delta is in the unit already.
        spot[i] = market.value[i] * (1 - market.is_option[i])
    return Packed(rows, one, units, tenors, base, spot)


@njit(cache=True)
def _pack_row(
    given: Floats, i: int, options: bool, expiries: int, tenors: int, rows: Floats
) -> None:
    for s in range(at.SHOCKS):
        rows[i, SAME + s] = given[i, at.SAME + s]
    rows[i, SAME + at.SHOCKS] = rows[i, SAME]
    for state in range(at.SHIFTED_STATES if options else 0):
        for s in range(at.SHOCKS):
            rows[i, WIDTH * state + s] = given[i, at.SHOCKS * state + s]
        rows[i, WIDTH * state + at.SHOCKS] = rows[i, WIDTH * state]
    rows[i, UP], rows[i, DOWN] = given[i, at.EXTREME_UP], given[i, at.EXTREME_DOWN]
    rows[i, THETA], rows[i, DELTA] = given[i, at.THETA], given[i, at.COIN_DELTA]
    rows[i, USDT], rows[i, USDC] = given[i, at.CASH_USDT], given[i, at.CASH_USDC]
    rows[i, USD] = given[i, at.CASH_USD]
    rows[i, TENORS] = given[i, at.PERPETUALS]
    for e in range(expiries):
        column, tenor = at.EXPIRIES + at.PER_EXPIRY * e, TENORS + 1 + e
        rows[i, tenor] = given[i, column + at.EXPIRY_DELTA]
        rows[i, tenor + tenors] = given[i, column + at.EXPIRY_VEGA]
        rows[i, tenor + 2 * tenors] = given[i, column + at.EXPIRY_VALUE_YEARS]


@njit(cache=True)
def _pack_one(
    rows: Floats, i: int, options: bool, units: Floats, unit: int, tenors: int, one: Floats
) -> None:
    low, high = load(rows, i, SAME), load(rows, i, SAME)
    for state in range(at.SHIFTED_STATES if options else 0):
        cells = load(rows, i, WIDTH * state)
        low, high = min(low, cells), max(high, cells)
    store(one, i, LOW, low)
    store(one, i, HIGH, high)
    one[i, ONE_UP], one[i, ONE_DOWN] = rows[i, UP], rows[i, DOWN]
    one[i, ONE_THETA], one[i, ONE_DELTA] = rows[i, THETA], rows[i, DELTA]
    for tenor in range(tenors):
        # An instrument has delta in one tenor only.
        if rows[i, TENORS + tenor] != 0.0:
            one[i, ONE_BASIS] = rows[i, TENORS + tenor]
            one[i, ONE_RATE] = units[unit, tenor]
