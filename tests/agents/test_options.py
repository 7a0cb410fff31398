"""Agents of the option market: chain, quotes, strangles, hedges."""

import pytest

from agents.delta_hedger import DeltaHedger, DeltaHedgerParameters
from agents.option_chain import listed_options, options_delta_coins
from agents.option_seller import OptionSeller, OptionSellerParameters
from agents.options_market_maker import OptionsMarketMaker, OptionsMarketMakerParameters
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

PERPETUAL = "BTC-USDT-SWAP"
STRIKES = (40_000, 45_000, 50_000, 55_000, 60_000)
NAMES = [f"BTC-USD-250131-{strike}-{kind}" for strike in STRIKES for kind in "CP"]
CALL, PUT = "BTC-USD-250131-55000-C", "BTC-USD-250131-45000-P"


@pytest.fixture
def exchange() -> FakeExchange:
    made = FakeExchange([PERPETUAL, *NAMES])
    made.keep_requests = True
    for name in NAMES:
        made.markets[name].volatility = 0.6
    made.rest(PERPETUAL, Side.BUY, 499_999, 10**11)
    made.rest(PERPETUAL, Side.SELL, 500_001, 10**11)
    return made


def test_chain_values_obey_parity(exchange: FakeExchange) -> None:
    exchange.add(OptionsMarketMakerParameters(), start=False)
    venue = exchange.venues[-1]
    options = listed_options(venue, "BTC")
    assert [option.instrument_id for option in options] == NAMES
    now = venue.now_ns
    for call, put in zip(options[::2], options[1::2], strict=True):
        parity = 1.0 - call.strike / 50_000.0
        assert call.value(now, 0.6) - put.value(now, 0.6) == pytest.approx(parity, abs=1e-12)
        assert call.delta(now) - put.delta(now) == pytest.approx(1.0)
        assert call.vega(now) > 0.0
    assert listed_options(venue, "ETH") == []


def test_maker_quotes_around_the_surface(exchange: FakeExchange) -> None:
    (agent,) = exchange.add(OptionsMarketMakerParameters(), start=False)
    assert isinstance(agent, OptionsMarketMaker)
    agent.quote()
    exchange.run(1)
    venue = exchange.venues[-1]
    for option in listed_options(venue, "BTC"):
        market = exchange.markets[option.instrument_id]
        bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
        assert bid is not None and ask is not None
        value = option.value(venue.now_ns, 0.6)
        assert bid * market.tick < value < ask * market.tick
        assert market.instrument.is_on_tick(bid) and market.instrument.is_on_tick(ask)
    before = len(venue.sent)
    agent.quote()
    exchange.run(1)
    assert len(venue.sent) == before  # nothing moved


def test_maker_leans_against_its_vega_and_widens_in_stress(exchange: FakeExchange) -> None:
    (agent,) = exchange.add(OptionsMarketMakerParameters(hedge_id=""), start=False)
    assert isinstance(agent, OptionsMarketMaker)
    market = exchange.markets[CALL]

    def quotes() -> tuple[int, int]:
        agent.quote()
        exchange.run(1)
        bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
        assert bid is not None and ask is not None
        return bid, ask

    bid, ask = quotes()
    exchange.venues[-1].view.positions[CALL] = 200_000
    assert agent.vega_usd() > 0.0
    lower_bid, lower_ask = quotes()
    assert lower_bid < bid and lower_ask < ask
    exchange.venues[-1].view.positions[CALL] = 0
    for _ in range(3):
        market.stress.on_second(5e-4)
    wide_bid, wide_ask = quotes()
    assert wide_ask - wide_bid > ask - bid
    for _ in range(30):
        market.stress.on_second(5e-3)
    agent.quote()
    exchange.run(1)
    assert market.best_bid_ticks() is None and market.best_ask_ticks() is None


def test_maker_is_silent_without_a_surface(exchange: FakeExchange) -> None:
    (agent,) = exchange.add(OptionsMarketMakerParameters(), start=False)
    assert isinstance(agent, OptionsMarketMaker)
    for name in NAMES:
        exchange.markets[name].volatility = float("nan")
    agent.quote()
    assert exchange.venues[-1].sent == []


def test_seller_chooses_and_sells_a_strangle(exchange: FakeExchange) -> None:
    (maker,) = exchange.add(OptionsMarketMakerParameters(hedge_id="", size_usd=1e6), start=False)
    assert isinstance(maker, OptionsMarketMaker)
    (agent,) = exchange.add(OptionSellerParameters(capital_usd=1e6, target_delta=0.28), start=False)
    assert isinstance(agent, OptionSeller)
    for name in NAMES:
        market = exchange.markets[name]
        option = next(
            o for o in listed_options(exchange.venues[-1], "BTC") if o.instrument_id == name
        )
        value = option.value(int(exchange.env.now), 0.6)
        market.fixed_mark = value
    for _ in range(60):
        maker.quote()
        exchange.run(1)
        agent.act()
        exchange.run(1)
    view = exchange.venues[-1].view
    full = 1e6 / 50_000 / 0.01  # lots of 0.01 coin
    assert view.position_lots(CALL) == -full
    assert view.position_lots(PUT) == -full
    # The call goes four times against the seller: it buys back, with the market's help.
    market = exchange.markets[CALL]
    exchange.rest(CALL, Side.SELL, market.best_ask_ticks() or 1, 10**6)
    agent._entry[CALL] = market.mark_price() / 4.0
    for _ in range(60):
        agent.act()
        exchange.run(1)
    assert view.position_lots(CALL) == 0


def test_seller_without_options_does_nothing() -> None:
    exchange = FakeExchange([PERPETUAL])
    (agent,) = exchange.add(OptionSellerParameters(), start=False)
    assert isinstance(agent, OptionSeller)
    agent.act()
    assert agent._strangle == []


def test_hedger_keeps_delta_in_its_band(exchange: FakeExchange) -> None:
    (agent,) = exchange.add(
        DeltaHedgerParameters(options={CALL: -10_000, PUT: -10_000}, band_usd=10_000.0)
    )
    assert isinstance(agent, DeltaHedger)
    venue = exchange.venues[-1]
    options = listed_options(venue, "BTC")
    before = options_delta_coins(venue, options)
    exchange.run(200)
    held = venue.view.position_lots(PERPETUAL) * 0.0001
    assert held == pytest.approx(-before, abs=0.2)
    assert abs(agent.hedge.net_delta_coins()) < 0.2
    sent = len(venue.sent)
    exchange.run(200)
    assert len(venue.sent) == sent
