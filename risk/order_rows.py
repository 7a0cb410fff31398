"""New rows in the tables of the order check, linked to the account they belong to.

An account's unit rows and currency rows stay in the order of their numbers, so that sums over them
keep one order whatever was opened first. x is described in `order_views`.

Source: design.md section 5.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.order_sums import touch
from risk.order_views import (
    accounts_of,
    anchors_of,
    currencies_of,
    currency_sums_of,
    positions_of,
    units_of,
)

Ints = NDArray[np.int64]


@njit(cache=True)
def open_account(row: int, mode: int, auto_borrow: int, anchor: int, x: Ints) -> None:
    """Account row `row`, empty; its first watch looks at it."""
    a = accounts_of(x)
    a[row, t.A_UNIT] = a[row, t.A_CURRENCY] = a[row, t.A_VERSION] = t.NONE
    a[row, t.A_AUTO_BORROW], a[row, t.A_MODE] = auto_borrow, mode
    anchors_of(x)[row] = anchor


@njit(cache=True)
def open_currency(row: int, account: int, currency: int, unit: int, x: Ints) -> None:
    """Currency row `row` of an account; unit: the unit row whose coin it is, or NONE."""
    c = currencies_of(x)
    c[row, t.C_ACCOUNT], c[row, t.C_CURRENCY] = account, currency
    c[row, t.C_DIRTY], c[row, t.C_UNIT] = 1, unit
    currency_sums_of(x)[row, t.V_CAP] = np.inf
    _link(account, row, t.A_CURRENCY, c, t.C_CURRENCY, t.C_NEXT, x)


@njit(cache=True)
def open_unit(row: int, account: int, unit: int, base: int, first: int, x: Ints) -> None:
    """Unit row `row` of an account; base: its coin's currency row; first: first column in use."""
    u = units_of(x)
    u[row, t.U_ACCOUNT], u[row, t.U_UNIT], u[row, t.U_FIRST] = account, unit, t.NONE
    u[row, t.U_BASE], u[row, t.U_DIRTY], u[row, t.U_FROM] = base, 1, first
    currencies_of(x)[base, t.C_UNIT] = row
    _link(account, row, t.A_UNIT, u, t.U_UNIT, t.U_NEXT, x)


@njit(cache=True)
def open_position(
    row: int,
    account: int,
    instrument: int,
    unit: int,
    settle: int,
    base: int,
    leverage: int,
    x: Ints,
) -> None:
    """Position row `row`, flat, first in the list of its unit row."""
    p, u = positions_of(x), units_of(x)
    p[row, t.P_ACCOUNT], p[row, t.P_INSTRUMENT], p[row, t.P_UNIT] = account, instrument, unit
    p[row, t.P_SETTLE], p[row, t.P_BASE], p[row, t.P_FIRST] = settle, base, t.NONE
    p[row, t.P_LEVERAGE], p[row, t.P_NEXT] = leverage, u[unit, t.U_FIRST]
    u[unit, t.U_FIRST] = row


@njit(cache=True)
def _link(
    account: int, row: int, head: int, table: Ints, key: int, following: int, x: Ints
) -> None:
    """Put `row` of `table` into the account's list, ascending by column `key`."""
    a = accounts_of(x)
    previous, current = t.NONE, a[account, head]
    while current != t.NONE and table[current, key] < table[row, key]:
        previous, current = current, table[current, following]
    table[row, following] = current
    if previous == t.NONE:
        a[account, head] = row
    else:
        table[previous, following] = row
    touch(account, x)
