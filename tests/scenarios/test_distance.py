"""Distances to warning, order control and liquidation; and the market moves behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from risk.margin import Portfolio, margin_report
from risk.rules import load_rules
from scenarios.distance import EVENTS, distances, events_now
from scenarios.market_moves import MarketMove, coins_of, moved
from scenarios.portfolio_file import load_portfolio
from tests.scenarios.margin_cases import G1, LIBRARY, example

RULES = load_rules("okx-2025")


def state_after(portfolio: Portfolio, coins: list[str], move: float) -> tuple[bool, ...]:
    after = moved(portfolio, MarketMove(index=dict.fromkeys(coins, move)))
    return events_now(margin_report(after, RULES), RULES)


@pytest.fixture
def long_perpetual(tmp_path: Path) -> Portfolio:
    """10 BTC long with 500,000 USDT: everything lies on the way down."""
    text = example("hedged-spot").read_text().replace("BTC = 10\nUSDT = 20000", "USDT = 500000")
    path = tmp_path / "long.toml"
    path.write_text(text.replace("size = -1000", "size = 1000"))
    return load_portfolio(path)


def test_event_happens_at_the_distance_and_not_before(long_perpetual: Portfolio) -> None:
    (distance,) = distances(long_perpetual, RULES)
    assert distance.mover == "BTC"
    for number, event in enumerate(EVENTS):
        move = distance.down[event]
        assert move is not None and -0.99 < move < 0.0
        assert state_after(long_perpetual, ["BTC"], move)[number]
        assert not state_after(long_perpetual, ["BTC"], move + 2e-6)[number]
        assert distance.up[event] is None


def test_liquidation_of_a_perpetual_by_hand(long_perpetual: Portfolio) -> None:
    # equity(s) = X (500,000 + 10 (mark - entry) + 10 index s), margin(s) = 12 % index + 0.2 % mark
    usdt, mark, index, entry = 0.99954, 97_093.7, 97_078.9, 97_000.0
    equity, slope = usdt * (500_000.0 + 10.0 * (mark - entry)), usdt * 10.0 * index
    margin = usdt * 10.0 * (0.12 * index + 0.002 * mark)
    margin_slope = usdt * 10.0 * (0.12 * index + 0.002 * index)
    expected = -(equity - margin) / (slope - margin_slope)
    (distance,) = distances(long_perpetual, RULES)
    assert distance.down["liquidation"] == pytest.approx(expected, abs=2e-6)


def test_order_of_events(long_perpetual: Portfolio) -> None:
    (distance,) = distances(long_perpetual, RULES)
    warning, control, liquidation = (distance.down[event] for event in EVENTS)
    assert warning is not None and control is not None and liquidation is not None
    assert liquidation < control < warning < 0.0


def test_events_that_have_happened_are_at_zero() -> None:
    found = distances(load_portfolio(G1), RULES)
    assert [distance.mover for distance in found] == ["BTC", "LTC", "all coins"]
    for distance in found:
        assert set(distance.down.values()) == set(distance.up.values()) == {0.0}


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem)
def test_no_move_changes_nothing(path: Path) -> None:
    portfolio = load_portfolio(path)
    rules = load_rules("okx-2025")
    before, after = (
        margin_report(portfolio, rules),
        margin_report(moved(portfolio, MarketMove()), rules),
    )
    assert after.to_okx_dict() == before.to_okx_dict()


def test_contracts_keep_their_basis() -> None:
    portfolio = load_portfolio(example("cross-quote-hedge"))
    after = moved(portfolio, MarketMove(index={"BTC": -0.1})).market
    usd, usdt = 97_032.2, 0.99954
    assert after.usd_index["BTC"] == pytest.approx(0.9 * usd)
    assert after.mark["BTC-USDT-SWAP"] == pytest.approx(97_093.7 - 0.1 * usd / usdt)
    assert after.mark["BTC-USD-SWAP"] == pytest.approx(97_032.2 - 0.1 * usd)


def test_depeg_lifts_prices_in_the_stablecoin_and_not_in_dollars() -> None:
    portfolio = load_portfolio(example("hedged-spot"))
    after = moved(portfolio, MarketMove(stablecoin_price={"USDT": 0.9})).market
    assert after.usd_index == {**portfolio.market.usd_index, "USDT": 0.9}
    for name in ("BTC-USDT-SWAP",):
        assert after.mark[name] * 0.9 == pytest.approx(portfolio.market.mark[name] * 0.99954)
    assert after.index["BTC-USDT"] * 0.9 == pytest.approx(97_078.9 * 0.99954)


def test_given_option_mark_keeps_its_distance_from_the_model() -> None:
    portfolio = load_portfolio(example("bear-call-spread"))
    name = "BTC-USD-250328-100000-C"
    model = margin_report(portfolio, RULES).risk_units[0].portfolios[0].mark_px
    marked = replace(portfolio, market=replace(portfolio.market, mark={name: model + 0.01}))
    move = MarketMove(index={"BTC": 0.05}, volatility=0.2)
    plain, shifted = moved(portfolio, move), moved(marked, move)
    by_model = margin_report(plain, RULES).risk_units[0].portfolios[0].mark_px
    assert shifted.market.mark[name] == pytest.approx(by_model + 0.01, rel=1e-12)
    far = moved(marked, MarketMove(index={"BTC": -0.9}))
    assert far.market.mark[name] == pytest.approx(0.01, abs=1e-6)


def test_all_coins_are_those_the_account_uses() -> None:
    assert coins_of(load_portfolio(example("hedged-spot"))) == ["BTC"]
    assert coins_of(load_portfolio(example("calls-and-ordered-puts-of-another-coin"))) == [
        "BTC",
        "ETH",
    ]
