"""The market of a book: a file with prices, or the book's own column `price`.

A market file is TOML or JSON with `time` and the `[market]` tables of a portfolio file; a whole
portfolio file will do, its account is not looked at.

Source: portfolio-file.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exchange.instrument import InstrumentKind
from risk.contracts import MarketSnapshot
from risk.margin import Portfolio, PositionInput
from scenarios.book_file import Book
from scenarios.errors import UserError
from scenarios.portfolio_checks import check_portfolio
from scenarios.portfolio_file import (
    PortfolioFile,
    contract_of,
    market_snapshot,
    parse_portfolio_file,
)
from scenarios.structured_file import read_structured_file
from scenarios.validation_errors import with_rest


def read_market(path: str | Path) -> MarketSnapshot:
    """The prices in a market file. Raises UserError: the first thing that is wrong with it."""
    document = read_structured_file(path)
    for name in document:
        if name not in PortfolioFile.model_fields:
            raise UserError(f"{path}: {name}: not a field of a market file; it has time and market")
    wanted: dict[str, Any] = {
        name: document[name] for name in ("time", "market") if name in document
    }
    file = parse_portfolio_file(wanted)
    check_portfolio(file)
    return market_snapshot(file)


def market_of(book: Book, path: str | Path | None) -> MarketSnapshot:
    """The market file's prices, or those of the book's column `price`; every one needed is there.

    Raises UserError naming what is missing.
    """
    if path is not None:
        market = read_market(path)
        _check_prices(book, market, str(path))
        return market
    if not book.prices:
        raise UserError(
            f"{book.path}: has no prices; give --market FILE (time and [market] of a portfolio"
            " file) or a column price"
        )
    for instrument in book.instruments:
        if instrument.expiry_ns is not None:
            raise UserError(
                f"{book.path}: {instrument.instrument_id} expires, so its margin depends on the"
                " time; give --market FILE"
            )
    names = {i.instrument_id for i in book.instruments}
    market = MarketSnapshot(
        time_ns=0,
        usd_index={n: p for n, p in book.prices.items() if n not in names},
        mark={n: p for n, p in book.prices.items() if n in names},
    )
    _check_prices(book, market, f"{book.path}: column price")
    return market


def _check_prices(book: Book, market: MarketSnapshot, source: str) -> None:
    """Whether the market has every price that the margin of the book needs."""
    findings: list[str] = []
    holders = np.bincount(book.position_instrument, minlength=len(book.instruments)).tolist()
    for instrument, count in zip(book.instruments, holders, strict=True):
        name, held = instrument.instrument_id, f"held by {count} account{'s' * (count != 1)}"
        if instrument.expiry_ns is not None and instrument.expiry_ns <= market.time_ns:
            findings.append(f"time is not before the expiry of {name} ({held})")
        if instrument.kind == InstrumentKind.OPTION:
            if name not in market.implied_vol:
                findings.append(f"market.implied_vol has no {name} ({held})")
        elif name not in market.mark:
            findings.append(f"market.mark has no {name} ({held})")
    needed = dict.fromkeys(book.currencies)
    for instrument in book.instruments:
        needed |= dict.fromkeys((instrument.base, instrument.quote, instrument.settle))
    findings += [
        f"market.usd_index has no {currency}"
        for currency in needed
        if currency != "USD" and currency not in market.usd_index
    ]
    if findings:
        raise UserError(with_rest(f"{source}: {findings[0]}", len(findings) - 1))


def priced_portfolio(book: Book, market: MarketSnapshot) -> Portfolio:
    """One contract of everything that the book holds, for `market_moves.moved`."""
    contracts = [contract_of(instrument) for instrument in book.instruments]
    balances = dict.fromkeys(book.currencies, 1.0)
    return Portfolio(market, balances, tuple(PositionInput(c, 1.0, 1.0) for c in contracts))
