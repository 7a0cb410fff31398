"""How large a step is: by share of the position, by visible depth, by need.

Source: liquidation-and-losses.md section 2 (sizing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from accounts.liquidation_steps import (
    Leg,
    Standing,
    Step,
    average_of,
    improvement,
    probe,
    visible,
)
from accounts.listing import ListingState
from risk import layout as at
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.events import LiquidationStage
    from accounts.listing import Listing
    from accounts.unit_products import UnitProducts
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


class Limit(NamedTuple):
    """How far a forced order may go.

    bankruptcy_ticks: of the position it closes, else NO_BANKRUPTCY_PRICE. final: the limit cannot
    widen. lot_usd: value of a lot at mark.
    """

    ticks: int
    bankruptcy_ticks: int
    final: bool
    lot_usd: float


def limit_of(
    house: ClearingHouse, case: Case, position: Position, listing: Listing, side: int
) -> Limit:
    """The limit of a forced order of `side` by `forced_limits.forced_limit`, on the tick grid.

    The slippage allowed is the MR7 rate, doubled for every attempt that filled nothing.
    """
    slippage = house.market.slippage_rate(listing.number)
    attempts = case.empty_attempts.get(listing.number)
    if attempts:
        # Beyond 2^64 every limit is at its bound; an overflow would be an error.
        slippage *= house.rules.liquidation.slippage_growth ** min(attempts, 64)
    limit, bankrupt, final, lot_usd = house.exposures.forced_limit(
        position.row, side, slippage, listing.low_ticks, listing.high_ticks
    )
    instrument = listing.instrument
    if instrument.coarse_from_ticks:
        limit = instrument.floor_to_grid(limit) if side > 0 else instrument.ceil_to_grid(limit)
    return Limit(max(1, limit), bankrupt, final, lot_usd)


@dataclass(slots=True)
class View:
    """What a stage may look at: one account at one moment. products: by risk unit."""

    house: ClearingHouse
    case: Case
    before: Standing
    rules: LiquidationRules
    products: list[UnitProducts]

    def usd_delta(self, number: int) -> float:
        """USD delta of one lot of an instrument, signed (spot: of the coins)."""
        market = self.house.market
        if self.house.by_number[number].is_spot:
            return float(market.terms[number, t.M_USD])
        return float(market.stress[number, at.USD_DELTA - market.first_column])

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


class UnitFigures(NamedTuple):
    """One risk unit of an account: its row in the exposure tables and margin components, USD."""

    row: int
    components: list[float]  # the columns OUT_* of risk.layout
    largest_usd: float  # of the components
    spot_in_use_usd: float

    def largest(self, column: int) -> bool:
        """Whether a component is positive and no other is larger."""
        return 0.0 < self.components[column] >= self.largest_usd


def unit_figures(view: View, row: int) -> UnitFigures:
    """The components of the unit in `row` of the tables, recomputed from its sums. O(columns)."""
    return UnitFigures(row, *view.house.exposures.components(row))


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
    case = view.case
    if listing.state != ListingState.TRADING or (listing.number, side) in case.exhausted:
        return None
    position = view.house.position(case.account, listing)
    if position.lots * side < 0:
        most = min(most, abs(position.lots))
    if most <= 0:
        return None
    return Wish(position, listing, side, most, penalty_e8)


Met = list[tuple[int, int]]
Offer = tuple[Limit, Met, int]  # what is `visible` to a wish within its limit


def sized_step(
    view: View,
    stage: LiquidationStage,
    unit: str,
    wishes: tuple[Wish, ...],
    reason: str,
    share: float | None = None,
) -> Step:
    """A step of all wishes in proportion: the smallest of share, depth and need, each >= one lot.

    share: None for 20 % (parameter). Where every leg is below the dust level all of it, whatever is
    needed: no rest is left. Where nothing is visible within the limit one lot is tried: the attempt
    counts, the limit widens. O(legs x (levels + columns)).
    """
    rules, before, house = view.rules, view.before, view.house
    offers: list[Offer] = []
    fraction, is_dust = 1.0, True
    for position, listing, side, most, _ in wishes:
        limit = limit_of(house, view.case, position, listing, side)
        met, available = visible(listing, side, most, limit.ticks)
        fraction = min(fraction, available / most)
        is_dust = is_dust and most * limit.lot_usd <= rules.dust_usd
        offers.append((limit, met, available))
    if share is None and not is_dust:
        share = rules.max_step_share
    if share is not None:
        fraction = min(fraction, share)
    legs = _legs(wishes, offers, fraction)
    after = probe(house, legs)
    needed = 1.0 if is_dust else share_needed(before, after, rules.stop_ratio)
    if needed < 1.0:
        smaller = _legs(wishes, offers, fraction * needed, up=True)
        if smaller != legs:
            legs = smaller
            after = probe(house, legs)
    gain = improvement(before, after, rules.stop_ratio)
    return Step(stage, unit, legs, reason, gain, after)


def _legs(
    wishes: tuple[Wish, ...], offers: list[Offer], fraction: float, *, up: bool = False
) -> tuple[Leg, ...]:
    """The same fraction of every wish, in whole lots, at least one, never more than visible."""
    legs = []
    for wished, offer in zip(wishes, offers, strict=True):
        position, listing, side, most, penalty = wished
        (limit, bankrupt, final, _), met, available = offer
        lots, expected = 1, float(limit)
        if available:
            exact = most * fraction
            # 1e-9: what is meant to be whole lots must not lose or gain one to float rounding
            size = math.ceil(exact - 1e-9) if up else math.floor(exact + 1e-9)
            lots = max(1, min(size, most, available))
            expected = average_of(met, lots, limit)
        legs.append(
            Leg(
                listing,
                position,
                side * lots,
                limit,
                expected,
                bankrupt,
                final,
                available,
                penalty,
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


def best_first(steps: list[Step]) -> list[Step]:
    """Most helpful first; the more liquid and then the earlier listed where equal."""
    if len(steps) < 2:
        return steps
    return sorted(
        steps,
        key=lambda step: (-step.improvement, -step.depth_lots, step.legs[0].listing.number),
    )
