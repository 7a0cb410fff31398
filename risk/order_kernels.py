"""The incremental order check: what `accounts` calls for every order, fill, cancel and mark.

`place` answers rule 16.17 for one new order in O(columns + units + currencies of the account),
whatever the number of its positions and orders. The sums are kept by `order_sums`, the figures by
`order_figures`, the marks' watch by `order_watch`; x is described in `order_views`.

Source: portfolio-margin.md sections 9.6, 9.7, 16.12 to 16.17.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_sums
from risk import order_tables as t
from risk.order_figures import bring_up_to_date, totals
from risk.order_modes import left_over
from risk.order_sums import (
    add_order,
    dirty_currency,
    fill_derivative,
    rebuild,
    reduce_order,
    remove_order,
    set_position,
    touch,
)
from risk.order_views import (
    account_sums_of,
    accounts_of,
    currencies_of,
    currency_sums_of,
    currency_terms_of,
    fetch,
    instruments_of,
    orders_of,
    positions_of,
    refused_of,
    rules_of,
    terms_of,
)

Ints = NDArray[np.int64]


@njit(cache=True)
def figures(account: int, x: Ints) -> None:
    """Bring the figures of one account up to date (rebuild only if the mark is new)."""
    bring_up_to_date(account, x)


@njit(cache=True)
def all_figures(count: int, x: Ints) -> None:
    """`figures` for accounts 0..count-1: the full pass after a mark."""
    for account in range(count):
        bring_up_to_date(account, x)


@njit(cache=True)
def recompute(account: int, x: Ints) -> None:
    """Rebuild an account's sums and figures from its positions and orders, whatever its state."""
    rebuild(account, x)
    totals(account, x)


@njit(cache=True)
def set_cash(n: int, atoms: int, x: Ints) -> None:
    """The net cash of currency row `n` changed (deposit, fee, funding, interest)."""
    order_sums.set_cash(n, atoms, x)


@njit(cache=True)
def set_cap(n: int, coins: float, x: Ints) -> None:
    """The user's cap on spot in use of currency row `n`, coins."""
    currency_sums_of(x)[n, t.V_CAP] = coins
    dirty_currency(n, x)
    touch(currencies_of(x)[n, t.C_ACCOUNT], x)


@njit(cache=True)
def set_mode(account: int, mode: int, auto_borrow: int, x: Ints) -> None:
    """The account's mode, and whether it may borrow, changed."""
    a = accounts_of(x)
    a[account, t.A_MODE] = mode
    a[account, t.A_AUTO_BORROW] = auto_borrow
    touch(account, x)


@njit(cache=True)
def _deepens(account: int, x: Ints) -> bool:
    """Whether a fill set, its fees paid, creates or deepens a negative equity in any currency."""
    a, c, ct = accounts_of(x), currencies_of(x), currency_terms_of(x)
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        held = c[n, t.C_CASH] + c[n, t.C_FUTURES] + c[n, t.C_OPTIONS]
        currency = c[n, t.C_CURRENCY]
        atom = 1e8 * ct[currency, t.K_USD] * ct[currency, t.K_SCALE]
        buys = c[n, t.C_SPOT_BUYS] - c[n, t.C_LOSS_BUYS]
        buys -= int(np.rint(c[n, t.C_FEE_BUYS] / atom))
        sells = c[n, t.C_SPOT_SELLS] - c[n, t.C_LOSS_SELLS]
        sells -= int(np.rint(c[n, t.C_FEE_SELLS] / atom))
        if held + min(buys, min(sells, buys + sells)) < min(0, held):
            return True
        n = c[n, t.C_NEXT]
    return False


@njit(cache=True)
def shift(k: int, signed_lots: int, price: float, fee_atoms: int, x: Ints) -> None:
    """Trade `signed_lots` of position row `k` at `price` (ticks, may be fractional) in the tables
    only.

    The same call with opposite lots and fee undoes it exactly. The caller wants to know what a
    trade would do; nothing is booked.
    """
    p, c, i, m = positions_of(x), currencies_of(x), instruments_of(x), terms_of(x)
    instrument, settle = p[k, t.P_INSTRUMENT], p[k, t.P_SETTLE]
    rate = m[instrument, t.M_RATE]
    inverse = i[instrument, t.I_INVERSE] == 1
    value = signed_lots * rate / price if inverse else signed_lots * rate * price
    atoms = np.int64(np.rint(value))
    c[settle, t.C_CASH] -= fee_atoms
    if i[instrument, t.I_KIND] == t.SPOT:
        base = p[k, t.P_BASE]
        c[base, t.C_CASH] += signed_lots * i[instrument, t.I_BASE_ATOMS]
        c[settle, t.C_CASH] -= atoms
        dirty_currency(base, x)
    else:
        cost = p[k, t.P_COST]
        if i[instrument, t.I_KIND] == t.OPTION:
            c[settle, t.C_CASH] -= atoms
        elif inverse:
            cost += atoms
        else:
            cost -= atoms
        set_position(k, p[k, t.P_LOTS] + signed_lots, cost, x)
    dirty_currency(settle, x)
    touch(p[k, t.P_ACCOUNT], x)


@njit(cache=True)
def _borrowing(k: int, side: int, x: Ints) -> int:
    """Whether an order on position row `k`, once booked, borrows more than is allowed.

    A result code of `order_tables`; ACCEPTED if it does not.
    """
    p, c, cs = positions_of(x), currencies_of(x), currency_sums_of(x)
    a, i, ct = accounts_of(x), instruments_of(x), currency_terms_of(x)
    settle = p[k, t.P_SETTLE]
    spot = i[p[k, t.P_INSTRUMENT], t.I_KIND] == t.SPOT
    if a[p[k, t.P_ACCOUNT], t.A_AUTO_BORROW] == 0 and _deepens(p[k, t.P_ACCOUNT], x):
        return t.NO_BORROW
    borrower = p[k, t.P_BASE] if spot and side < 0 else settle
    currency, potential = c[borrower, t.C_CURRENCY], cs[borrower, t.V_LIABILITY]
    held = c[borrower, t.C_CASH] + c[borrower, t.C_FUTURES] + c[borrower, t.C_OPTIONS]
    owed = max(0.0, -held * ct[currency, t.K_SCALE])
    if potential > owed:
        if potential > ct[currency, t.K_BORROW_LIMIT]:
            return t.OVER_BORROW_LIMIT
        if potential - owed > ct[currency, t.K_POOL]:
            return t.POOL_EMPTY
    return t.ACCEPTED


@njit(cache=True)
def _fee_atoms(n: int, settle: int, x: Ints) -> int:
    """Estimated fee of order `n` in atoms of its settlement currency."""
    currency, ct = currencies_of(x)[settle, t.C_CURRENCY], currency_terms_of(x)
    atom = 1e8 * ct[currency, t.K_USD] * ct[currency, t.K_SCALE]
    return int(np.rint(orders_of(x)[n, t.O_FEE] / atom))


@njit(cache=True)
def _left_over(account: int, k: int, x: Ints) -> tuple[float, float]:
    """Adjusted equity - IMR; in single-currency mode, of each currency that the order changes."""
    if accounts_of(x)[account, t.A_MODE] == t.SINGLE_CURRENCY_MODE:
        return left_over(account, k, x)
    sums = account_sums_of(x)
    return sums[account, t.T_ADJUSTED] - sums[account, t.T_IMR], np.inf


@njit(cache=True)
def _improves(n: int, k: int, side: int, price: int, lots: int, x: Ints) -> bool:
    """Rule (b): filled whole at its limit, the order does not lower adjusted equity - IMR.

    The order is not booked; the tables are left as they were.
    """
    account = positions_of(x)[k, t.P_ACCOUNT]
    fee_atoms = _fee_atoms(n, positions_of(x)[k, t.P_SETTLE], x)
    before, base_before = _left_over(account, k, x)
    shift(k, side * lots, float(price), fee_atoms, x)
    totals(account, x)
    after, base_after = _left_over(account, k, x)
    shift(k, -side * lots, float(price), -fee_atoms, x)
    return bool(after >= before and base_after >= base_before)


@njit(cache=True)
def _refuse(n: int, k: int, side: int, price: int, lots: int, rules_out: int, x: Ints) -> int:
    """Take order `n` out again, unless it is one that rule (b) admits; the result code.

    rules_out: the code found so far; rule (b) is tried only where it is ACCEPTED_REDUCING.
    """
    account = positions_of(x)[k, t.P_ACCOUNT]
    sums, refused = account_sums_of(x), refused_of(x)
    refused[0], refused[1] = sums[account, t.T_SMALLEST], sums[account, t.T_IMR]
    refused[2], refused[3] = sums[account, t.T_ADJUSTED], sums[account, t.T_MMR]
    remove_order(n, x)
    totals(account, x)
    result = rules_out
    if rules_out == t.ACCEPTED_REDUCING:
        if _improves(n, k, side, price, lots, x):
            add_order(n, k, side, price, lots, x)
        else:
            result = t.NO_MARGIN
        totals(account, x)
    return result


@njit(cache=True)
def place(n: int, k: int, side: int, price: int, lots: int, immediate: bool, x: Ints) -> int:
    """Decide one new order by rule 16.17 and, if accepted, leave it booked as order row `n`.

    `immediate`: IOC, FOK or market, which rule (b) may accept. Returns one of the result codes of
    `order_tables`; account_sums then hold the figures with the order (refused: without it, and
    `refused_of` those with it: smallest adjusted equity, IMR, adjusted equity, MMR).
    """
    fetch(k, x)
    p, a, sums = positions_of(x), accounts_of(x), account_sums_of(x)
    limit = instruments_of(x)[p[k, t.P_INSTRUMENT], t.I_LIMIT]
    ordered = p[k, t.P_BUY] if side > 0 else p[k, t.P_SELL]
    if side * p[k, t.P_LOTS] + ordered + lots > limit:
        return t.OVER_POSITION_LIMIT
    account = p[k, t.P_ACCOUNT]
    if a[account, t.A_VERSION] != np.int64(rules_of(x)[t.R_VERSION]):
        rebuild(account, x)
    add_order(n, k, side, price, lots, x)
    totals(account, x)
    result = _borrowing(k, side, x)
    if result == t.ACCEPTED and sums[account, t.T_SMALLEST] < sums[account, t.T_IMR]:
        result = t.ACCEPTED_REDUCING if immediate else t.NO_MARGIN
    if result != t.ACCEPTED:
        result = _refuse(n, k, side, price, lots, result, x)
    return result


@njit(cache=True)
def book(n: int, k: int, side: int, price: int, lots: int, x: Ints) -> None:
    """Book order `n` on position row `k` without a check (liquidation orders, undo)."""
    add_order(n, k, side, price, lots, x)


@njit(cache=True)
def cancel(n: int, x: Ints) -> None:
    """Take order `n` out of the sums."""
    fetch(orders_of(x)[n, t.O_POSITION], x)
    remove_order(n, x)


@njit(cache=True)
def reduce(n: int, lots: int, x: Ints) -> None:
    """Order `n` keeps `lots` (fewer than before): an amend."""
    reduce_order(n, lots, x)


@njit(cache=True)
def _fill_side(
    n: int, filled: int, k: int, lots: int, cost: int, settle: int, base: int, x: Ints
) -> int:
    """One side of a fill; 1 if the order is used up (and out of the sums)."""
    p, o = positions_of(x), orders_of(x)
    done = 0
    if n != t.NONE and o[n, t.O_LOTS] == filled:
        done = 1
    if instruments_of(x)[p[k, t.P_INSTRUMENT], t.I_KIND] != t.SPOT:
        fill_derivative(n, filled, k, lots, cost, x)
    else:
        if done == 1:
            remove_order(n, x)
        elif n != t.NONE:
            reduce_order(n, o[n, t.O_LOTS] - filled, x)
        order_sums.set_cash(p[k, t.P_BASE], base, x)
    order_sums.set_cash(p[k, t.P_SETTLE], settle, x)
    return done


@njit(cache=True)
def fill(
    filled: int,
    n1: int,
    k1: int,
    lots1: int,
    cost1: int,
    settle1: int,
    base1: int,
    n2: int,
    k2: int,
    lots2: int,
    cost2: int,
    settle2: int,
    base2: int,
    x: Ints,
) -> int:
    """A fill of `filled` lots, both sides: order rows `n` (NONE: none) shrink; positions `k` have
    new lots and cost, and their settlement and base currencies (spot only) new net cash.

    Returns bit 1 if the first order is used up and out of the sums, bit 2 if the second is.
    """
    fetch(k1, x)
    fetch(k2, x)
    done = _fill_side(n1, filled, k1, lots1, cost1, settle1, base1, x)
    return done + 2 * _fill_side(n2, filled, k2, lots2, cost2, settle2, base2, x)


@njit(cache=True)
def set_holding(k: int, lots: int, cost: int, settle: int, x: Ints) -> None:
    """A derivative changed outside a fill: new lots, cost and settlement cash (delivery)."""
    p = positions_of(x)
    set_position(k, lots, cost, x)
    order_sums.set_cash(p[k, t.P_SETTLE], settle, x)
    touch(p[k, t.P_ACCOUNT], x)
