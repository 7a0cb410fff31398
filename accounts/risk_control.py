"""Risk control: at every mark, from the first warning to the take-over.

`check` looks at the margin figures of all accounts and acts on those beyond a threshold, in the
order of their numbers: warning, cancellation of orders below 91 % of the initial margin or beyond
a borrowing limit, cancellation before liquidation, liquidation. Then the pools sell what they
hold.

Source: liquidation-and-losses.md section 1; portfolio-margin.md sections 10.2 to 10.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accounts.deleveraging import Deleverager
from accounts.events import AccountState, MarginWarning, StateChange
from accounts.forced_flow import ForcedFlow
from accounts.insurance import InsuranceFunds
from accounts.isolated_liquidation import IsolatedLiquidation
from accounts.liquidation import Liquidator
from accounts.liquidation_steps import Standing, standing
from accounts.order_control import OrderControl
from accounts.takeover import TakeOver
from accounts.unwinding import Unwinding
from accounts.waterfall import Waterfall

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from risk.rules_venue import LiquidationRules


class RiskControl:
    """Watches the accounts of one clearing house.

    `forced_flow=False` (twin runs) keeps warnings and cancellations but never liquidates.
    """

    def __init__(
        self, house: ClearingHouse, funds: InsuranceFunds, *, forced_flow: bool = True
    ) -> None:
        self.house = house
        self.funds = funds
        self.forced_flow = forced_flow
        self.flow = ForcedFlow(house, funds)
        self.deleverager = Deleverager(house, funds, self.flow.action_ids)
        self.waterfall = Waterfall(house, funds, self.deleverager)
        self.take_over = TakeOver(house, funds, self.waterfall)
        self.liquidator = Liquidator(house, self.flow, self.take_over)
        self.isolated = IsolatedLiquidation(house, self.flow, self.take_over)
        self.unwinding = Unwinding(house, funds, self.flow, self.take_over)
        self.orders = OrderControl(house)
        self._next_ns = -(10**18)
        self._states = np.zeros(0, np.int64)
        self._next_warning_ns = np.zeros(0, np.int64)
        self._apart = np.zeros(0, np.bool_)  # pools and isolated positions, which have other rules
        self._parted = 0
        self._unsettled = np.zeros(0, np.int64)  # not healthy, or acted on, at the last check

    @property
    def rules(self) -> LiquidationRules:
        """The rules in force: they may change while positions are open."""
        return self.house.rules.liquidation

    def check(self, now_ns: int) -> None:
        """Look at every account once; act on those beyond a threshold. O(accounts + pools): one
        comparison for each account but those near a threshold."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + round(self.rules.check_interval_s * 1e9)
        if now_ns - self.house.market.time_ns > self.rules.stale_mark_s * 1e9:
            return  # no liquidation on a stale mark
        if self.funds.book_day(now_ns):
            self.waterfall.start_day()
        self.funds.report_all(now_ns)
        self.funds.sample(now_ns)
        accounts = len(self.house.exposures.watch())
        warning_ns = round(self.rules.warning_interval_s * 1e9)
        for number in self._flagged(now_ns, accounts):
            account = self.house.accounts[number]
            self._review(now_ns, account)
            self._states[number] = int(account.state)
            if account.last_warning_ns > 0:
                self._next_warning_ns[number] = account.last_warning_ns + warning_ns
        self.isolated.check(now_ns, forced_flow=self.forced_flow)
        # an account with open orders is looked at by every watch
        for number in self.house.exposures.over_borrow_limit():
            self.orders.cancel_borrowing(now_ns, self.house.accounts[number])
        if self.forced_flow:
            self.unwinding.run(now_ns)

    def _flagged(self, now_ns: int, count: int) -> list[int]:
        """Accounts whose standing is not their state, or that are being acted on; ascending.

        The others are healthy: those that the watch has looked at are beyond no threshold, the rest
        stand as they stood at the last check. O(accounts beyond a threshold, now or then).
        """
        self._grow(count)
        self._part()
        flagged, self._unsettled = self.house.exposures.flagged(
            self._unsettled, self._states, self._next_warning_ns, self._apart, now_ns
        )
        numbers: list[int] = flagged.tolist()
        return numbers

    def _grow(self, count: int) -> None:
        """Make room for `count` accounts, twice over where there is too little."""
        had = len(self._states)
        if count > had:
            more = 2 * count - had
            self._states = np.append(self._states, np.full(more, int(AccountState.HEALTHY)))
            self._next_warning_ns = np.append(self._next_warning_ns, np.full(more, -(10**18)))
            self._apart = np.append(self._apart, np.zeros(more, np.bool_))

    def _part(self) -> None:
        """Note pools and isolated positions that are new since the last check."""
        pools, held = self.funds.pools, self.house.isolated.held
        if len(pools) + len(held) > self._parted:
            self._parted = len(pools) + len(held)
            self._apart[[*(pool.number for pool in pools.values()), *held]] = True

    def _review(self, now_ns: int, account: Account) -> None:
        if account.is_fund or account.state == AccountState.BANKRUPT:
            return
        if account.state == AccountState.LIQUIDATING:
            self._liquidate(now_ns, account)
            return
        now = standing(self.house, account)
        if now.ratio <= self.rules.warning_ratio:
            self._warn(now_ns, account, now)
        state = self._state(now)
        if state == AccountState.PRE_LIQUIDATION:
            self._before_liquidation(now_ns, account, now)
            return
        self._move(now_ns, account, state, now)
        if state == AccountState.ORDER_CONTROL and account.orders:
            self.orders.cancel_increasing(now_ns, account)
            now = standing(self.house, account)
            self._move(now_ns, account, self._state(now), now)

    def _liquidate(self, now_ns: int, account: Account) -> None:
        """One step; report if the account left liquidation."""
        old = account.state
        trigger_id = self.liquidator.cases[account.number].trigger_id
        self.liquidator.advance(now_ns, account)
        if account.state == AccountState.LIQUIDATING:
            self.orders.cancel_opening(now_ns, account)  # what closed before may open by now
        else:
            self._report(now_ns, account, old, standing(self.house, account), trigger_id)
        if account.state == AccountState.BANKRUPT:
            self._release(now_ns, account)

    def _release(self, now_ns: int, account: Account) -> None:
        """A take-over that left something, and no debt, is over: the account may go on."""
        now = standing(self.house, account)
        if now.requirement == 0.0 and now.equity > self.rules.dust_usd:
            account.blocked = False
            self._move(now_ns, account, AccountState.HEALTHY, now)

    def _move(self, now_ns: int, account: Account, new: AccountState, now: Standing) -> None:
        """Change the account's state; `now` are its figures."""
        old = account.state
        if new != old:
            account.state = new
            self._report(now_ns, account, old, now)

    def _state(self, now: Standing) -> AccountState:
        if now.ratio <= self.rules.start_ratio:
            return AccountState.PRE_LIQUIDATION
        if now.covering < self.rules.order_control * now.covered:
            return AccountState.ORDER_CONTROL
        if now.ratio <= self.rules.warning_ratio:
            return AccountState.WARNED
        return AccountState.HEALTHY

    def _before_liquidation(self, now_ns: int, account: Account, now: Standing) -> None:
        """Cancel what opens risk; liquidate if that does not help. Source: 10.4."""
        self._move(now_ns, account, AccountState.PRE_LIQUIDATION, now)
        self.orders.cancel_opening(now_ns, account)
        now = standing(self.house, account)
        if now.ratio > self.rules.start_ratio:
            self._move(now_ns, account, self._state(now), now)
        elif self.forced_flow:
            self.liquidator.open(now_ns, account)
            self._report(now_ns, account, AccountState.PRE_LIQUIDATION, now)
            self._liquidate(now_ns, account)

    def _warn(self, now_ns: int, account: Account, now: Standing) -> None:
        """At most one warning an hour. Source: section 1."""
        if now_ns - account.last_warning_ns >= self.rules.warning_interval_s * 1e9:
            account.last_warning_ns = now_ns
            self.house.emit(MarginWarning(now_ns, account.number, now.ratio))

    def _report(
        self,
        now_ns: int,
        account: Account,
        old: AccountState,
        now: Standing,
        trigger_id: int = 0,
    ) -> None:
        case = self.liquidator.cases.get(account.number)
        self.house.emit(
            StateChange(
                now_ns,
                account.number,
                old,
                account.state,
                now.equity,
                now.adjusted,
                now.maintenance,
                now.initial,
                now.ratio,
                case.trigger_id if case else trigger_id,
            )
        )
