"""`selloff stress BOOK`: a book of accounts over a grid of moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from accounts.insurance import pool_name
from risk.contracts import MarketDataError
from risk.rules import DEFAULT_RULES, RulesError, RuleSet
from scenarios.book_checks import MODES
from scenarios.book_file import Book, read_book, write_table
from scenarios.book_margin import BookMargin
from scenarios.book_market import market_of, priced_portfolio
from scenarios.book_stress import (
    NO_POSITION_POOL,
    STATES,
    BookCell,
    BookStress,
    Break,
    FundTest,
)
from scenarios.errors import UserError, show
from scenarios.margin_input import account_mode, finite, print_json, rules_named
from scenarios.stress import Axes, axes_of

LARGEST_TOP = 10_000
LARGEST_FUND = 1e15


@dataclass(frozen=True, slots=True)
class BookResult:
    """All that the command shows."""

    book: Book
    rules: RuleSet
    time_ns: int
    axes: Axes
    slippage: float
    cells: list[BookCell]
    already: list[Break]
    down: list[Break]
    up: list[Break]
    funds: list[FundTest]
    pools: dict[str, float]  # deficits by pool after the deepest fall
    accounts: pl.DataFrame  # `BookStress.accounts_frame`

    @property
    def time(self) -> str:
        """When the prices are of; empty where a column gave them."""
        if self.time_ns == 0:
            return ""
        return f"{datetime.fromtimestamp(self.time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def assumption(self) -> str:
        """What a deficit is."""
        text = "A deficit is an account's negative equity after the move"
        if self.slippage:
            text += (
                f", after {self.slippage * 100.0:g} % of the notional was lost in closing accounts"
                " at or below the liquidation ratio"
            )
        return text + "; moves happen at once, nobody reacts, time stands still."


def book_command(
    file: Path,
    *,
    as_json: bool,
    html: Path | None,
    rules: str | None,
    mode: str | None,
    index_moves: str,
    vol_moves: str,
    stablecoin_prices: str,
    stablecoin: str | None,
    market: Path | None,
    funds: Sequence[str],
    slippage: str,
    top: str,
    accounts: Path | None = None,
) -> None:
    """Print the grid, the accounts that break first and what empties the funds.

    html, accounts: also write curves and heat maps, and a table of all accounts (CSV, Parquet).

    Raises UserError: whatever is wrong with the files or the options.
    """
    result = stress_book(
        file,
        rules=rules,
        mode=mode,
        index_moves=index_moves,
        vol_moves=vol_moves,
        stablecoin_prices=stablecoin_prices,
        stablecoin=stablecoin,
        market=market,
        funds=funds,
        slippage=slippage,
        top=top,
    )
    if html is not None:
        from scenarios.book_html import write_html

        write_html(html, result)
    if accounts is not None:
        write_table(result.accounts, accounts, "--accounts")
    if as_json:
        print_json(book_dict(result))
        return
    from scenarios.book_view import print_book

    print_book(result)
    if html is not None:
        print(f"heat maps and curves: {html}")
    if accounts is not None:
        print(f"all accounts: {accounts}")


def stress_book(
    file: Path,
    *,
    rules: str | None = None,
    mode: str | None = None,
    index_moves: str = "-50,-40,-30,-20,-10,-5,0,5,10,20,30,40,50",
    vol_moves: str = "0",
    stablecoin_prices: str = "1",
    stablecoin: str | None = None,
    market: Path | None = None,
    funds: Sequence[str] = (),
    slippage: str = "0",
    top: str = "10",
) -> BookResult:
    """The command's result, for use from Python; options as text, as on the command line."""
    book = read_book(file)
    if mode is not None:
        book = replace(book, modes=np.full_like(book.modes, MODES.index(account_mode(mode))))
    lost = _number("--slippage", slippage, 0.0, 100.0, "per cent of the notional") / 100.0
    count = int(_number("--top", top, 0, LARGEST_TOP, "accounts"))
    funds_usd = parse_funds(funds, book)
    rule_set = rules_named(DEFAULT_RULES if rules is None else rules)
    snapshot = market_of(book, market)
    axes = axes_of(
        priced_portfolio(book, snapshot), index_moves, vol_moves, stablecoin_prices, stablecoin
    )
    try:
        stress = BookStress(BookMargin(book, rule_set), snapshot, axes, lost)
        down, up = stress.first_to_break(count)
        return BookResult(
            book=book,
            rules=rule_set,
            time_ns=snapshot.time_ns,
            axes=axes,
            slippage=lost,
            cells=stress.cells(),
            already=stress.already_broken(count),
            down=down,
            up=up,
            funds=stress.fund_tests(funds_usd),
            pools=stress.pool_deficits(axes.index_moves[0]),
            accounts=stress.accounts_frame(),
        )
    except (MarketDataError, RulesError) as error:
        raise UserError(f"{file}: {error}") from None


def parse_funds(texts: Sequence[str], book: Book) -> dict[str, float]:
    """`5000000` (one fund for all, the key is empty) or `swaps/BTC-USDT=2000000`, repeated.

    Raises UserError: no number, no such pool, both ways at once.
    """
    pools = sorted({pool_name(instrument) for instrument in book.instruments} | {NO_POSITION_POOL})
    funds: dict[str, float] = {}
    for text in texts:
        pool, separator, amount = text.rpartition("=")
        if separator and pool not in pools:
            raise UserError(f"--fund: {show(pool)} is not one of {', '.join(pools)}")
        if pool in funds:
            raise UserError(f"--fund: {pool or 'the fund'} is given twice")
        funds[pool] = _number("--fund", amount, 0.0, LARGEST_FUND, "USD")
    if "" in funds and len(funds) > 1:
        raise UserError("--fund: one amount for all pools, or POOL=USD for each, not both")
    return funds


def _number(option: str, text: str, low: float, high: float, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise UserError(f"{option}: {show(text)} is not a number from {low:g} to {high:g}, {unit}")
    return number


def book_dict(result: BookResult) -> dict[str, Any]:
    """The result as JSON: amounts in USD, moves as fractions."""
    axes, book = result.axes, result.book
    return {
        "book": book.path,
        "rules": result.rules.name,
        "time": result.time or None,
        "accounts": len(book.accounts),
        "balances": int(book.balance_amount.size),
        "positions": int(book.position_lots.size),
        "stablecoin": axes.stablecoin or None,
        "indexMoves": list(axes.index_moves),
        "volMoves": list(axes.vol_moves),
        "stablecoinPrices": list(axes.stablecoin_prices),
        "slippage": result.slippage,
        "assumption": result.assumption,
        "cells": [_cell_dict(cell) for cell in result.cells],
        "breakFirst": {
            "already": [_break_dict(one) for one in result.already],
            "down": [_break_dict(one) for one in result.down],
            "up": [_break_dict(one) for one in result.up],
        },
        "funds": [
            {"pool": f.pool or "all", "usd": f.usd, "emptiedByFall": f.down, "emptiedByRise": f.up}
            for f in result.funds
        ],
        "poolDeficits": {"indexMove": axes.index_moves[0], "usd": result.pools},
    }


def _cell_dict(cell: BookCell) -> dict[str, Any]:
    return {
        "indexMove": cell.index_move,
        "volMove": cell.vol_move,
        "stablecoinPrice": cell.stablecoin_price,
        "accounts": dict(zip(STATES, cell.counts, strict=True)),
        "equity": cell.equity,
        "maintenanceMargin": cell.maintenance_margin,
        "shortfall": cell.shortfall,
        "deficit": cell.deficit,
    }


def _break_dict(one: Break) -> dict[str, Any]:
    return {
        "account": one.account,
        "mode": one.mode,
        "move": one.move,
        "marginRatio": finite(one.margin_ratio),
        "equity": one.equity,
        "maintenanceMargin": one.maintenance_margin,
        "largestPosition": one.largest_position,
    }
