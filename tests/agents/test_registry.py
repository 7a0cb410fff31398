"""Parameters: registered, documented, bounded, readable by pydantic, sized for any price level."""

import dataclasses
import typing

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.registry import AGENT_KINDS
from tests.agents.agents_page import PAGE, page
from tests.agents.fake_venue import FakeExchange

INSTRUMENTS = [
    "BTC-USDT",
    "BTC-USDC",
    "BTC-USDT-SWAP",
    "BTC-USDT-250328",
    "ETH-USDT",
    "USDC-USDT",
    "BTC-USD-250131-50000-C",
    "BTC-USD-250131-50000-P",
]
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0, "USDC": 1.0}


@pytest.mark.parametrize(("kind", "parameters"), AGENT_KINDS.items())
def test_kind_reads_from_a_mapping(kind: str, parameters: type[AgentParameters]) -> None:
    adapter = TypeAdapter(parameters)
    read = adapter.validate_python({"kind": kind})
    assert read == parameters() and read.kind == kind
    with pytest.raises(ValidationError, match="nonsense"):
        adapter.validate_python({"kind": kind, "nonsense": 1})
    with pytest.raises(ValidationError, match="kind"):
        adapter.validate_python({"kind": "somebody else"})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        adapter.validate_python({"kind": kind, "count": 0})


@pytest.mark.parametrize(("kind", "parameters"), AGENT_KINDS.items())
def test_every_number_is_bounded(kind: str, parameters: type[AgentParameters]) -> None:
    adapter = TypeAdapter(parameters)
    hints = typing.get_type_hints(parameters)
    for field in dataclasses.fields(parameters):
        if hints[field.name] not in (int, float):
            continue
        for bad in (float("nan"), float("inf"), -float("inf"), 1e300, -1e300):
            with pytest.raises(ValidationError):
                adapter.validate_python({"kind": kind, field.name: bad})


@pytest.mark.parametrize("scale", [1.0, 1e-4, 100.0])
@pytest.mark.parametrize(("kind", "parameters"), AGENT_KINDS.items())
def test_accounts_scale_with_the_price(
    kind: str, parameters: type[AgentParameters], scale: float
) -> None:
    prices = {**PRICES, "BTC": PRICES["BTC"] * scale, "ETH": PRICES["ETH"] * scale}

    def worth(with_prices: dict[str, float]) -> float:
        exchange = FakeExchange(INSTRUMENTS, price=with_prices)
        setup = exchange.setup()
        plans = parameters().account_plans(setup, Draws(np.random.default_rng(5)))
        assert plans
        return sum(
            setup.usd_prices[currency] * amount
            for plan in plans
            for currency, amount in plan.balances.items()
        )

    if kind == "leveraged_trader" and scale == 1.0:
        return
    assert worth(prices) == pytest.approx(worth(PRICES), rel=0.05)


@pytest.mark.parametrize(("kind", "parameters"), AGENT_KINDS.items())
def test_every_kind_lives_through_a_quarter_of_an_hour(
    kind: str, parameters: type[AgentParameters]
) -> None:
    """Alone in a market that is empty, then one-sided: no exception, no order from nothing."""
    from exchange.order import OrderType, Side

    exchange = FakeExchange(INSTRUMENTS, price=PRICES)
    exchange.keep_requests = True
    for name, market in exchange.markets.items():
        if market.instrument.strike is not None:
            market.volatility = 0.6
            exchange.rest(name, Side.BUY, 10, 10)
    changes: dict[str, object] = {"accounts": 20} if kind == "leveraged_trader" else {}
    exchange.add(parameters(count=1, **changes))  # type: ignore[arg-type]
    exchange.run(900)
    for venue in exchange.venues:
        for request in venue.sent:
            assert request.size_lots >= 1
            assert request.price_ticks is not None and request.price_ticks >= 1
            if kind not in ("market_maker", "patient_bidder", "options_market_maker"):
                assert request.order_type == OrderType.IOC  # options bids were there to hit


def test_rules_between_parameters() -> None:
    adapter = TypeAdapter(AGENT_KINDS["market_maker"])
    with pytest.raises(ValidationError, match="offsets_bp: the values must rise"):
        adapter.validate_python({"kind": "market_maker", "offsets_bp": [1.0, 1.0]})
    adapter = TypeAdapter(AGENT_KINDS["backstop"])
    with pytest.raises(ValidationError, match="calm < stress must hold"):
        adapter.validate_python({"kind": "backstop", "calm": 5.0})
    adapter = TypeAdapter(AGENT_KINDS["dip_buyer"])
    with pytest.raises(ValidationError, match="first_fall < last_fall must hold"):
        adapter.validate_python({"kind": "dip_buyer", "first_fall": 0.5})


def test_the_page_of_agents_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
