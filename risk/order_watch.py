"""Which accounts a new mark may have moved across a threshold.

Each account keeps a radius: how far all prices may move, relatively, before it can cross a
threshold of risk control; and an anchor, the prices from which that is measured. A mark compares
one number per account, and works out the figures of those few that it may have moved too far. x is
described in `order_views`. Checked against the full pass in tests/properties.

Source: design.md section 5 (marks); liquidation-and-losses.md section 1.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t
from risk.order_figures import bring_up_to_date
from risk.order_views import (
    account_sums_of,
    accounts_of,
    anchors_of,
    currencies_of,
    currency_sums_of,
    currency_terms_of,
    instruments_of,
    loans_of,
    positions_of,
    radii_of,
    rules_of,
    terms_of,
    unit_sums_of,
    unit_terms_of,
    units_of,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CAP = 0.05  # beyond a move of 5 % the bound's second-order terms are no longer small
_SECOND_ORDER = 1.2
_INITIAL = 1.5  # initial over maintenance margin, at most: 1.3 for units
_MINIMUM_CHARGE = 0.13  # dearest group and tier: 1 % x 12, rounded up
_DEBT = 1.0  # margin and fee of a borrowing over its value
_PEG = 7.0  # 40 %, and up to 6 times the hedged value per unit of a stablecoin's price


@njit(cache=True)
def radius_of(account: int, x: Ints) -> float:
    """How far all prices may move, relatively, before the account can cross a threshold.

    A move of delta changes adjusted equity by at most delta x the gross USD value of positions and
    balances, and each margin by at most delta x its sensitivity; a fifth more covers second-order
    terms up to the cap. Time is a price too (`Market.prices`): the basis charge of dated futures
    follows it. Where a figure may jump (open orders, options, a borrowing near a tier) the radius
    is 0: such accounts are always looked at. The figures are up to date.
    """
    u, us, c, cs = units_of(x), unit_sums_of(x), currencies_of(x), currency_sums_of(x)
    a, ut, ct, loans = accounts_of(x), unit_terms_of(x), currency_terms_of(x), loans_of(x)
    if a[account, t.A_ORDERS] > 0 or a[account, t.A_MODE] != t.PORTFOLIO_MODE:
        return 0.0
    gross, sensitivity = 0.0, 0.0
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        value, dated = _gross(r, x)
        if value != 0.0:
            if value < 0.0 or ut[u[r, t.U_UNIT], at.U_BASIS_MODEL] != at.BUCKET_MODEL:
                return 0.0
            sensitivity += value * _steepest(r, x)
            if dated > 0.0:
                sensitivity += dated * _dearest_basis(r, x)
            gross += value
        elif us[r, 3 * x[t.X_WIDTH] + t.S_MMR] != 0.0:
            return 0.0
        r = u[r, t.U_NEXT]
    nearest = np.inf
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        currency, equity = c[n, t.C_CURRENCY], cs[n, t.V_EQUITY]
        usd = ct[currency, t.K_USD]
        gross += abs(equity)
        if equity < 0.0:
            nearest = min(nearest, usd * _to_next_tier(loans, currency, -equity / usd))
            sensitivity -= equity * _DEBT
        if equity != 0.0:
            nearest = min(nearest, abs(equity))  # a balance that turns into a debt, or back
        n = c[n, t.C_NEXT]
    if gross == 0.0:
        return _CAP
    return float(min(_CAP, _slack(account, gross, sensitivity, x), nearest / (2.0 * gross)))


@njit(cache=True)
def _slack(account: int, gross: float, sensitivity: float, x: Ints) -> float:
    """The smallest move that could take adjusted equity across a threshold."""
    sums, rules, nearest = account_sums_of(x), rules_of(x), np.inf
    required = sums[account, t.T_MMR] + sums[account, t.T_FEE]
    adjusted = sums[account, t.T_ADJUSTED]
    for rule in (t.R_WARNING, t.R_START):
        slack = abs(adjusted - rules[rule] * required)
        nearest = min(nearest, slack / (gross + rules[rule] * sensitivity))
    slack = abs(adjusted - rules[t.R_CONTROL] * sums[account, t.T_IMR])
    nearest = min(nearest, slack / (gross + rules[t.R_CONTROL] * _INITIAL * sensitivity))
    return float(nearest / _SECOND_ORDER)


@njit(cache=True)
def _steepest(r: int, x: Ints) -> float:
    """Change of a unit's margin over that of its gross value, at most.

    The largest shock and the basis charge, or the minimum charge at its dearest tier. Spot in use
    may follow the coin's balance and the delta at once, so it counts twice more. A peg hedge adds
    its dearest charge and the slope of the charge in the price of the stablecoin.
    """
    u, cs, ut = units_of(x), currency_sums_of(x), unit_terms_of(x)
    unit = u[r, t.U_UNIT]
    largest = ut[unit, at.U_EXTREME_MOVE] * ut[unit, at.U_EXTREME_FACTOR]
    for s in range(at.SHOCKS):
        largest = max(largest, ut[unit, at.U_SHOCKS + s])
    if cs[u[r, t.U_BASE], t.V_EQUITY] != 0.0:
        largest *= 3.0
    steepest = max(largest + ut[unit, at.U_BASIS_RATE], _MINIMUM_CHARGE)
    if _spans_quotes(r, x):
        steepest += _PEG
    return float(steepest)


@njit(cache=True)
def _dearest_basis(r: int, x: Ints) -> float:
    """Basis charge of dated futures of a unit over their value, at most, and its change in a year.

    Source: portfolio-margin.md 16.7: the rate of an expiry is proportional to its days.
    """
    u, ut = units_of(x), unit_terms_of(x)
    unit = u[r, t.U_UNIT]
    dearest, expiry = 0.0, int(ut[unit, at.U_EXPIRY_FROM])
    for e in range(int(ut[unit, at.U_EXPIRY_COUNT])):
        dearest = max(dearest, ut[unit, expiry + at.PER_EXPIRY * e + at.EXPIRY_RATE])
    return float(dearest + ut[unit, at.U_BASIS_ANNUAL])


@njit(cache=True)
def _gross(r: int, x: Ints) -> tuple[float, float]:
    """Sum of |USD value| of the positions in unit row `r`, and of the dated futures among them; -1
    where one of them is an option."""
    p, u, i, m = positions_of(x), units_of(x), instruments_of(x), terms_of(x)
    gross, dated = 0.0, 0.0
    k = u[r, t.U_FIRST]
    while k != t.NONE:
        instrument, lots = p[k, t.P_INSTRUMENT], p[k, t.P_LOTS]
        kind, value = i[instrument, t.I_KIND], abs(lots) * m[instrument, t.M_USD]
        if lots != 0 and kind == t.OPTION:
            return -1.0, 0.0
        gross += value
        if kind == t.FUTURE:
            dated += value
        k = p[k, t.P_NEXT]
    return gross, dated


@njit(cache=True)
def _spans_quotes(r: int, x: Ints) -> bool:
    """Whether unit row `r` holds contracts of more than one quote (MR9)."""
    us, first = unit_sums_of(x), x[t.X_FULL_WIDTH] - x[t.X_WIDTH]
    quotes = 0
    for column in (at.CASH_USDT, at.CASH_USDC, at.CASH_USD):
        if us[r, column - first] != 0.0:
            quotes += 1
    return quotes > 1


@njit(cache=True)
def _to_next_tier(tiers: Floats, currency: int, owed: float) -> float:
    """Coins between a borrowing and the nearest bound of its tier."""
    last = tiers.shape[1] - 1
    nearest = owed
    for row in range(1, last + 1):
        nearest = min(nearest, abs(tiers[currency, row, at.BORROW_UPPER] - owed))
    if owed > tiers[currency, last, at.BORROW_UPPER]:
        step = tiers[currency, 0, at.BORROW_UPPER]
        beyond = (owed - tiers[currency, last, at.BORROW_UPPER]) % step
        nearest = min(nearest, min(beyond, step - beyond))
    return nearest


@njit(cache=True)
def _stays(account: int, radius: float, moved: Floats, x: Ints) -> bool:
    """Whether no price that the account depends on has moved by its radius or more.

    moved: float64 (prices,), the relative moves since the account's anchor, that of time last.
    """
    p, u, c, a = positions_of(x), units_of(x), currencies_of(x), accounts_of(x)
    i, marks, clock = instruments_of(x), x[t.X_CURRENCY_COUNT], moved[moved.size - 1]
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        if moved[c[n, t.C_CURRENCY]] >= radius:
            return False
        n = c[n, t.C_NEXT]
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        k = u[r, t.U_FIRST]
        while k != t.NONE:
            instrument = p[k, t.P_INSTRUMENT]
            if p[k, t.P_LOTS] != 0 and (
                moved[marks + instrument] >= radius
                or moved[marks + x[t.X_INSTRUMENT_COUNT] + instrument] >= radius
                or (i[instrument, t.I_KIND] == t.FUTURE and clock >= radius)
            ):
                return False
            k = p[k, t.P_NEXT]
        r = u[r, t.U_NEXT]
    return True


@njit(cache=True)
def measure(anchor_prices: Floats, counts: Ints, prices: Floats, moved: Floats) -> None:
    """Relative move of every price since every anchor in use.

    anchor_prices: float64 (anchors, prices); counts: accounts on each anchor; prices: of now;
    moved: float64 (anchors, 1 + prices), written: the largest move, then one per price.
    """
    for anchor in range(counts.size):
        largest = 0.0
        if counts[anchor] > 0:
            for price in range(prices.size):
                before, now = anchor_prices[anchor, price], prices[price]
                move = abs(now / before - 1.0) if before > 0.0 else 0.0
                moved[anchor, 1 + price] = move
                largest = max(largest, move)
        moved[anchor, 0] = largest


@njit(cache=True, forceinline=True)
def _is_weak(account: int, x: Ints) -> bool:
    """Whether an account is beyond any threshold of risk control. Its figures are up to date."""
    sums, rules = account_sums_of(x), rules_of(x)
    ratio = sums[account, t.T_RATIO]
    control = rules[t.R_CONTROL] * sums[account, t.T_IMR]
    return bool(
        ratio <= rules[t.R_WARNING]
        or ratio <= rules[t.R_START]
        or sums[account, t.T_ADJUSTED] < control
    )


@njit(cache=True)
def watch(
    count: int, here: int, moved: Floats, counts: Ints, looked: Ints, weak: Ints, x: Ints
) -> tuple[int, int]:
    """Bring every account up to date that this mark may have moved across a threshold.

    here: the anchor that stands for the present mark. looked, weak: int64 (accounts,), written: the
    numbers of the accounts that were looked at, ascending, and of those among them that are beyond
    a threshold; returns how many of each. The others keep figures of an earlier mark; their
    standing is the same. O(accounts), 1 ns each, plus the figures of those looked at.
    """
    radii, anchors = radii_of(x), anchors_of(x)
    found, beyond = 0, 0
    for account in range(count):
        radius, anchor = radii[account], anchors[account]
        if radius > moved[anchor, 0]:
            continue
        if radius > 0.0 and _stays(account, radius, moved[anchor, 1:], x):
            continue
        bring_up_to_date(account, x)
        radii[account] = radius_of(account, x)
        counts[anchor] -= 1
        anchors[account] = here
        counts[here] += 1
        looked[found] = account
        found += 1
        if _is_weak(account, x):
            weak[beyond] = account
            beyond += 1
    return found, beyond


@njit(cache=True)
def over_borrow_limit(looked: Ints, over: Ints, x: Ints) -> int:
    """Which of `looked` have open orders whose fills would borrow beyond a limit.

    over: int64 (accounts,), written in the order of `looked`; returns how many. The figures are
    those that were last worked out. O(looked + currencies of those with orders). Source: 10.3.
    """
    a, c, cs, ct = accounts_of(x), currencies_of(x), currency_sums_of(x), currency_terms_of(x)
    found = 0
    for account in looked:
        if a[account, t.A_ORDERS] == 0:
            continue
        n = a[account, t.A_CURRENCY]
        while n != t.NONE:
            if cs[n, t.V_LIABILITY] > ct[c[n, t.C_CURRENCY], t.K_BORROW_LIMIT]:
                over[found] = account
                found += 1
                break
            n = c[n, t.C_NEXT]
    return found
