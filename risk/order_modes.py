"""The figures of accounts outside portfolio margin: position by position, by tiers of their size.

Multi-currency mode adds the margins of all positions and sets them against the whole account's
adjusted equity; single-currency mode (spot and futures) sets the margin of each settlement
currency against the equity in that currency alone, and the weakest one stands for the account. x is
described in `order_views`. Unrounded twin: risk.multi_currency.

Source: portfolio-margin.md sections 2.1, 11.8, 16.18.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.order_views import (
    account_sums_of,
    accounts_of,
    currencies_of,
    currency_terms_of,
    instruments_of,
    positions_of,
    rules_of,
    terms_of,
    unit_sums_of,
    units_of,
)

Ints = NDArray[np.int64]


@njit(cache=True)
def _margin(k: int, lots: int, x: Ints) -> tuple[float, float]:
    """Maintenance and initial margin of `lots` of position row `k`, USD.

    The tier that the notional reaches applies to all of it; long options have none.
    """
    p, i, m = positions_of(x), instruments_of(x), terms_of(x)
    instrument = p[k, t.P_INSTRUMENT]
    if i[instrument, t.I_KIND] == t.OPTION:
        short, rates = float(max(0, -lots)), m[instrument]
        return short * rates[t.M_SHORT_MAINTENANCE], short * rates[t.M_SHORT_INITIAL]
    notional = abs(lots) * m[instrument, t.M_NOTIONAL]
    tier = max(1, math.ceil(min(notional / m[instrument, t.M_TIER], 1e15)))
    rate = m[instrument, t.M_TIER_RATE] + (tier - 1) * m[instrument, t.M_TIER_STEP]
    initial = max(1e6 / p[k, t.P_LEVERAGE], rules_of(x)[t.R_INITIAL_FACTOR] * rate)
    return notional * rate, notional * initial


@njit(cache=True)
def position_margins(account: int, settle: int, x: Ints) -> tuple[float, float]:
    """Maintenance margin of an account's positions, and initial margin with its open orders.

    settle: only those settled in this currency row; NONE for all, and then each unit row is told
    its part, for whoever asks which unit is the largest. The initial margin of each position is the
    largest over the four fill sets. O(positions).
    """
    p, u, us, i = positions_of(x), units_of(x), unit_sums_of(x), instruments_of(x)
    maintenance, initial, extra = 0.0, 0.0, 3 * x[t.X_WIDTH]
    r = accounts_of(x)[account, t.A_UNIT]
    while r != t.NONE:
        unit_maintenance, unit_initial = 0.0, 0.0
        k = u[r, t.U_FIRST]
        while k != t.NONE:
            spot = i[p[k, t.P_INSTRUMENT], t.I_KIND] == t.SPOT
            if not spot and (settle == t.NONE or p[k, t.P_SETTLE] == settle):
                lots = p[k, t.P_LOTS]
                held, largest = _margin(k, lots, x)
                unit_maintenance += held
                for size in (
                    lots + p[k, t.P_BUY],
                    lots - p[k, t.P_SELL],
                    lots + p[k, t.P_BUY] - p[k, t.P_SELL],
                ):
                    largest = max(largest, _margin(k, size, x)[1])
                unit_initial += largest
            k = p[k, t.P_NEXT]
        if settle == t.NONE:
            us[r, extra + t.S_MMR], us[r, extra + t.S_IMR] = unit_maintenance, unit_initial
            us[r, extra + t.S_USE] = 0.0
            u[r, t.U_DIRTY] = 1  # of no use in portfolio mode
        maintenance += unit_maintenance
        initial += unit_initial
        r = u[r, t.U_NEXT]
    return maintenance, initial


@njit(cache=True)
def _alone(account: int, n: int, x: Ints) -> tuple[float, float, float, float]:
    """Of currency row `n` for itself, USD: maintenance and initial margin of what is settled in it,
    its equity, and the smallest equity in the four fill sets.

    It counts in full, less its own orders' losses and fees; nothing is borrowed.
    """
    c, ct = currencies_of(x), currency_terms_of(x)
    maintenance, initial = position_margins(account, n, x)
    usd = ct[c[n, t.C_CURRENCY], t.K_USD] * ct[c[n, t.C_CURRENCY], t.K_SCALE]
    held = c[n, t.C_CASH] + c[n, t.C_FUTURES] + c[n, t.C_OPTIONS]
    buys = c[n, t.C_SPOT_BUYS] - c[n, t.C_LOSS_BUYS]
    sells = c[n, t.C_SPOT_SELLS] - c[n, t.C_LOSS_SELLS]
    losses = c[n, t.C_LOSS_BUYS] + c[n, t.C_LOSS_SELLS] + c[n, t.C_LOSS_SPOT]
    pending = losses * usd + (c[n, t.C_FEE_BUYS] + c[n, t.C_FEE_SELLS]) * 1e-8
    smallest = (held + min(0, buys, sells, buys + sells)) * usd - pending
    return maintenance, initial, held * usd - pending, smallest


@njit(cache=True)
def weakest_currency(account: int, x: Ints) -> None:
    """Single-currency mode: let the currency with the least equity over margin stand for all.

    Each comparison is made by one currency: the ratio by that of the lowest, the check of an order
    by that of the least equity over initial margin in any fill set, order control by that of which
    equity covers the smallest part of the initial margin.
    """
    sums = account_sums_of(x)
    ratio, headroom, least = np.inf, np.inf, np.inf
    n = accounts_of(x)[account, t.A_CURRENCY]
    while n != t.NONE:
        maintenance, initial, equity, smallest = _alone(account, n, x)
        if initial > 0.0:
            if smallest - initial < headroom:
                headroom = smallest - initial
                sums[account, t.T_SMALLEST], sums[account, t.T_IMR] = smallest, initial
            if equity / initial < least:
                least = equity / initial
                sums[account, t.T_COVERING], sums[account, t.T_COVERED] = equity, initial
            this = equity / maintenance if maintenance > 0.0 else np.inf
            if this < ratio:
                ratio = this
                sums[account, t.T_RATIO], sums[account, t.T_MMR] = this, maintenance
                sums[account, t.T_ADJUSTED] = equity
                sums[account, t.T_BORROW_MMR] = sums[account, t.T_FEE] = 0.0
        n = currencies_of(x)[n, t.C_NEXT]


@njit(cache=True)
def left_over(account: int, k: int, x: Ints) -> tuple[float, float]:
    """Single-currency mode: equity less initial margin of the currencies that a fill on position
    row `k` changes, its settlement currency and, for spot, its base; inf where nothing needs any.
    """
    p, i = positions_of(x), instruments_of(x)
    _, initial, equity, _ = _alone(account, p[k, t.P_SETTLE], x)
    first = equity - initial if initial > 0.0 else np.inf
    if i[p[k, t.P_INSTRUMENT], t.I_KIND] != t.SPOT:
        return first, np.inf
    _, initial, equity, _ = _alone(account, p[k, t.P_BASE], x)
    return first, equity - initial if initial > 0.0 else np.inf
