"""`selloff stress BOOK`: the grid, who breaks first, what empties the funds, and wrong options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from accounts.insurance import pool_name
from exchange.instrument import parse_instrument
from risk.margin import margin_report
from risk.rules import load_rules
from scenarios.book_command import BookResult, book_dict, stress_book
from scenarios.book_file import read_book
from scenarios.book_margin import BookMargin
from scenarios.book_market import market_of
from scenarios.book_stress import STATES, BookStress
from scenarios.errors import UserError
from scenarios.stress import Axes
from tests.scenarios.margin_cases import run
from tests.scenarios.test_book_margin import MARKET, _portfolio

BOOK = Path("scenarios/library/books/example.csv")
RULES = load_rules("okx-2025")
MOVES = "-40,-20,-10,0,10,30"


@pytest.fixture(scope="module")
def result() -> BookResult:
    return stress_book(
        BOOK, market=MARKET, index_moves=MOVES, vol_moves="0,100", stablecoin_prices="0.9", top="6",
        funds=["400000"],
    )  # fmt: skip


def _stress(slippage: float = 0.0) -> BookStress:
    book = read_book(BOOK)
    axes = Axes((-0.4, -0.2, 0.0, 0.2, 0.4), (0.0,), (0.9996,), "USDT", 0.9996)
    return BookStress(BookMargin(book, RULES), market_of(book, MARKET), axes, slippage)


def _plain_state(report: Any) -> str:
    limits = RULES.liquidation
    if report.margin_ratio <= limits.start_ratio:
        return "bankrupt" if report.total_equity <= 0.0 else "liquidated"
    if report.margin_ratio < float("inf"):
        if report.eq < limits.order_control * report.total_imr:
            return "order_control"
        if report.margin_ratio <= limits.warning_ratio:
            return "warned"
    return "healthy"


def test_every_cell_equals_one_margin_report_an_account(result: BookResult) -> None:
    stress = _stress()
    for cell in result.cells[::5]:
        market = stress.market_at(cell.index_move, cell.vol_move, cell.stablecoin_price)
        reports = [
            margin_report(_portfolio(result.book, n, market), RULES)
            for n in range(len(result.book.accounts))
        ]
        states = [_plain_state(report) for report in reports]
        assert cell.counts == tuple(states.count(name) for name in STATES)
        assert cell.equity == pytest.approx(sum(r.total_equity for r in reports))
        assert cell.maintenance_margin == pytest.approx(sum(r.total_mmr for r in reports))
        forced = [r for r in reports if r.margin_ratio <= 1.0]
        assert cell.shortfall == pytest.approx(
            sum(max(0.0, r.total_mmr - r.eq) for r in forced), abs=1e-6
        )
        assert cell.deficit == pytest.approx(
            sum(max(0.0, -r.total_equity) for r in reports), abs=1e-6
        )


def test_the_accounts_that_break_first_break_there(result: BookResult) -> None:
    stress = _stress()
    names = list(result.book.accounts)
    for found, sign in ((result.down, -1.0), (result.up, 1.0)):
        assert len(found) == 6
        assert [one.move * sign for one in found] == sorted(one.move * sign for one in found)
        for one in found:
            number = np.array([names.index(one.account)])
            at = stress.margin.figures(stress.market_at(one.move), number)
            assert at.ratio[0] <= 1.0
            before = stress.market_at(one.move - sign * 0.0002)
            assert stress.margin.figures(before, number).ratio[0] > 1.0
    # nobody outside the list breaks before its last one
    last = result.down[-1].move
    ratio = stress.margin.figures(stress.market_at(last + 0.0002)).ratio
    early = {names[int(n)] for n in np.flatnonzero(ratio <= 1.0)}
    now = {names[int(n)] for n in np.flatnonzero(stress.now.ratio <= 1.0)}
    assert [one.account for one in result.already] == [
        "leveraged-036",
        "leveraged-000",
        "leveraged-013",
    ]
    assert {one.account for one in result.already} == now
    assert early - now <= {one.account for one in result.down}


def test_the_smallest_move_that_empties_the_fund(result: BookResult) -> None:
    stress = _stress()
    (fund,) = result.funds
    for move, sign in ((fund.down, -1.0), (fund.up, 1.0)):
        assert move is not None
        assert sum(stress.pool_deficits(move).values()) >= 400_000.0
        assert sum(stress.pool_deficits(move - sign * 0.0002).values()) < 400_000.0


def test_a_fund_of_one_pool_and_one_that_no_move_empties() -> None:
    stress = _stress()
    small, ample, none = stress.fund_tests(
        {"swaps/BTC-USDT": 50_000.0, "swaps/ETH-USD": 1e12, "margin": 0.0}
    )
    assert small.down is not None
    assert stress.pool_deficits(small.down)["swaps/BTC-USDT"] >= 50_000.0
    assert (ample.down, ample.up) == (None, None)
    assert none.down is not None and none.down < 0.0  # an empty fund falls with the first deficit


def test_deficits_are_split_whole_and_into_the_pools_of_the_simulation() -> None:
    stress = _stress()
    market = stress.market_at(-0.4)
    total = stress.deficits(stress.margin.figures(market), market).sum()
    pools = stress.pool_deficits(-0.4)
    assert sum(pools.values()) == pytest.approx(total)
    assert list(pools.values()) == sorted(pools.values(), reverse=True)

    names = {
        "BTC-USDT-SWAP": "swaps/BTC-USDT",
        "ETH-USD-250328": "futures/ETH-USD",
        "BTC-USD-250328-80000-P": "options/BTC-USD",
        "BTC-USDT": "margin/BTC-USDT",
    }
    assert {name: pool_name(parse_instrument(name)) for name in names} == names


def test_slippage_only_adds_to_deficits_of_the_liquidated() -> None:
    plain, slipping = _stress(), _stress(0.02)
    market = plain.market_at(-0.4)
    figures = plain.margin.figures(market)
    before, after = plain.deficits(figures, market), slipping.deficits(figures, market)
    assert (after >= before).all()
    assert after.sum() > before.sum()
    assert np.array_equal(after[figures.ratio > 1.0], before[figures.ratio > 1.0])
    # a bankrupt account's deficit grows by 2 % of its notional: leveraged-050, by hand
    number = plain.margin.book.accounts.index("leveraged-050")
    notional = 800.66 * 0.01 * 97_032.2 * 0.6
    assert after[number] - before[number] == pytest.approx(0.02 * notional, rel=1e-9)


def test_all_accounts_in_another_mode() -> None:
    held = stress_book(BOOK, market=MARKET, index_moves="0", mode="multi_currency")
    assert set(held.book.modes.tolist()) == {1}
    assert book_dict(held)["cells"][0]["accounts"]["healthy"] > 0


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    page = tmp_path / "book.html"
    words = ["stress", str(BOOK), "--market", str(MARKET), "--index-moves", "-20,0", "--fund", "1"]
    shown = run(*words, "--html", str(page))
    assert shown.exit_code == 0, shown.output
    for text in ("60 accounts", "order control", "First to break in a fall", "emptied by a fall"):
        assert text in shown.output
    html = page.read_text(encoding="utf-8")
    assert "Accounts by state" in html
    assert 'src="http' not in html


def test_all_accounts_are_written_with_their_states(tmp_path: Path) -> None:
    words = ["stress", str(BOOK), "--market", str(MARKET), "--index-moves", "-20,0", "--top", "0"]
    for name in ("all.csv", "all.parquet"):
        shown = run(*words, "--accounts", str(tmp_path / name))
        assert shown.exit_code == 0, shown.output
        assert f"all accounts: {tmp_path / name}" in shown.output
    csv, parquet = (
        pl.read_csv(tmp_path / "all.csv"),
        pl.read_parquet(tmp_path / "all.parquet"),
    )
    assert csv.columns == parquet.columns
    assert csv["account"].to_list() == list(read_book(BOOK).accounts)
    held = stress_book(BOOK, market=MARKET, index_moves="-20,0")
    fall = next(c for c in held.cells if c.index_move == -0.2 and c.stablecoin_price == 0.9996)
    states = csv["at -20 %"].to_list()
    assert tuple(states.count(name) for name in STATES) == fall.counts
    assert csv["margin_ratio"].null_count() > 0
    assert parquet["equity_usd"].sum() == pytest.approx(5_359_193, abs=1.0)
    refused = run(*words, "--accounts", str(tmp_path / "all.txt"))
    assert refused.exit_code == 2
    assert "is written as .csv or .parquet" in refused.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "has no prices; give --market FILE"),
        (["--market", "none.toml"], "none.toml: no such file"),
        (["--market", str(MARKET), "--fund", "much"], "--fund: 'much' is not a number from 0 to"),
        (["--market", str(MARKET), "--fund", "swaps/X=5"], "'swaps/X' is not one of futures/BTC-"),
        (["--market", str(MARKET), "--fund", "5", "--fund", "5"], "the fund is given twice"),
        (["--market", str(MARKET), "--fund", "5", "--fund", "margin=5"], "not both"),
        (["--market", str(MARKET), "--slippage", "101"], "--slippage: '101' is not a number from"),
        (["--market", str(MARKET), "--top", "x"], "--top: 'x' is not a number from 0 to"),
        (["--market", str(MARKET), "--mode", "spot"], "mode: 'spot' is not 'portfolio' or"),
        (["--market", str(MARKET), "--rules", "okx"], "okx"),
    ],
)
def test_wrong_options(words: list[str], expected: str) -> None:
    shown = run("stress", str(BOOK), *words)
    assert shown.exit_code == 2
    assert expected in shown.output
    assert len(shown.output.strip().splitlines()) == 1


def test_options_of_a_book_are_refused_for_a_portfolio() -> None:
    example = "scenarios/library/portfolios/hedged-spot.toml"
    shown = run("stress", example, "--fund", "5")
    assert shown.exit_code == 2
    assert "--fund: is for a book of accounts" in shown.output


def _market(folder: Path, text: str) -> Path:
    path = folder / "market.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("BTC = 97032.2", ""), "market.usd_index has no BTC"),
        (('"SOL-USDT-SWAP" = 190.05', ""), "market.mark has no SOL-USDT-SWAP (held by"),
        (('"ETH-USD-250328-3000-P" = 0.70', ""), "market.implied_vol has no ETH-USD-250328-3000-P"),
        (("2025-01-15", "2025-04-15"), "time is not before the expiry of BTC-USD-250328-120000-C"),
        (("time = 2025-01-15T10:26:41Z", ""), "time: missing"),
        (
            ("[market.usd_index]", "colour = 1\n[market.usd_index]"),
            "colour: not a field of a marke",
        ),
        (("USDT = 0.9996", "USDT = -1"), "usd_index.USDT: -1 is not a price"),
    ],
)
def test_prices_that_are_missing_are_named(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    path = _market(tmp_path, MARKET.read_text().replace(*change))
    with pytest.raises(UserError) as caught:
        stress_book(BOOK, market=path)
    assert expected in caught.value.message


def test_prices_in_a_column(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    head = "account,mode,kind,name,size,entry_price,price\n"
    swap = "a,portfolio,position,BTC-USDT-SWAP,100,60000,60000\n"
    path.write_text(f"{head}a,portfolio,balance,USDT,20000,,1\n{swap}")
    with pytest.raises(UserError, match=r"column price: market\.usd_index has no BTC"):
        stress_book(path)
    path.write_text(
        f"{head}a,portfolio,balance,USDT,20000,,1\nb,portfolio,balance,BTC,0,,60000\n{swap}"
    )
    found = stress_book(path, index_moves="-30,0")
    assert found.down[0].account == "a"
    # 20,000 of margin, 12.2 % of 60,000 (1 - x) needed: 20,000 - 60,000 x = 7,320 (1 - x)
    assert found.down[0].move == pytest.approx(-12_680 / 52_680, abs=0.0002)
    future = swap.replace("SWAP", "250328")
    path.write_text(f"{head}a,portfolio,balance,USDT,20000,,1\n{future}")
    with pytest.raises(UserError, match="BTC-USDT-250328 expires"):
        stress_book(path)
