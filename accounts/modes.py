"""Account modes: who may use which, the check before a switch, the switch, and leverage settings.

A switch is checked first: `precheck` says what stands in its way and what margin would be before
and after; `switch` does it if nothing does. Open orders always block; borrowings and short
currencies block a mode that cannot borrow; positions a mode that cannot hold them.

Source: portfolio-margin.md sections 2.1 to 2.5, 16.18.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from accounts.account import BORROWING_MODES, AccountMode
from exchange.events import RejectReason
from exchange.instrument import InstrumentKind
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

LEVERAGE_MODES = frozenset((AccountMode.SPOT_AND_FUTURES, AccountMode.MULTI_CURRENCY))


class CheckCode(IntEnum):
    """OKX's `sCode` of a pre-check. Source: 2.4."""

    PASSED = 0
    UNMATCHED = 1
    LEVERAGE_MISSING = 3
    MARGIN_FAILS = 4


@dataclass(frozen=True, slots=True)
class Margin:
    """An account's margin in one mode, USD."""

    adjusted_equity: float
    initial: float
    maintenance: float
    ratio: float


@dataclass(frozen=True, slots=True)
class ModeCheck:
    """The answer of a pre-check. obstacles: plain words, empty where the switch may be made."""

    mode: AccountMode
    code: CheckCode
    obstacles: tuple[str, ...]
    before: Margin
    after: Margin

    @property
    def passed(self) -> bool:
        """Whether nothing stands in the way."""
        return self.code == CheckCode.PASSED


def ineligible(house: ClearingHouse, account: Account) -> tuple[str, ...]:
    """Why the account may not use portfolio margin; empty if it may. Source: 2.2."""
    least = house.rules.account.eligibility_usd
    equity = float(house.exposures.figures(account.number)[t.T_EQUITY])
    reasons = []
    if equity < least:
        reasons.append(f"net equity {equity:,.2f} USD is below {least:,.0f} USD")
    if not account.acknowledged:
        reasons.append("the declaration of understanding is missing")
    if not account.options_experience:
        reasons.append("options experience is not declared")
    return tuple(reasons)


def precheck(house: ClearingHouse, account: Account, mode: AccountMode) -> ModeCheck:
    """What a switch to `mode` would meet; changes nothing. O(what the account holds)."""
    before = _margin_in(house, account, account.mode)
    after = _margin_in(house, account, mode)
    obstacles = list(_unmatched(house, account, mode))
    code = CheckCode.UNMATCHED if obstacles else CheckCode.PASSED
    if after.adjusted_equity < after.initial:
        obstacles.append(
            f"adjusted equity {after.adjusted_equity:,.2f} USD would be below the initial margin "
            f"{after.initial:,.2f} USD"
        )
        code = code or CheckCode.MARGIN_FAILS
    return ModeCheck(mode, code, tuple(obstacles), before, after)


def switch(house: ClearingHouse, account: Account, mode: AccountMode) -> ModeCheck:
    """Switch the account to `mode` if the pre-check passes; the pre-check either way."""
    check = precheck(house, account, mode)
    if check.passed:
        account.mode = mode
        house.exposures.set_mode(
            account.number, int(mode), auto_borrow=account.auto_borrow and mode in BORROWING_MODES
        )
    return check


def set_auto_borrow(house: ClearingHouse, account: Account, auto_borrow: bool) -> str | None:
    """Turn auto-borrow on or off; why not, where it may not be turned off. Source: 2.5.

    Off is refused while something is owed that the account borrowed.
    """
    if not auto_borrow and any(b.liability_atoms for b in account.balances.values()):
        return "repay what is owed first"
    account.auto_borrow = auto_borrow
    house.exposures.set_mode(
        account.number,
        int(account.mode),
        auto_borrow=auto_borrow and account.mode in BORROWING_MODES,
    )
    return None


def set_leverage(
    house: ClearingHouse, account: Account, listing: Listing, leverage: float
) -> RejectReason | None:
    """Set the leverage of an instrument's cross position; why not, or None. Source: 2.3, 16.18.

    Refused in modes without one, outside 1 to the highest that the first position tier allows,
    and where initial margin would exceed equity.
    """
    if account.mode not in LEVERAGE_MODES:
        portfolio = account.mode == AccountMode.PORTFOLIO
        return RejectReason.PORTFOLIO_LEVERAGE_FIXED if portfolio else RejectReason.ACCOUNT_MODE
    if not 1.0 <= leverage <= highest_leverage(house, listing):
        return RejectReason.BAD_LEVERAGE
    position = house.position(account, listing)
    exposures = house.exposures
    name = listing.instrument.instrument_id
    before = account.leverage.get(name, house.market.default_leverage)
    exposures.set_leverage(position.row, leverage)
    figures = exposures.figures(account.number)
    if leverage < before and figures[t.T_SMALLEST] < figures[t.T_IMR]:
        exposures.set_leverage(position.row, before)
        exposures.figures(account.number)
        return RejectReason.INSUFFICIENT_MARGIN
    account.leverage = {**account.leverage, name: leverage}
    return None


def highest_leverage(house: ClearingHouse, listing: Listing) -> float:
    """1 / initial margin rate of the first position tier. Source: 16.18."""
    rules = house.rules.position_tiers
    group = house.rules.group_of(listing.instrument.base)
    return 1.0 / (rules.initial_factor * rules.maintenance.of(group))


def set_spot_cap(
    house: ClearingHouse, account: Account, currency: str, coins: float
) -> RejectReason | None:
    """Cap the spot in use of a coin (0 excludes it, inf lifts the cap); why not, or None.

    Only coins that count as margin may be capped.  Source: 5.2.
    """
    if currency not in house.market.currency_number or math.isnan(coins) or coins < 0.0:
        return RejectReason.BAD_SPOT_CAP
    if house.market.discount_rate(currency, house.market.atoms[currency]) <= 0.0:
        return RejectReason.BAD_SPOT_CAP
    balance = house.balance(account, currency)
    others = {name: cap for name, cap in account.spot_caps.items() if name != currency}
    account.spot_caps = others if math.isinf(coins) else {**others, currency: coins}
    house.exposures.set_cap(balance.row, coins)
    return None


def _unmatched(house: ClearingHouse, account: Account, mode: AccountMode) -> list[str]:
    """What the account has that the mode cannot have."""
    found = []
    if account.blocked:
        found.append("the account is being liquidated")
    holders = account.isolated.values()
    orders = len(account.orders) + sum(len(holder.orders) for holder in holders)
    if orders:
        found.append(f"{orders} open orders")
    if mode == AccountMode.PORTFOLIO and account.mode != AccountMode.PORTFOLIO:
        found += ineligible(house, account)
    if mode not in BORROWING_MODES:
        owed = [c for c, b in account.balances.items() if b.liability_atoms]
        if owed:
            found.append(f"borrowings of {', '.join(sorted(owed))}")
    held = [
        p.instrument.instrument_id
        for holder in (account, *holders)
        for p in holder.positions.values()
        if p.lots and p.instrument.kind != InstrumentKind.SPOT
    ]
    if mode == AccountMode.SPOT and held:
        found.append(f"positions in {', '.join(sorted(held))}")
    return found


def _margin_in(house: ClearingHouse, account: Account, mode: AccountMode) -> Margin:
    """The account's margin as if in `mode`; the tables are left as they were."""
    exposures, number = house.exposures, account.number
    exposures.set_mode(
        number, int(mode), auto_borrow=account.auto_borrow and mode in BORROWING_MODES
    )
    figures = exposures.figures(number).tolist()
    exposures.set_mode(
        number,
        int(account.mode),
        auto_borrow=account.auto_borrow and account.mode in BORROWING_MODES,
    )
    exposures.figures(number)
    return Margin(figures[t.T_COVERING], figures[t.T_COVERED], figures[t.T_MMR], figures[t.T_RATIO])
