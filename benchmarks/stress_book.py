"""How fast is the stress of a book: 100,000 accounts over a grid of 13 index moves.

`python benchmarks/stress_book.py [ACCOUNTS]` prints one JSON object: wall and processor seconds of
reading the book and of each part of the answer, against one margin report an account, timed over a
sample of the accounts, whose figures must agree.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from risk.margin import Portfolio, PositionInput, margin_report
from risk.rules import load_rules
from scenarios.book_checks import MODES
from scenarios.book_file import Book, read_book, write_book
from scenarios.book_margin import BookMargin
from scenarios.book_market import priced_portfolio, read_market
from scenarios.book_sample import sample_book
from scenarios.book_stress import BookStress
from scenarios.portfolio_file import contract_of
from scenarios.stress import axes_of

ACCOUNTS, SAMPLE = 100_000, 200
MOVES = "-50,-40,-30,-20,-10,-5,0,5,10,20,30,40,50"
MARKET = Path(__file__).parent.parent / "scenarios/library/books/example-market.toml"
RULES = load_rules("okx-2025")


def timed(figures: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    """Run `work` once and note its wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    figures[f"{name}_seconds"] = round(time.perf_counter() - wall, 3)
    figures[f"{name}_processor_seconds"] = round(time.process_time() - processor, 3)
    return result


def portfolios(book: Book, market: Any, count: int) -> list[Portfolio]:
    """The first accounts as a portfolio file would give them."""
    balances: list[dict[str, float]] = [{} for _ in range(count)]
    positions: list[list[PositionInput]] = [[] for _ in range(count)]
    for row in np.flatnonzero(book.balance_account < count).tolist():
        currency = book.currencies[int(book.balance_currency[row])]
        balances[int(book.balance_account[row])][currency] = float(book.balance_amount[row])
    for row in np.flatnonzero(book.position_account < count).tolist():
        instrument = book.instruments[int(book.position_instrument[row])]
        size = float(instrument.size(int(book.position_lots[row])))
        entry = float(book.position_entry[row])
        held = PositionInput(contract_of(instrument), size, entry)
        positions[int(book.position_account[row])].append(held)
    return [
        Portfolio(market, money, tuple(held), mode=MODES[int(book.modes[n])])
        for n, (money, held) in enumerate(zip(balances, positions, strict=True))
    ]


def main() -> None:
    """Print all figures as one JSON object."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else ACCOUNTS
    frame = sample_book(accounts, 1)
    figures: dict[str, Any] = {"accounts": accounts, "rows": frame.height}
    figures["load_average"] = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("book.csv", "book.parquet"):
            write_book(frame, Path(folder) / name)
            kind = name.split(".")[1]
            book = timed(figures, f"read_{kind}", partial(read_book, Path(folder) / name))
    market = read_market(MARKET)
    priced = priced_portfolio(book, market)
    margin = timed(figures, "layout", lambda: BookMargin(book, RULES))
    margin.figures(market, np.arange(10))  # the kernels are compiled now
    timed(figures, "pass", lambda: margin.figures(market))
    line = BookStress(margin, market, axes_of(priced, MOVES, "0", str(0.9996), None))
    timed(figures, "grid_13", line.cells)
    timed(figures, "first_to_break", lambda: line.first_to_break(10))
    timed(figures, "fund", lambda: line.fund_tests({"": 1e4 * accounts}))
    whole = axes_of(priced, MOVES, "-50,0,50,100", "1,0.99,0.98,0.97,0.95,0.9,0.85,0.8", None)
    cells = timed(figures, "grid_default", BookStress(margin, market, whole).cells)
    figures["grid_default_cells"] = len(cells)
    sample = portfolios(book, market, min(SAMPLE, accounts))
    reports = timed(figures, "sample_reports", lambda: [margin_report(p, RULES) for p in sample])
    ours = margin.figures(market).maintenance[: len(sample)]
    assert np.allclose(ours, [report.total_mmr for report in reports], rtol=1e-9, atol=1e-6)
    each = figures["sample_reports_processor_seconds"] / len(sample)
    figures["speedup_over_reports"] = round(each * accounts / figures["pass_processor_seconds"])
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
