"""A book of accounts in a scenario: read, checked against the market, opened before the start.

    [book]
    file = "book.csv"
    counterparty = "street"

The counterparty is an account of its own that takes the other side of everything that the book
holds, so that positions sum to zero. It has the money that its positions may cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounts.account import Account
from agents.setup import AccountPlan, InitialPosition
from exchange.instrument import STABLECOINS, Instrument, InstrumentKind
from exchange.units import atoms_per_unit
from risk import order_tables as t
from scenarios.book_checks import MODES
from scenarios.book_file import Book, read_book
from scenarios.errors import UserError, show
from scenarios.formats import ratio, usd
from scenarios.opening import open_account, open_counterparty

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from scenarios.config import Scenario

BOOKS = "scenarios.library.books"
LARGEST_ATOMS = 2**61


def load_book(scenario: Scenario, folder: Path) -> Book | None:
    """The scenario's book, None where it has none. A file that is not found from the scenario's
    folder may be one that ships.

    Raises UserError: what is wrong with the file, and what of it the market does not have.
    """
    if scenario.book is None:
        return None
    path = folder / scenario.book.file
    shipped = resources.files(BOOKS) / Path(scenario.book.file).name
    if not path.exists() and shipped.is_file():
        path = Path(str(shipped))
    book = read_book(path)
    _check_market(book, scenario)
    return book


def _check_market(book: Book, scenario: Scenario) -> None:
    """Whether everything that the book holds is traded and priced in the scenario."""
    listed = scenario.market.instruments
    for instrument in book.instruments:
        name = instrument.instrument_id
        if name not in listed:
            raise UserError(f"{book.path}: holds {name}, which market.instruments does not list")
        if instrument.expiry_ns is not None and instrument.expiry_ns <= scenario.market.start:
            raise UserError(f"{book.path}: holds {name}, which expires before market.start")
    priced = {"USD", *STABLECOINS, *(name.split("-")[0] for name in listed)}
    for currency in book.currencies:
        if currency not in priced:
            raise UserError(
                f"{book.path}: has balances in {currency}, of which market.instruments lists"
                " nothing that would price it"
            )


@dataclass(frozen=True, slots=True)
class OpenedBook:
    """A book's accounts in a clearing house, and its counterparty's figures when it opened."""

    book: Book
    accounts: tuple[Account, ...]
    counterparty: Account
    at_start: dict[str, float | None]

    def figures(self, house: ClearingHouse) -> dict[str, Any]:
        """What `summary.json` says of the book."""
        sizes = {
            position.instrument.instrument_id: float(position.instrument.size(position.lots))
            for _, position in sorted(self.counterparty.positions.items())
            if position.lots
        }
        return {
            "file": self.book.path,
            "sha256": self.book.sha256,
            "accounts": len(self.accounts),
            "counterparty": {
                "account": self.counterparty.name,
                "number": self.counterparty.number,
                "start": self.at_start,
                "end": margin_figures(house, self.counterparty),
                "positions": sizes,
            },
        }


def counterparty_words(figures: Mapping[str, Any]) -> str:
    """One line about the counterparty, from `summary.json`'s `book`."""
    other = figures["counterparty"]
    moments = []
    for name in ("start", "end"):
        margin = other[name]
        size = margin["margin_ratio"]
        moments.append(
            f"{usd(margin['equity_usd'])} USD and {ratio(inf if size is None else size)} at the"
            f" {name}"
        )
    return (
        f"book: {figures['accounts']:,} accounts of {figures['file']}; equity and margin ratio of"
        f" their counterparty {other['account']}: {', '.join(moments)}"
    )


def margin_figures(house: ClearingHouse, account: Account) -> dict[str, float | None]:
    """Equity, margin and ratio of an account now; the ratio is None without a requirement."""
    row = house.exposures.figures(account.number).tolist()
    ratio = row[t.T_RATIO]
    return {
        "equity_usd": row[t.T_EQUITY],
        "maintenance_margin_usd": row[t.T_MMR],
        "margin_ratio": ratio if ratio < 1e300 else None,
    }


def open_book(now_ns: int, house: ClearingHouse, book: Book, scenario: Scenario) -> OpenedBook:
    """Open every account of the book, and its counterparty with the other side of all.

    Entry prices are rounded to ticks. Raises UserError for a name that an account has already.
    """
    table = scenario.book
    assert table is not None
    taken = {account.name for account in house.accounts}
    if table.counterparty in taken:
        raise UserError(f"book.counterparty: {show(table.counterparty)} is an account already")
    for name in book.accounts:
        if name in taken or name == table.counterparty:
            raise UserError(f"{book.path}: the account {show(name)} is one of the scenario's own")
    plans = _plans(book, table.mode)
    _check_size(book, plans)
    counterparty = open_counterparty(now_ns, house, plans, table.counterparty)
    accounts = tuple(
        open_account(now_ns, house, name, plan, counterparty)
        for name, plan in zip(book.accounts, plans, strict=True)
    )
    return OpenedBook(book, accounts, counterparty, margin_figures(house, counterparty))


def _check_size(book: Book, plans: list[AccountPlan]) -> None:
    """Whether one counterparty can hold the other side: amounts are 64-bit integers of atoms."""
    owed: dict[str, float] = {}
    by_name = {instrument.instrument_id: instrument for instrument in book.instruments}
    for plan in plans:
        for currency, amount in plan.balances.items():
            owed[currency] = owed.get(currency, 0.0) + abs(amount)
        for held in plan.positions:
            instrument = by_name[held.instrument_id]
            size = abs(held.lots) * float(instrument.units_per_lot)
            value = size / held.entry_price if instrument.inverse else size * held.entry_price
            owed[instrument.settle] = owed.get(instrument.settle, 0.0) + value
    for currency, amount in owed.items():
        largest = LARGEST_ATOMS / atoms_per_unit(currency)
        if amount > largest:
            raise UserError(
                f"{book.path}: balances and positions in {currency} are worth {amount:.3g}"
                f" {currency}, more than the {largest:.3g} that a simulation can hold"
            )


def _cash_of_opening(instrument: Instrument, lots: int, entry: float) -> float:
    """What opening a position takes from the account's equity, in coins: paid in beforehand.

    The book's balances are those after the position was entered: an option's premium is out of
    them already, and its entry price need not be on a tick, as an opening in the simulation is.
    """
    ticks = max(1, round(entry / float(instrument.tick)))
    value = instrument.value_atoms(ticks, lots) / atoms_per_unit(instrument.settle)
    if instrument.kind == InstrumentKind.OPTION:
        return value
    size = lots * float(instrument.units_per_lot)
    return size / entry - value if instrument.inverse else value - size * entry


def _plans(book: Book, mode: Any) -> list[AccountPlan]:
    """One plan for each account. O(rows)."""
    balances: list[dict[str, float]] = [{} for _ in book.accounts]
    for account, currency, amount in zip(
        book.balance_account.tolist(),
        book.balance_currency.tolist(),
        book.balance_amount.tolist(),
        strict=True,
    ):
        balances[account][book.currencies[currency]] = amount
    positions: list[list[InitialPosition]] = [[] for _ in book.accounts]
    for account, which, lots, entry in zip(
        book.position_account.tolist(),
        book.position_instrument.tolist(),
        book.position_lots.tolist(),
        book.position_entry.tolist(),
        strict=True,
    ):
        instrument = book.instruments[which]
        positions[account].append(InitialPosition(instrument.instrument_id, lots, entry))
        money = balances[account]
        settle = instrument.settle
        money[settle] = money.get(settle, 0.0) + _cash_of_opening(instrument, lots, entry)
    names: list[Any] = [MODES[number] if mode is None else mode for number in book.modes.tolist()]
    return [
        AccountPlan(money, tuple(held), account_mode=name)
        for money, held, name in zip(balances, positions, names, strict=True)
    ]
