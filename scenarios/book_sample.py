"""A made-up book of any size, with accounts of every kind: for the documentation, tests and
benchmarks.

`python -m scenarios.book_sample 60 1 example.csv` writes the book that ships.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

from scenarios.book_checks import COLUMNS
from scenarios.book_file import write_book

Rows = list[tuple[str, str, str, str, float, float | None]]

BTC, ETH, SOL = 97_032.2, 3_300.0, 190.0
"""Prices of `library/books/example-market.toml`, around which positions are opened."""
_LINEAR = {
    "BTC-USDT-SWAP": (BTC, 0.01),
    "BTC-USDC-SWAP": (BTC, 0.0001),
    "ETH-USDT-SWAP": (ETH, 0.1),
    "SOL-USDT-SWAP": (SOL, 1.0),
    "BTC-USDT-250328": (98_900.0, 0.01),
}
_INVERSE = {"BTC-USD-SWAP": (BTC, 100.0), "ETH-USD-SWAP": (ETH, 10.0)}


class _Account:
    """Rows of one account while it is drawn."""

    def __init__(self, name: str, mode: str, rng: np.random.Generator) -> None:
        self.name, self.mode, self.rng = name, mode, rng
        self.rows: Rows = []

    def owns(self, currency: str, amount: float) -> None:
        self.rows.append((self.name, self.mode, "balance", currency, float(f"{amount:.6g}"), None))

    def holds(self, instrument: str, size: float, price: float, lot: float = 0.01) -> None:
        """A position of about `size` contracts entered within 4 % of `price`."""
        lots = round(size / lot)
        if lots:
            entry = float(f"{price * self.rng.uniform(0.96, 1.04):.6g}")
            self.rows.append(
                (self.name, self.mode, "position", instrument, round(lots * lot, 8), entry)
            )

    def linear(self, instrument: str, usd: float) -> None:
        price, coins = _LINEAR[instrument]
        lot = 1.0 if "USDC" in instrument else 0.01
        self.holds(instrument, usd / price / coins, price, lot)

    def inverse(self, instrument: str, usd: float) -> None:
        price, face = _INVERSE[instrument]
        self.holds(instrument, usd / face, price, 1.0)


def _leveraged(account: _Account, usd: float) -> None:
    """One side, 1.5 to 8 times the money."""
    account.owns("USDT", usd)
    side = 1.0 if account.rng.random() < 0.65 else -1.0
    instrument = str(account.rng.choice(["BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP"]))
    account.linear(instrument, side * usd * account.rng.uniform(1.5, 8.0))


def _usdc_trader(account: _Account, usd: float) -> None:
    account.owns("USDC", usd)
    account.linear("BTC-USDC-SWAP", usd * account.rng.uniform(-5.0, 6.0))


def _coin_margined(account: _Account, usd: float) -> None:
    """Coins as collateral, long or short the inverse perpetual."""
    coin, price = ("BTC", BTC) if account.rng.random() < 0.6 else ("ETH", ETH)
    account.owns(coin, usd / price)
    account.inverse(f"{coin}-USD-SWAP", usd * account.rng.uniform(-1.0, 3.0))


def _hedged_spot(account: _Account, usd: float) -> None:
    account.owns("BTC", usd / BTC)
    account.owns("USDT", usd * 0.05)
    account.linear("BTC-USDT-SWAP", -usd)


def _carry(account: _Account, usd: float) -> None:
    """Long perpetual against short future."""
    account.owns("USDT", usd)
    notional = usd * account.rng.uniform(4.0, 10.0)
    account.linear("BTC-USDT-SWAP", notional)
    account.linear("BTC-USDT-250328", -notional)


def _cross_quote(account: _Account, usd: float) -> None:
    """Long against USDT, short against USDC: the depegging charge."""
    account.owns("USDT", usd / 2)
    account.owns("USDC", usd / 2)
    notional = usd * account.rng.uniform(3.0, 8.0)
    account.linear("BTC-USDT-SWAP", notional)
    account.linear("BTC-USDC-SWAP", -notional)


def _option_seller(account: _Account, usd: float) -> None:
    account.owns("BTC", usd / BTC)
    account.holds("BTC-USD-250328-80000-P", -usd / 600.0, 0.025, 1.0)
    account.holds("BTC-USD-250328-120000-C", -usd / 600.0, 0.03, 1.0)


def _option_buyer(account: _Account, usd: float) -> None:
    account.owns("ETH", usd / ETH)
    account.holds("ETH-USD-250328-3500-C", usd / 500.0, 0.09, 1.0)
    account.holds("ETH-USD-250328-3000-P", usd / 800.0, 0.07, 1.0)


def _borrower(account: _Account, usd: float) -> None:
    """Coins bought with borrowed USDT."""
    account.owns("SOL", 2.0 * usd / SOL)
    account.owns("USDT", -usd * account.rng.uniform(0.5, 1.5))


def _holder(account: _Account, usd: float) -> None:
    account.owns("BTC", usd / BTC / 2)
    account.owns("ETH", usd / ETH / 2)


_KINDS = (
    _leveraged, _leveraged, _leveraged, _usdc_trader, _coin_margined, _hedged_spot, _carry,
    _cross_quote, _option_seller, _option_buyer, _borrower, _holder,
)  # fmt: skip


def sample_book(accounts: int, seed: int) -> pl.DataFrame:
    """A book of `accounts` accounts with the columns of a book file; equal for equal arguments.

    Kinds take turns, one account in five is multi-currency; money is lognormal around 60,000 USD.
    """
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for number in range(accounts):
        draw = _KINDS[number % len(_KINDS)]
        mode = "multi_currency" if number % 5 == 4 else "portfolio"
        name = f"{draw.__name__.strip('_').replace('_', '-')}-{number:03d}"
        account = _Account(name, mode, rng)
        draw(account, float(rng.lognormal(np.log(60_000.0), 1.0)))
        rows += account.rows
    types = (pl.String, pl.String, pl.String, pl.String, pl.Float64, pl.Float64)
    return pl.DataFrame(rows, schema=dict(zip(COLUMNS, types, strict=True)), orient="row")


if __name__ == "__main__":
    write_book(sample_book(int(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[3]))
