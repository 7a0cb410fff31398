"""What the pools hold is sold again: at each check a little, never more than the pool can pay for.

Source: liquidation-and-losses.md section 3 (unwinding).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accounts.bankruptcy import NO_BANKRUPTCY_PRICE
from accounts.deleveraging import cash_atoms
from accounts.events import LiquidationStage
from accounts.insurance import FUND_PREFIX
from accounts.liquidation_steps import Leg, average_ticks, standing
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.forced_flow import ForcedFlow
    from accounts.insurance import InsuranceFunds
    from accounts.listing import Listing
    from accounts.takeover import TakeOver


class Unwinding:
    """Sells the positions of all pools by immediate-or-cancel orders."""

    def __init__(
        self, house: ClearingHouse, funds: InsuranceFunds, flow: ForcedFlow, take_over: TakeOver
    ) -> None:
        self.house = house
        self.funds = funds
        self.flow = flow
        self.take_over = take_over

    def run(self, now_ns: int) -> None:
        """One order for each position that a pool holds. O(1) where none is held."""
        held = self.take_over.held
        if not held:
            return
        for (name, number), action_id in list(held.items()):
            listing = self.house.by_number[number]
            pool = self.funds.pools[name.removeprefix(FUND_PREFIX)]
            position = pool.positions[number]
            if position.lots:
                self.take_over.waterfall.deleverage(
                    now_ns, pool, listing, 0, pool.number, action_id
                )
            if position.lots:
                self._sell(now_ns, pool, listing, position, action_id)
            if position.lots == 0:
                del held[name, number]

    def _sell(
        self, now_ns: int, pool: Account, listing: Listing, position: Position, action_id: int
    ) -> None:
        """At most 10 % of the depth within 0.5 % of mark (parameters), at least one lot."""
        house, rules = self.house, self.house.rules.insurance
        mark = float(house.market.terms[listing.number, t.M_REFERENCE])
        side = -1 if position.lots > 0 else 1
        window = 1.0 + side * rules.unwind_depth_window
        limit = math.floor(mark * window) if side > 0 else math.ceil(mark * window)
        instrument = listing.instrument
        if side > 0:
            limit = instrument.floor_to_grid(min(limit, listing.high_ticks))
        else:
            limit = instrument.ceil_to_grid(max(limit, listing.low_ticks, 1))
        depth = listing.engine.book.volume_within(-side, limit)
        lots = min(abs(position.lots), max(1, int(depth * rules.unwind_depth_share)))
        if depth == 0 or limit < 1:
            return
        lots, expected = self._affordable(pool, listing, position, side, lots, limit)
        if lots == 0:
            return
        leg = Leg(
            listing, position, side * lots, limit, expected, NO_BANKRUPTCY_PRICE, False, depth
        )
        before = standing(house, pool).ratio
        traded = self.flow.send(
            now_ns,
            pool,
            leg,
            LiquidationStage.FUND_UNWIND,
            instrument.base,
            "the pool sells what it took over",
            action_id,
        )
        self.flow.report(traded, before, standing(house, pool).ratio)
        self.funds.report(now_ns, pool, action_id)

    def _affordable(
        self,
        pool: Account,
        listing: Listing,
        position: Position,
        side: int,
        lots: int,
        limit: int,
    ) -> tuple[int, float]:
        """As many of `lots` as the pool can close without falling below zero, and their price."""
        cash = self.funds.closing_money(pool, position)
        while lots > 0:
            expected, _ = average_ticks(listing, side, lots, limit)
            ticks = max(1, math.ceil(expected) if side > 0 else math.floor(expected))
            value = abs(listing.instrument.value_atoms(ticks, lots))
            fee = listing.fee_atoms(listing.taker_rate, value, lots) + lots
            change = cash_atoms(position, ticks, lots) - fee
            if cash + change >= 0:
                return lots, expected
            lots = min(lots - 1, lots * cash // -change)
        return 0, float(limit)
