"""Liquidation of isolated positions, each by its own margin, never by its owner's other assets.

Where margin and unrealised profit do not cover the maintenance margin of the position's tier and
the fee of closing it, its open orders are cancelled (their margin goes back to the owner). Then it
is reduced to the top of the next lower tier, in the lowest tier closed, by immediate-or-cancel
orders through the ordinary book, one a check and cool-down. Where the margin is gone, or the book
takes nothing at the bankruptcy price, a pool takes the position over at that price; what is still
missing goes through the waterfall. What is left goes back to the owner.

Source: portfolio-margin.md sections 10.4, 16.18; liquidation-and-losses.md sections 1 to 4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accounts.events import AccountState, LiquidationStage, MarginWarning, StateChange
from accounts.isolated import Isolated, IsolatedFigures
from accounts.liquidation_sizing import Case, limit_of
from accounts.liquidation_steps import Leg, average_ticks
from accounts.listing import ListingState
from exchange.events import CancelReason
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.forced_flow import ForcedFlow
    from accounts.takeover import TakeOver
    from risk.rules_venue import LiquidationRules

_CLOSING = "the isolated margin no longer covers the maintenance margin: the position is closed"
_REDUCING = "the isolated margin no longer covers the maintenance margin: down to a lower tier"


class IsolatedLiquidation:
    """Watches the isolated positions of one clearing house."""

    def __init__(self, house: ClearingHouse, flow: ForcedFlow, take_over: TakeOver) -> None:
        self.house = house
        self.flow = flow
        self.take_over = take_over
        self.cases: dict[int, Case] = {}

    @property
    def rules(self) -> LiquidationRules:
        """The rules in force."""
        return self.house.rules.liquidation

    def check(self, now_ns: int, *, forced_flow: bool = True) -> None:
        """Look at every isolated position once, in the order they were opened. O(positions).

        forced_flow=False cancels orders and returns what is left, but never liquidates.
        """
        isolated = self.house.isolated
        for held in list(isolated.held.values()):
            if held.position.lots or held.cash.liability_atoms:
                self._review(now_ns, held, forced_flow=forced_flow)
            isolated.sweep(now_ns, held)

    def _review(self, now_ns: int, held: Isolated, *, forced_flow: bool) -> None:
        figures = self.house.isolated.figures(held)
        if self._is_safe(held, figures):
            self._close_case(now_ns, held)
            return
        self._warn(now_ns, held, figures)
        if held.account.orders:
            self._move(now_ns, held, AccountState.PRE_LIQUIDATION)
            self.house.cancel_all(now_ns, held.account.number, None, CancelReason.RISK_CONTROL)
        if not forced_flow:
            return
        case = self.cases.get(held.account.number)
        if case is None:
            case = Case(held.account, self.flow.trigger_of(now_ns, held.account), now_ns)
            self.cases[held.account.number] = case
            held.account.blocked = True
            self._move(now_ns, held, AccountState.LIQUIDATING)
        if figures.equity <= 0.0:
            self._give_up(now_ns, held, case, "the isolated margin is used up")
        elif now_ns >= case.next_ns and held.listing.state == ListingState.TRADING:
            self._step(now_ns, held, case, figures)

    def _is_safe(self, held: Isolated, figures: IsolatedFigures) -> bool:
        if held.position.lots == 0:
            return held.cash.liability_atoms == 0
        return figures.ratio > self.rules.start_ratio and figures.equity >= 0.0

    # --- steps ---------------------------------------------------------------------------------

    def _step(self, now_ns: int, held: Isolated, case: Case, figures: IsolatedFigures) -> None:
        """One forced order; the case ends where the position is safe, gone or given up."""
        case.steps += 1
        wanted = self._wanted(held)
        whole = wanted == abs(held.position.lots)
        leg = self._leg(held, case, wanted)
        traded = self.flow.send(
            now_ns,
            held.account,
            leg,
            LiquidationStage.ISOLATED,
            held.listing.instrument.base,
            _CLOSING if whole else _REDUCING,
            case.trigger_id,
        )
        after = self.house.isolated.figures(held)
        self.flow.report(traded, figures.ratio, after.ratio)
        case.next_ns = now_ns + round(self.rules.cool_down_s * 1e9)
        if self._is_safe(held, after):
            self._close_case(now_ns, held)
        elif after.equity <= 0.0:
            self._give_up(now_ns, held, case, "the isolated margin is used up")
        elif not traded.lots and self._attempts_used(case, leg):
            self._give_up(
                now_ns,
                held,
                case,
                f"{self.rules.attempts} attempts at the bankruptcy price found no other side",
            )
        elif case.steps >= self.rules.max_steps:
            self._give_up(now_ns, held, case, f"{self.rules.max_steps} steps were not enough")
        elif traded.lots:
            case.empty_attempts.clear()
            case.final_attempts.clear()

    def _wanted(self, held: Isolated) -> int:
        """Lots to close: what is above the next lower tier, in the lowest tier everything.

        Options have no tiers. Source: 16.18.
        """
        lots = abs(held.position.lots)
        if held.listing.is_option:
            return lots
        terms = self.house.market.terms[held.listing.number]
        notional, step = float(terms[t.M_NOTIONAL]), float(terms[t.M_TIER])
        tier = math.ceil(lots * notional / step)
        if tier <= 1:
            return lots
        return max(1, lots - math.floor((tier - 1) * step / notional))

    def _leg(self, held: Isolated, case: Case, lots: int) -> Leg:
        """An order that closes `lots`, within the slippage that its attempts have reached."""
        house, listing, position = self.house, held.listing, held.position
        side = -1 if position.lots > 0 else 1
        limit = limit_of(house, case, position, listing, side)
        expected, available = average_ticks(listing, side, lots, limit.ticks)
        return Leg(
            listing,
            position,
            side * lots,
            limit.ticks,
            expected,
            limit.bankruptcy_ticks,
            limit.final,
            available,
        )

    def _attempts_used(self, case: Case, leg: Leg) -> bool:
        """Count an attempt that filled nothing; whether it was the last at the bankruptcy price."""
        number = leg.listing.number
        case.empty_attempts[number] = case.empty_attempts.get(number, 0) + 1
        if not leg.final:
            return False
        case.final_attempts[number] = case.final_attempts.get(number, 0) + 1
        return case.final_attempts[number] >= self.rules.attempts

    # --- ends ----------------------------------------------------------------------------------

    def _close_case(self, now_ns: int, held: Isolated) -> None:
        """The position is safe, or gone: its account may trade again."""
        self.cases.pop(held.account.number, None)
        held.account.blocked = False
        figures = self.house.isolated.figures(held)
        warned = figures.ratio <= self.rules.warning_ratio
        self._move(now_ns, held, AccountState.WARNED if warned else AccountState.HEALTHY)
        if warned:
            self._warn(now_ns, held, figures)

    def _warn(self, now_ns: int, held: Isolated, figures: IsolatedFigures) -> None:
        """At most one warning an hour. Source: section 1."""
        account = held.account
        if now_ns - account.last_warning_ns >= self.rules.warning_interval_s * 1e9:
            account.last_warning_ns = now_ns
            self.house.emit(MarginWarning(now_ns, account.number, figures.ratio))

    def _give_up(self, now_ns: int, held: Isolated, case: Case, reason: str) -> None:
        """Take the position over at its bankruptcy price and settle what is missing."""
        old = held.account.state
        action_id = next(self.flow.action_ids)
        self.take_over.account(now_ns, held.account, action_id, case.trigger_id, reason)
        self._report(now_ns, held, old)
        self._close_case(now_ns, held)

    def _move(self, now_ns: int, held: Isolated, new: AccountState) -> None:
        old = held.account.state
        if new != old:
            held.account.state = new
            self._report(now_ns, held, old)

    def _report(self, now_ns: int, held: Isolated, old: AccountState) -> None:
        account = held.account
        figures = self.house.isolated.figures(held)
        totals = self.house.exposures.figures(account.number)
        case = self.cases.get(account.number)
        self.house.emit(
            StateChange(
                now_ns,
                account.number,
                old,
                account.state,
                figures.equity,
                figures.equity,
                figures.maintenance + figures.closing_fee,
                float(totals[t.T_IMR]),
                figures.ratio,
                case.trigger_id if case else 0,
            )
        )
