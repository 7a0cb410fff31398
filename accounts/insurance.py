"""Insurance funds: one pool per business line and underlying, each with an account of its own.

A pool's account holds its money and the positions it has taken over; they are marked and settled like any
other. A pool never goes below zero: what it cannot pay is booked to `uncovered_loss`.

Source: portfolio-margin.md section 10.6; liquidation-and-losses.md sections 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.account import Account
from accounts.events import FundBalance, PostingKind
from exchange.instrument import InstrumentKind
from exchange.units import divide_rounded

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

UNCOVERED = "uncovered_loss"
TREASURY = "treasury"
_LINES = {
    InstrumentKind.SPOT: "margin",
    InstrumentKind.PERPETUAL: "swaps",
    InstrumentKind.FUTURE: "futures",
    InstrumentKind.OPTION: "options",
}


def pool_name(listing: Listing) -> str:
    """The pool that stands behind an instrument. Source: 10.6."""
    instrument = listing.instrument
    return f"{_LINES[instrument.kind]}/{instrument.family}"


class InsuranceFunds:
    """The pools of the exchange, opened when first needed."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        self.pools: dict[str, Account] = {}
        self._reported: dict[tuple[str, str], int] = {}

    def pool(self, listing: Listing) -> Account:
        """The pool behind an instrument, opened if new."""
        name = pool_name(listing)
        pool = self.pools.get(name)
        if pool is None:
            pool = self.house.open_account(f"fund/{name}")
            pool.is_fund = True
            self.pools[name] = pool
            for currency in {listing.instrument.settle, listing.instrument.base}:
                self._backed(pool, currency)
        return pool

    def _backed(self, pool: Account, currency: str) -> None:
        """Open a pool's balance; what it lacks goes to uncovered_loss instead of being borrowed."""
        balance = self.house.balance(pool, currency)
        balance.backstop = self.house.ledger.open(UNCOVERED, currency)

    def contribute(self, now_ns: int, listing: Listing, atoms: int) -> None:
        """The venue puts `atoms` of the settlement currency into a pool."""
        pool = self.pool(listing)
        self.house.deposit(now_ns, pool, listing.instrument.settle, atoms)
        self.report(now_ns, pool, 0)

    def pay(self, now_ns: int, pool: Account, currency: str, atoms: int, reference: int) -> int:
        """Atoms of `currency` that the pool can pay now, taken to the treasury, <= `atoms`.

        A pool that holds another currency is converted at the index through the treasury.
        """
        house = self.house
        ledger = house.ledger
        paid = 0
        usd = house.market.usd_index_e8
        for held in sorted(pool.balances, key=lambda name: (name != currency, name)):
            missing = atoms - paid
            if missing <= 0:
                break
            balance = pool.balances[held]
            there = ledger.balances[balance.cash]
            if there <= 0:
                continue
            # atoms of `held` worth `missing` atoms of `currency`, rounded up
            numerator = missing * usd[currency] * house.market.atoms[held]
            denominator = usd[held] * house.market.atoms[currency]
            needed = -(-numerator // denominator)
            given = min(there, needed)
            worth = missing if given == needed else given * denominator // (
                usd[currency] * house.market.atoms[held]
            )
            treasury = ledger.open(TREASURY, held)
            kind = int(PostingKind.DEFICIT)
            ledger.post(now_ns, kind, balance.cash, treasury, given, reference)
            house.book_cash(now_ns, balance)
            paid += worth
        self.report(now_ns, pool, reference)
        return paid

    def report(self, now_ns: int, pool: Account, reference: int) -> None:
        """Emit the pool's balances that have changed since the last report."""
        for currency, balance in sorted(pool.balances.items()):
            atoms = self.house.ledger.balances[balance.cash]
            before = self._reported.get((pool.name, currency), 0)
            if atoms != before:
                self._reported[pool.name, currency] = atoms
                self.house.emit(
                    FundBalance(now_ns, pool.name, currency, atoms, atoms - before, reference)
                )

    def total_usd(self) -> float:
        """Money of all pools in USD, without the positions they hold."""
        market, total = self.house.market, 0.0
        for pool in self.pools.values():
            for currency, balance in pool.balances.items():
                atoms = self.house.ledger.balances[balance.cash]
                total += atoms * market.scales[balance.number] * market.usd[currency]
        return total


def usd_of(house: ClearingHouse, currency: str, atoms: int) -> float:
    """Atoms of a currency in USD at the index, for reading."""
    number = house.market.currency_number[currency]
    return atoms * house.market.scales[number] * house.market.usd[currency]


def atoms_of(house: ClearingHouse, currency: str, usd: float) -> int:
    """Atoms of a currency worth `usd` at the index, rounded."""
    e8 = round(usd * 1e8)
    return divide_rounded(e8 * house.market.atoms[currency], house.market.usd_index_e8[currency])
