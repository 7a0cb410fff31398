"""The stages of a liquidation: each offers its candidate steps, best first.

A stage only proposes; the guard in `liquidation` decides. `STAGES` is the order in which they are tried
for the unit with the largest maintenance margin.

Source: liquidation-and-losses.md section 2; portfolio-margin.md section 10.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.events import LiquidationStage
from accounts.liquidation_steps import (
    Leg,
    Standing,
    Step,
    average_ticks,
    improvement,
    limit_ticks,
    probe,
)
from accounts.takeover import open_positions
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from risk.rules_liquidation import LiquidationRules


@dataclass(slots=True)
class Case:
    """An account under liquidation: what is remembered between its steps."""

    account: Account
    trigger_id: int
    next_ns: int = 0
    steps: int = 0
    empty_attempts: dict[int, int] | None = None  # instrument number -> attempts without a fill
    final_attempts: dict[int, int] | None = None  # of these, with the limit at its bound

    def __post_init__(self) -> None:
        self.empty_attempts = {}
        self.final_attempts = {}


@dataclass(slots=True)
class View:
    """What a stage may look at."""

    house: ClearingHouse
    case: Case
    before: Standing
    rules: LiquidationRules

    def slippage(self, listing: Listing) -> float:
        """Slippage allowed now: the MR7 rate, doubled for every attempt that filled nothing."""
        rate = self.house.market.slippage_rate(listing.number)
        assert self.case.empty_attempts is not None
        attempts = self.case.empty_attempts.get(listing.number, 0)
        growth: float = self.rules.slippage_growth
        return rate * growth**attempts


Stage = Callable[[View, str], Iterable[Step]]


def sized_leg(
    view: View, position: Position, listing: Listing, side: int, most: int
) -> tuple[Leg, int] | None:
    """A leg of at most `most` lots within the visible depth, and that depth; None if most is 0.

    Where nothing is visible within the limit one lot is tried: the attempt counts, the limit
    widens.
    """
    if most <= 0:
        return None
    account = view.case.account
    limit, bankrupt, _ = limit_ticks(
        view.house, account, position, listing, side, view.slippage(listing)
    )
    _, available = average_ticks(listing, side, most, limit)
    lots = max(1, min(most, available))
    expected, _ = average_ticks(listing, side, lots, limit)
    return Leg(listing, position, side * lots, limit, expected, bankrupt), available


def step_share(view: View, position: Position, held: int) -> int:
    """Lots of one step: at most 20 % of the position, all of it below the dust level."""
    usd = abs(held) * float(view.house.market.terms[position.number, t.M_USD])
    if usd <= view.rules.dust_usd:
        return abs(held)
    return max(1, math.floor(abs(held) * view.rules.max_step_share))


def enough(view: View, legs: tuple[Leg, ...], after: Standing) -> int:
    """Lots of the first leg that reach the stop ratio by the linear estimate (at least 1)."""
    lots = abs(legs[0].lots)
    slack_before = view.before.adjusted - view.rules.stop_ratio * view.before.requirement
    slack_after = after.adjusted - view.rules.stop_ratio * after.requirement
    if slack_after <= 0.0 or slack_after <= slack_before:
        return lots
    return max(1, min(lots, math.ceil(lots * -slack_before / (slack_after - slack_before))))


def standard(view: View, unit: str) -> Iterable[Step]:
    """Standard reduction: close parts of the unit's positions, the most helpful first."""
    steps: list[Step] = []
    for position in open_positions(view.case.account):
        if position.instrument.base != unit:
            continue
        step = _reduction(
            view, position, position.lots, LiquidationStage.STANDARD,
            f"closing part of {position.instrument.instrument_id} raises the margin ratio",
        )
        if step is not None:
            steps.append(step)
    steps.sort(key=lambda step: (-step.improvement, -step.depth_lots, step.legs[0].listing.number))
    return steps


def repayment(view: View, unit: str) -> Iterable[Step]:
    """Sell spot of the unit's coin for a currency that is owed, or buy back the coin if it is owed."""
    account, house = view.case.account, view.house
    steps: list[Step] = []
    for listing in house.by_number:
        if not listing.is_spot or listing.instrument.base != unit:
            continue
        base = account.balances.get(listing.instrument.base)
        quote = account.balances.get(listing.instrument.quote)
        if base is None or quote is None:
            continue
        owned = house.ledger.balances[base.cash] - base.liability_atoms
        owed = house.ledger.balances[quote.cash] - quote.liability_atoms
        held = int(math.copysign(abs(owned) // listing.base_atoms_per_lot, owned))
        if held == 0 or not ((owned > 0 and owed < 0) or owned < 0):
            continue
        position = house.position(account, listing)
        what = "selling" if held > 0 else "buying back"
        step = _reduction(
            view, position, held, LiquidationStage.REPAYMENT,
            f"{what} {listing.instrument.base} repays borrowings",
        )
        if step is not None:
            steps.append(step)
    steps.sort(key=lambda step: (-step.improvement, -step.depth_lots, step.legs[0].listing.number))
    return steps


def _reduction(
    view: View, position: Position, held: int, stage: LiquidationStage, reason: str
) -> Step | None:
    """Close a part of `held` lots in the position's own book, sized by share, depth and need."""
    listing = view.house.by_number[position.number]
    side = -1 if held > 0 else 1
    sized = sized_leg(view, position, listing, side, step_share(view, position, held))
    if sized is None:
        return None
    leg, depth = sized
    after = probe(view.house, view.case.account, (leg,))
    lots = enough(view, (leg,), after)
    if lots < abs(leg.lots):
        expected, _ = average_ticks(listing, side, lots, leg.limit_ticks)
        leg = Leg(
            listing, position, side * lots, leg.limit_ticks, expected, leg.bankruptcy_ticks
        )
        after = probe(view.house, view.case.account, (leg,))
    gain = improvement(view.before, after, view.rules.stop_ratio)
    return Step(stage, position.instrument.base, (leg,), reason, gain, depth)


STAGES: tuple[Stage, ...] = (standard, repayment)
