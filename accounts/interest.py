"""Hourly interest on what accounts owe, with the interest-free limits of unrealised losses.

Source: portfolio-margin.md section 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accounts.events import PostingKind
from exchange.units import divide_rounded
from risk import order_tables as t
from risk.borrowing import HOURS_PER_DAY, chargeable_liability, interest_free_limit

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse

INTEREST = int(PostingKind.INTEREST)
RATE_SCALE = 10**12


def charge_interest(now_ns: int, house: ClearingHouse) -> int:
    """Charge one hour to every account that owes; the number of charges. O(balances)."""
    house.exposures.all_figures()
    table = house.exposures.currencies[: house.exposures.used["currencies"]]
    equity = table[:, t.C_CASH] + table[:, t.C_FUTURES] + table[:, t.C_OPTIONS]
    charges = 0
    for row in np.flatnonzero(equity < 0).tolist():
        account = house.accounts[int(table[row, t.C_ACCOUNT])]
        if account.is_fund:
            continue
        currency = house.market.currencies[int(table[row, t.C_CURRENCY])]
        owed, cash = int(equity[row]), int(table[row, t.C_CASH])
        charges += _charge(now_ns, house, account, currency, owed, cash)
    return charges


def _charge(
    now_ns: int, house: ClearingHouse, account: Account, currency: str, equity: int, cash: int
) -> int:
    """Interest of one balance for one hour; 1 if something was charged."""
    scale = house.market.scales[house.market.currency_number[currency]]
    limit = interest_free_limit(house.rules, currency, _equities(house, account))
    coins = chargeable_liability(cash * scale, equity * scale, limit, account.auto_borrow)
    if coins <= 0.0:
        return 0
    rate = round(house.rules.currency(currency).daily_interest * RATE_SCALE)
    atoms = divide_rounded(round(coins / scale) * rate, RATE_SCALE * int(HOURS_PER_DAY))
    if atoms == 0:
        return 0
    balance = account.balances[currency]
    ledger = house.ledger
    ledger.post(
        now_ns, INTEREST, balance.cash, ledger.open("interest", currency), atoms, account.number
    )
    house.book_cash(now_ns, balance)
    return 1


def _equities(house: ClearingHouse, account: Account) -> dict[str, float]:
    """Equity of the stablecoins in coins: they raise each other's free limit."""
    equities: dict[str, float] = {}
    for currency in ("USDT", "USDC"):
        balance = account.balances.get(currency)
        if balance is not None:
            row = house.exposures.currencies[balance.row]
            atoms = int(row[t.C_CASH] + row[t.C_FUTURES] + row[t.C_OPTIONS])
            equities[currency] = atoms * house.market.scales[balance.number]
    return equities
