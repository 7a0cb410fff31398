"""Forced orders: sent through the ordinary book, reported as risk actions, remembered as triggers.

Every forced step has an id of its own; the step that moved a price against an account last before
it broke is the account's trigger. So the steps of a run form a tree.

Source: liquidation-and-losses.md sections 2 and 6.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from accounts.bankruptcy import NO_BANKRUPTCY_PRICE
from accounts.events import LiquidationStage, PostingKind, RiskAction
from accounts.insurance import usd_of
from accounts.liquidation_steps import Leg
from exchange.events import Fill
from exchange.order import OrderRequest, OrderType, Side
from exchange.units import divide_rounded
from risk import layout as at
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.insurance import InsuranceFunds

TRIGGER_MEMORY_NS = 60_000_000_000  # a forced fill counts as the trigger of what breaks within it
REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Traded:
    """What came of one forced order, and the event that reports it once the step is done."""

    action: RiskAction
    lots: int


class ForcedFlow:
    """Sends forced orders and remembers which of them moved which price last."""

    def __init__(self, house: ClearingHouse, funds: InsuranceFunds) -> None:
        self.house = house
        self.funds = funds
        self.action_ids = count(1)
        self._recent: dict[tuple[str, int], deque[tuple[int, int, int]]] = {}

    # --- triggers ------------------------------------------------------------------------------

    def remember(self, now_ns: int, base: str, side: int, action_id: int, account: int) -> None:
        """A forced fill of `side` moved the price of a coin."""
        recent = self._recent.setdefault((base, side), deque(maxlen=REMEMBERED))
        recent.append((now_ns, action_id, account))

    def trigger_of(self, now_ns: int, account: Account) -> int:
        """The forced action whose price move pushed an account over, 0 if none did lately.

        Looked for in the account's units from the largest margin down: the last forced fill of
        another account within 60 s that moved the price against the unit's delta (sales where the
        account is long), before the mark that broke it. A borrower of coins is short of them, a
        holder long.
        """
        house = self.house
        house.exposures.figures(account.number)
        for unit, _, _ in house.exposures.units_by_margin(account.number):
            base = house.market.plan.units[unit].base
            delta = self._delta(account, unit, base)
            if delta == 0.0:
                continue
            found = self._last(now_ns, base, -1 if delta > 0.0 else 1, account.number)
            if found:
                return found
        for currency in sorted(account.balances):  # a holder or borrower without derivatives
            balance = account.balances[currency]
            owned = house.ledger.balances[balance.cash] - balance.liability_atoms
            if owned and currency not in ("USD", "USDT", "USDC"):
                found = self._last(now_ns, currency, -1 if owned > 0 else 1, account.number)
                if found:
                    return found
        return 0

    def _delta(self, account: Account, unit: int, base: str) -> float:
        """USD delta of a unit: derivatives and the coins themselves."""
        exposures, market = self.house.exposures, self.house.market
        sums = exposures.unit_sums[exposures.unit_row(account.number, unit)]
        delta = float(sums[at.USD_DELTA - market.first_column])
        balance = account.balances.get(base)
        if balance is not None and market.plan.units[unit].takes_spot:
            cash = int(exposures.currencies[balance.row, t.C_CASH])
            delta += cash * market.scales[balance.number] * market.usd[base]
        return delta

    def _last(self, now_ns: int, base: str, side: int, account: int) -> int:
        for time_ns, action_id, mover in reversed(self._recent.get((base, side), ())):
            if now_ns - time_ns > TRIGGER_MEMORY_NS:
                return 0
            # what fills at this mark's check cannot have moved this mark
            if mover != account and time_ns < self.house.market.time_ns:
                return action_id
        return 0

    # --- orders --------------------------------------------------------------------------------

    def send(
        self,
        now_ns: int,
        account: Account,
        leg: Leg,
        stage: LiquidationStage,
        unit: str,
        reason: str,
        trigger_id: int,
    ) -> Traded:
        """One immediate-or-cancel order of a leg. The caller then calls `report`."""
        house, listing = self.house, leg.listing
        instrument = listing.instrument
        action_id = next(self.action_ids)
        side = Side.BUY if leg.lots > 0 else Side.SELL
        wanted = abs(leg.lots)
        request = OrderRequest(
            instrument.instrument_id, side, OrderType.IOC, wanted, leg.limit_ticks
        )
        events = house.submit_forced(now_ns, account, listing, request, action_id)
        fills = [event for event in events if type(event) is Fill]
        filled, price, notional, worse, fee = 0, 0.0, 0.0, 0.0, 0.0
        mark = int(house.market.mark_ticks[listing.number])
        if fills:
            filled = sum([fill.size_lots for fill in fills])
            moved_by = trigger_id if stage == LiquidationStage.FUND_UNWIND else action_id
            self.remember(now_ns, instrument.base, int(side), moved_by, account.number)
            price, notional, worse, fee = self._result(now_ns, account, leg, fills, mark, action_id)
        tick, bankrupt = float(instrument.tick), leg.bankruptcy_ticks
        return Traded(
            RiskAction(
                now_ns,
                action_id,
                trigger_id,
                account.number,
                stage,
                unit,
                instrument.instrument_id,
                int(side),
                wanted,
                filled,
                leg.limit_ticks,
                price * tick,
                mark * tick,
                bankrupt * tick if bankrupt < NO_BANKRUPTCY_PRICE else 0.0,
                notional,
                worse,
                fee,
                0.0,
                0.0,
                reason,
            ),
            filled,
        )

    def report(self, traded: Traded, ratio_before: float, ratio_after: float) -> None:
        """Emit the action of a forced order, with the account's margin ratio around its step."""
        action = traded.action
        action.ratio_before, action.ratio_after = ratio_before, ratio_after
        self.house.emit(action)

    def _result(
        self,
        now_ns: int,
        account: Account,
        leg: Leg,
        fills: list[Fill],
        mark: int,
        action_id: int,
    ) -> tuple[float, float, float, float]:
        """Settle the fees; average price in ticks, and in USD: value at mark, loss against it, fee
        and penalty."""
        house, instrument = self.house, leg.listing.instrument
        filled = sum([fill.size_lots for fill in fills])
        paid = sum([fill.price_ticks * fill.size_lots for fill in fills])
        value = sum([instrument.value_atoms(fill.price_ticks, fill.size_lots) for fill in fills])
        fee = self._fees(now_ns, account, leg, fills, action_id)
        at_mark = instrument.value_atoms(mark, filled) if mark > 0 else 0
        against = (1 if leg.lots > 0 else -1) * (-1 if instrument.inverse else 1)
        notional, worse, charged = (
            usd_of(house, instrument.settle, atoms)
            for atoms in (at_mark, (value - at_mark) * against, fee)
        )
        return paid / filled, notional, worse, charged

    def _fees(
        self, now_ns: int, account: Account, leg: Leg, fills: list[Fill], action_id: int
    ) -> int:
        """Charge the penalty, set the pool's share aside; fee and penalty in atoms."""
        house, listing = self.house, leg.listing
        fee, penalty = 0, 0
        for fill in fills:
            value = abs(listing.instrument.value_atoms(fill.price_ticks, fill.size_lots))
            fee += listing.fee_atoms(listing.taker_rate, value, fill.size_lots)
            penalty += divide_rounded(value * leg.penalty_e8, 10**8)
        if penalty:
            settle = leg.position.settle
            kind = int(PostingKind.PENALTY)
            house.ledger.post(now_ns, kind, settle.cash, listing.fee_ledger, penalty, action_id)
            house.book_cash(now_ns, settle)
        if not account.is_fund:
            self.funds.accrue(now_ns, listing, fee + penalty, action_id)
        return fee + penalty
