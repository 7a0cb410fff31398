"""Staged forced liquidation of one account at a time, one step per check.

A step: pick the unit with the largest maintenance margin, ask the stages in order for candidates, take the
first that passes the guard, send it through the ordinary book as immediate-or-cancel orders, and look
again after the cool-down. When no stage of any unit helps, or equity is gone, the account is taken over.

Source: liquidation-and-losses.md sections 1 to 3.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from accounts.events import AccountState, LiquidationStage, RiskAction
from accounts.insurance import InsuranceFunds, usd_of
from accounts.liquidation_stages import STAGES, Case, View
from accounts.liquidation_steps import Leg, Standing, Step, improvement, limit_ticks, standing
from accounts.takeover import NO_BANKRUPTCY_PRICE, TakeOver, open_positions
from exchange.events import Fill
from exchange.order import OrderRequest, OrderType, Side

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse

TRIGGER_MEMORY_NS = 60_000_000_000  # a forced fill counts as the trigger of what breaks within it


class Liquidator:
    """All accounts under liquidation."""

    def __init__(self, house: ClearingHouse, funds: InsuranceFunds) -> None:
        self.house = house
        self.funds = funds
        self.take_over = TakeOver(house, funds)
        self.rules = house.rules.liquidation
        self.cases: dict[int, Case] = {}
        self.action_ids = count(1)
        self._last_forced: dict[str, tuple[int, int]] = {}  # unit -> (action, time)

    def trigger_of(self, now_ns: int, account: Account) -> int:
        """The forced action that moved one of the account's units last, 0 if none lately."""
        latest = (0, 0)
        for position in account.positions.values():
            action, time_ns = self._last_forced.get(position.instrument.base, (0, 0))
            if action and now_ns - time_ns <= TRIGGER_MEMORY_NS and (time_ns, action) > latest:
                latest = (time_ns, action)
        return latest[1]

    def open(self, now_ns: int, account: Account) -> None:
        """Begin with an account whose ratio is still at or below the start after cancellation."""
        account.blocked = True
        account.state = AccountState.LIQUIDATING
        self.cases[account.number] = Case(account, self.trigger_of(now_ns, account), now_ns)

    def advance(self, now_ns: int, account: Account) -> None:
        """Take at most one step with the account; close the case when it is safe or gone."""
        case = self.cases[account.number]
        if now_ns < case.next_ns:
            return
        before = standing(self.house, account)
        if before.ratio > self.rules.stop_ratio or not self._risky(account):
            self._close(account, before)
            return
        if before.equity <= 0.0:
            self._give_up(now_ns, case, "equity is used up")
            return
        case.steps += 1
        assert case.steps <= self.rules.max_steps, f"account {account.name} is not liquidated"
        step = self._choose(case, before)
        if step is None:
            self._give_up(now_ns, case, "no step improves the margin ratio")
            return
        self._execute(now_ns, case, step, before)
        case.next_ns = now_ns + round(self.rules.cool_down_s * 1e9)
        after = standing(self.house, account)
        if after.equity <= 0.0:
            self._give_up(now_ns, case, "equity is used up")
        elif after.ratio > self.rules.stop_ratio or not self._risky(account):
            self._close(account, after)

    def _risky(self, account: Account) -> bool:
        return bool(open_positions(account)) or any(
            balance.liability_atoms for balance in account.balances.values()
        )

    def _close(self, account: Account, now: Standing) -> None:
        del self.cases[account.number]
        account.blocked = False
        warned = now.ratio <= self.rules.warning_ratio
        account.state = AccountState.WARNED if warned else AccountState.HEALTHY

    def _give_up(self, now_ns: int, case: Case, reason: str) -> None:
        action_id = next(self.action_ids)
        self._mark_forced(now_ns, case.account, action_id)
        del self.cases[case.account.number]
        self.take_over.account(now_ns, case.account, action_id, case.trigger_id, reason)

    def _mark_forced(self, now_ns: int, account: Account, action_id: int) -> None:
        for position in open_positions(account):
            self._last_forced[position.instrument.base] = (action_id, now_ns)

    def _choose(self, case: Case, before: Standing) -> Step | None:
        """The first candidate that passes the guard: units by margin, stages in order."""
        house, market = self.house, self.house.market
        units = sorted(
            house.exposures.unit_margins(case.account.number), key=lambda row: (-row[1], row[0])
        )
        view = View(house, case, before, self.rules)
        for number, _, _ in units:
            unit = market.unit_names[number]
            for stage in STAGES:
                for step in stage(view, unit):
                    if step.improvement > 0.0:
                        return step
        return None

    def _execute(self, now_ns: int, case: Case, step: Step, before: Standing) -> None:
        """Send the legs as IOC orders; count the attempts that fill nothing."""
        for leg in step.legs:
            action_id = next(self.action_ids)
            filled = self._send(now_ns, case, step, leg, action_id, before)
            number = leg.listing.number
            assert case.empty_attempts is not None and case.final_attempts is not None
            if filled:
                case.empty_attempts.pop(number, None)
                case.final_attempts.pop(number, None)
                self._last_forced[leg.listing.instrument.base] = (action_id, now_ns)
                continue
            side = 1 if leg.lots > 0 else -1
            slippage = View(self.house, case, before, self.rules).slippage(leg.listing)
            _, _, final = limit_ticks(
                self.house, case.account, leg.position, leg.listing, side, slippage
            )
            case.empty_attempts[number] = case.empty_attempts.get(number, 0) + 1
            if final:
                case.final_attempts[number] = case.final_attempts.get(number, 0) + 1
            if case.final_attempts.get(number, 0) >= self.rules.attempts:
                self._surrender(now_ns, case, leg)

    def _surrender(self, now_ns: int, case: Case, leg: Leg) -> None:
        """Nobody buys at the bankruptcy price: the pool takes the position (spot: the account)."""
        if leg.listing.is_spot:
            return
        action_id = next(self.action_ids)
        self._last_forced[leg.listing.instrument.base] = (action_id, now_ns)
        self.take_over.position(
            now_ns, case.account, leg.position, action_id, case.trigger_id,
            f"{self.rules.attempts} attempts at the bankruptcy price found no buyer",
        )
        assert case.final_attempts is not None
        case.final_attempts.pop(leg.listing.number, None)

    def _send(
        self, now_ns: int, case: Case, step: Step, leg: Leg, action_id: int, before: Standing
    ) -> int:
        """One forced order through the ordinary book; lots filled."""
        house, listing = self.house, leg.listing
        instrument = listing.instrument
        side = Side.BUY if leg.lots > 0 else Side.SELL
        request = OrderRequest(
            instrument.instrument_id, side, OrderType.IOC, abs(leg.lots), leg.limit_ticks
        )
        events = house.submit_forced(now_ns, case.account, listing, request, action_id)
        fills = [event for event in events if type(event) is Fill]
        filled = sum(fill.size_lots for fill in fills)
        mark = int(house.market.mark_ticks[listing.number])
        value = sum(instrument.value_atoms(fill.price_ticks, fill.size_lots) for fill in fills)
        fee = sum(
            listing.fee_atoms(
                listing.taker_rate,
                instrument.value_atoms(fill.price_ticks, fill.size_lots),
                fill.size_lots,
            )
            for fill in fills
        )
        at_mark = instrument.value_atoms(mark, filled) if mark > 0 else 0
        worse = (value - at_mark) * int(side) * (-1 if instrument.inverse else 1)
        paid = sum(fill.price_ticks * fill.size_lots for fill in fills)
        tick = float(instrument.tick)
        bankrupt = leg.bankruptcy_ticks
        after = standing(house, case.account)
        settle = instrument.settle
        house.emit(
            RiskAction(
                now_ns, action_id, case.trigger_id, case.account.number, step.stage, step.unit,
                instrument.instrument_id, int(side), abs(leg.lots), filled, leg.limit_ticks,
                paid / filled * tick if filled else 0.0, mark * tick,
                bankrupt * tick if bankrupt < NO_BANKRUPTCY_PRICE else 0.0,
                usd_of(house, settle, at_mark), usd_of(house, settle, worse),
                usd_of(house, settle, fee), before.ratio, after.ratio, step.reason,
            )
        )
        return filled


__all__ = ["LiquidationStage", "Liquidator", "improvement"]
