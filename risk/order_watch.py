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
from risk.kernels import borrow_rates_of
from risk.order_figures import bring_up_to_date
from risk.order_standing import HEALTHY, standing_of
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

LARGEST_RADIUS = 0.05  # beyond it the bound's second-order terms are no longer small
SECOND_ORDER = 1.2
_INITIAL = 1.5  # initial over maintenance margin, at most: 1.3 for units
_MINIMUM_CHARGE = 0.13  # dearest group and tier: 1 % x 12, rounded up
_PEG_RATE = 1.2  # a hedge is charged up to 40 %, and an amount may count in three pairs
_PEG_SLOPE = 6.0  # of the charge over the hedged value, in the price of a stablecoin
_PEG = 7.0  # both, which are never largest together
_ROUNDING = 2e-4  # of a margin, at most, from mark to mark: twice what 48 listed options gave


@njit(cache=True)
def radius_of(account: int, x: Ints) -> float:
    """How far all prices may move, relatively, before the account can cross a threshold.

    A move of delta changes adjusted equity and each margin by at most delta times their slopes, and
    a fifth more covers second-order terms up to the largest radius. Time is a price too
    (`Market.prices`): options and the basis charge of dated futures follow it. Where a figure may
    jump (open orders, an option at its end, a borrowing near a tier) the radius is 0: such accounts
    are always looked at. The figures are up to date.
    """
    equity, maintenance, initial, furthest = slopes_of(account, False, x)
    if furthest == 0.0 or equity == 0.0:
        return furthest
    slack = _slack(account, equity, maintenance, initial, x)
    if slack <= furthest or furthest == LARGEST_RADIUS:
        return min(slack, furthest)
    # Balances of nearly nothing change their sign with every price: let them.
    equity, maintenance, initial, further = slopes_of(account, True, x)
    slack = _slack(account, equity, maintenance, initial, x)
    return max(furthest, min(further, slack))


@njit(cache=True)
def slopes_of(account: int, crossing: bool, x: Ints) -> tuple[float, float, float, float]:
    """How fast an account's figures move, at most, and how far these slopes hold.

    crossing: whether balances may turn into debts, or back. Returns the slopes of adjusted equity,
    of maintenance margin with the fee, and of initial margin, USD per relative move of all prices,
    and the largest move, 0 where there is none. The slope of equity is the gross USD value of
    balances, perpetuals and futures, and of options as `option_slopes` says.
    """
    a, c, cs, u = accounts_of(x), currencies_of(x), currency_sums_of(x), units_of(x)
    if a[account, t.A_ORDERS] > 0 or a[account, t.A_MODE] != t.PORTFOLIO_MODE:
        return 0.0, 0.0, 0.0, 0.0
    gross, moving, margin, furthest = 0.0, 0.0, 0.0, LARGEST_RADIUS
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        cs[n, t.V_SLOPE] = 0.0
        gross += abs(cs[n, t.V_EQUITY])
        n = c[n, t.C_NEXT]
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        of_equity, of_margin, life = _unit_slopes(r, x)
        moving += of_equity
        margin += of_margin
        furthest = min(furthest, life)
        r = u[r, t.U_NEXT]
    gross += moving
    if gross == 0.0:
        return 0.0, 0.0, 0.0, furthest
    reach = 2.0 * LARGEST_RADIUS * gross if crossing else 0.0
    maintenance, initial, nearest = _debt_slopes(account, reach, x)
    maintenance += margin
    initial += _INITIAL * margin
    return gross, maintenance, initial, min(furthest, nearest / (2.0 * gross))


@njit(cache=True)
def _debt_slopes(account: int, reach: float, x: Ints) -> tuple[float, float, float]:
    """Slopes of maintenance margin with the fee, and of initial margin, of an account's borrowings;
    and the smallest change of a balance, USD, that these do not hold for.

    A debt is margined at the rate of its tier; it moves with its currency, and by what positions
    lose. reach: USD that a balance may change by, so that a smaller one counts as a debt of the
    first tier. 0: a balance must not become one.
    """
    a, c, cs, ct = accounts_of(x), currencies_of(x), currency_sums_of(x), currency_terms_of(x)
    loans, fee = loans_of(x), rules_of(x)[t.R_SPOT_FEE]
    maintenance, initial, nearest = 0.0, 0.0, np.inf
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        equity, slope = cs[n, t.V_EQUITY], cs[n, t.V_SLOPE]
        if equity < 0.0 or (slope > 0.0 and (equity == 0.0 or equity < reach)):
            currency = c[n, t.C_CURRENCY]
            usd = ct[currency, t.K_USD]
            owed = max(0.0, -equity / usd)
            change = usd * owed + slope
            rate, initial_rate = borrow_rates_of(loans, currency, owed)
            maintenance += change * (rate + (1.0 + rate) * fee)
            initial += change * initial_rate
            to_tier = usd * _to_next_tier(loans, currency, owed)
            nearest = min(nearest, to_tier + max(0.0, equity))
        elif slope > 0.0 and reach == 0.0:
            nearest = min(nearest, equity)
        n = c[n, t.C_NEXT]
    return maintenance, initial, nearest


@njit(cache=True)
def _unit_slopes(r: int, x: Ints) -> tuple[float, float, float]:
    """Slopes of the equity in the positions of a unit row and of their margin; the largest move."""
    u, us, ut = units_of(x), unit_sums_of(x), unit_terms_of(x)
    value, dated, options, life = _gross(r, x)
    if value == 0.0 and options == 0.0:
        known = us[r, 3 * x[t.X_WIDTH] + t.S_MMR] == 0.0
        return 0.0, 0.0, life if known else 0.0
    if ut[u[r, t.U_UNIT], at.U_BASIS_MODEL] != at.BUCKET_MODEL:
        return 0.0, 0.0, 0.0
    margin = value * _steepest(r, options > 0.0, x)
    if dated > 0.0:
        margin += dated * _dearest_basis(r, x)
    if options > 0.0:
        margin += _option_margin(r, x)
    # A hedge is at most half of the value, and grows by less than a fifth; deltas of options may
    # grow by more.
    may_jump = 0.6 * value > rules_of(x)[t.R_PEG_JUMP] or options > 0.0
    if may_jump and _spans_quotes(r, options > 0.0, x):
        life = min(life, rules_of(x)[t.R_PEG_REACH])
    return value + options, margin, life


@njit(cache=True)
def _slack(account: int, equity: float, maintenance: float, initial: float, x: Ints) -> float:
    """The smallest move that could take adjusted equity across a threshold, by their slopes.

    0 where the rounding of the stress rows, which is another at each mark, could do so as well.
    """
    sums, rules, nearest = account_sums_of(x), rules_of(x), np.inf
    required = sums[account, t.T_MMR] + sums[account, t.T_FEE]
    adjusted = sums[account, t.T_ADJUSTED]
    for rule in (t.R_WARNING, t.R_START):
        threshold = rules[rule] * required
        slack = max(0.0, abs(adjusted - threshold) - _ROUNDING * threshold)
        nearest = min(nearest, slack / (equity + rules[rule] * maintenance))
    control = rules[t.R_CONTROL]
    threshold = control * sums[account, t.T_IMR]
    slack = max(0.0, abs(adjusted - threshold) - _ROUNDING * threshold)
    nearest = min(nearest, slack / (equity + control * initial))
    return float(nearest / SECOND_ORDER)


@njit(cache=True)
def _largest_shock(unit: int, x: Ints) -> float:
    ut = unit_terms_of(x)
    largest = ut[unit, at.U_EXTREME_MOVE] * ut[unit, at.U_EXTREME_FACTOR]
    for s in range(at.SHOCKS):
        largest = max(largest, ut[unit, at.U_SHOCKS + s])
    return float(largest)


@njit(cache=True)
def _steepest(r: int, with_options: bool, x: Ints) -> float:
    """Change of a unit's margin over that of the gross value of its futures, at most.

    The largest shock and the basis charge, or the minimum charge at its dearest tier. Spot in use
    may follow the coin's balance and the delta at once, so it counts twice more. A peg hedge adds
    its dearest charge and the slope of the charge in the price of the stablecoin.
    """
    u, cs, ut = units_of(x), currency_sums_of(x), unit_terms_of(x)
    unit = u[r, t.U_UNIT]
    largest = _largest_shock(unit, x)
    if cs[u[r, t.U_BASE], t.V_EQUITY] != 0.0 or with_options:
        largest = 3.0 * largest + 2.0 * ut[unit, at.U_BASIS_SPOT_RATE]
    steepest = max(largest + ut[unit, at.U_BASIS_RATE], _MINIMUM_CHARGE)
    if _spans_quotes(r, with_options, x):
        steepest += _PEG
    return float(steepest)


@njit(cache=True)
def _option_margin(r: int, x: Ints) -> float:
    """Slope of what the options of a unit row add to its margin.

    Either the scenarios count: spot in use follows the delta of the unit or the coin's balance, not
    further than the delta goes, so it moves with the delta's slope, or with twice the futures'
    value, which `_steepest` counts; a peg hedge follows the delta too, which is below the slope of
    the value. Or the minimum charge: of a short option in proportion to the index, of a long one as
    its value at most, times the multiplier of the dearest tier within reach.
    """
    p, u, us, m = positions_of(x), units_of(x), unit_sums_of(x), terms_of(x)
    i, ut, unit = instruments_of(x), unit_terms_of(x), u[r, t.U_UNIT]
    margin, delta, value, charge = 0.0, 0.0, 0.0, 0.0
    k = u[r, t.U_FIRST]
    while k != t.NONE:
        instrument, lots = p[k, t.P_INSTRUMENT], p[k, t.P_LOTS]
        if lots != 0 and i[instrument, t.I_KIND] == t.OPTION:
            margin += abs(lots) * m[instrument, t.M_MARGIN_SLOPE]
            delta += abs(lots) * m[instrument, t.M_DELTA_SLOPE]
            value += abs(lots) * m[instrument, t.M_VALUE_SLOPE]
            short = m[instrument, t.M_MR7_SHORT]
            charge += abs(lots) * (
                max(short, m[instrument, t.M_VALUE_SLOPE]) if lots > 0 else short
            )
        k = p[k, t.P_NEXT]
    margin += delta * (_largest_shock(unit, x) + ut[unit, at.U_BASIS_SPOT_RATE])
    if _spans_quotes(r, True, x):
        margin += delta * _PEG_RATE + value * _PEG_SLOPE
    raw = us[r, 3 * x[t.X_WIDTH] + t.S_MR7]
    raw += LARGEST_RADIUS * SECOND_ORDER * (raw + charge)
    tier, last = 0, int(ut[unit, at.U_TIER_COUNT]) - 1
    dearest = ut[unit, at.U_TIERS + 1]
    while tier < last and raw > ut[unit, at.U_TIERS + 2 * tier]:
        tier += 1
        dearest = max(dearest, ut[unit, at.U_TIERS + 2 * tier + 1])
    return float(max(margin, dearest * charge))


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
def _gross(r: int, x: Ints) -> tuple[float, float, float, float]:
    """Sum of |USD value| of the perpetuals and futures in unit row `r`, and of the dated among
    them; slope of the equity in its options, and the largest move that their slopes hold for.

    Adds both to the slopes of the currencies that they settle in.
    """
    p, u, i, m = positions_of(x), units_of(x), instruments_of(x), terms_of(x)
    cs = currency_sums_of(x)
    gross, dated, options, life = 0.0, 0.0, 0.0, LARGEST_RADIUS
    k = u[r, t.U_FIRST]
    while k != t.NONE:
        instrument, lots = p[k, t.P_INSTRUMENT], p[k, t.P_LOTS]
        kind = i[instrument, t.I_KIND]
        if kind != t.OPTION:
            value = abs(lots) * m[instrument, t.M_USD]
            gross += value
            if kind == t.FUTURE:
                dated += value
            cs[p[k, t.P_SETTLE], t.V_SLOPE] += value
        elif lots != 0:
            slope = abs(lots) * m[instrument, t.M_EQUITY_SLOPE]
            options += slope
            life = min(life, m[instrument, t.M_LIFE])
            cs[p[k, t.P_SETTLE], t.V_SLOPE] += slope
        k = p[k, t.P_NEXT]
    return gross, dated, options, life


@njit(cache=True)
def _spans_quotes(r: int, with_options: bool, x: Ints) -> bool:
    """Whether unit row `r` holds contracts of more than one quote (MR9); options count as USD."""
    us, first = unit_sums_of(x), x[t.X_FULL_WIDTH] - x[t.X_WIDTH]
    quotes = 0
    for column in (at.CASH_USDT, at.CASH_USDC, at.CASH_USD):
        if us[r, column - first] != 0.0 or (with_options and column == at.CASH_USD):
            quotes += 1
    return quotes > 1


@njit(cache=True)
def _to_next_tier(tiers: Floats, currency: int, owed: float) -> float:
    """Coins between a borrowing and the nearest bound of its tier; a debt of 0 is no bound."""
    last = tiers.shape[1] - 1
    nearest = np.inf
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

    moved: float64 (prices,), the relative moves since the account's anchor (`Market.prices`).
    """
    p, u, c, a = positions_of(x), units_of(x), currencies_of(x), accounts_of(x)
    i, marks, clock = instruments_of(x), x[t.X_CURRENCY_COUNT], moved[moved.size - 1]
    count = x[t.X_INSTRUMENT_COUNT]
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
            kind, price = i[instrument, t.I_KIND], marks + instrument
            if p[k, t.P_LOTS] != 0 and (
                moved[price] >= radius
                or moved[price + count] >= radius
                or (kind >= t.FUTURE and clock >= radius)
                or (kind == t.OPTION and moved[price + 2 * count] >= radius)
                or (kind == t.OPTION and moved[price + 3 * count] >= radius)
            ):
                return False
            k = p[k, t.P_NEXT]
        r = u[r, t.U_NEXT]
    return True


@njit(cache=True)
def _new_anchor(count: int, anchor_prices: Floats, counts: Ints, prices: Floats, x: Ints) -> int:
    """Choose the anchor of a new mark: one that no account uses, or the least used, whose accounts
    have no radius then."""
    chosen = int(np.argmin(counts))
    if counts[chosen] > 0:
        radii, anchors = radii_of(x), anchors_of(x)
        for account in range(count):
            if anchors[account] == chosen:
                radii[account] = 0.0
    anchor_prices[chosen] = prices
    return chosen


@njit(cache=True)
def _measure(anchor_prices: Floats, counts: Ints, prices: Floats, moved: Floats) -> None:
    """Relative move of every price since every anchor in use; see `watch`."""
    for anchor in range(counts.size):
        largest = 0.0
        if counts[anchor] > 0:
            for price in range(prices.size):
                before, now = anchor_prices[anchor, price], prices[price]
                move = abs(now / before - 1.0) if before > 0.0 else 0.0
                moved[anchor, 1 + price] = move
                largest = max(largest, move)
        moved[anchor, 0] = largest


@njit(cache=True)
def watch(
    count: int,
    anchor: int,
    anchor_prices: Floats,
    counts: Ints,
    prices: Floats,
    moved: Floats,
    looked: Ints,
    weak: Ints,
    x: Ints,
) -> tuple[int, int, int]:
    """Bring every account up to date that this mark may have moved across a threshold.

    anchor: the one that stands for the present mark, NONE where a new mark has none yet; returned.
    anchor_prices: float64 (anchors, prices); counts: int64 (anchors,), accounts on each; prices:
    of now; moved: float64 (anchors, 1 + prices), written: the largest move since each anchor, then
    one per price. looked, weak: int64 (accounts,), written: the numbers of the accounts that were
    looked at, ascending, and of those among them that are beyond a threshold; returns how many of
    each. The others keep figures of an earlier mark; their standing is the same. O(accounts), 1 ns
    each, plus the figures of those looked at.
    """
    here = _new_anchor(count, anchor_prices, counts, prices, x) if anchor == t.NONE else anchor
    _measure(anchor_prices, counts, prices, moved)
    radii, anchors = radii_of(x), anchors_of(x)
    found, beyond = 0, 0
    for account in range(count):
        radius, known = radii[account], anchors[account]
        if radius > moved[known, 0]:
            continue
        if radius > 0.0 and _stays(account, radius, moved[known, 1:], x):
            continue
        bring_up_to_date(account, x)
        radii[account] = radius_of(account, x)
        counts[known] -= 1
        anchors[account] = here
        counts[here] += 1
        looked[found] = account
        found += 1
        if standing_of(account, x) != HEALTHY:
            weak[beyond] = account
            beyond += 1
    return here, found, beyond


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
