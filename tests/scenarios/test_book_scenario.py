"""A book of accounts inside a scenario: what is opened, what is refused, what is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk import order_tables as t
from scenarios.book_checks import MODES
from scenarios.book_margin import BookMargin
from scenarios.book_opening import counterparty_words
from scenarios.config import load_scenario
from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.simulation import Simulation

DAY = Path("scenarios/library/books/example-day.toml")
HEAD = "account,mode,kind,name,size,entry_price\n"
ROWS = (
    "long,portfolio,balance,USDT,2000,\n"
    "long,portfolio,position,BTC-USDT-SWAP,100,7900\n"
    "short,portfolio,balance,USDT,5000,\n"
    "short,portfolio,position,BTC-USDT-SWAP,-30,7950.1\n"
    "owes,portfolio,balance,BTC,2,\n"
    "owes,portfolio,balance,USDT,-4000,\n"
)
SCENARIO = """
name = "with-a-book"
title = "A quiet minute"
[market]
path = { kind = "bridged_bars", file = "2020-03-black-thursday", series = ["BTC-USDT", "USDT-USD"] }
start = 2020-03-12T06:00:00Z
end = 2020-03-12T06:00:20Z
instruments = ["BTC-USDT", "BTC-USDT-SWAP"]
[[agents]]
kind = "market_maker"
instrument_id = "BTC-USDT-SWAP"
[[agents]]
kind = "noise_trader"
instrument_id = "BTC-USDT"
"""


def _run(folder: Path, rows: str, **book: Any) -> tuple[dict[str, Any], Simulation]:
    path = folder / "book.csv"
    path.write_text(HEAD + rows)
    scenario = folder / "scenario.toml"
    scenario.write_text(SCENARIO)
    kept: list[Simulation] = []
    summary = run_scenario(
        scenario,
        overrides={"book": {"file": "book.csv", **book}},
        keep=False,
        on_start=kept.append,
    )
    return summary, kept[0]


def test_a_book_is_opened_as_it_is_and_its_counterparty_reported(tmp_path: Path) -> None:
    summary, simulation = _run(tmp_path, ROWS, counterparty="street")
    house = simulation.house
    accounts = {account.name: account for account in house.accounts}
    swap = house.listings["BTC-USDT-SWAP"]
    # one lot is 0.01 contracts of 0.01 BTC
    assert accounts["long"].positions[swap.number].lots == 10_000
    assert accounts["long"].positions[swap.number].entry_price == pytest.approx(7900.0)
    assert accounts["short"].positions[swap.number].entry_price == pytest.approx(7950.1)
    assert accounts["street"].positions[swap.number].lots == -7_000
    assert accounts["owes"].balances["USDT"].liability_atoms == 4000 * 10**8
    positions = house.exposures.positions[: house.exposures.used["positions"]]
    of_swap = positions[positions[:, t.P_INSTRUMENT] == swap.number]
    assert of_swap[:, t.P_LOTS].sum() == 0
    assert set(summary["conservation_error_atoms"].values()) == {0}
    book = summary["book"]
    assert book["accounts"] == 3
    other = book["counterparty"]
    assert other["account"] == "street"
    assert other["positions"] == {"BTC-USDT-SWAP": -70.0}
    assert other["start"]["margin_ratio"] > 3.0
    assert counterparty_words(book).startswith("book: 3 accounts of ")
    # the same price moves the book's longs and the counterparty against each other
    assert other["end"]["equity_usd"] != other["start"]["equity_usd"]


@pytest.mark.parametrize("mode", [None, "portfolio", "multi_currency"])
def test_every_account_of_the_example_is_margined_as_stress_says(mode: str | None) -> None:
    """Premiums that are paid already, entries off the tick, loans, options: nothing is lost."""
    found: list[tuple[Any, Any, float]] = []

    def compare(simulation: Simulation) -> None:
        house, opened = simulation.house, simulation.book
        assert opened is not None
        book = opened.book
        if mode is not None:
            book = replace(book, modes=np.full_like(book.modes, MODES.index(mode)))
        figures = BookMargin(book, house.rules).figures(house.market.snapshot())
        for number, account in enumerate(opened.accounts):
            row = house.exposures.figures(account.number)
            # rounded stress rows: 1e-4 where almost everything offsets
            found.append((row[t.T_MMR], figures.maintenance[number], 1e-4))
            found.append((row[t.T_IMR], figures.initial[number], 1e-4))
            found.append((row[t.T_EQUITY], figures.equity[number], 1e-6))
            found.append((row[t.T_ADJUSTED], figures.adjusted[number], 1e-6))

    overrides: dict[str, Any] = {"market.end": "2025-01-15T10:27:01Z"}
    if mode is not None:
        overrides["book.mode"] = mode
    run_scenario(DAY, overrides=overrides, keep=False, on_start=compare)
    assert len(found) == 4 * 60
    for simulated, stressed, tolerance in found:
        assert simulated == pytest.approx(stressed, rel=tolerance, abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "book", "expected"),
    [
        (ROWS.replace("SWAP", "250328"), {}, "holds BTC-USDT-250328, which market.instruments"),
        (ROWS.replace("BTC,2", "SOL,2"), {}, "has balances in SOL, of which market.instruments"),
        (ROWS.replace("owes", "noise_trader/0"), {}, "the account 'noise_trader/0' is one of the"),
        (
            ROWS.replace(",2000,", ",1e11,"),
            {},
            "in USDT are worth 1e+11 USDT, more than the 2.31e+",
        ),
        (ROWS, {"counterparty": "long"}, "the account 'long' is one of the scenario's own"),
        (ROWS, {"counterparty": "market_maker/0"}, "'market_maker/0' is an account already"),
        (
            ROWS,
            {"colour": 1},
            "book.colour: not a field of this table; allowed: file, counterparty",
        ),
        (ROWS, {"mode": "spot"}, "book.mode: 'spot' is not 'portfolio' or 'multi_currency'"),
        (ROWS.replace(",100,7900", ",100,"), {}, "row 3: entry_price: missing"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, rows: str, book: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        _run(tmp_path, rows, **book)
    assert expected in caught.value.message


def test_a_book_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file"):
        run_scenario("black-thursday", overrides={"book": {"file": "nowhere.csv"}}, keep=False)


def test_the_command_line_names_a_book_from_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "scenario.toml").write_text(SCENARIO)
    (tmp_path / "mine.csv").write_text(HEAD + ROWS)
    monkeypatch.chdir(tmp_path)
    _, tables, _ = load_scenario("elsewhere/scenario.toml", ["book.file=mine.csv"])
    assert tables["book"]["file"] == str(tmp_path / "mine.csv")
