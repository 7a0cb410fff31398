"""Which accounts risk control has to look at after a mark.

x is described in `order_views`. Source: liquidation-and-losses.md section 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import order_tables as t
from risk.order_views import account_sums_of, accounts_of, rules_of

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# The numbers of `accounts.events.AccountState`: an account's standing is one of the first four.
HEALTHY: Final = 0
WARNED: Final = 1
ORDER_CONTROL: Final = 2
PRE_LIQUIDATION: Final = 3
LIQUIDATING: Final = 4
BANKRUPT: Final = 5


@njit(cache=True, forceinline=True)
def standing_of(account: int, x: Ints) -> int:
    """Where the figures of an account put it. They are up to date."""
    sums, rules = account_sums_of(x), rules_of(x)
    if sums[account, t.T_RATIO] <= rules[t.R_START]:
        return PRE_LIQUIDATION
    if sums[account, t.T_COVERING] < rules[t.R_CONTROL] * sums[account, t.T_COVERED]:
        return ORDER_CONTROL
    return WARNED if sums[account, t.T_RATIO] <= rules[t.R_WARNING] else HEALTHY


@njit(cache=True, forceinline=True)
def _needs_a_look(account: int, state: int, warns: bool, x: Ints) -> bool:
    """Whether an account's standing is not its state, or it is being acted on, or warned again."""
    if state == BANKRUPT:
        return False
    if state != standing_of(account, x) or state >= PRE_LIQUIDATION:
        return True
    if state == ORDER_CONTROL and accounts_of(x)[account, t.A_ORDERS] > 0:
        return True
    return warns and bool(account_sums_of(x)[account, t.T_RATIO] <= rules_of(x)[t.R_WARNING])


@njit(cache=True)
def flag(
    weak: Ints,
    unsettled: Ints,
    states: Ints,
    next_warning_ns: Ints,
    apart: Flags,
    now_ns: int,
    flagged: Ints,
    kept: Ints,
    x: Ints,
) -> tuple[int, int]:
    """Compare standing and state of the accounts in `weak` and `unsettled`, both ascending.

    states, next_warning_ns, apart: (accounts,); those `apart` are never flagged. Written, both
    ascending: flagged, the accounts to look at, and kept, those that the next mark has to compare
    whether they are weak then or not: flagged now, or not healthy. Returns how many of each.
    O(weak + unsettled).
    """
    i, j, found, left = 0, 0, 0, 0
    while i < weak.size or j < unsettled.size:
        if j == unsettled.size or (i < weak.size and weak[i] <= unsettled[j]):
            account = weak[i]
            if j < unsettled.size and unsettled[j] == account:
                j += 1
            i += 1
        else:
            account = unsettled[j]
            j += 1
        state = states[account]
        look = not apart[account] and _needs_a_look(
            account, state, next_warning_ns[account] <= now_ns, x
        )
        if look:
            flagged[found] = account
            found += 1
        if look or state != HEALTHY:
            kept[left] = account
            left += 1
    return found, left
