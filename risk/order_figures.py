"""The margin figures of one account, from the sums that `order_sums` keeps.

Only units and currencies marked dirty are worked out anew, in a fixed order, so that the figures
do not depend on which ones were. x is described in `order_views`. Plain twin:
tests/oracles/plain_margin.py.

Source: portfolio-margin.md sections 4.3, 16.3, 16.12 to 16.15.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t
from risk.kernels import borrow_rates_of, discounted_value_of, spot_in_use, unit_margin_of
from risk.order_modes import position_margins, weakest_currency
from risk.order_sums import rebuild
from risk.order_views import (
    account_sums_of,
    accounts_of,
    currencies_of,
    currency_sums_of,
    currency_terms_of,
    discounts_of,
    loans_of,
    margins_of,
    rules_of,
    unit_sums_of,
    unit_terms_of,
    units_of,
    vector_of,
)

Ints = NDArray[np.int64]


@njit(cache=True)
def _unit(r: int, x: Ints) -> None:
    """Margin of unit row `r`: MMR of the positions, IMR over the four fill sets.  Source: 16.12."""
    u, us, c, cs = units_of(x), unit_sums_of(x), currencies_of(x), currency_sums_of(x)
    ct, ut, vector, margins = currency_terms_of(x), unit_terms_of(x), vector_of(x), margins_of(x)
    unit, base, width = u[r, t.U_UNIT], u[r, t.U_BASE], x[t.X_WIDTH]
    extra, first, skipped = 3 * width, u[r, t.U_FROM], x[t.X_FULL_WIDTH] - width
    scale, usd = ct[c[base, t.C_CURRENCY], t.K_SCALE], ct[c[base, t.C_CURRENCY], t.K_USD]
    held = c[base, t.C_CASH] + c[base, t.C_FUTURES]
    largest = 0.0
    for s in range(4):
        buys, sells = s == 1 or s == 3, s >= 2
        if (buys and u[r, t.U_BUYS] == 0) or (sells and u[r, t.U_SELLS] == 0):
            continue  # the same as a set without them
        coins = held
        for j in range(first, width):
            vector[skipped + j] = us[r, j]
        if buys:
            coins += c[base, t.C_UNIT_BUYS]
            for j in range(first, width):
                vector[skipped + j] += us[r, width + j]
        if sells:
            coins += c[base, t.C_UNIT_SELLS]
            for j in range(first, width):
                vector[skipped + j] += us[r, 2 * width + j]
        use = spot_in_use(vector[at.COIN_DELTA], coins * scale, cs[base, t.V_CAP])
        use *= ut[unit, at.U_TAKES_SPOT]
        unit_margin_of(vector, us[r, extra + t.S_MR7 + s], use, usd, ut, unit, margins)
        mmr = margins[at.OUT_MMR]
        if s == 0:
            us[r, extra + t.S_MMR] = mmr
            us[r, extra + t.S_USE] = use
        largest = max(largest, mmr)
    us[r, extra + t.S_IMR] = ut[unit, at.U_INITIAL_FACTOR] * largest
    u[r, t.U_DIRTY] = 0


@njit(cache=True)
def _currency(n: int, x: Ints) -> None:
    """Discounted value in each fill set, potential borrowing and its margin.

    Source: 4.3, 16.13, 16.15.
    """
    c, cs, ct = currencies_of(x), currency_sums_of(x), currency_terms_of(x)
    discounts, loans, fee_rate = discounts_of(x), loans_of(x), rules_of(x)[t.R_SPOT_FEE]
    currency = c[n, t.C_CURRENCY]
    usd, scale = ct[currency, t.K_USD], ct[currency, t.K_SCALE]
    equity = c[n, t.C_CASH] + c[n, t.C_FUTURES] + c[n, t.C_OPTIONS]
    buys = c[n, t.C_SPOT_BUYS] - c[n, t.C_LOSS_BUYS]
    sells = c[n, t.C_SPOT_SELLS] - c[n, t.C_LOSS_SELLS]
    owed = 0.0
    for s in range(4):
        atoms = equity
        if s == 1 or s == 3:
            atoms += buys
        if s >= 2:
            atoms += sells
        coins = atoms * scale
        cs[n, t.V_DISCOUNTED + s] = discounted_value_of(discounts, currency, coins) * usd
        owed = max(owed, -coins)
    coins = equity * scale
    liability = max(0.0, -coins)
    rate = 0.0
    cs[n, t.V_BORROW_MMR] = 0.0
    if liability > 0.0:
        rate = borrow_rates_of(loans, currency, liability)[0]
        cs[n, t.V_BORROW_MMR] = liability * usd * rate
    cs[n, t.V_FEE] = liability * usd * (1.0 + rate) * fee_rate
    cs[n, t.V_BORROW_IMR] = 0.0
    if owed > 0.0:
        cs[n, t.V_BORROW_IMR] = owed * usd * borrow_rates_of(loans, currency, owed)[1]
    cs[n, t.V_LIABILITY] = owed
    cs[n, t.V_EQUITY] = coins * usd
    c[n, t.C_DIRTY] = 0


@njit(cache=True, forceinline=True)
def _units(account: int, x: Ints) -> tuple[float, float]:
    """Maintenance and initial margin of all risk units of an account."""
    u, us, extra = units_of(x), unit_sums_of(x), 3 * x[t.X_WIDTH]
    maintenance, initial = 0.0, 0.0
    r = accounts_of(x)[account, t.A_UNIT]
    while r != t.NONE:
        if u[r, t.U_DIRTY] == 1:
            _unit(r, x)
        maintenance += us[r, extra + t.S_MMR]
        initial += us[r, extra + t.S_IMR]
        r = u[r, t.U_NEXT]
    return maintenance, initial


@njit(cache=True)
def totals(account: int, x: Ints) -> None:
    """Recompute the dirty units and currencies of `account` and sum all of them, in a fixed
    order."""
    c, cs, a = currencies_of(x), currency_sums_of(x), accounts_of(x)
    sums, ct, mode = account_sums_of(x), currency_terms_of(x), a[account, t.A_MODE]
    if mode == t.PORTFOLIO_MODE:
        derivatives, initial = _units(account, x)
    else:
        derivatives, initial = position_margins(account, t.NONE, x)
    none, buys, sells, every = 0.0, 0.0, 0.0, 0.0
    borrow_mmr, borrow_imr, fee, equity, losses = 0.0, 0.0, 0.0, 0.0, 0.0
    order_fees = 0
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        if c[n, t.C_DIRTY] == 1:
            _currency(n, x)
        none += cs[n, t.V_DISCOUNTED]
        buys += cs[n, t.V_DISCOUNTED + 1]
        sells += cs[n, t.V_DISCOUNTED + 2]
        every += cs[n, t.V_DISCOUNTED + 3]
        borrow_mmr += cs[n, t.V_BORROW_MMR]
        borrow_imr += cs[n, t.V_BORROW_IMR]
        fee += cs[n, t.V_FEE]
        equity += cs[n, t.V_EQUITY]
        loss = c[n, t.C_LOSS_BUYS] + c[n, t.C_LOSS_SELLS] + c[n, t.C_LOSS_SPOT]
        order_fees += c[n, t.C_FEE_BUYS] + c[n, t.C_FEE_SELLS]
        currency = c[n, t.C_CURRENCY]
        losses += loss * ct[currency, t.K_SCALE] * ct[currency, t.K_USD]
        n = c[n, t.C_NEXT]
    pending = losses + order_fees * 1e-8
    adjusted, maintenance = none - pending, derivatives + borrow_mmr
    sums[account, t.T_ADJUSTED] = adjusted
    sums[account, t.T_SMALLEST] = min(min(none, buys), min(sells, every)) - pending
    sums[account, t.T_MMR] = maintenance
    sums[account, t.T_IMR] = initial + borrow_imr
    sums[account, t.T_COVERING], sums[account, t.T_COVERED] = adjusted, initial + borrow_imr
    sums[account, t.T_EQUITY] = equity
    sums[account, t.T_BORROW_MMR] = borrow_mmr
    sums[account, t.T_FEE] = fee
    required = maintenance + fee
    sums[account, t.T_RATIO] = adjusted / required if required > 0.0 else np.inf
    if mode == t.SINGLE_CURRENCY_MODE:
        weakest_currency(account, x)


@njit(cache=True)
def bring_up_to_date(account: int, x: Ints) -> None:
    """The figures of one account at the present mark: a rebuild only if the mark is new."""
    if accounts_of(x)[account, t.A_VERSION] != np.int64(rules_of(x)[t.R_VERSION]):
        rebuild(account, x)
    totals(account, x)
