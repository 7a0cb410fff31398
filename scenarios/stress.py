"""`selloff stress`: the account over a grid of index, volatility and stablecoin moves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.instrument import STABLECOINS
from risk.contracts import OPTION
from risk.margin import Portfolio
from risk.rules import RuleSet
from scenarios.errors import UserError, show
from scenarios.margin_input import finite, open_portfolio, print_json, report_of
from scenarios.market_moves import MarketMove, coins_of, contracts_of, moved

LARGEST_AXIS = 60
LARGEST_GRID = 20_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


@dataclass(frozen=True, slots=True)
class Axes:
    """The grid: relative moves of all coins and volatilities, USD prices of one stablecoin.

    Every axis holds the present state (0, 0, the present price). `stablecoin` is empty and its
    axis (1.0,) where the account uses none.
    """

    index_moves: tuple[float, ...]
    vol_moves: tuple[float, ...]
    stablecoin_prices: tuple[float, ...]
    stablecoin: str
    price_now: float


@dataclass(frozen=True, slots=True)
class Cell:
    """The account at one point of the grid; USD. margin_ratio is infinite without requirement."""

    index_move: float
    vol_move: float
    stablecoin_price: float
    equity: float
    maintenance_margin: float
    initial_margin: float
    depeg_charge: float
    margin_ratio: float


def stress_command(
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
    market: Path | None = None,
    funds: Sequence[str] = (),
    slippage: str | None = None,
    top: str | None = None,
    accounts: Path | None = None,
) -> None:
    """Print the grid of the portfolio, or the book, in `file` and, if wanted, write heat maps.

    market, funds, slippage, top and accounts are for a book only.

    Raises:
        UserError: whatever is wrong with the file or the options.
    """
    if file.suffix.lower() in (".csv", ".parquet"):
        from scenarios.book_command import book_command

        book_command(
            file,
            as_json=as_json,
            html=html,
            rules=rules,
            mode=mode,
            index_moves=index_moves,
            vol_moves=vol_moves,
            stablecoin_prices=stablecoin_prices,
            stablecoin=stablecoin,
            market=market,
            funds=funds,
            slippage=slippage or "0",
            top=top or "10",
            accounts=accounts,
        )
        return
    for name, given in (
        ("market", market),
        ("fund", funds),
        ("slippage", slippage),
        ("top", top),
        ("accounts", accounts),
    ):
        if given:
            raise UserError(f"--{name}: is for a book of accounts (.csv, .parquet), not for {file}")
    loaded, rule_set = open_portfolio(file, rules, mode)
    axes = axes_of(loaded.portfolio, index_moves, vol_moves, stablecoin_prices, stablecoin)
    cells = stress_grid(loaded.portfolio, rule_set, axes)
    if html is not None:
        from scenarios.stress_html import write_html

        write_html(html, f"{file.name}, {rule_set.name}", axes, cells, rule_set)
    if as_json:
        print_json(grid_dict(axes, cells))
        return
    from scenarios.stress_view import print_grid

    print_grid(axes, cells, rule_set)
    if html is not None:
        print(f"heat maps: {html}")


def axes_of(
    portfolio: Portfolio,
    index_moves: str,
    vol_moves: str,
    stablecoin_prices: str,
    stablecoin: str | None,
) -> Axes:
    """The grid that the options ask for; axes that cannot matter to the account are cut to one.

    Raises:
        UserError: a number that is none or out of range, too many of them, no such stablecoin.
    """
    index = _fractions("--index-moves", index_moves) if coins_of(portfolio) else (0.0,)
    contracts = contracts_of(portfolio).values()
    has_options = any(contract.kind == OPTION for contract in contracts)
    vol = _fractions("--vol-moves", vol_moves) if has_options else (0.0,)
    coin = _stablecoin(portfolio, stablecoin)
    price_now = portfolio.market.usd_index[coin] if coin else 1.0
    wanted = _numbers("--stablecoin-prices", stablecoin_prices, 0.0001, 2.0) if coin else []
    prices = tuple(sorted({price_now, *wanted}, reverse=True))
    axes = Axes(index, vol, prices, coin, price_now)
    if len(index) * len(vol) * len(prices) > LARGEST_GRID:
        raise UserError(
            f"a grid of {len(index)} x {len(vol)} x {len(prices)} cells is larger than"
            f" {LARGEST_GRID:,} cells"
        )
    return axes


def _stablecoin(portfolio: Portfolio, wanted: str | None) -> str:
    present = [coin for coin in STABLECOINS if coin in portfolio.market.usd_index]
    if wanted is None:
        return present[0] if present else ""
    if wanted.upper() not in present:
        allowed = ", ".join(present) or "none in this file"
        raise UserError(f"--stablecoin: {show(wanted)} is not one of {allowed}")
    return wanted.upper()


def _fractions(option: str, text: str) -> tuple[float, ...]:
    percents = _numbers(option, text, -99.0, 1000.0)
    # Decimal keeps 7 % at 0.07 exactly, so that axes read well in JSON.
    return tuple(sorted({float(Decimal(str(percent)) / 100) for percent in percents} | {0.0}))


def _numbers(option: str, text: str, low: float, high: float) -> list[float]:
    numbers = []
    for word in text.split(","):
        stripped = word.strip()
        number = float(stripped) if _NUMBER.fullmatch(stripped) else float("nan")
        if not low <= number <= high:
            raise UserError(
                f"{option}: {show(stripped)} is not a number from {low:g} to {high:g}; numbers are"
                " separated by commas"
            )
        numbers.append(number)
    if len(numbers) > LARGEST_AXIS:
        raise UserError(f"{option}: {len(numbers)} numbers are more than {LARGEST_AXIS}")
    return numbers


def stress_grid(portfolio: Portfolio, rules: RuleSet, axes: Axes) -> list[Cell]:
    """Every cell of the grid, index moves fastest.  One margin report a cell."""
    coins = coins_of(portfolio)
    cells = []
    for price in axes.stablecoin_prices:
        for vol in axes.vol_moves:
            for index in axes.index_moves:
                move = MarketMove(
                    index=dict.fromkeys(coins, index),
                    volatility=vol,
                    stablecoin_price={axes.stablecoin: price} if axes.stablecoin else {},
                )
                cells.append(_cell(moved(portfolio, move), rules, index, vol, price))
    return cells


def _cell(after: Portfolio, rules: RuleSet, index: float, vol: float, price: float) -> Cell:
    report = report_of(after, rules)
    return Cell(
        index_move=index,
        vol_move=vol,
        stablecoin_price=price,
        equity=report.eq,
        maintenance_margin=report.total_mmr,
        initial_margin=report.total_imr,
        depeg_charge=sum(unit.mr9 for unit in report.risk_units),
        margin_ratio=report.margin_ratio,
    )


def grid_dict(axes: Axes, cells: list[Cell]) -> dict[str, Any]:
    """The grid as JSON; names of the margin report, `mr9` summed over the risk units."""
    return {
        "stablecoin": axes.stablecoin or None,
        "indexMoves": list(axes.index_moves),
        "volMoves": list(axes.vol_moves),
        "stablecoinPrices": list(axes.stablecoin_prices),
        "cells": [
            {
                "indexMove": cell.index_move,
                "volMove": cell.vol_move,
                "stablecoinPrice": cell.stablecoin_price,
                "eq": cell.equity,
                "totalMmr": cell.maintenance_margin,
                "totalImr": cell.initial_margin,
                "mr9": cell.depeg_charge,
                "marginRatio": finite(cell.margin_ratio),
            }
            for cell in cells
        ],
    }


def slice_of(
    cells: list[Cell], *, vol: float | None = None, price: float | None = None
) -> list[Cell]:
    """The cells of one volatility move, one stablecoin price, or both."""
    return [
        cell
        for cell in cells
        if (vol is None or cell.vol_move == vol)
        and (price is None or cell.stablecoin_price == price)
    ]
