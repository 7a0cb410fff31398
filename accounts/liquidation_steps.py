"""What a liquidation step is, what it would do, and whether it may be taken.

A step is one or more trades (legs) at once. It is tried on the exposure tables first: the guard
compares the account before and after, at the prices the legs can expect in their books, fees
included.

Source: liquidation-and-losses.md section 2 (guard, sizing, execution).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from accounts.bankruptcy import NO_BANKRUPTCY_PRICE, bankruptcy_ticks
from exchange.units import divide_rounded
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.events import LiquidationStage
    from accounts.listing import Listing

E8 = 10**8


class Standing(NamedTuple):
    """An account's figures at one moment, USD."""

    adjusted: float
    requirement: float  # maintenance margin + liquidation fee of the borrowings
    equity: float  # undiscounted
    maintenance: float
    initial: float

    @property
    def ratio(self) -> float:
        """Margin ratio; inf where nothing is required."""
        return self.adjusted / self.requirement if self.requirement > 0.0 else math.inf


def standing(house: ClearingHouse, account: Account) -> Standing:
    """The account's figures now. O(columns + units)."""
    figures = house.exposures.figures(account.number).tolist()
    return Standing(
        figures[t.T_ADJUSTED],
        figures[t.T_MMR] + figures[t.T_FEE],
        figures[t.T_EQUITY],
        figures[t.T_MMR],
        figures[t.T_IMR],
    )


class Leg(NamedTuple):
    """One trade of a step: signed lots, limit, and the average price its book offers.

    final: the limit is at its bound and cannot widen. penalty_e8: what a forced repayment takes of
    the proceeds, in 1e-8.
    """

    listing: Listing
    position: Position
    lots: int
    limit_ticks: int
    expected_ticks: float
    bankruptcy_ticks: int
    final: bool
    available_lots: int
    penalty_e8: int = 0

    @property
    def closes(self) -> bool:
        """Whether the leg reduces the position of its instrument."""
        return self.position.lots * self.lots < 0

    def charge_atoms(self, value_atoms: int) -> tuple[int, int]:
        """(taker fee, penalty) on a traded value, atoms of the settlement currency."""
        value = abs(value_atoms)
        fee = self.listing.fee_atoms(self.listing.taker_rate, value, abs(self.lots))
        return fee, divide_rounded(value * self.penalty_e8, E8)


class Step(NamedTuple):
    """A candidate: its legs, why, and how much it improves (larger is better)."""

    stage: LiquidationStage
    unit: str
    legs: tuple[Leg, ...]
    reason: str
    improvement: float
    after: Standing

    @property
    def depth_lots(self) -> int:
        """Visible lots of the thinnest leg."""
        return min(leg.available_lots for leg in self.legs)


def improvement(before: Standing, after: Standing, stop_ratio: float) -> float:
    """How much better `after` is; > 0 exactly where the guard lets the step pass.

    While adjusted equity > 0 the ratio must rise (compared by cross-multiplication), below it
    adjusted equity - stop_ratio x requirement must.
    """
    if before.adjusted > 0.0:
        gain = after.adjusted * before.requirement - before.adjusted * after.requirement
        scale = before.requirement * max(before.requirement, after.requirement, 1e-9)
        return gain / scale
    slack_before = before.adjusted - stop_ratio * before.requirement
    slack_after = after.adjusted - stop_ratio * after.requirement
    return (slack_after - slack_before) / max(before.requirement, 1e-9)


def probe(house: ClearingHouse, account: Account, legs: tuple[Leg, ...]) -> Standing:
    """The account after the legs traded at their expected prices; the tables end unchanged."""
    exposures = house.exposures
    charges = []
    for leg in legs:
        ticks = max(1, round(leg.expected_ticks))
        charges.append(sum(leg.charge_atoms(leg.listing.instrument.value_atoms(ticks, leg.lots))))
    for leg, charge in zip(legs, charges, strict=True):
        exposures.shift(leg.position.row, leg.lots, leg.expected_ticks, charge)
    after = standing(house, account)
    for leg, charge in zip(legs, charges, strict=True):
        exposures.shift(leg.position.row, -leg.lots, leg.expected_ticks, -charge)
    return after


def limit_ticks(
    house: ClearingHouse,
    account: Account,
    position: Position,
    listing: Listing,
    side: int,
    slippage: float,
) -> tuple[int, int, bool]:
    """(limit, bankruptcy price, limit is final) of a forced order of `side` in `listing`.

    The limit starts at the slippage from mark and never passes the bankruptcy price of the
    position it closes, nor the price limit. It is final at the bankruptcy price; a closing order
    that only the price limit holds back waits for the market. A trade that closes nothing has no
    bankruptcy price: for it the price limit is final.
    """
    mark = float(house.market.terms[listing.number, t.M_REFERENCE])
    closes = position.lots * side < 0
    bankrupt = bankruptcy_ticks(house, account, position) if closes else NO_BANKRUPTCY_PRICE
    instrument = listing.instrument
    if side > 0:
        wide = math.floor(mark * (1.0 + slippage))
        bound = min(bankrupt, listing.high_ticks)
        limit = min(wide, bound)
        final = wide >= bound and not (closes and bound < bankrupt)
        return max(1, instrument.floor_to_grid(limit)), bankrupt, final
    wide = math.ceil(mark * (1.0 - slippage))
    bound = max(bankrupt if closes else 0, listing.low_ticks, 1)
    limit = max(wide, bound)
    final = wide <= bound and not (closes and bound > bankrupt)
    return instrument.ceil_to_grid(limit), bankrupt, final


def average_ticks(listing: Listing, side: int, lots: int, limit: int) -> tuple[float, int]:
    """(average price, lots available) for `lots` of a forced order of `side` up to `limit`.

    The price is the limit where nothing is there. O(levels within the limit).
    """
    book = listing.engine.book
    levels = book.asks if side > 0 else book.bids
    left, paid, available = lots, 0, 0
    for level in levels:
        if (level.price_ticks - limit) * side > 0:
            break
        take = min(left, level.lots)
        paid += take * level.price_ticks
        left -= take
        available += level.lots
        if left == 0 and available > 4 * lots:
            break
    filled = lots - left
    return (paid / filled if filled else float(limit)), available
