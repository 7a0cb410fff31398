"""Do the books agree? Sub-ledgers against the ledger, and the ledger against what came in.

Four books say what an account has: the ledger, the accounts' own balances and positions, the
exposure tables that margin reads, and the lending pools' record of what they lent. `reconcile` adds
each currency up by kind; `discrepancies` says in words where two books differ.

Source: liquidation-and-losses.md section 5; design.md section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.ledger import OUTSIDE
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse


@dataclass(frozen=True, slots=True)
class CurrencyStatement:
    """One currency of the exchange, in atoms.

    parts: kind of ledger account (`cash`, `cost`, `pool`, `fees`, ...) to its sum; together they
    are `custody_atoms`, what was deposited less what was withdrawn. owed_atoms: what accounts owe
    the pool; lent_atoms: what the pool says it lent.
    """

    currency: str
    custody_atoms: int
    parts: dict[str, int]
    owed_atoms: int
    lent_atoms: int

    @property
    def difference_atoms(self) -> int:
        """What the parts have more than the custody; 0 where the books agree."""
        return sum(self.parts.values()) - self.custody_atoms


def reconcile(house: ClearingHouse) -> list[CurrencyStatement]:
    """A statement of every currency, by name. O(ledger accounts + balances)."""
    ledger = house.ledger
    parts: dict[str, dict[str, int]] = {currency: {} for currency in house.market.currencies}
    for name, currency, atoms in zip(ledger.names, ledger.currencies, ledger.balances, strict=True):
        if name != OUTSIDE:
            kind = name.partition("/")[0]
            sums = parts[currency]
            sums[kind] = sums.get(kind, 0) + atoms
    owed = dict.fromkeys(parts, 0)
    for account in house.accounts:
        for balance in account.balances.values():
            owed[balance.currency] += balance.liability_atoms
    return [
        CurrencyStatement(
            currency,
            ledger.custody(currency),
            parts[currency],
            owed[currency],
            house.loans.lent_atoms[number],
        )
        for number, currency in enumerate(house.market.currencies)
    ]


def discrepancies(house: ClearingHouse) -> list[str]:
    """Where the books differ, a sentence each; empty if they agree. O(everything)."""
    found = []
    for statement in reconcile(house):
        name = statement.currency
        if statement.difference_atoms:
            found.append(f"{name}: the parts exceed the custody by {statement.difference_atoms}")
        if statement.custody_atoms < 0:
            found.append(f"{name}: the custody is {statement.custody_atoms}")
        if statement.owed_atoms != statement.lent_atoms:
            found.append(
                f"{name}: accounts owe {statement.owed_atoms}, the pool lent {statement.lent_atoms}"
            )
    for account in house.accounts:
        found += _of_balances(house, account) + _of_positions(house, account)
    for listing in house.by_number:
        held = [
            a.positions[listing.number] for a in house.accounts if listing.number in a.positions
        ]
        total = sum(position.lots for position in held)
        name = listing.instrument.instrument_id
        if total:
            found.append(f"{name}: positions sum to {total} lots")
        longs = sum(max(0, position.lots) for position in held)
        if listing.open_interest_lots != longs:
            kept = listing.open_interest_lots
            found.append(f"{name}: longs sum to {longs} lots, the open interest is {kept}")
    return found


def _of_balances(house: ClearingHouse, account: Account) -> list[str]:
    found = []
    for currency, balance in account.balances.items():
        cash = house.ledger.balances[balance.cash]
        where = f"{account.name}, {currency}"
        if cash < 0:
            found.append(f"{where}: cash is {cash}")
        if cash and balance.liability_atoms:
            found.append(f"{where}: holds {cash} and owes {balance.liability_atoms}")
        table = int(house.exposures.currencies[balance.row, t.C_CASH])
        if table != cash - balance.liability_atoms:
            net = cash - balance.liability_atoms
            found.append(f"{where}: the ledger has {net}, the margin tables {table}")
    return found


def _of_positions(house: ClearingHouse, account: Account) -> list[str]:
    found = []
    for number, position in account.positions.items():
        listing = house.by_number[number]
        if listing.is_spot:
            continue
        where = f"{account.name}, {listing.instrument.instrument_id}"
        lots = int(house.exposures.positions[position.row, t.P_LOTS])
        if lots != position.lots:
            found.append(f"{where}: holds {position.lots} lots, the margin tables {lots}")
        cost = house.ledger.balances[position.ledger]
        if not listing.is_option and cost != position.cost_atoms:
            found.append(f"{where}: cost {position.cost_atoms}, the ledger {cost}")
        if position.lots == 0 and position.cost_atoms:
            found.append(f"{where}: flat with a cost of {position.cost_atoms}")
    return found
