"""Auto-borrow: a balance that a booking left below zero is lent by the pool; one above zero repays.

A loan is a posting from the lending pool to cash; the liability is kept beside it. What an account
has in a currency is cash less liability, at most one of which is above zero after `square`.

Forced debits (realised losses, fees, funding, interest) draw on the pool even beyond its limit,
because the loss has happened; orders that would borrow are refused by admission when the pool is
drained.

Source: portfolio-margin.md sections 7.2 and 8; design.md section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.events import PostingKind
from risk.order_tables import K_POOL

if TYPE_CHECKING:
    from accounts.account import Balance
    from accounts.ledger import Ledger
    from accounts.market import Market

BORROW: Final = int(PostingKind.BORROW)
REPAY: Final = int(PostingKind.REPAY)
DEFICIT: Final = int(PostingKind.DEFICIT)
POOL: Final = "pool"


class Loans:
    """The lending pool of every currency."""

    __slots__ = ("ledger", "lent_atoms", "market", "pools")

    def __init__(self, ledger: Ledger, market: Market) -> None:
        self.ledger = ledger
        self.market = market
        self.pools = [ledger.open(POOL, currency) for currency in market.currencies]
        self.lent_atoms = [0] * len(self.pools)
        for currency in range(len(self.pools)):
            self.tell(currency)

    def available(self, currency: int) -> int:
        """Atoms left to lend, >= 0. O(1)."""
        return max(0, self.ledger.balances[self.pools[currency]])

    def tell(self, currency: int) -> None:
        """Let the order check know what the pool has left. O(1)."""
        market = self.market
        market.currency_terms[currency, K_POOL] = self.available(currency) * market.scales[currency]

    def square(self, time_ns: int, balance: Balance) -> int:
        """Borrow what is missing or repay with what is there; the net balance in atoms. O(1).

        An insurance pool never borrows: what it lacks is a loss that nobody covers, booked as such.
        """
        cash = self.ledger.balances[balance.cash]
        owed = balance.liability_atoms
        if cash < 0 and balance.backstop >= 0:
            self.ledger.post(time_ns, DEFICIT, balance.backstop, balance.cash, -cash, 0)
            return 0
        if cash < 0:
            self.ledger.post(time_ns, BORROW, self.pools[balance.number], balance.cash, -cash, 0)
            balance.liability_atoms = owed - cash
            self.lent_atoms[balance.number] -= cash
            self.tell(balance.number)
            return -balance.liability_atoms
        if owed and cash:
            repaid = min(cash, owed)
            self.ledger.post(time_ns, REPAY, balance.cash, self.pools[balance.number], repaid, 0)
            balance.liability_atoms = owed - repaid
            self.lent_atoms[balance.number] -= repaid
            self.tell(balance.number)
            return cash - owed
        return cash - owed
