"""The sums of the order check, changed in place by every order, fill and balance.

Every sum is one of integers or of stress rows that were rounded so that sums are exact in any order
(design.md section 3). So taking out what was put in leaves nothing behind, and the incremental sums
equal those of `rebuild` bit for bit. x is described in `order_views`.

Source: portfolio-margin.md sections 16.10, 16.12 to 16.14.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.order_views import (
    accounts_of,
    currencies_of,
    instruments_of,
    orders_of,
    positions_of,
    radii_of,
    rules_of,
    stress_of,
    terms_of,
    unit_sums_of,
    units_of,
)

Ints = NDArray[np.int64]


@njit(cache=True, forceinline=True)
def _charge(k: int, sign: float, x: Ints) -> None:
    """Add (`sign` +1) or remove (-1) the raw MR7 of position row `k` in the four fill sets."""
    p, i, m, us = positions_of(x), instruments_of(x), terms_of(x), unit_sums_of(x)
    instrument, r = p[k, t.P_INSTRUMENT], p[k, t.P_UNIT]
    if i[instrument, t.I_DELTA_SIGN] > 0:
        buys, sells = p[k, t.P_BUY], -p[k, t.P_SELL]
    else:
        buys, sells = -p[k, t.P_SELL], p[k, t.P_BUY]
    long_rate, short_rate = m[instrument, t.M_MR7_LONG], m[instrument, t.M_MR7_SHORT]
    base = 3 * x[t.X_WIDTH] + t.S_MR7
    for s in range(4):
        size = p[k, t.P_LOTS]
        if s == 1 or s == 3:
            size += buys
        if s >= 2:
            size += sells
        rate = long_rate if size >= 0 else short_rate
        us[r, base + s] += sign * abs(size) * rate


@njit(cache=True, forceinline=True)
def _add_rows(k: int, offset: int, lots: int, x: Ints) -> None:
    """Add `lots` stress rows of position row `k` to the vector of its unit at `offset`."""
    p, u, us, stress = positions_of(x), units_of(x), unit_sums_of(x), stress_of(x)
    instrument, r = p[k, t.P_INSTRUMENT], p[k, t.P_UNIT]
    signed = np.float64(lots)
    for j in range(u[r, t.U_FROM], x[t.X_WIDTH]):
        us[r, offset + j] += signed * stress[instrument, j]


@njit(cache=True)
def order_terms(n: int, x: Ints) -> None:
    """Pending loss, fee and quote value of order `n`, against the current mark.  Source: 16.14."""
    p, o, i, m = positions_of(x), orders_of(x), instruments_of(x), terms_of(x)
    instrument = p[o[n, t.O_POSITION], t.P_INSTRUMENT]
    lots, price, side = o[n, t.O_LOTS], o[n, t.O_PRICE], o[n, t.O_SIDE]
    rate, reference = m[instrument, t.M_RATE], m[instrument, t.M_REFERENCE]
    if i[instrument, t.I_INVERSE] == 1:
        # N (1/price - 1/mark) in coins, positive = profit of a buyer
        profit = side * lots * rate * (1.0 / price - 1.0 / reference)
    else:
        profit = side * lots * rate * (reference - price)
    o[n, t.O_LOSS] = np.int64(np.rint(max(0.0, -profit)))
    fee = min(m[instrument, t.M_FEE], m[instrument, t.M_FEE_CAP] * price)
    o[n, t.O_FEE] = np.int64(np.rint(lots * fee))
    o[n, t.O_QUOTE] = 0
    if i[instrument, t.I_KIND] == t.SPOT:
        o[n, t.O_QUOTE] = np.int64(np.rint(lots * rate * price))


@njit(cache=True, forceinline=True)
def _in_buy_set(k: int, side: int, x: Ints) -> bool:
    """Whether an order of this side adds delta: calls and puts count by it.  Source: 16.12."""
    p, i = positions_of(x), instruments_of(x)
    return bool(side * i[p[k, t.P_INSTRUMENT], t.I_DELTA_SIGN] > 0)


@njit(cache=True, forceinline=True)
def _book_costs(n: int, sign: int, x: Ints) -> None:
    """Add (+1) or remove (-1) fee and pending loss of order `n`."""
    p, o, c, i = positions_of(x), orders_of(x), currencies_of(x), instruments_of(x)
    k = o[n, t.O_POSITION]
    settle, buys = p[k, t.P_SETTLE], _in_buy_set(k, o[n, t.O_SIDE], x)
    if buys:
        c[settle, t.C_FEE_BUYS] += sign * o[n, t.O_FEE]
    else:
        c[settle, t.C_FEE_SELLS] += sign * o[n, t.O_FEE]
    loss = sign * o[n, t.O_LOSS]
    if loss == 0:
        return
    c[settle, t.C_DIRTY] = 1
    if i[p[k, t.P_INSTRUMENT], t.I_KIND] == t.SPOT:
        c[settle, t.C_LOSS_SPOT] += loss
    elif buys:
        c[settle, t.C_LOSS_BUYS] += loss
    else:
        c[settle, t.C_LOSS_SELLS] += loss


@njit(cache=True)
def _book_spot_order(n: int, sign: int, x: Ints) -> None:
    """Add or remove what a spot order would move between two currencies."""
    p, o, u, c, i = positions_of(x), orders_of(x), units_of(x), currencies_of(x), instruments_of(x)
    k = o[n, t.O_POSITION]
    instrument, settle, base = p[k, t.P_INSTRUMENT], p[k, t.P_SETTLE], p[k, t.P_BASE]
    lots = sign * o[n, t.O_LOTS]
    coins, quote = lots * i[instrument, t.I_BASE_ATOMS], sign * o[n, t.O_QUOTE]
    offsets = i[instrument, t.I_OFFSETS] == 1
    c[settle, t.C_DIRTY] = 1
    c[base, t.C_DIRTY] = 1
    u[p[k, t.P_UNIT], t.U_DIRTY] = 1
    if o[n, t.O_SIDE] > 0:
        p[k, t.P_BUY] += lots
        c[base, t.C_SPOT_BUYS] += coins
        c[settle, t.C_SPOT_BUYS] -= quote
        if offsets:
            c[base, t.C_UNIT_BUYS] += coins
    else:
        p[k, t.P_SELL] += lots
        c[base, t.C_SPOT_SELLS] -= coins
        c[settle, t.C_SPOT_SELLS] += quote
        if offsets:
            c[base, t.C_UNIT_SELLS] -= coins


@njit(cache=True, forceinline=True)
def _change_order_lots(k: int, side: int, lots: int, x: Ints) -> None:
    """Add `lots` (either sign) to the open orders of a derivative, MR7 apart."""
    p, u = positions_of(x), units_of(x)
    if side > 0:
        p[k, t.P_BUY] += lots
    else:
        p[k, t.P_SELL] += lots
    offset = x[t.X_WIDTH] if _in_buy_set(k, side, x) else 2 * x[t.X_WIDTH]
    _add_rows(k, offset, side * lots, x)
    u[p[k, t.P_UNIT], t.U_DIRTY] = 1


@njit(cache=True)
def book_order(n: int, sign: int, x: Ints) -> None:
    """Add (+1) or remove (-1) the effects of order `n` on the sums of its account."""
    p, o, i = positions_of(x), orders_of(x), instruments_of(x)
    k = o[n, t.O_POSITION]
    _book_costs(n, sign, x)
    if i[p[k, t.P_INSTRUMENT], t.I_KIND] == t.SPOT:
        _book_spot_order(n, sign, x)
        return
    _charge(k, -1.0, x)
    _change_order_lots(k, o[n, t.O_SIDE], sign * o[n, t.O_LOTS], x)
    _charge(k, 1.0, x)


@njit(cache=True, forceinline=True)
def _book_value(k: int, sign: int, x: Ints) -> None:
    """Add or remove the value of a position at mark, and its cost, in its settlement currency."""
    p, u, c, i, m = positions_of(x), units_of(x), currencies_of(x), instruments_of(x), terms_of(x)
    instrument, settle = p[k, t.P_INSTRUMENT], p[k, t.P_SETTLE]
    if sign > 0:
        p[k, t.P_VALUE] = np.int64(np.rint(p[k, t.P_LOTS] * m[instrument, t.M_VALUE]))
    if i[instrument, t.I_KIND] == t.OPTION:
        c[settle, t.C_OPTIONS] += sign * p[k, t.P_VALUE]
    else:
        c[settle, t.C_FUTURES] += sign * (p[k, t.P_VALUE] + p[k, t.P_COST])
    u[p[k, t.P_UNIT], t.U_DIRTY] = 1
    dirty_currency(settle, x)


@njit(cache=True)
def set_position(k: int, lots: int, cost: int, x: Ints) -> None:
    """A derivative's new lots and cost."""
    p = positions_of(x)
    _book_value(k, -1, x)
    _charge(k, -1.0, x)
    change = lots - p[k, t.P_LOTS]
    p[k, t.P_LOTS] = lots
    p[k, t.P_COST] = cost
    _add_rows(k, 0, change, x)
    _charge(k, 1.0, x)
    _book_value(k, 1, x)


@njit(cache=True, forceinline=True)
def dirty_currency(n: int, x: Ints) -> None:
    """Currency row `n` has to be worked out anew, and the unit whose coin it is."""
    c, u = currencies_of(x), units_of(x)
    c[n, t.C_DIRTY] = 1
    if c[n, t.C_UNIT] != t.NONE:
        u[c[n, t.C_UNIT], t.U_DIRTY] = 1


@njit(cache=True, forceinline=True)
def touch(account: int, x: Ints) -> None:
    """The account has changed: the next watch looks at it."""
    radii_of(x)[account] = 0.0


@njit(cache=True, forceinline=True)
def set_cash(n: int, atoms: int, x: Ints) -> None:
    """The net cash of currency row `n` changed."""
    c = currencies_of(x)
    if c[n, t.C_CASH] != atoms:
        c[n, t.C_CASH] = atoms
        dirty_currency(n, x)
        touch(c[n, t.C_ACCOUNT], x)


@njit(cache=True, forceinline=True)
def _count_order(k: int, side: int, change: int, x: Ints) -> None:
    """One order more or less in position row `k`, its unit and its account."""
    p, u, a = positions_of(x), units_of(x), accounts_of(x)
    column = t.U_BUYS if _in_buy_set(k, side, x) else t.U_SELLS
    u[p[k, t.P_UNIT], column] += change
    p[k, t.P_ORDERS] += change
    a[p[k, t.P_ACCOUNT], t.A_ORDERS] += change
    touch(p[k, t.P_ACCOUNT], x)


@njit(cache=True)
def add_order(n: int, k: int, side: int, price: int, lots: int, x: Ints) -> None:
    """Book order `n` on position row `k` without a check."""
    p, o = positions_of(x), orders_of(x)
    o[n, t.O_POSITION] = k
    o[n, t.O_SIDE] = side
    o[n, t.O_PRICE] = price
    o[n, t.O_LOTS] = lots
    first = p[k, t.P_FIRST]
    o[n, t.O_NEXT] = first
    o[n, t.O_PREVIOUS] = t.NONE
    if first != t.NONE:
        o[first, t.O_PREVIOUS] = n
    p[k, t.P_FIRST] = n
    _count_order(k, side, 1, x)
    order_terms(n, x)
    book_order(n, 1, x)


@njit(cache=True, forceinline=True)
def _unlink_order(n: int, x: Ints) -> None:
    p, o = positions_of(x), orders_of(x)
    k, following, previous = o[n, t.O_POSITION], o[n, t.O_NEXT], o[n, t.O_PREVIOUS]
    if previous != t.NONE:
        o[previous, t.O_NEXT] = following
    else:
        p[k, t.P_FIRST] = following
    if following != t.NONE:
        o[following, t.O_PREVIOUS] = previous
    _count_order(k, o[n, t.O_SIDE], -1, x)


@njit(cache=True)
def remove_order(n: int, x: Ints) -> None:
    """Take order `n` out of the sums."""
    book_order(n, -1, x)
    _unlink_order(n, x)


@njit(cache=True)
def reduce_order(n: int, lots: int, x: Ints) -> None:
    """Order `n` keeps `lots` (fewer than before)."""
    p, o = positions_of(x), orders_of(x)
    book_order(n, -1, x)
    o[n, t.O_LOTS] = lots
    order_terms(n, x)
    book_order(n, 1, x)
    touch(p[o[n, t.O_POSITION], t.P_ACCOUNT], x)


@njit(cache=True)
def fill_derivative(n: int, filled: int, k: int, lots: int, cost: int, x: Ints) -> None:
    """`filled` lots of order `n` (NONE: no order) became the position's new lots and cost.

    The same as `reduce_order` or `remove_order` and then `set_position`, in one pass.
    """
    p, o = positions_of(x), orders_of(x)
    _book_value(k, -1, x)
    _charge(k, -1.0, x)
    if n != t.NONE:
        side = o[n, t.O_SIDE]
        _book_costs(n, -1, x)
        _change_order_lots(k, side, -filled, x)
        left = o[n, t.O_LOTS] - filled
        o[n, t.O_LOTS] = left
        if left > 0:
            order_terms(n, x)
            _book_costs(n, 1, x)
        else:
            _unlink_order(n, x)
    change = lots - p[k, t.P_LOTS]
    p[k, t.P_LOTS] = lots
    p[k, t.P_COST] = cost
    _add_rows(k, 0, change, x)
    _charge(k, 1.0, x)
    _book_value(k, 1, x)
    touch(p[k, t.P_ACCOUNT], x)


@njit(cache=True)
def rebuild(account: int, x: Ints) -> None:
    """Zero every sum of `account` that depends on the mark; book its positions and orders anew.

    O(positions + orders) x columns.
    """
    p, o, u, us = positions_of(x), orders_of(x), units_of(x), unit_sums_of(x)
    c, a, i = currencies_of(x), accounts_of(x), instruments_of(x)
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        for column in range(t.C_FUTURES, t.C_FEE_SELLS + 1):
            c[n, column] = 0
        c[n, t.C_DIRTY] = 1
        n = c[n, t.C_NEXT]
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        for column in range(3 * x[t.X_WIDTH] + t.UNIT_EXTRA):
            us[r, column] = 0.0
        u[r, t.U_DIRTY] = 1
        k = u[r, t.U_FIRST]
        while k != t.NONE:
            p[k, t.P_BUY] = 0
            p[k, t.P_SELL] = 0
            if i[p[k, t.P_INSTRUMENT], t.I_KIND] != t.SPOT:
                _add_rows(k, 0, p[k, t.P_LOTS], x)
                _charge(k, 1.0, x)
                _book_value(k, 1, x)
            n = p[k, t.P_FIRST]
            while n != t.NONE:
                order_terms(n, x)
                book_order(n, 1, x)
                n = o[n, t.O_NEXT]
            k = p[k, t.P_NEXT]
        r = u[r, t.U_NEXT]
    a[account, t.A_VERSION] = np.int64(rules_of(x)[t.R_VERSION])
