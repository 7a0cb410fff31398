"""Bankruptcy prices, take-over, and who pays what is missing.

Source: liquidation-and-losses.md sections 3 and 4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accounts.events import (
    AccountState,
    Bankruptcy,
    LiquidationStage,
    PostingKind,
    RiskAction,
)
from accounts.insurance import TREASURY, UNCOVERED, InsuranceFunds, pool_name, usd_of
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

NO_BANKRUPTCY_PRICE = 1 << 60
RATE_E8 = 10**8


def charge_usd(house: ClearingHouse, position: Position) -> float:
    """Raw MR7 charge of a position, USD: its share in the account's risk. Source: section 3."""
    terms = house.market.terms[position.number]
    rate = terms[t.M_MR7_LONG] if position.lots > 0 else terms[t.M_MR7_SHORT]
    return abs(position.lots) * float(rate)


def open_positions(account: Account) -> list[Position]:
    """The account's positions that are not flat, in the order they were first opened."""
    return [position for position in account.positions.values() if position.lots]


def bankruptcy_ticks(house: ClearingHouse, account: Account, position: Position) -> int:
    """The price at which closing `position` would leave nothing of its share of the equity.

    Ticks, rounded against the account, at least 0; NO_BANKRUPTCY_PRICE where a short inverse
    position has none. Source: section 3.
    """
    equity = max(0.0, float(house.exposures.figures(account.number)[t.T_EQUITY]))
    total = sum(charge_usd(house, other) for other in open_positions(account))
    share = charge_usd(house, position) / total if total > 0.0 else 1.0
    market, number = house.market, position.number
    settle = position.settle
    atoms = equity * share / (market.usd[settle.currency] * market.scales[settle.number])
    mark = float(market.terms[number, t.M_REFERENCE])
    rate = float(market.terms[number, t.M_RATE])
    long = position.lots > 0
    if position.instrument.inverse:
        inverse = 1.0 / mark + (atoms if long else -atoms) / (abs(position.lots) * rate)
        if inverse <= 0.0:
            return NO_BANKRUPTCY_PRICE
        price = 1.0 / inverse
    else:
        distance = atoms / (abs(position.lots) * rate)
        price = mark - distance if long else mark + distance
    if long:
        return max(1 if position.instrument.inverse else 0, math.floor(price))
    return min(NO_BANKRUPTCY_PRICE, math.ceil(price))


class TakeOver:
    """Moves positions to the pools and settles what an account cannot pay."""

    def __init__(self, house: ClearingHouse, funds: InsuranceFunds) -> None:
        self.house = house
        self.funds = funds

    def position(
        self, now_ns: int, account: Account, position: Position, action_id: int, trigger_id: int,
        reason: str,
    ) -> None:
        """Move one position to its pool at the bankruptcy price, off the book."""
        house = self.house
        listing = house.by_number[position.number]
        ticks = bankruptcy_ticks(house, account, position)
        if ticks == NO_BANKRUPTCY_PRICE:
            ticks = int(house.market.mark_ticks[listing.number])
        before = house.exposures.figures(account.number).tolist()
        lots = position.lots
        pool = self.funds.pool(listing)
        mark = int(house.market.mark_ticks[listing.number])
        held = house.position(pool, listing)
        house.settlement.move(now_ns, listing, position, held, lots, ticks, action_id)
        self.funds.report(now_ns, pool, action_id)
        after = house.exposures.figures(account.number).tolist()
        tick = float(listing.instrument.tick)
        value = abs(listing.instrument.value_atoms(max(mark, 1), lots))
        at_price = abs(listing.instrument.value_atoms(max(ticks, 1), lots))
        currency = listing.instrument.settle
        house.emit(
            RiskAction(
                now_ns, action_id, trigger_id, account.number, LiquidationStage.TAKE_OVER,
                listing.instrument.base, listing.instrument.instrument_id, -1 if lots > 0 else 1,
                abs(lots), abs(lots), ticks, ticks * tick, mark * tick, ticks * tick,
                usd_of(house, currency, value), usd_of(house, currency, abs(value - at_price)), 0.0,
                before[t.T_RATIO], after[t.T_RATIO], reason,
            )
        )

    def account(
        self, now_ns: int, account: Account, action_id: int, trigger_id: int, reason: str
    ) -> None:
        """Take over a whole account: positions, then balances, then the deficit."""
        house = self.house
        equity = float(house.exposures.figures(account.number)[t.T_EQUITY])
        shares = self._shares(account)
        # Prices depend on the equity left, which each move leaves unchanged for the others' shares;
        # all are fixed before the first move.
        for position in open_positions(account):
            self.position(now_ns, account, position, action_id, trigger_id, reason)
        self._convert(now_ns, account, action_id)
        deficit = self._missing(account)
        fund_usd, uncovered_usd = 0.0, 0.0
        pools: dict[str, float] = {}
        for currency, atoms in deficit.items():
            paid = self._charge(now_ns, account, currency, atoms, shares, action_id, pools)
            fund_usd += usd_of(house, currency, paid)
            uncovered_usd += usd_of(house, currency, atoms - paid)
        account.state = AccountState.BANKRUPT
        account.blocked = True
        house.emit(
            Bankruptcy(
                now_ns, action_id, account.number, equity, fund_usd + uncovered_usd, fund_usd, 0.0,
                0.0, uncovered_usd, pools,
            )
        )

    def _shares(self, account: Account) -> dict[str, float]:
        """Share of each pool in the account's risk, by raw MR7 charge."""
        charges: dict[str, float] = {}
        for position in open_positions(account):
            name = pool_name(self.house.by_number[position.number])
            self.funds.pool(self.house.by_number[position.number])
            charges[name] = charges.get(name, 0.0) + charge_usd(self.house, position)
        total = sum(charges.values())
        if total > 0.0:
            return {name: charge / total for name, charge in charges.items()}
        for position in account.positions.values():  # no derivatives: the margin pools it used
            listing = self.house.by_number[position.number]
            if listing.is_spot:
                charges[self.funds.pool(listing).name.removeprefix("fund/")] = 1.0
        return {name: 1.0 / len(charges) for name in charges}

    def _net(self, account: Account) -> dict[str, int]:
        ledger = self.house.ledger
        return {
            currency: ledger.balances[balance.cash] - balance.liability_atoms
            for currency, balance in sorted(account.balances.items())
        }

    def _missing(self, account: Account) -> dict[str, int]:
        return {currency: -net for currency, net in self._net(account).items() if net < 0}

    def _convert(self, now_ns: int, account: Account, action_id: int) -> None:
        """Turn what the account has into what it owes, at the index less the discount."""
        house, market, ledger = self.house, self.house.market, self.house.ledger
        for debt, missing in self._missing(account).items():
            for held, net in sorted(
                self._net(account).items(), key=lambda item: -market.discount_rate(*item)
            ):
                rate = round(market.discount_rate(held, net) * RATE_E8)
                if missing <= 0 or net <= 0 or rate <= 0:
                    continue
                worth = market.usd_index_e8[held] * rate * market.atoms[debt]
                cost = market.usd_index_e8[debt] * RATE_E8 * market.atoms[held]
                needed = -(-missing * cost // worth)
                given = min(net, needed)
                received = missing if given == needed else given * worth // cost
                kind = int(PostingKind.CONVERSION)
                source, target = account.balances[held], account.balances[debt]
                ledger.post(
                    now_ns, kind, source.cash, ledger.open(TREASURY, held), given, action_id
                )
                ledger.post(
                    now_ns, kind, ledger.open(TREASURY, debt), target.cash, received, action_id
                )
                house.book_cash(now_ns, source)
                house.book_cash(now_ns, target)
                missing -= received

    def _charge(
        self, now_ns: int, account: Account, currency: str, atoms: int, shares: dict[str, float],
        action_id: int, pools: dict[str, float],
    ) -> int:
        """Let the pools pay `atoms` by their shares, the rest stay uncovered; what they paid."""
        house, ledger = self.house, self.house.ledger
        kind = int(PostingKind.DEFICIT)
        paid, left = 0, atoms
        names = list(shares)
        for place, name in enumerate(names):
            part = left if place == len(names) - 1 else min(left, round(atoms * shares[name]))
            got = self.funds.pay(now_ns, self.funds.pools[name], currency, part, action_id)
            pools[name] = pools.get(name, 0.0) + usd_of(house, currency, got)
            paid += got
            left -= part
        cash = account.balances[currency].cash
        ledger.post(now_ns, kind, ledger.open(TREASURY, currency), cash, paid, action_id)
        uncovered = ledger.open(UNCOVERED, currency)
        ledger.post(now_ns, kind, uncovered, cash, atoms - paid, action_id)
        house.book_cash(now_ns, account.balances[currency])
        return paid
