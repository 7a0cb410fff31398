"""The agent of docs/custom-agent.md runs, and the page shows the code that runs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.base import Agent, AgentContext
from agents.parameters import CapitalParameters
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

DOCS = Path(__file__).parents[2] / "docs"
PERPETUAL = "BTC-USDT-SWAP"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("custom_agent", DOCS / "custom_agent.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code() -> str:
    """The class as it stands in the file."""
    text = (DOCS / "custom_agent.py").read_text(encoding="utf-8")
    return text[text.index("class Contrarian") :].strip()


@dataclass(frozen=True, kw_only=True)
class ContrarianParameters(CapitalParameters):
    kind: str = "contrarian"

    def build(self, context: AgentContext) -> Agent:
        agent = load().Contrarian(context, PERPETUAL, usd=5_000.0)
        assert isinstance(agent, Agent)
        return agent


def test_it_has_twenty_lines() -> None:
    assert len(code().splitlines()) <= 20


def test_it_buys_a_fall_and_sells_a_rise() -> None:
    prices = {0: 50_000.0}
    exchange = FakeExchange([PERPETUAL])
    exchange.rest(PERPETUAL, Side.BUY, 499_990, 10**6)
    exchange.rest(PERPETUAL, Side.SELL, 500_010, 10**6)
    exchange.keep_requests = True
    exchange.add(ContrarianParameters())
    market = exchange.markets[PERPETUAL]
    for mark in (50_000.0, 49_000.0, 49_500.0):
        market.fixed_mark = prices[0] = mark
        exchange.run(61)
    sides = [request.side for request in exchange.venues[-1].sent]
    assert sides == [Side.SELL, Side.BUY, Side.SELL]
    assert exchange.venues[-1].sent[1].price_ticks == 499_990
    assert exchange.venues[-1].sent[0].size_lots == 1_000  # 5,000 USD at 5 USD a lot
    assert len(exchange.venues[-1].live_orders(PERPETUAL)) == 1


def test_the_page_shows_the_code() -> None:
    page = (DOCS / "custom-agent.md").read_text(encoding="utf-8")
    assert code() in page
