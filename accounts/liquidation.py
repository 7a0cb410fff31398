"""Staged forced liquidation of one account at a time, one step per check.

A step: pick the unit with the largest maintenance margin, ask the stages in order for candidates,
take the first that passes the guard, send it through the ordinary book as immediate-or-cancel
orders, and look again after the cool-down. When no stage of any unit helps, or equity is gone, the
account is taken over.

Source: liquidation-and-losses.md sections 1 to 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.bankruptcy import open_positions
from accounts.events import AccountState
from accounts.forced_flow import ForcedFlow
from accounts.liquidation_sizing import Case, View
from accounts.liquidation_stages import candidates
from accounts.liquidation_steps import Leg, Standing, Step, standing
from accounts.takeover import TakeOver
from accounts.unit_products import unit_products

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse


class Liquidator:
    """All accounts under liquidation."""

    def __init__(self, house: ClearingHouse, flow: ForcedFlow, take_over: TakeOver) -> None:
        self.house = house
        self.flow = flow
        self.take_over = take_over
        self.cases: dict[int, Case] = {}
        self._products = unit_products(house)

    def open(self, now_ns: int, account: Account) -> None:
        """Begin with an account whose ratio is still at or below the start after cancellation."""
        account.blocked = True
        account.state = AccountState.LIQUIDATING
        self.cases[account.number] = Case(account, self.flow.trigger_of(now_ns, account), now_ns)

    def advance(self, now_ns: int, account: Account) -> None:
        """Take at most one step with the account; close the case when it is safe or gone."""
        case, rules = self.cases[account.number], self.house.rules.liquidation
        if now_ns < case.next_ns:
            return
        before = standing(self.house, account)
        if before.ratio > rules.stop_ratio or not _risky(account, before):
            self._close(account, before)
            return
        if before.equity <= 0.0:
            self._give_up(now_ns, case, "equity is used up")
            return
        if case.steps >= rules.max_steps:
            self._give_up(now_ns, case, f"{rules.max_steps} steps were not enough")
            return
        case.steps += 1
        step = self._choose(case, before)
        if step is None:
            self._give_up(now_ns, case, "no step improves the margin ratio")
            return
        after = self._execute(now_ns, case, step, before.ratio)
        case.next_ns = now_ns + round(rules.cool_down_s * 1e9)
        wiped_out = case.taken_over and after.equity <= rules.dust_usd
        if after.equity <= 0.0 or (wiped_out and not open_positions(account)):
            self._give_up(now_ns, case, "equity is used up")
        elif after.ratio > rules.stop_ratio or not _risky(account, after):
            self._close(account, after)

    def _close(self, account: Account, now: Standing) -> None:
        del self.cases[account.number]
        account.blocked = False
        warned = now.ratio <= self.house.rules.liquidation.warning_ratio
        account.state = AccountState.WARNED if warned else AccountState.HEALTHY

    def _give_up(self, now_ns: int, case: Case, reason: str) -> None:
        del self.cases[case.account.number]
        action_id = next(self.flow.action_ids)
        self.take_over.account(now_ns, case.account, action_id, case.trigger_id, reason)

    def _choose(self, case: Case, before: Standing) -> Step | None:
        """The first candidate that passes the guard."""
        view = View(self.house, case, before, self.house.rules.liquidation, self._products)
        for step in candidates(view):
            if step.improvement > 0.0:
                return step
        return None

    def _execute(self, now_ns: int, case: Case, step: Step, ratio_before: float) -> Standing:
        """Send the legs, the thinnest book first; what it does not fill the others do not trade.

        Returns the account's figures after them.
        """
        share, sent_legs, legs = 1.0, [], step.legs
        if len(legs) > 1:
            legs = tuple(sorted(legs, key=lambda leg: leg.available_lots / abs(leg.lots)))
        for leg in legs:
            lots = int(abs(leg.lots) * share)
            if lots == 0:
                break
            sent = leg._replace(lots=lots if leg.lots > 0 else -lots) if share < 1.0 else leg
            traded = self.flow.send(
                now_ns, case.account, sent, step.stage, step.unit, step.reason, case.trigger_id
            )
            share = min(share, traded.lots / abs(leg.lots))
            sent_legs.append((sent, traded))
        # A step is judged as a whole: between its legs an account may look worse than before.
        after = standing(self.house, case.account)
        ratio_after, changed = after.ratio, False
        for _, traded in sent_legs:
            self.flow.report(traded, ratio_before, ratio_after)
        for sent, traded in sent_legs:
            changed = self._count_attempt(now_ns, case, sent, traded.lots) or changed
        return standing(self.house, case.account) if changed else after

    def _count_attempt(self, now_ns: int, case: Case, leg: Leg, filled: int) -> bool:
        """Widen after an attempt that filled nothing; give the leg up after the last one.

        Whether a pool took its position over, which changes the account.
        """
        number = leg.listing.number
        if filled:
            case.empty_attempts.pop(number, None)
            case.final_attempts.pop(number, None)
            return False
        case.empty_attempts[number] = case.empty_attempts.get(number, 0) + 1
        if not leg.final:
            return False
        attempts = self.house.rules.liquidation.attempts
        case.final_attempts[number] = case.final_attempts.get(number, 0) + 1
        if case.final_attempts[number] < attempts:
            return False
        case.final_attempts.pop(number)
        if not leg.closes:
            case.exhausted.add((number, 1 if leg.lots > 0 else -1))
            return False
        case.taken_over = True
        self.take_over.position(
            now_ns,
            case.account,
            leg.position,
            next(self.flow.action_ids),
            case.trigger_id,
            f"{attempts} attempts at the bankruptcy price found no other side",
        )
        return True


def _risky(account: Account, now: Standing) -> bool:
    """Whether anything is left that can lose: positions, debts, a negative equity."""
    if now.requirement > 0.0:
        return True
    return bool(open_positions(account)) or any(
        balance.liability_atoms for balance in account.balances.values()
    )
