"""The vectorised margin of a book equals the margin report, account by account."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from risk.contracts import MarketSnapshot
from risk.margin import Portfolio, PositionInput, margin_report
from risk.multi_currency import short_option_margin
from risk.rules import load_rules
from scenarios.book_file import MODES, Book, read_book, write_book
from scenarios.book_margin import BookMargin, Figures
from scenarios.book_market import read_market
from scenarios.book_sample import sample_book
from scenarios.market_moves import MarketMove, moved
from scenarios.portfolio_file import contract_of

MARKET = Path("scenarios/library/books/example-market.toml")


def _portfolio(book: Book, number: int, market: MarketSnapshot) -> Portfolio:
    """One account of a book, as a portfolio file would give it."""
    balances = {
        book.currencies[int(currency)]: float(amount)
        for owner, currency, amount in zip(
            book.balance_account, book.balance_currency, book.balance_amount, strict=True
        )
        if owner == number
    }
    positions = []
    for owner, which, lots, entry in zip(
        book.position_account,
        book.position_instrument,
        book.position_lots,
        book.position_entry,
        strict=True,
    ):
        if owner == number:
            instrument = book.instruments[int(which)]
            size = float(instrument.size(int(lots)))
            positions.append(PositionInput(contract_of(instrument), size, float(entry)))
    mode = MODES[int(book.modes[number])]
    return Portfolio(market, balances, tuple(positions), mode=mode)


def _expect_equal(figures: Figures, row: int, account: Portfolio, rules: str) -> None:
    report = margin_report(account, load_rules(rules))
    assert figures.maintenance[row] == pytest.approx(report.total_mmr, rel=1e-9, abs=1e-6)
    assert figures.initial[row] == pytest.approx(report.total_imr, rel=1e-9, abs=1e-6)
    assert figures.adjusted[row] == pytest.approx(report.eq, rel=1e-9, abs=1e-5)
    assert figures.equity[row] == pytest.approx(report.total_equity, rel=1e-9, abs=1e-5)
    assert figures.ratio[row] == pytest.approx(report.margin_ratio, rel=1e-9)


@pytest.mark.parametrize("rules", ["okx-2025", "okx-2024", "okx-2021"])
def test_the_pass_equals_the_report_account_by_account(tmp_path: Path, rules: str) -> None:
    write_book(sample_book(120, 7), tmp_path / "book.csv")
    book = read_book(tmp_path / "book.csv")
    margin, market = BookMargin(book, load_rules(rules)), read_market(MARKET)
    for index, vol, usdt in ((0.0, 0.0, 0.9996), (-0.4, 1.0, 0.9), (0.3, -0.5, 0.9996)):
        after = moved(
            Portfolio(market, {}, tuple(PositionInput(c, 1.0, 1.0) for c in margin.contracts)),
            MarketMove(dict.fromkeys(("BTC", "ETH", "SOL"), index), vol, {"USDT": usdt}),
        ).market
        figures = margin.figures(after)
        for number in range(len(book.accounts)):
            _expect_equal(figures, number, _portfolio(book, number, after), rules)


def test_some_of_the_accounts_have_the_figures_they_have_among_all(tmp_path: Path) -> None:
    write_book(sample_book(60, 2), tmp_path / "book.csv")
    margin = BookMargin(read_book(tmp_path / "book.csv"), load_rules("okx-2025"))
    market = read_market(MARKET)
    everyone, chosen = margin.figures(market), np.array([0, 4, 9, 33, 59])
    some = margin.figures(market, chosen)
    for name in ("equity", "adjusted", "maintenance", "initial", "ratio"):
        assert np.array_equal(getattr(some, name), getattr(everyone, name)[chosen])


def test_a_book_of_balances_alone_has_no_requirement_but_for_loans(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(
        "account,mode,kind,name,size,entry_price\n"
        "rich,portfolio,balance,BTC,1,\n"
        "owes,multi_currency,balance,BTC,1,\nowes,multi_currency,balance,USDT,-50000,\n"
    )
    figures = BookMargin(read_book(path), load_rules("okx-2025")).figures(read_market(MARKET))
    assert figures.ratio[0] == float("inf")
    assert figures.equity[0] == pytest.approx(97_032.2)
    assert figures.maintenance[0] == 0.0
    assert figures.equity[1] == pytest.approx(97_032.2 - 50_000 * 0.9996)
    assert 0.0 < figures.maintenance[1] < 50_000


def test_short_options_are_margined_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(
        "account,mode,kind,name,size,entry_price\n"
        "a,multi_currency,balance,BTC,10,\n"
        "a,multi_currency,position,BTC-USD-250328-100000-C,-200,0.05\n"
        "a,multi_currency,position,BTC-USD-250328-120000-C,200,0.02\n"
    )
    rules = load_rules("okx-2025")
    margin, market = BookMargin(read_book(path), rules), read_market(MARKET)
    table = margin.table(market)
    rate = short_option_margin(
        rules, margin.contracts[0], float(table.mark[0]), float(table.prices.forward[0])
    )[1]
    # 200 contracts of 0.01 BTC; the long call asks for nothing and gives nothing.
    assert margin.figures(market).maintenance[0] == pytest.approx(2.0 * 97_032.2 * rate)
