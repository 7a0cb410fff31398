"""Auto-deleveraging: a pool's position closed against winners, off the book.

It starts when the pool behind a position is exhausted or has lost 30 % (parameter) of its 8-hour
peak, and ends when neither holds any more. The price is the mark while the pool can pay; beyond
that the winners give up just what leaves the pool at zero, at worst the whole loss (the bankruptcy
price), never more than their profit.

Source: liquidation-and-losses.md section 4; portfolio-margin.md section 10.7.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accounts.deleveraging_policies import allocate
from accounts.events import Deleveraging, FundBooking, LiquidationStage, RiskAction
from accounts.insurance import usd_of
from exchange.events import CancelReason
from exchange.units import divide_rounded
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.insurance import InsuranceFunds
    from accounts.listing import Listing

SMALLEST_RATIO = 1e-9
TINY_COINS = 1e-9


def unrealised_atoms(position: Position, ticks: int) -> int:
    """Profit of a whole position at a price, atoms of its settlement currency."""
    instrument = position.instrument
    value = instrument.value_atoms(ticks, position.lots)
    if instrument.kind == t.OPTION:
        return value - position.cost_atoms
    return position.cost_atoms - value if instrument.inverse else position.cost_atoms + value


def realised_atoms(position: Position, ticks: int, lots: int) -> int:
    """Profit that closing `lots` (> 0) of a position at a price would book, atoms."""
    instrument = position.instrument
    side = -1 if position.lots > 0 else 1
    value = side * instrument.value_atoms(ticks, lots)
    closed = divide_rounded(position.cost_atoms * lots, abs(position.lots))
    if instrument.kind == t.OPTION:
        return -value - closed
    return value + closed if instrument.inverse else closed - value


def cash_atoms(position: Position, ticks: int, lots: int) -> int:
    """Change of the holder's cash when he closes `lots` at a price: premium for options."""
    if position.instrument.kind == t.OPTION:
        side = -1 if position.lots > 0 else 1
        return -side * position.instrument.value_atoms(ticks, lots)
    return realised_atoms(position, ticks, lots)


def given_up_atoms(position: Position, ticks: int, mark: int, lots: int) -> int:
    """What the holder of a position gives up by closing `lots` at `ticks` instead of the mark."""
    return cash_atoms(position, mark, lots) - cash_atoms(position, ticks, lots)


@dataclass(frozen=True, slots=True)
class Winner:
    """An account on the other side with a profit, and its place in the queue."""

    account: Account
    position: Position
    profit_usd: float
    score: float
    most_atoms: int  # profit, or equity where that is less


class Deleverager:
    """Closes what the pools hold against winners."""

    def __init__(
        self, house: ClearingHouse, funds: InsuranceFunds, action_ids: Iterator[int]
    ) -> None:
        self.house = house
        self.funds = funds
        self.action_ids = action_ids

    def active(self, pool: Account) -> bool:
        """Whether a pool is exhausted or far below its peak: new take-overs go to the winners."""
        worth = self.funds.worth(pool)
        if worth <= TINY_COINS:
            return True
        return worth < (1.0 - self.house.rules.deleveraging.drawdown) * self.funds.peak(pool)

    def short_of(self, pool: Account, listing: Listing, owed_atoms: int) -> bool:
        """Whether a pool cannot pay `owed_atoms` and close its position at mark."""
        position = pool.positions.get(listing.number)
        loss = 0
        # what an option costs to close is not free money in the first place
        if position is not None and position.lots and not listing.is_option:
            loss = min(0, unrealised_atoms(position, self._mark(listing)))
        return self._money(pool, listing) + loss < owed_atoms

    def _mark(self, listing: Listing) -> int:
        return int(self.house.market.mark_ticks[listing.number])

    def _money(self, pool: Account, listing: Listing) -> int:
        """A pool's free money in atoms of the settlement currency, others at the index."""
        settle = listing.instrument.settle
        market, total = self.house.market, 0
        for currency in pool.balances:
            atoms = self.funds.free(pool, currency)
            if currency != settle:
                worth = atoms * market.usd_index_e8[currency] * market.atoms[settle]
                atoms = worth // (market.usd_index_e8[settle] * market.atoms[currency])
            total += atoms
        return total

    def winners(self, listing: Listing, pool_lots: int, loser: int) -> list[Winner]:
        """Accounts with a profit on the other side of `pool_lots`, by number. O(positions)."""
        house, mark = self.house, self._mark(listing)
        table = house.exposures.positions[: house.exposures.used["positions"]]
        sign = 1 if pool_lots > 0 else -1
        rows = (table[:, t.P_INSTRUMENT] == listing.number) & (table[:, t.P_LOTS] * sign < 0)
        settle = listing.instrument.settle
        per_usd = house.market.atoms[settle] / house.market.usd[settle]
        found = []
        for number in sorted(table[np.flatnonzero(rows), t.P_ACCOUNT].tolist()):
            account = house.accounts[number]
            position = account.positions[listing.number]
            profit = unrealised_atoms(position, mark)
            if account.is_fund or number == loser or profit <= 0:
                continue
            figures = house.exposures.figures(number).tolist()
            equity = math.floor(figures[t.T_EQUITY] * per_usd)
            if equity <= 0:
                continue
            gain = profit / max(1, abs(position.cost_atoms))
            score = gain / max(figures[t.T_RATIO], SMALLEST_RATIO)
            usd = usd_of(house, settle, profit)
            found.append(Winner(account, position, usd, score, min(profit, equity)))
        return found

    def reduce(
        self,
        now_ns: int,
        pool: Account,
        listing: Listing,
        owed_atoms: int,
        loser: int,
        trigger_id: int,
        reason: str,
    ) -> int:
        """Close a pool's position against winners; what they gave up beyond the mark, atoms.

        owed_atoms: what the pool has to pay besides (an account's deficit), in the settlement
        currency. What the winners cannot take stays with the pool.
        """
        held = pool.positions[listing.number]
        rules, mark = self.house.rules.deleveraging, self._mark(listing)
        size = abs(held.lots)
        found = self.winners(listing, held.lots, loser)
        parts = allocate(
            rules.policy,
            size,
            [abs(w.position.lots) for w in found],
            [w.score for w in found],
            [w.profit_usd for w in found],
        )
        matched, side = sum(parts), -1 if held.lots > 0 else 1
        if matched == 0:
            return 0
        asked, worst = self._demand(pool, listing, held, owed_atoms, matched)
        action_id = next(self.action_ids)
        closed, given, paid = 0, 0, 0
        left = matched
        for winner, part in zip(found, parts, strict=True):
            if part == 0:
                continue
            target = -(-(asked - given) * part // left)
            if not rules.bankruptcy_price_only:
                target = min(max(0, target), -(-worst * part // size))
            left -= part
            ticks = self._price(winner, mark, part, target)
            lots = self._affordable(pool, held, ticks, part)
            if lots == 0:
                continue
            given += self._match(now_ns, listing, held, winner, lots, ticks, mark, action_id, loser)
            closed += lots
            paid += lots * ticks
        self.funds.report(now_ns, pool, action_id, FundBooking.ADL)
        if closed:
            self._report(
                now_ns,
                listing,
                action_id,
                trigger_id,
                loser,
                side,
                size,
                closed,
                paid,
                given,
                reason,
            )
        return max(0, given)

    def _demand(
        self, pool: Account, listing: Listing, held: Position, owed_atoms: int, matched: int
    ) -> tuple[int, int]:
        """(what the winners are asked for together, the whole loss of the whole position), atoms.

        The loss is what is owed and what closing at mark costs the pool against its entry.
        """
        mark, size = self._mark(listing), abs(held.lots)
        profit = unrealised_atoms(held, mark)
        worst = max(0, owed_atoms - min(0, profit))
        if self.house.rules.deleveraging.bankruptcy_price_only:
            return (owed_atoms - profit) * matched // size, worst
        cash = self._money(pool, listing)
        if not (listing.is_option and held.lots < 0):  # that costs what is set aside for it
            cash += cash_atoms(held, mark, matched)
        return min(max(0, owed_atoms - cash), -(-worst * matched // size)), worst

    def _price(self, winner: Winner, mark: int, lots: int, target: int) -> int:
        """The price nearest to mark at which a winner gives up `target`, within his profit."""
        position = winner.position
        instrument = position.instrument
        away = 1 if position.lots < 0 else -1  # the direction that costs the winner
        most = min(target, winner.most_atoms * lots // abs(position.lots))
        lowest = 1 if instrument.inverse else 0
        if most == 0 or mark <= 0:
            return mark
        if instrument.inverse:
            face = lots * instrument.value_numerator / instrument.value_denominator
            left = face / mark - away * most
            entry = round(position.entry_price / float(instrument.tick))
            ticks = round(face / left) if left > 0.0 else max(mark, entry)
        else:
            steps = -(-most * instrument.value_denominator // (lots * instrument.value_numerator))
            ticks = mark + away * steps
        ticks = max(lowest, ticks)
        # The estimate is within a tick or two: reach the target, stay within profit and equity.
        for _ in range(4):
            if given_up_atoms(position, ticks, mark, lots) < most and ticks + away >= lowest:
                ticks += away
        step = 1
        while (ticks - mark) * away > 0 and (
            realised_atoms(position, ticks, lots) < 0
            or given_up_atoms(position, ticks, mark, lots)
            > winner.most_atoms * lots // abs(position.lots)
        ):
            ticks = mark + away * max(0, abs(ticks - mark) - step)
            step *= 2
        return ticks

    def _affordable(self, pool: Account, held: Position, ticks: int, lots: int) -> int:
        """As many of `lots` as the pool can close at a price without falling below zero."""
        cash = self.funds.closing_money(pool, held)
        lots = min(lots, abs(held.lots))
        while lots > 0:
            change = cash_atoms(held, ticks, lots)
            if cash + change >= 0:
                return lots
            lots = min(lots - 1, lots * cash // -change)
        return 0

    def _match(
        self,
        now_ns: int,
        listing: Listing,
        held: Position,
        winner: Winner,
        lots: int,
        ticks: int,
        mark: int,
        action_id: int,
        loser: int,
    ) -> int:
        """Move `lots` from the pool to one winner; what he gave up, atoms."""
        house, position = self.house, winner.position
        signed = lots if held.lots > 0 else -lots
        before = position.lots
        assert before * signed < 0 and lots <= abs(before), (before, signed)
        assert realised_atoms(position, ticks, lots) >= 0, "nobody is pushed below zero profit"
        given = given_up_atoms(position, ticks, mark, lots)
        house.settlement.move(now_ns, listing, held, position, signed, ticks, action_id)
        if winner.account.parent is not None:
            house.isolated.sweep(now_ns, house.isolated.held[winner.account.number])
        if winner.account.reduce_only:
            house.conditions.trim(now_ns, winner.account, listing, CancelReason.ADL)
        house.emit(
            Deleveraging(
                now_ns,
                action_id,
                loser,
                winner.account.number,
                listing.instrument.instrument_id,
                signed,
                ticks,
                mark,
                usd_of(house, listing.instrument.settle, given),
            )
        )
        return given

    def _report(
        self,
        now_ns: int,
        listing: Listing,
        action_id: int,
        trigger_id: int,
        loser: int,
        side: int,
        wanted: int,
        closed: int,
        paid: int,
        given: int,
        reason: str,
    ) -> None:
        """One risk action for all winners of a deleveraging."""
        house, instrument = self.house, listing.instrument
        mark, tick, settle = self._mark(listing), float(instrument.tick), listing.instrument.settle
        ratio = float(house.exposures.figures(loser)[t.T_RATIO])
        house.emit(
            RiskAction(
                now_ns,
                action_id,
                trigger_id,
                loser,
                LiquidationStage.DELEVERAGING,
                instrument.base,
                instrument.instrument_id,
                side,
                wanted,
                closed,
                0,
                paid / closed * tick,
                mark * tick,
                0.0,
                usd_of(house, settle, instrument.value_atoms(max(1, mark), closed)),
                usd_of(house, settle, -given),
                0.0,
                ratio,
                ratio,
                reason,
            )
        )
