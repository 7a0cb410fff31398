"""What a liquidation step is, what it would do, and whether it may be taken.

A step is one or more trades (legs) at once. It is tried on the exposure tables first: the guard
compares the account before and after, at the prices the legs can expect in their books, fees
included.

Source: liquidation-and-losses.md section 2 (guard, sizing, execution).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exchange.units import divide_rounded

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.events import LiquidationStage
    from accounts.listing import Listing
    from risk.order_trials import Figures

E8 = 10**8


class Standing(NamedTuple):
    """An account's figures at one moment, USD."""

    adjusted: float
    requirement: float  # maintenance margin + liquidation fee of the borrowings
    equity: float  # undiscounted
    maintenance: float
    initial: float
    covering: float  # adjusted equity and initial margin as order control compares them
    covered: float

    @property
    def ratio(self) -> float:
        """Margin ratio; inf where nothing is required."""
        return self.adjusted / self.requirement if self.requirement > 0.0 else math.inf


# `Standing._make` without the check of the length
_standing_of: Callable[[Figures], Standing] = partial(tuple.__new__, Standing)


def standing(house: ClearingHouse, account: Account) -> Standing:
    """The account's figures now. O(columns + units)."""
    return _standing_of(house.exposures.standing(account.number))


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

    def charge_atoms(self) -> int:
        """Taker fee and penalty at the expected price, atoms of the settlement currency."""
        listing, ticks = self.listing, max(1, round(self.expected_ticks))
        value = abs(listing.instrument.value_atoms(ticks, self.lots))
        fee = listing.fee_atoms(listing.taker_rate, value, abs(self.lots))
        return fee + divide_rounded(value * self.penalty_e8, E8) if self.penalty_e8 else fee


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


def probe(house: ClearingHouse, legs: tuple[Leg, ...]) -> Standing:
    """The account after the legs traded at their expected prices; the tables end unchanged."""
    exposures = house.exposures
    trades = [(leg.position.row, leg.lots, leg.expected_ticks, leg.charge_atoms()) for leg in legs]
    last = trades.pop()
    for trade in trades:
        exposures.shift(*trade)
    after = _standing_of(exposures.trial(*last))
    for row, lots, price, charge in trades:
        exposures.shift(row, -lots, price, -charge)
    return after


def visible(
    listing: Listing, side: int, lots: int, limit: int
) -> tuple[list[tuple[int, int]], int]:
    """What a forced order of `side` meets up to `limit`: (ticks, lots) best first, and lots in all.

    Counted no further than a little over four times `lots`. O(levels within the limit).
    """
    book = listing.engine.book
    best = book.best_ask() if side > 0 else book.best_bid()
    if best is None or (best - limit) * side > 0:
        return [], 0  # the usual case in a crash
    met, available = [], 0
    for level in book.asks if side > 0 else book.bids:
        if (level.price_ticks - limit) * side > 0:
            break
        met.append((level.price_ticks, level.lots))
        available += level.lots
        if available > 4 * lots:
            break
    return met, available


def average_of(met: list[tuple[int, int]], lots: int, limit: int) -> float:
    """Average price of `lots` in what is `visible`, ticks; the limit where nothing is there."""
    left, paid = lots, 0
    for price, there in met:
        take = min(left, there)
        paid += take * price
        left -= take
        if left == 0:
            break
    filled = lots - left
    return paid / filled if filled else float(limit)


def average_ticks(listing: Listing, side: int, lots: int, limit: int) -> tuple[float, int]:
    """(average price, lots available) for `lots` of a forced order of `side` up to `limit`."""
    met, available = visible(listing, side, lots, limit)
    return average_of(met, lots, limit), available
