"""Coin holders and the money that waits: stops, panic, loops, dips, value, backstop."""

from math import log

import pytest

from agents.backstop import Backstop, BackstopParameters
from agents.dip_buyer import DipBuyer, DipBuyerParameters
from agents.fundamental_trader import FundamentalTrader, FundamentalTraderParameters
from agents.looper import Looper, LooperParameters
from agents.panic_seller import PanicSeller, PanicSellerParameters
from agents.stop_loss_trader import StopLossTrader, StopLossTraderParameters
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

SPOT = "BTC-USDT"
PERPETUAL = "BTC-USDT-SWAP"
MANY = 10**11


def market_at(price: float, instrument_id: str = SPOT) -> FakeExchange:
    exchange = FakeExchange([instrument_id])
    exchange.keep_requests = True
    move_to(exchange, price)
    return exchange


def move_to(exchange: FakeExchange, price: float) -> None:
    """Clear the book of strangers, rest a new one around the price, move the outside too."""
    (market,) = exchange.markets.values()
    for order in list(market.engine.book):
        market.engine.cancel(order.order_id, 0)
    ticks = round(price / market.tick)
    exchange.rest(market.instrument.instrument_id, Side.BUY, ticks, MANY)
    exchange.rest(market.instrument.instrument_id, Side.SELL, ticks + 1, MANY)
    market.outside.log_price = market.outside.log_path = log(price)
    market.last = price


def coins(exchange: FakeExchange) -> float:
    return exchange.venues[-1].view.balance("BTC")


def test_stops_trigger_from_above_and_only_once() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(StopLossTraderParameters(holdings_usd=5e6, stops=50))
    assert isinstance(agent, StopLossTrader)
    exchange.run(30)
    assert exchange.venues[-1].sent == []
    assert all(-negative < 50_000.0 * 0.9801 for negative, _ in agent.stops)
    move_to(exchange, 46_000.0)
    standing = sum(-negative >= 46_000.0 for negative, _ in agent.stops)
    assert 5 < standing < 50
    exchange.run(120)
    assert coins(exchange) == pytest.approx(100.0 * (1 - standing / 50), abs=0.01)
    move_to(exchange, 49_000.0)
    sold = coins(exchange)
    exchange.run(120)
    assert coins(exchange) == sold


def test_a_stopped_holder_comes_back_with_a_new_stop() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(
        StopLossTraderParameters(holdings_usd=5e6, stops=10, return_hours=0.01, round_prices=0.0)
    )
    assert isinstance(agent, StopLossTrader)
    move_to(exchange, 20_000.0)
    exchange.run(20)
    assert coins(exchange) < 100.0
    exchange.run(600)
    assert coins(exchange) == pytest.approx(100.0, rel=0.01)
    assert len(agent.stops) == 10
    assert max(-negative for negative, _ in agent.stops) < 20_000.0


def test_stops_need_coins() -> None:
    exchange = FakeExchange([PERPETUAL])
    parameters = StopLossTraderParameters(instrument_id=PERPETUAL)
    with pytest.raises(ValueError, match="BTC-USDT-SWAP is not a spot pair"):
        exchange.add(parameters)


def test_panic_comes_late_and_not_for_everybody() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(PanicSellerParameters(holdings_usd=5e6, delay_minutes=5.0))
    assert isinstance(agent, PanicSeller)
    exchange.run(60)
    move_to(exchange, 47_500.0)  # 5 %: nobody
    exchange.run(3600)
    assert exchange.venues[-1].sent == []
    move_to(exchange, 40_000.0)  # 20 %
    frightened = sum(pain <= 0.2 for pain in agent.pains)
    exchange.run(30)
    assert coins(exchange) > 90.0
    exchange.run(3600)
    assert coins(exchange) == pytest.approx(100.0 * (1 - frightened / 200), abs=0.1)


def test_the_high_of_the_window_is_forgotten() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(PanicSellerParameters(window_hours=1.0, look_seconds=10.0), start=False)
    assert isinstance(agent, PanicSeller)
    assert agent.fall(100.0) == 0.0
    for _ in range(180):
        assert agent.fall(80.0) == pytest.approx(0.2)
    for _ in range(400):
        agent.fall(80.0)
    assert agent.fall(80.0) == 0.0


def test_dip_buyer_buys_in_steps_and_sells_with_a_profit() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(DipBuyerParameters(capital_usd=1e6, slice_usd=1e5))
    assert isinstance(agent, DipBuyer)
    exchange.run(120)
    assert exchange.venues[-1].sent == []
    move_to(exchange, 42_500.0)  # 15 % below: nearly half of the money
    assert agent.wanted_usd(42_500.0) == pytest.approx(1e6 * 0.09 / 0.19, rel=1e-4)
    exchange.run(600)
    bought = coins(exchange)
    assert 8.0 < bought < 12.0
    move_to(exchange, 47_000.0)
    exchange.run(1200)
    assert coins(exchange) == pytest.approx(0.0, abs=1e-4)
    assert exchange.venues[-1].view.balance("USDT") > 1.05e6


def looper(exchange: FakeExchange) -> Looper:
    parameters = LooperParameters(
        spot_id=SPOT, capital_usd=1e6, capital_log_sd=0.0, slice_size=0.002
    )
    (agent,) = exchange.add(parameters)
    assert isinstance(agent, Looper)
    return agent


def test_looper_sells_when_margin_is_short_until_it_is_safe() -> None:
    exchange = market_at(50_000.0)
    agent = looper(exchange)
    view = exchange.venues[-1].view
    assert coins(exchange) == pytest.approx(50.0)
    assert view.balance("USDT") == pytest.approx(-1.5e6)
    view.margin_ratio = 1.5
    exchange.run(300)
    sold = coins(exchange)
    assert agent.selling and sold < 50.0
    view.margin_ratio = 2.5  # above the start, below the stop
    exchange.run(10)
    assert agent.selling and coins(exchange) < sold
    view.margin_ratio = 3.5
    exchange.run(30)
    sold = coins(exchange)
    exchange.run(600)
    assert not agent.selling and coins(exchange) == sold


def test_looper_without_debt_or_account_does_nothing() -> None:
    exchange = market_at(50_000.0)
    looper(exchange)
    view = exchange.venues[-1].view
    view.margin_ratio = 1.0
    view.can_trade = False
    exchange.run(600)
    view.can_trade = True
    view.balances = {"BTC": 1.0, "USDT": 0.0}
    exchange.run(600)
    assert exchange.venues[-1].sent == []


def test_looper_rules_must_be_ordered() -> None:
    with pytest.raises(ValueError, match="sell_ratio < safe_ratio < loop_ratio"):
        LooperParameters(sell_ratio=3.0, safe_ratio=2.0)


def test_fundamental_trader_leans_against_a_move() -> None:
    exchange = market_at(50_000.0)
    (agent,) = exchange.add(FundamentalTraderParameters(opinion_sd=0.0, wake_seconds=5.0))
    assert isinstance(agent, FundamentalTrader)
    held = coins(exchange)
    exchange.run(120)
    assert exchange.venues[-1].sent == []
    move_to(exchange, 45_000.0)
    exchange.run(300)
    assert coins(exchange) > held
    assert agent.target_lots(0.01) == 0.0
    assert agent.target_lots(-5.0) == -agent.target_lots(5.0) < 0.0


def test_backstop_waits_for_stress_and_its_delay() -> None:
    exchange = market_at(50_000.0, PERPETUAL)
    (agent,) = exchange.add(BackstopParameters(delay_minutes=1.0, capital_usd=5e6))
    assert isinstance(agent, Backstop)
    market = exchange.markets[PERPETUAL]
    exchange.run(60)
    assert exchange.venues[-1].sent == []
    for _ in range(10):
        market.stress.on_second(0.003)
    exchange.run(30)
    assert exchange.venues[-1].sent == []
    for _ in range(10):
        market.stress.on_second(0.003)
    exchange.run(60)
    bids = {r.price_ticks: r.size_lots for r in exchange.venues[-1].sent}
    assert set(bids) == {497_500, 495_000, 490_000, 485_000, 475_000}
    usd = sum(bids.values()) * 0.0001 * 50_000.0
    assert usd == pytest.approx(5e6, rel=0.01)


def test_backstop_leaves_with_the_stress_and_sells_with_a_profit() -> None:
    exchange = market_at(50_000.0, PERPETUAL)
    (agent,) = exchange.add(BackstopParameters(delay_minutes=0.0, capital_usd=5e6))
    assert isinstance(agent, Backstop)
    market = exchange.markets[PERPETUAL]
    for _ in range(10):
        market.stress.on_second(0.003)
    exchange.run(10)
    exchange.rest(PERPETUAL, Side.SELL, 470_000, 10_000)  # a stranger sells into the bids
    exchange.run(1)
    for _ in range(20_000):
        market.stress.on_second(0.55e-4)
    exchange.run(20)
    venue = exchange.venues[-1]
    assert list(venue.live_orders(PERPETUAL)) == []
    held = venue.view.position_lots(PERPETUAL)
    assert held == 10_000
    move_to(exchange, 51_000.0)
    exchange.run(60)
    assert venue.view.position_lots(PERPETUAL) == 0
