"""Accounts for the margin tests: golden cases, small ones by hand, random ones of all products."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from exchange.instrument import parse_instrument
from risk.contracts import Contract, MarketSnapshot
from risk.portfolio import IsolatedInput, OrderInput, Portfolio, PositionInput
from scenarios.portfolio_checks import time_ns
from scenarios.portfolio_file import contract_of
from tests.oracles.plain_market import parse_time
from tests.oracles.portfolios import random_portfolio

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
WORKED: dict[str, Any] = json.loads((GOLDEN / "worked_examples.json").read_text())
HOUR_NS = 3_600_000_000_000


def contract(instrument_id: str) -> Contract:
    """The contract of an OKX id, with the default tables of `exchange`."""
    return contract_of(parse_instrument(instrument_id))


def portfolio_of(document: Mapping[str, Any]) -> Portfolio:
    """The account of a portfolio file's tables, unchecked."""
    market = document["market"]
    return Portfolio(
        market=MarketSnapshot(time_ns(parse_time(document["time"])), **market),
        balances=document.get("balances", {}),
        positions=tuple(
            PositionInput(contract(p["instrument"]), float(p["size"]), float(p["entry_price"]))
            for p in document.get("positions", ())
        ),
        orders=tuple(order_of(o) for o in document.get("orders", ())),
        isolated=tuple(
            IsolatedInput(
                contract(i["instrument"]),
                float(i["size"]),
                float(i["entry_price"]),
                float(i["margin"]),
            )
            for i in document.get("isolated", ())
        ),
        mode=document.get("mode", "portfolio"),
        auto_borrow=document.get("auto_borrow", True),
        spot_offset=document.get("spot_offset", {}),
        leverage=document.get("leverage", {}),
        offset_mode=document.get("offset_mode"),
    )


def order_of(entry: Mapping[str, Any]) -> OrderInput:
    sign = 1.0 if entry["side"] == "buy" else -1.0
    return OrderInput(contract(entry["instrument"]), sign * entry["size"], float(entry["price"]))


def random_account(seed: object, rules: str = "okx-2025", mode: str = "portfolio") -> Portfolio:
    """One of the random accounts of the oracle, as an input of `risk`."""
    return portfolio_of(random_portfolio(Random(f"risk {seed}"), rules, mode))


def golden_account() -> Portfolio:
    """G1: OKX's position-builder example of 2025-01-15."""
    return portfolio_of(tomllib.loads((GOLDEN / "g1_portfolio.toml").read_text()))


def market(usd: Mapping[str, float], **more: Any) -> MarketSnapshot:
    """A market at time zero with marks at the index for every coin's linear and inverse swaps."""
    usd = {"USDT": 1.0, "USDC": 1.0, **usd}
    mark = {}
    for coin, price in usd.items():
        for quote in ("USDT", "USDC", "USD"):
            mark[f"{coin}-{quote}-SWAP"] = price / usd.get(quote, 1.0)
    return MarketSnapshot(0, usd, mark={**mark, **more.pop("mark", {})}, **more)
