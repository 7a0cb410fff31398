"""How large a step is: by share of the position, by visible depth, by need.

Source: liquidation-and-losses.md section 2 (sizing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accounts.liquidation_steps import (
    Leg,
    Standing,
    Step,
    average_ticks,
    improvement,
    limit_ticks,
    probe,
)
from accounts.listing import ListingState
from risk import layout as at
from risk import order_tables as t
from risk.kernels import unit_margin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.events import LiquidationStage
    from accounts.listing import Listing
    from risk.rules_venue import LiquidationRules


@dataclass(slots=True)
class Case:
    """An account under liquidation: what is remembered between its steps.

    empty_attempts: instrument number -> attempts in a row that filled nothing; final_attempts: of
    these, with the limit at its bound. exhausted: (instrument number, side) that no more attempt
    is made for.
    """

    account: Account
    trigger_id: int
    next_ns: int = 0
    steps: int = 0
    empty_attempts: dict[int, int] = field(default_factory=dict)
    final_attempts: dict[int, int] = field(default_factory=dict)
    exhausted: set[tuple[int, int]] = field(default_factory=set)
    taken_over: bool = False  # a position has gone to a pool at its bankruptcy price


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
        growth: float = self.rules.slippage_growth
        # Beyond 2^64 every limit is at its bound; an overflow would be an error.
        return rate * growth ** min(self.case.empty_attempts.get(listing.number, 0), 64)

    def usd_delta(self, number: int) -> float:
        """USD delta of one lot of an instrument, signed (spot: of the coins)."""
        market = self.house.market
        if self.house.by_number[number].is_spot:
            return float(market.terms[number, t.M_USD])
        return float(market.stress[number, at.USD_DELTA - market.first_column])

    def listings_of(self, unit: int) -> list[Listing]:
        """The instruments of a risk unit, spot pairs included, in the house's order."""
        return [self.house.by_number[n] for n in self.house.market.instruments_of_unit[unit]]

    def positions_of(self, unit: int) -> list[Position]:
        """The account's open derivative positions of a risk unit, in the order first opened."""
        units = self.house.market.unit_of_instrument
        return [
            p for p in self.case.account.positions.values() if p.lots and units[p.number] == unit
        ]

    def equity_atoms(self, currency: str) -> int:
        """Cash less debt plus unrealised profit and option value in a currency, atoms."""
        balance = self.case.account.balances.get(currency)
        if balance is None:
            return 0
        row = self.house.exposures.currencies[balance.row]
        return int(row[t.C_CASH] + row[t.C_FUTURES] + row[t.C_OPTIONS])

    def cash_atoms(self, currency: str) -> int:
        """Cash less debt in a currency, atoms."""
        balance = self.case.account.balances.get(currency)
        return 0 if balance is None else int(self.house.exposures.currencies[balance.row, t.C_CASH])


@dataclass(frozen=True, slots=True)
class UnitFigures:
    """One risk unit of an account: its stress vector (full width) and margin components, USD."""

    vector: NDArray[np.float64]
    components: NDArray[np.float64]  # the columns OUT_* of risk.layout
    spot_in_use_usd: float

    def largest(self, *wanted: int) -> bool:
        """Whether one of the `wanted` components is positive and no other is larger."""
        parts = self.components[: at.OUT_MMR]
        best = max(float(parts[column]) for column in wanted)
        return best > 0.0 and best >= float(parts.max())


def unit_figures(view: View, unit: int) -> UnitFigures:
    """The components of one unit, recomputed from its sums. O(columns)."""
    house = view.house
    exposures, market = house.exposures, house.market
    exposures.figures(view.case.account.number)  # a tried step leaves the unit to be recomputed
    row = exposures.unit_row(view.case.account.number, unit)
    width, extra = market.width, 3 * market.width
    sums = exposures.unit_sums[row]
    vector = np.zeros(market.full_width)
    vector[market.first_column :] = sums[:width]
    usd = market.usd[market.plan.units[unit].base]
    use = float(sums[extra + t.S_USE])
    out = np.zeros(at.OUT_SIZE)
    unit_margin(vector, float(sums[extra + t.S_MR7]), use, usd, market.unit_terms[unit], out)
    return UnitFigures(vector, out, use * usd)


class Wish(NamedTuple):
    """A leg before it is sized: at most `most` lots (> 0) of `side` in an instrument."""

    position: Position
    listing: Listing
    side: int
    most: int
    penalty_e8: int = 0


def wish(view: View, listing: Listing, side: int, most: int, penalty_e8: int = 0) -> Wish | None:
    """A leg of at most `most` lots that never turns a position's sign; None if nothing is left.

    A trade against an open position is capped at that position. Legs for which all attempts have
    been made are not wished for again, nor is anything that does not trade.
    """
    if (listing.number, side) in view.case.exhausted or listing.state != ListingState.TRADING:
        return None
    position = view.house.position(view.case.account, listing)
    if position.lots * side < 0:
        most = min(most, abs(position.lots))
    if most <= 0:
        return None
    return Wish(position, listing, side, most, penalty_e8)


def whole_if_dust(view: View, wishes: tuple[Wish, ...]) -> float:
    """The share of a step: 20 % (parameter), or all where every leg is below the dust level."""
    terms = view.house.market.terms
    usd = max(wished.most * float(terms[wished.listing.number, t.M_USD]) for wished in wishes)
    return 1.0 if usd <= view.rules.dust_usd else view.rules.max_step_share


def sized_step(
    view: View,
    stage: LiquidationStage,
    unit: str,
    wishes: tuple[Wish, ...],
    reason: str,
    share: float | None = None,
) -> Step:
    """A step of all wishes in proportion: the smallest of share, depth and need, each >= one lot.

    Where nothing is visible within the limit one lot is tried: the attempt counts, the limit
    widens. O(legs x (levels + columns)).
    """
    fraction = whole_if_dust(view, wishes) if share is None else share
    limits = []
    for wished in wishes:
        limit, bankrupt, final = limit_ticks(
            view.house,
            view.case.account,
            wished.position,
            wished.listing,
            wished.side,
            view.slippage(wished.listing),
        )
        _, available = average_ticks(wished.listing, wished.side, wished.most, limit)
        limits.append((limit, bankrupt, final, available))
        fraction = min(fraction, available / wished.most)
    legs = _legs(wishes, limits, fraction)
    after = probe(view.house, view.case.account, legs)
    needed = share_needed(view.before, after, view.rules.stop_ratio)
    if needed < 1.0:
        smaller = _legs(wishes, limits, fraction * needed, up=True)
        if smaller != legs:
            legs = smaller
            after = probe(view.house, view.case.account, legs)
    gain = improvement(view.before, after, view.rules.stop_ratio)
    return Step(stage, unit, legs, reason, gain, after)


def _legs(
    wishes: tuple[Wish, ...],
    limits: list[tuple[int, int, bool, int]],
    fraction: float,
    *,
    up: bool = False,
) -> tuple[Leg, ...]:
    """The same fraction of every wish, in whole lots, at least one, never more than visible."""
    legs = []
    for wished, (limit, bankrupt, final, available) in zip(wishes, limits, strict=True):
        exact = wished.most * fraction
        # 1e-9: what is meant to be whole lots must not lose or gain one to float rounding
        size = math.ceil(exact - 1e-9) if up else math.floor(exact + 1e-9)
        lots = max(1, min(size, wished.most, available))
        expected, _ = average_ticks(wished.listing, wished.side, lots, limit)
        legs.append(
            Leg(
                wished.listing,
                wished.position,
                wished.side * lots,
                limit,
                expected,
                bankrupt,
                final,
                available,
                wished.penalty_e8,
            )
        )
    return tuple(legs)


def share_needed(before: Standing, after: Standing, stop_ratio: float, grain: float = 0.0) -> float:
    """Share of a tried step that reaches `stop_ratio` by the linear estimate, at most 1.

    grain: the share is a multiple of it (0: any share). Venues that liquidate in fifths have 0.2.
    """
    slack_before = before.adjusted - stop_ratio * before.requirement
    slack_after = after.adjusted - stop_ratio * after.requirement
    if slack_after <= 0.0 or slack_after <= slack_before:
        return 1.0
    share = min(1.0, -slack_before / (slack_after - slack_before))
    return min(1.0, math.ceil(share / grain - 1e-9) * grain) if grain > 0.0 else share


def partly(before: Standing, after: Standing, share: float) -> Standing:
    """The account after a share of a step, by the same linear estimate."""
    return Standing(
        *((1.0 - share) * was + share * would for was, would in zip(before, after, strict=True))
    )


def best_first(steps: list[Step]) -> list[Step]:
    """Most helpful first; the more liquid and then the earlier listed where equal."""
    return sorted(
        steps,
        key=lambda step: (-step.improvement, -step.depth_lots, step.legs[0].listing.number),
    )
