"""Transfers out of an account: the most that may leave, and the withdrawal.

What is left must cover the initial margin over every fill set; nothing is borrowed for a transfer;
the value of long options counts with a haircut. Deposits are `ClearingHouse.deposit`.

Source: portfolio-margin.md sections 4.3, 9.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exchange.events import RejectReason
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Balance
    from accounts.clearing import ClearingHouse


def withdraw(
    house: ClearingHouse, now_ns: int, account: Account, currency: str, atoms: int
) -> RejectReason | None:
    """Send `atoms` > 0 of a currency out; why not, or None when it is done. O(1) figures."""
    assert atoms > 0, atoms
    balance = account.balances.get(currency)
    if account.blocked:
        return RejectReason.ACCOUNT_BLOCKED
    if balance is None or atoms > _most(house, balance):
        return RejectReason.INSUFFICIENT_BALANCE
    if not _is_safe(house, account, balance, atoms, _option_haircut_usd(house, account)):
        return RejectReason.INSUFFICIENT_MARGIN
    house.ledger.withdraw(now_ns, balance.cash, atoms)
    house.book_cash(now_ns, balance)
    return None


def most_that_may_leave(house: ClearingHouse, account: Account, currency: str) -> int:
    """The largest withdrawal in atoms that `withdraw` would make now; 0 where there is none.

    By bisection over atoms: some sixty evaluations of the account's figures.
    """
    balance = account.balances.get(currency)
    if balance is None or account.blocked:
        return 0
    haircut = _option_haircut_usd(house, account)
    low, high = 0, _most(house, balance)
    if high > 0 and _is_safe(house, account, balance, high, haircut):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if _is_safe(house, account, balance, middle, haircut):
            low = middle
        else:
            high = middle
    return low


def _most(house: ClearingHouse, balance: Balance) -> int:
    """Atoms that are there at all: cash, equity in the currency, and the exchange's custody."""
    row = house.exposures.currencies[balance.row]
    equity = int(row[t.C_CASH] + row[t.C_FUTURES] + row[t.C_OPTIONS])
    cash = house.ledger.balances[balance.cash] - balance.liability_atoms
    return max(0, min(cash, equity, house.ledger.custody(balance.currency)))


def _is_safe(
    house: ClearingHouse, account: Account, balance: Balance, atoms: int, haircut_usd: float
) -> bool:
    """Whether equity covers the initial margin without `atoms`; the tables stay as they were."""
    exposures = house.exposures
    cash = int(exposures.currencies[balance.row, t.C_CASH])
    exposures.set_cash(balance.row, cash - atoms)
    figures = exposures.figures(account.number)
    safe = bool(figures[t.T_SMALLEST] - haircut_usd >= figures[t.T_IMR])
    exposures.set_cash(balance.row, cash)
    exposures.figures(account.number)
    return safe


def _option_haircut_usd(house: ClearingHouse, account: Account) -> float:
    """USD of long option value that does not count in transfers. O(positions)."""
    house.exposures.figures(account.number)
    terms, market = house.rules.account.transfer, house.market
    value = counted = 0.0
    for number, position in account.positions.items():
        if not house.by_number[number].is_option or position.lots <= 0:
            continue
        atoms = float(house.exposures.positions[position.row, t.P_VALUE])
        currency = position.instrument.settle
        worth = atoms * market.scales[position.settle.number] * market.usd[currency]
        small = market.absolute_delta(number) < terms.small_delta
        value += worth
        counted += worth * (terms.small_delta_factor if small else terms.liquidity_factor)
    return value - min(counted, terms.cap_usd)
