"""What a liquidation step asks about one account: its figures, what a trade would make of them, and
what a risk unit's margin consists of.

Each question is one call. A trade is tried in the sums and taken out again, which leaves nothing
behind because they are exact (`order_sums`); only the figures are then of the trial, and are worked
out anew by whoever asks for them next. x is described in `order_views`.

Source: liquidation-and-losses.md section 2 (guard).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t
from risk.kernels import unit_margin_of
from risk.order_figures import bring_up_to_date
from risk.order_kernels import shift
from risk.order_views import (
    account_sums_of,
    accounts_of,
    currencies_of,
    currency_terms_of,
    margins_of,
    positions_of,
    unit_sums_of,
    unit_terms_of,
    units_of,
    vector_of,
)

Ints = NDArray[np.int64]
Figures = tuple[float, float, float, float, float, float, float]


@njit(cache=True)
def standing(account: int, x: Ints) -> Figures:
    """Figures of one account now, USD: adjusted equity, requirement (maintenance margin and
    liquidation fee of the borrowings), undiscounted equity, maintenance and initial margin, and the
    two that order control compares."""
    bring_up_to_date(account, x)
    sums = account_sums_of(x)
    maintenance = sums[account, t.T_MMR]
    return (
        sums[account, t.T_ADJUSTED],
        maintenance + sums[account, t.T_FEE],
        sums[account, t.T_EQUITY],
        maintenance,
        sums[account, t.T_IMR],
        sums[account, t.T_COVERING],
        sums[account, t.T_COVERED],
    )


@njit(cache=True)
def trial(k: int, signed_lots: int, price: float, charge_atoms: int, x: Ints) -> Figures:
    """`standing` of the account after a trade of position row `k`; the sums end unchanged.

    price: ticks, may be fractional; charge_atoms: what the trade costs besides, in atoms of the
    settlement currency. O(columns + units + currencies of the account).
    """
    shift(k, signed_lots, price, charge_atoms, x)
    tried = standing(positions_of(x)[k, t.P_ACCOUNT], x)
    shift(k, -signed_lots, price, -charge_atoms, x)
    return tried


@njit(cache=True)
def units_by_margin(account: int, out: NDArray[np.float64], x: Ints) -> int:
    """Number, row and MMR of each unit of an account, the largest margin first, then by number.

    out: float64 (units of the market, 3), written. Returns how many. The figures are up to date.
    """
    u, us, column = units_of(x), unit_sums_of(x), 3 * x[t.X_WIDTH] + t.S_MMR
    count = 0
    r = accounts_of(x)[account, t.A_UNIT]
    while r != t.NONE:
        place = count  # rows come by ascending number: an equal margin stays behind
        while place > 0 and out[place - 1, 2] < us[r, column]:
            for j in range(3):
                out[place, j] = out[place - 1, j]
            place -= 1
        out[place, 0], out[place, 1], out[place, 2] = u[r, t.U_UNIT], r, us[r, column]
        count += 1
        r = u[r, t.U_NEXT]
    return count


@njit(cache=True)
def components(r: int, x: Ints) -> tuple[float, float]:
    """Margin components of the positions of unit row `r`, written to `margins_of`.

    Returns the largest of them and the spot in use, signed; USD.
    """
    u, us, ct, vector = units_of(x), unit_sums_of(x), currency_terms_of(x), vector_of(x)
    bring_up_to_date(u[r, t.U_ACCOUNT], x)
    unit, width = u[r, t.U_UNIT], x[t.X_WIDTH]
    extra, skipped = 3 * width, x[t.X_FULL_WIDTH] - width
    for j in range(u[r, t.U_FROM], width):
        vector[skipped + j] = us[r, j]
    use, raw = us[r, extra + t.S_USE], us[r, extra + t.S_MR7]
    usd = ct[currencies_of(x)[u[r, t.U_BASE], t.C_CURRENCY], t.K_USD]
    margins = margins_of(x)
    unit_margin_of(vector, raw, use, usd, unit_terms_of(x), unit, margins)
    largest = margins[0]
    for part in range(1, at.OUT_MMR):
        largest = max(largest, margins[part])
    return largest, use * usd
