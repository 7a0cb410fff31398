"""The incremental order check: margin of one account, kept current order by order.

`place` answers rule 16.17 for one new order in O(columns + units + currencies of the account),
whatever the number of its positions and orders; `refresh` rebuilds an account after a mark in
O(positions + orders). Both end in the same `_totals`, and every sum that is kept incrementally is a sum
of integers or of stress rows that were rounded so that sums are exact in any order (design.md section 3):
the incremental figures equal a rebuild bit for bit. Plain twin: tests/oracles/plain_margin.py.

Tables and columns are those of `order_tables`. Kernels take them in one order, named
p (positions), o (orders), u (units), us (unit_sums), c (currencies), cs (currency_sums),
a (accounts), as_ (account_sums), i (instruments), m (instrument_terms), stress, ut (unit_terms),
ct (currency_terms), w (scratch, float64 (6, columns)).

Source: portfolio-margin.md sections 9.6, 9.7, 16.3, 16.12 to 16.17.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from risk import layout as at
from risk import order_tables as t
from risk.kernels import borrow_rates, discounted_value, spot_in_use, unit_margin


@njit(cache=True)
def _mr7(p, k, i, m, us, r, width, sign):
    """Add (`sign` +1) or remove (-1) the raw MR7 of position row `k` in the four fill sets."""
    instrument = p[k, t.P_INSTRUMENT]
    if i[instrument, t.I_KIND] == t.SPOT:
        return
    lots = p[k, t.P_LOTS]
    if i[instrument, t.I_DELTA_SIGN] > 0:
        buys, sells = p[k, t.P_BUY], -p[k, t.P_SELL]
    else:
        buys, sells = -p[k, t.P_SELL], p[k, t.P_BUY]
    long_rate, short_rate = m[instrument, t.M_MR7_LONG], m[instrument, t.M_MR7_SHORT]
    base = 3 * width + t.S_MR7
    for s in range(4):
        size = lots
        if s == 1 or s == 3:
            size += buys
        if s >= 2:
            size += sells
        rate = long_rate if size >= 0 else short_rate
        us[r, base + s] += sign * abs(size) * rate


@njit(cache=True)
def _order_terms(o, n, p, i, m):
    """Pending loss, fee and quote value of order `n`, against the current mark (16.14)."""
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


@njit(cache=True)
def _book_order(sign, n, p, o, u, us, c, a, i, m, stress, width):
    """Add (+1) or remove (-1) the effects of order `n` on the sums of its account."""
    k = o[n, t.O_POSITION]
    instrument, r = p[k, t.P_INSTRUMENT], p[k, t.P_UNIT]
    lots, side = o[n, t.O_LOTS], o[n, t.O_SIDE]
    settle = p[k, t.P_SETTLE]
    account = p[k, t.P_ACCOUNT]
    a[account, t.A_FEE] += sign * o[n, t.O_FEE]
    loss = sign * o[n, t.O_LOSS]
    c[settle, t.C_DIRTY] = 1
    if i[instrument, t.I_KIND] == t.SPOT:
        base = p[k, t.P_BASE]
        coins = sign * lots * i[instrument, t.I_BASE_ATOMS]
        quote = sign * o[n, t.O_QUOTE]
        c[settle, t.C_LOSS_SPOT] += loss
        c[base, t.C_DIRTY] = 1
        u[r, t.U_DIRTY] = 1
        if side > 0:
            p[k, t.P_BUY] += sign * lots
            c[base, t.C_SPOT_BUYS] += coins
            c[settle, t.C_SPOT_BUYS] -= quote
            if i[instrument, t.I_OFFSETS] == 1:
                c[base, t.C_UNIT_BUYS] += coins
        else:
            p[k, t.P_SELL] += sign * lots
            c[base, t.C_SPOT_SELLS] -= coins
            c[settle, t.C_SPOT_SELLS] += quote
            if i[instrument, t.I_OFFSETS] == 1:
                c[base, t.C_UNIT_SELLS] -= coins
        return
    _mr7(p, k, i, m, us, r, width, -1.0)
    if side > 0:
        p[k, t.P_BUY] += sign * lots
    else:
        p[k, t.P_SELL] += sign * lots
    _mr7(p, k, i, m, us, r, width, 1.0)
    signed = np.float64(sign * side * lots)
    if side * i[instrument, t.I_DELTA_SIGN] > 0:
        offset = width
        c[settle, t.C_LOSS_BUYS] += loss
    else:
        offset = 2 * width
        c[settle, t.C_LOSS_SELLS] += loss
    for j in range(u[r, t.U_FROM], width):
        us[r, offset + j] += signed * stress[instrument, j]
    u[r, t.U_DIRTY] = 1


@njit(cache=True)
def _book_position(sign, k, p, u, us, c, i, m, stress, width):
    """Add (+1) or remove (-1) position `k` (its lots, value and cost) to the sums of its account."""
    instrument, r, settle = p[k, t.P_INSTRUMENT], p[k, t.P_UNIT], p[k, t.P_SETTLE]
    lots = p[k, t.P_LOTS]
    if sign > 0:
        p[k, t.P_VALUE] = np.int64(np.rint(lots * m[instrument, t.M_VALUE]))
    if i[instrument, t.I_KIND] == t.OPTION:
        c[settle, t.C_OPTIONS] += sign * p[k, t.P_VALUE]
    elif i[instrument, t.I_KIND] != t.SPOT:
        c[settle, t.C_FUTURES] += sign * (p[k, t.P_VALUE] + p[k, t.P_COST])
    _mr7(p, k, i, m, us, r, width, np.float64(sign))
    signed = np.float64(sign * lots)
    if lots != 0:
        for j in range(u[r, t.U_FROM], width):
            us[r, j] += signed * stress[instrument, j]
    us[r, 3 * width + t.S_GROSS] += sign * abs(lots) * m[instrument, t.M_USD]
    u[r, t.U_DIRTY] = 1
    c[settle, t.C_DIRTY] = 1
    if c[settle, t.C_UNIT] != t.NONE:
        u[c[settle, t.C_UNIT], t.U_DIRTY] = 1


@njit(cache=True)
def _unit(r, u, us, c, cs, ut, ct, rt, width, w):
    """Margin of unit row `r`: MMR of the positions, IMR over the four fill sets (16.12)."""
    unit, base = u[r, t.U_UNIT], u[r, t.U_BASE]
    extra = 3 * width
    currency = c[base, t.C_CURRENCY]
    scale, usd = ct[currency, t.K_SCALE], ct[currency, t.K_USD]
    first_column = np.int64(rt[t.R_FIRST_COLUMN])
    held = c[base, t.C_CASH] + c[base, t.C_FUTURES]
    largest = 0.0
    sets = 4 if u[r, t.U_ORDERS] > 0 else 1
    for s in range(sets):
        coins = held
        for j in range(u[r, t.U_FROM], width):
            w[0, first_column + j] = us[r, j]
        if s == 1 or s == 3:
            coins += c[base, t.C_UNIT_BUYS]
            for j in range(u[r, t.U_FROM], width):
                w[0, first_column + j] += us[r, width + j]
        if s >= 2:
            coins += c[base, t.C_UNIT_SELLS]
            for j in range(u[r, t.U_FROM], width):
                w[0, first_column + j] += us[r, 2 * width + j]
        use = spot_in_use(w[0, at.COIN_DELTA], coins * scale, cs[base, t.V_CAP])
        unit_margin(w[0], us[r, extra + t.S_MR7 + s], use, usd, ut[unit], w[1])
        mmr = w[1, at.OUT_MMR]
        if s == 0:
            us[r, extra + t.S_MMR] = mmr
            us[r, extra + t.S_USE] = use
        largest = max(largest, mmr)
    us[r, extra + t.S_IMR] = ut[unit, at.U_INITIAL_FACTOR] * largest
    u[r, t.U_DIRTY] = 0


@njit(cache=True)
def _currency(n, c, cs, ct, discounts, loans, fee_rate):
    """Discounted value in each fill set, potential borrowing and its margin (4.3, 16.13, 16.15)."""
    currency = c[n, t.C_CURRENCY]
    usd, scale = ct[currency, t.K_USD], ct[currency, t.K_SCALE]
    equity = c[n, t.C_CASH] + c[n, t.C_FUTURES] + c[n, t.C_OPTIONS]
    owed = 0.0
    for s in range(4):
        atoms = equity
        if s == 1 or s == 3:
            atoms += c[n, t.C_SPOT_BUYS] - c[n, t.C_LOSS_BUYS]
        if s >= 2:
            atoms += c[n, t.C_SPOT_SELLS] - c[n, t.C_LOSS_SELLS]
        coins = atoms * scale
        if coins >= 0.0:
            cs[n, t.V_DISCOUNTED + s] = discounted_value(discounts[currency], coins) * usd
        else:
            cs[n, t.V_DISCOUNTED + s] = coins * usd
            owed = max(owed, -coins)
    coins = equity * scale
    liability = max(0.0, -coins)
    rate = 0.0
    cs[n, t.V_BORROW_MMR] = 0.0
    if liability > 0.0:
        rate = borrow_rates(loans[currency], liability)[0]
        cs[n, t.V_BORROW_MMR] = liability * usd * rate
    cs[n, t.V_FEE] = liability * usd * (1.0 + rate) * fee_rate
    cs[n, t.V_BORROW_IMR] = 0.0
    if owed > 0.0:
        cs[n, t.V_BORROW_IMR] = owed * usd * borrow_rates(loans[currency], owed)[1]
    cs[n, t.V_LIABILITY] = owed
    cs[n, t.V_EQUITY] = coins * usd
    c[n, t.C_DIRTY] = 0


@njit(cache=True)
def _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w):
    """Recompute the dirty units and currencies of `account` and sum all of them, in a fixed order."""
    extra = 3 * width
    derivatives, initial = 0.0, 0.0
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        if u[r, t.U_DIRTY] == 1:
            _unit(r, u, us, c, cs, ut, ct, rt, width, w)
        derivatives += us[r, extra + t.S_MMR]
        initial += us[r, extra + t.S_IMR]
        r = u[r, t.U_NEXT]
    none, buys, sells, every = 0.0, 0.0, 0.0, 0.0
    borrow_mmr, borrow_imr, fee, equity, losses = 0.0, 0.0, 0.0, 0.0, 0.0
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        if c[n, t.C_DIRTY] == 1:
            _currency(n, c, cs, ct, discounts, loans, rt[t.R_SPOT_FEE])
        none += cs[n, t.V_DISCOUNTED]
        buys += cs[n, t.V_DISCOUNTED + 1]
        sells += cs[n, t.V_DISCOUNTED + 2]
        every += cs[n, t.V_DISCOUNTED + 3]
        borrow_mmr += cs[n, t.V_BORROW_MMR]
        borrow_imr += cs[n, t.V_BORROW_IMR]
        fee += cs[n, t.V_FEE]
        equity += cs[n, t.V_EQUITY]
        currency = c[n, t.C_CURRENCY]
        losses += (
            (c[n, t.C_LOSS_BUYS] + c[n, t.C_LOSS_SELLS] + c[n, t.C_LOSS_SPOT])
            * ct[currency, t.K_SCALE]
            * ct[currency, t.K_USD]
        )
        n = c[n, t.C_NEXT]
    pending = losses + a[account, t.A_FEE] * 1e-8
    adjusted = none - pending
    maintenance = derivatives + borrow_mmr
    as_[account, t.T_ADJUSTED] = adjusted
    as_[account, t.T_SMALLEST] = min(min(none, buys), min(sells, every)) - pending
    as_[account, t.T_MMR] = maintenance
    as_[account, t.T_IMR] = initial + borrow_imr
    as_[account, t.T_EQUITY] = equity
    as_[account, t.T_BORROW_MMR] = borrow_mmr
    as_[account, t.T_FEE] = fee
    required = maintenance + fee
    as_[account, t.T_RATIO] = adjusted / required if required > 0.0 else np.inf
    as_[account, t.T_RADIUS] = _radius(account, u, us, c, cs, a, as_, ut, ct, loans, rt, extra)
    a[account, t.A_DIRTY] = 0


@njit(cache=True)
def _radius(account, u, us, c, cs, a, as_, ut, ct, loans, rt, extra):
    """How far all prices may move, relatively, before the account can cross a threshold.

    With G the gross USD value of positions and balances, a move of delta changes adjusted equity by
    at most G delta and each margin component by at most its largest rate x G delta; twice that
    bound covers second-order terms up to the cap of 5 %. Where a figure may jump (open orders,
    options, expiries, a borrowing near a tier) the radius is 0: such accounts are always looked at.
    """
    if a[account, t.A_ORDERS] > 0:
        return 0.0
    gross, sensitivity = 0.0, 0.0
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        unit = u[r, t.U_UNIT]
        value = us[r, extra + t.S_GROSS]
        if value > 0.0:
            if ut[unit, at.U_EXPIRY_COUNT] > 0.0 or ut[unit, at.U_BASIS_MODEL] != at.BUCKET_MODEL:
                return 0.0
            first = np.int64(rt[t.R_FIRST_COLUMN])
            quotes = 0
            for column in (at.CASH_USDT, at.CASH_USDC, at.CASH_USD):
                quotes += us[r, column - first] != 0.0
            # shock + basis + 12 x the minimum charge; a peg hedge adds 40 % and its price slope
            sensitivity += value * (0.5 if quotes < 2 else 4.0)
            gross += value
        r = u[r, t.U_NEXT]
    nearest = np.inf
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        usd = ct[c[n, t.C_CURRENCY], t.K_USD]
        equity = cs[n, t.V_EQUITY]
        gross += abs(equity)
        if equity < 0.0:
            nearest = min(nearest, usd * _to_next_tier(loans[c[n, t.C_CURRENCY]], -equity / usd))
        if equity != 0.0:
            nearest = min(nearest, abs(equity))  # a balance that turns into a debt, or back
        n = c[n, t.C_NEXT]
    if gross == 0.0:
        return 0.05
    required = as_[account, t.T_MMR] + as_[account, t.T_FEE]
    adjusted = as_[account, t.T_ADJUSTED]
    slack = abs(adjusted - rt[t.R_WARNING] * required)
    slack = min(slack, abs(adjusted - rt[t.R_CONTROL] * as_[account, t.T_IMR]))
    slack = min(slack, abs(adjusted - rt[t.R_START] * required))
    slope = 2.0 * (gross + max(1.0, rt[t.R_WARNING]) * (sensitivity + 0.5 * gross))
    return min(0.05, min(slack / slope, nearest / (2.0 * gross)))


@njit(cache=True)
def _to_next_tier(tiers, owed):
    """Coins between a borrowing and the nearest bound of its tier."""
    last = tiers.shape[0] - 1
    nearest = owed
    for row in range(1, last + 1):
        nearest = min(nearest, abs(tiers[row, at.BORROW_UPPER] - owed))
    if owed > tiers[last, at.BORROW_UPPER]:
        step = tiers[0, at.BORROW_UPPER]
        beyond = (owed - tiers[last, at.BORROW_UPPER]) % step
        nearest = min(nearest, min(beyond, step - beyond))
    return nearest


@njit(cache=True)
def _rebuild(account, version, p, o, u, us, c, cs, a, i, m, stress, ct, width):
    """Zero every mark-dependent sum of `account` and book its positions and orders anew."""
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        for column in range(t.C_FUTURES, t.C_LOSS_SPOT + 1):
            c[n, column] = 0
        c[n, t.C_DIRTY] = 1
        cs[n, t.V_USD] = ct[c[n, t.C_CURRENCY], t.K_USD]
        n = c[n, t.C_NEXT]
    a[account, t.A_FEE] = 0
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        us[r, :] = 0.0
        us[r, 3 * width + t.S_USD] = ct[c[u[r, t.U_BASE], t.C_CURRENCY], t.K_USD]
        u[r, t.U_DIRTY] = 1
        k = u[r, t.U_FIRST]
        while k != t.NONE:
            p[k, t.P_BUY] = 0
            p[k, t.P_SELL] = 0
            _book_position(1, k, p, u, us, c, i, m, stress, width)
            n = p[k, t.P_FIRST]
            while n != t.NONE:
                _order_terms(o, n, p, i, m)
                _book_order(1, n, p, o, u, us, c, a, i, m, stress, width)
                n = o[n, t.O_NEXT]
            k = p[k, t.P_NEXT]
        r = u[r, t.U_NEXT]
    a[account, t.A_VERSION] = version


@njit(cache=True)
def figures(
    account, version, p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans, rt, w
):
    """Bring the figures of one account up to date (rebuild only if the mark is new)."""
    width = stress.shape[1]
    if a[account, t.A_VERSION] != version:
        _rebuild(account, version, p, o, u, us, c, cs, a, i, m, stress, ct, width)
    _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w)


@njit(cache=True)
def all_figures(
    count, version, p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans, rt, w
):
    """`figures` for accounts 0..count-1: the full pass after a mark."""
    for account in range(count):
        figures(
            account, version, p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans,
            rt, w,
        )


@njit(cache=True)
def _stays(account, p, u, us, c, cs, a, as_, i, m, ct, width):
    """Whether no price of the account has moved by more than its radius since its last rebuild."""
    radius = as_[account, t.T_RADIUS]
    if radius == 0.0 or a[account, t.A_DIRTY] == 1:
        return False
    n = a[account, t.A_CURRENCY]
    while n != t.NONE:
        before = cs[n, t.V_USD]
        if abs(ct[c[n, t.C_CURRENCY], t.K_USD] - before) > radius * before:
            return False
        n = c[n, t.C_NEXT]
    r = a[account, t.A_UNIT]
    while r != t.NONE:
        k = u[r, t.U_FIRST]
        while k != t.NONE:
            before = p[k, t.P_VALUE]
            if p[k, t.P_LOTS] != 0:
                now = p[k, t.P_LOTS] * m[p[k, t.P_INSTRUMENT], t.M_VALUE]
                if abs(now - before) > radius * abs(before):
                    return False
            k = p[k, t.P_NEXT]
        r = u[r, t.U_NEXT]
    return True


@njit(cache=True)
def watch(
    count, version, p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans, rt, w
):
    """Bring every account up to date that this mark may have moved across a threshold.

    The others keep figures of an earlier mark; their standing is the same. Returns how many were
    recomputed. O(accounts) with a few loads each, plus `figures` for those that are looked at.
    """
    width = stress.shape[1]
    looked = 0
    for account in range(count):
        if a[account, t.A_VERSION] != t.NONE and _stays(
            account, p, u, us, c, cs, a, as_, i, m, ct, width
        ):
            continue
        figures(
            account, version, p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans,
            rt, w,
        )
        looked += 1
    return looked


@njit(cache=True)
def _link_order(n, k, p, o):
    first = p[k, t.P_FIRST]
    o[n, t.O_NEXT] = first
    o[n, t.O_PREVIOUS] = t.NONE
    if first != t.NONE:
        o[first, t.O_PREVIOUS] = n
    p[k, t.P_FIRST] = n


@njit(cache=True)
def _unlink_order(n, p, o):
    k, following, previous = o[n, t.O_POSITION], o[n, t.O_NEXT], o[n, t.O_PREVIOUS]
    if previous != t.NONE:
        o[previous, t.O_NEXT] = following
    else:
        p[k, t.P_FIRST] = following
    if following != t.NONE:
        o[following, t.O_PREVIOUS] = previous


@njit(cache=True)
def add_order(n, k, side, price, lots, p, o, u, us, c, a, i, m, stress):
    """Book order `n` on position row `k` without a check (liquidation orders, undo)."""
    o[n, t.O_POSITION] = k
    o[n, t.O_SIDE] = side
    o[n, t.O_PRICE] = price
    o[n, t.O_LOTS] = lots
    _link_order(n, k, p, o)
    u[p[k, t.P_UNIT], t.U_ORDERS] += 1
    a[p[k, t.P_ACCOUNT], t.A_ORDERS] += 1
    a[p[k, t.P_ACCOUNT], t.A_DIRTY] = 1
    _order_terms(o, n, p, i, m)
    _book_order(1, n, p, o, u, us, c, a, i, m, stress, stress.shape[1])


@njit(cache=True)
def remove_order(n, p, o, u, us, c, a, i, m, stress):
    """Take order `n` out of the sums."""
    k = o[n, t.O_POSITION]
    _book_order(-1, n, p, o, u, us, c, a, i, m, stress, stress.shape[1])
    _unlink_order(n, p, o)
    u[p[k, t.P_UNIT], t.U_ORDERS] -= 1
    u[p[k, t.P_UNIT], t.U_DIRTY] = 1
    a[p[k, t.P_ACCOUNT], t.A_ORDERS] -= 1
    a[p[k, t.P_ACCOUNT], t.A_DIRTY] = 1


@njit(cache=True)
def reduce_order(n, lots, p, o, u, us, c, a, i, m, stress):
    """Order `n` keeps `lots` (fewer than before): after a partial fill or an amend."""
    width = stress.shape[1]
    _book_order(-1, n, p, o, u, us, c, a, i, m, stress, width)
    o[n, t.O_LOTS] = lots
    _order_terms(o, n, p, i, m)
    _book_order(1, n, p, o, u, us, c, a, i, m, stress, width)
    a[p[o[n, t.O_POSITION], t.P_ACCOUNT], t.A_DIRTY] = 1


@njit(cache=True)
def set_position(k, lots, cost, cash_settle, cash_base, p, u, us, c, a, i, m, stress):
    """After a fill: the new position and the new net cash of its settlement and base currency."""
    width = stress.shape[1]
    if i[p[k, t.P_INSTRUMENT], t.I_KIND] != t.SPOT:
        _book_position(-1, k, p, u, us, c, i, m, stress, width)
        p[k, t.P_LOTS] = lots
        p[k, t.P_COST] = cost
        _book_position(1, k, p, u, us, c, i, m, stress, width)
    else:
        base = p[k, t.P_BASE]
        c[base, t.C_CASH] = cash_base
        _dirty_currency(base, c, u)
    settle = p[k, t.P_SETTLE]
    c[settle, t.C_CASH] = cash_settle
    _dirty_currency(settle, c, u)
    a[p[k, t.P_ACCOUNT], t.A_DIRTY] = 1


@njit(cache=True)
def _dirty_currency(n, c, u):
    c[n, t.C_DIRTY] = 1
    if c[n, t.C_UNIT] != t.NONE:
        u[c[n, t.C_UNIT], t.U_DIRTY] = 1


@njit(cache=True)
def set_cash(n, atoms, c, u, a):
    """The net cash of currency row `n` changed (deposit, fee, funding, interest)."""
    c[n, t.C_CASH] = atoms
    _dirty_currency(n, c, u)
    a[c[n, t.C_ACCOUNT], t.A_DIRTY] = 1


@njit(cache=True)
def _deepens(n, fee_atoms, c):
    """Whether a fill set creates or deepens a negative equity in currency row `n`."""
    held = c[n, t.C_CASH] + c[n, t.C_FUTURES] + c[n, t.C_OPTIONS]
    floor = min(0, held)
    buys = c[n, t.C_SPOT_BUYS] - c[n, t.C_LOSS_BUYS]
    sells = c[n, t.C_SPOT_SELLS] - c[n, t.C_LOSS_SELLS]
    worst = min(min(0, buys), min(sells, buys + sells))
    return held + worst - fee_atoms < floor


@njit(cache=True)
def shift(k, signed_lots, price, fee_atoms, p, o, u, us, c, a, i, m, stress):
    """Trade `signed_lots` of position row `k` at `price` (ticks, may be fractional) in the tables only.

    The same call with opposite lots and fee undoes it exactly. The caller wants to know what a trade
    would do; nothing is booked.
    """
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
        _dirty_currency(base, c, u)
    else:
        width = stress.shape[1]
        _book_position(-1, k, p, u, us, c, i, m, stress, width)
        p[k, t.P_LOTS] += signed_lots
        if i[instrument, t.I_KIND] == t.OPTION:
            c[settle, t.C_CASH] -= atoms
        elif inverse:
            p[k, t.P_COST] += atoms
        else:
            p[k, t.P_COST] -= atoms
        _book_position(1, k, p, u, us, c, i, m, stress, width)
    _dirty_currency(settle, c, u)
    a[p[k, t.P_ACCOUNT], t.A_DIRTY] = 1


@njit(cache=True)
def place(
    n, k, side, price, lots, immediate, version,
    p, o, u, us, c, cs, a, as_, i, m, stress, ut, ct, discounts, loans, rt, w,
):
    """Decide one new order by rule 16.17 and, if accepted, leave it booked as order row `n`.

    `immediate`: IOC, FOK or market, which rule (b) may accept. Returns one of the result codes of
    `order_tables`; account_sums then hold the figures with the order (refused: without it, and
    w[2, 0:4] the refused figures: smallest adjusted equity, IMR, adjusted equity, MMR).
    """
    width = stress.shape[1]
    account, settle = p[k, t.P_ACCOUNT], p[k, t.P_SETTLE]
    if a[account, t.A_VERSION] != version:
        _rebuild(account, version, p, o, u, us, c, cs, a, i, m, stress, ct, width)
    add_order(n, k, side, price, lots, p, o, u, us, c, a, i, m, stress)
    _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w)
    result = t.ACCEPTED
    if as_[account, t.T_SMALLEST] < as_[account, t.T_IMR]:
        result = t.NO_MARGIN
    currency = c[settle, t.C_CURRENCY]
    spot = i[p[k, t.P_INSTRUMENT], t.I_KIND] == t.SPOT
    if a[account, t.A_AUTO_BORROW] == 0:
        fee = o[n, t.O_FEE] * 1e-8 / (ct[currency, t.K_USD] * ct[currency, t.K_SCALE])
        fee_atoms = np.int64(np.ceil(fee))
        if _deepens(settle, fee_atoms, c) or (spot and _deepens(p[k, t.P_BASE], 0, c)):
            result = t.NO_BORROW
    if result == t.ACCEPTED or result == t.NO_MARGIN:
        borrower = p[k, t.P_BASE] if spot and side < 0 else settle
        borrowed = cs[borrower, t.V_LIABILITY]
        held = (
            c[borrower, t.C_CASH] + c[borrower, t.C_FUTURES] + c[borrower, t.C_OPTIONS]
        ) * ct[c[borrower, t.C_CURRENCY], t.K_SCALE]
        if borrowed > max(0.0, -held):
            if borrowed > ct[c[borrower, t.C_CURRENCY], t.K_BORROW_LIMIT]:
                result = t.OVER_BORROW_LIMIT
            elif borrowed - max(0.0, -held) > ct[c[borrower, t.C_CURRENCY], t.K_POOL]:
                result = t.POOL_EMPTY
    if result == t.ACCEPTED:
        return result
    for j in range(4):
        w[2, j] = as_[account, (t.T_SMALLEST, t.T_IMR, t.T_ADJUSTED, t.T_MMR)[j]]
    fee_atoms = np.int64(
        np.rint(o[n, t.O_FEE] * 1e-8 / (ct[currency, t.K_USD] * ct[currency, t.K_SCALE]))
    )
    remove_order(n, p, o, u, us, c, a, i, m, stress)
    _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w)
    if result == t.NO_MARGIN and immediate:
        before = as_[account, t.T_ADJUSTED] - as_[account, t.T_IMR]
        shift(k, side * lots, np.float64(price), fee_atoms, p, o, u, us, c, a, i, m, stress)
        _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w)
        after = as_[account, t.T_ADJUSTED] - as_[account, t.T_IMR]
        shift(k, -side * lots, np.float64(price), -fee_atoms, p, o, u, us, c, a, i, m, stress)
        if after >= before:
            add_order(n, k, side, price, lots, p, o, u, us, c, a, i, m, stress)
            result = t.ACCEPTED_REDUCING
        _totals(account, p, u, us, c, cs, a, as_, ut, ct, discounts, loans, rt, width, w)
    return result


@njit(cache=True)
def fill(n, filled, k, lots, cost, cash_settle, cash_base, p, o, u, us, c, a, i, m, stress):
    """One side of a fill: order row `n` (NONE: none) shrinks by `filled` lots, position and cash are new.

    Returns whether the order is used up (and out of the sums).
    """
    done = False
    if n != t.NONE:
        left = o[n, t.O_LOTS] - filled
        if left > 0:
            reduce_order(n, left, p, o, u, us, c, a, i, m, stress)
        else:
            remove_order(n, p, o, u, us, c, a, i, m, stress)
            done = True
    set_position(k, lots, cost, cash_settle, cash_base, p, u, us, c, a, i, m, stress)
    return done
