"""Margin of all accounts of a book at any market, in one vectorised pass.

What the accounts hold is laid out once; a new market costs one stress table and one pass, about
0.02 us a position. Accounts in portfolio margin and in multi-currency margin are passed
separately. Equal to `risk.margin.margin_report` account by account.

Source: portfolio-margin.md sections 4.3, 16.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from risk.account_kernels import (
    FULL_EQUITY,
    FULL_IMR,
    FULL_MMR,
    FULL_RATIO,
    FULL_SIZE,
    FULL_TOTAL_EQUITY,
    AccountArrays,
    MarketArrays,
    full_margin,
)
from risk.borrowing import borrow_arrays
from risk.collateral import discount_arrays
from risk.contracts import OPTION, Contract, MarketSnapshot
from risk.multi_currency_pass import multi_currency_margin, position_terms
from risk.rules import RuleSet
from risk.stress import StressPlan, StressTable, stablecoin_prices
from scenarios.book_checks import MODES
from scenarios.book_file import Book
from scenarios.portfolio_file import contract_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PORTFOLIO = MODES.index("portfolio")
THREADS = min(4, os.cpu_count() or 1)
FEW = 20_000
"""Accounts below which threads cost more than they bring."""


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Margin of accounts at one market, float64 (accounts,), USD; no open orders.

    equity: undiscounted; adjusted: discounted; ratio: infinite without a requirement.
    """

    equity: Floats
    adjusted: Floats
    maintenance: Floats
    initial: Floats
    ratio: Floats


@dataclass(frozen=True, slots=True, eq=False)
class BookMargin:
    """The accounts of a book under one rule set, ready for `figures` at any market.

    Raises RulesError for a currency that the rule set does not have.
    """

    book: Book
    rules: RuleSet
    contracts: tuple[Contract, ...] = field(init=False)
    currencies: tuple[str, ...] = field(init=False)
    plan: StressPlan = field(init=False)
    lots: Floats = field(init=False)  # contracts per lot
    settle: Ints = field(init=False)
    discounts: Floats = field(init=False)
    borrows: Floats = field(init=False)
    held: AccountArrays = field(init=False)
    by_mode: tuple[tuple[int, Ints, AccountArrays], ...] = field(init=False)

    def __post_init__(self) -> None:
        book = self.book
        put = object.__setattr__  # frozen for everybody else
        contracts = tuple(contract_of(i) for i in book.instruments)
        used = {c for one in contracts for c in (one.base, one.settle)}
        currencies = tuple(sorted({*book.currencies, *used}))
        put(self, "contracts", contracts)
        put(self, "currencies", currencies)
        put(self, "plan", StressPlan.of(contracts, self.rules))
        put(self, "lots", np.array([float(i.lot) for i in book.instruments], np.float64))
        put(self, "settle", _numbers(currencies, [c.settle for c in contracts]))
        put(self, "discounts", discount_arrays(self.rules, currencies))
        put(self, "borrows", borrow_arrays(self.rules, currencies))
        put(self, "held", _account_arrays(self))
        put(self, "by_mode", self._by_mode(np.arange(len(book.accounts))))

    def figures(self, market: MarketSnapshot, accounts: Ints | None = None) -> Figures:
        """Margin of all accounts, or of those whose numbers are given (ascending).

        Raises MarketDataError for a price that is missing or not usable.
        """
        table = self.table(market)
        arrays = self.market_arrays(table, market)
        groups = self.by_mode if accounts is None else self._by_mode(accounts)
        result = np.empty((sum(where.size for _, where, _ in groups), FULL_SIZE))
        for mode, where, held in groups:
            part = np.empty((where.size, FULL_SIZE))
            if mode == PORTFOLIO:
                threads = THREADS if where.size > FEW else 1
                full_margin(held, arrays, part, threads=threads)
            else:
                terms = position_terms(table, self.contracts, self.lots, self.rules)
                multi_currency_margin(held, arrays, terms, part)
            result[where] = part
        return Figures(
            equity=result[:, FULL_TOTAL_EQUITY],
            adjusted=result[:, FULL_EQUITY],
            maintenance=result[:, FULL_MMR],
            initial=result[:, FULL_IMR],
            ratio=result[:, FULL_RATIO],
        )

    def _by_mode(self, accounts: Ints) -> tuple[tuple[int, Ints, AccountArrays], ...]:
        """(mode, places among `accounts`, what they hold) of each mode that occurs."""
        modes = self.book.modes[accounts]
        places = ((mode, np.flatnonzero(modes == mode)) for mode in range(len(MODES)))
        return tuple(
            (mode, where, subset(self.held, accounts[where]))
            for mode, where in places
            if where.size
        )

    def table(self, market: MarketSnapshot) -> StressTable:
        """The stress table of a market, per contract."""
        usdt, usdc = stablecoin_prices(market)
        return self.plan.evaluate(market.time_ns, self.plan.prices(market), usdt, usdc)

    def market_arrays(self, table: StressTable, market: MarketSnapshot) -> MarketArrays:
        """Stress and prices per lot."""
        lots = self.lots
        return MarketArrays(
            rows=table.rows * lots[:, None],
            mr7_long=table.mr7_long * lots,
            mr7_short=table.mr7_short * lots,
            value=table.value * lots,
            settle=self.settle,
            is_option=np.array([int(c.kind == OPTION) for c in self.contracts], np.int64),
            unit_of=table.unit_of,
            unit_params=table.unit_params,
            unit_base=_numbers(self.currencies, [unit.base for unit in table.units]),
            usd=np.array([market.usd(c) for c in self.currencies], np.float64),
            discounts=self.discounts,
            borrows=self.borrows,
            fee_rate=self.rules.fees.liquidation_borrow,
        )


def _numbers(names: tuple[str, ...], wanted: list[str]) -> Ints:
    return np.array([names.index(name) for name in wanted], np.int64)


def _account_arrays(margin: BookMargin) -> AccountArrays:
    """Positions by account and risk unit; a balance row for every currency that one touches."""
    book, contracts = margin.book, margin.contracts
    accounts, currencies = len(book.accounts), len(margin.currencies)
    order = np.lexsort((margin.plan.unit_of[book.position_instrument], book.position_account))
    owner, which = book.position_account[order], book.position_instrument[order]
    lots = book.position_lots[order]
    amount = np.zeros((accounts, currencies))
    touched = np.zeros((accounts, currencies), bool)
    number = _numbers(margin.currencies, list(book.currencies))
    at = (book.balance_account, number[book.balance_currency])
    amount[at] = book.balance_amount
    touched[at] = True
    settle = margin.settle[which]
    np.add.at(amount, (owner, settle), _cost(margin, which, lots, book.position_entry[order]))
    touched[owner, settle] = True
    touched[owner, _numbers(margin.currencies, [c.base for c in contracts])[which]] = True
    rows, columns = np.nonzero(touched)
    return AccountArrays(
        first_position=_starts(owner, accounts),
        instrument=which,
        lots=lots,
        first_balance=_starts(rows, accounts),
        currency=columns.astype(np.int64),
        amount=amount[rows, columns],
        cap=np.full(rows.size, np.inf),
    )


def _cost(margin: BookMargin, which: Ints, lots: Ints, entry: Floats) -> Floats:
    """What a position cost, with the sign that makes value at mark + cost = unrealised profit."""
    contracts = margin.contracts
    inverse = np.array([c.inverse for c in contracts], bool)[which]
    option = np.array([c.kind == OPTION for c in contracts], bool)[which]
    size = lots * (np.array([c.coins_per_contract for c in contracts]) * margin.lots)[which]
    # The premium of an option was paid in cash.
    cost: Floats = np.where(option, 0.0, np.where(inverse, size / entry, -size * entry))
    return cost


def _starts(owner: Ints, accounts: int) -> Ints:
    """Where each account's rows begin, int64 (accounts + 1,); `owner` ascending."""
    return np.searchsorted(owner, np.arange(accounts + 1)).astype(np.int64)


def subset(held: AccountArrays, accounts: Ints) -> AccountArrays:
    """The rows of the given accounts, as if there were no others.  O(their rows)."""
    positions, first_position = _rows(held.first_position, accounts)
    balances, first_balance = _rows(held.first_balance, accounts)
    return AccountArrays(
        first_position=first_position,
        instrument=held.instrument[positions],
        lots=held.lots[positions],
        first_balance=first_balance,
        currency=held.currency[balances],
        amount=held.amount[balances],
        cap=held.cap[balances],
    )


def _rows(first: Ints, accounts: Ints) -> tuple[Ints, Ints]:
    """(row numbers of the accounts, where each one's begin among them)."""
    counts = first[accounts + 1] - first[accounts]
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    rows = np.arange(starts[-1]) + np.repeat(first[accounts] - starts[:-1], counts)
    return rows.astype(np.int64), starts
