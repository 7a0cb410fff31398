"""The limit of a forced order, and the bankruptcy price that bounds it.

Both follow from the mark, the position row and the account's equity; x is described in
`order_views`. Plain twin: tests/oracles/plain_step.py.

Source: liquidation-and-losses.md sections 2 (execution) and 3 (bankruptcy price).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.order_figures import bring_up_to_date
from risk.order_views import (
    account_sums_of,
    accounts_of,
    currencies_of,
    currency_terms_of,
    instruments_of,
    positions_of,
    terms_of,
    units_of,
)

Ints = NDArray[np.int64]

NO_BANKRUPTCY_PRICE: Final = 1 << 60
TINY_TICKS: Final = 1e-6  # a whole tick must not get lost to the last bit of a division
_FAR: Final = float(1 << 61)  # beyond every bound, and still an int64


@njit(cache=True)
def charge_usd(k: int, x: Ints) -> float:
    """Raw MR7 charge of position row `k`, USD: its share in the account's risk."""
    p, m = positions_of(x), terms_of(x)
    lots, instrument = p[k, t.P_LOTS], p[k, t.P_INSTRUMENT]
    rate = m[instrument, t.M_MR7_LONG] if lots > 0 else m[instrument, t.M_MR7_SHORT]
    return float(abs(lots) * rate)


@njit(cache=True)
def charges_usd(account: int, x: Ints) -> float:
    """Sum of `charge_usd` over the account's positions in the order of their rows, in which they
    were opened: charges of different units are not exact together. O(positions^2)."""
    a, u, p = accounts_of(x), units_of(x), positions_of(x)
    total, last = 0.0, t.NONE
    while True:
        following = t.NONE
        r = a[account, t.A_UNIT]
        while r != t.NONE:
            k = u[r, t.U_FIRST]
            while k != t.NONE:
                if k > last and (following == t.NONE or k < following):
                    following = k
                k = p[k, t.P_NEXT]
            r = u[r, t.U_NEXT]
        if following == t.NONE:
            return total
        total += charge_usd(following, x)
        last = following


@njit(cache=True)
def bankruptcy_ticks(k: int, x: Ints) -> int:
    """The price at which closing position row `k`, not flat, leaves nothing of its share of the
    account's equity (by `charge_usd`).

    Ticks, rounded against the account, at least 0; NO_BANKRUPTCY_PRICE where a short inverse
    position has none. O(positions^2), a comparison each.
    """
    p, m, ct = positions_of(x), terms_of(x), currency_terms_of(x)
    account, lots, instrument = p[k, t.P_ACCOUNT], p[k, t.P_LOTS], p[k, t.P_INSTRUMENT]
    bring_up_to_date(account, x)
    equity = max(0.0, account_sums_of(x)[account, t.T_EQUITY])
    total = charges_usd(account, x)
    share = charge_usd(k, x) / total if total > 0.0 else 1.0
    currency = currencies_of(x)[p[k, t.P_SETTLE], t.C_CURRENCY]
    atoms = equity * share / (ct[currency, t.K_USD] * ct[currency, t.K_SCALE])
    mark, rate = m[instrument, t.M_REFERENCE], m[instrument, t.M_RATE]
    distance = atoms / (abs(lots) * rate)
    inverse = instruments_of(x)[instrument, t.I_INVERSE] == 1
    if inverse:
        reciprocal = 1.0 / mark + (distance if lots > 0 else -distance)
        if reciprocal <= 0.0:
            return NO_BANKRUPTCY_PRICE
        price = 1.0 / reciprocal
    else:
        price = mark - distance if lots > 0 else mark + distance
    if lots > 0:
        return int(max(1.0 if inverse else 0.0, np.floor(price + TINY_TICKS)))
    return int(min(float(NO_BANKRUPTCY_PRICE), np.ceil(price - TINY_TICKS)))


@njit(cache=True)
def forced_limit(
    k: int, side: int, slippage: float, low_ticks: int, high_ticks: int, x: Ints
) -> tuple[int, int, bool, float]:
    """(limit, bankruptcy price, limit is final, USD per lot) of a forced order of `side` in the
    instrument of position row `k`.

    The limit starts at the slippage from mark and never passes the bankruptcy price of the
    position it closes, nor the price limit (lowest sale, highest purchase; both at most
    NO_BANKRUPTCY_PRICE). It is final at the bankruptcy price; a closing order that only the price
    limit holds back waits for the market. A trade that closes nothing has no bankruptcy price: for
    it the price limit is final. The limit is not on the tick grid yet.
    """
    p, m = positions_of(x), terms_of(x)
    instrument = p[k, t.P_INSTRUMENT]
    mark, usd = m[instrument, t.M_REFERENCE], m[instrument, t.M_USD]
    closes = p[k, t.P_LOTS] * side < 0
    bankrupt = bankruptcy_ticks(k, x) if closes else NO_BANKRUPTCY_PRICE
    if side > 0:
        wide = int(min(_FAR, np.floor(mark * (1.0 + slippage))))
        bound = min(bankrupt, high_ticks)
        final = wide >= bound and not (closes and bound < bankrupt)
        return min(wide, bound), bankrupt, final, usd
    wide = int(max(-_FAR, np.ceil(mark * (1.0 - slippage))))
    bound = max(bankrupt if closes else 0, low_ticks, 1)
    final = wide <= bound and not (closes and bound > bankrupt)
    return max(wide, bound), bankrupt, final, usd
