"""Takers on hand-made books: sizes, limits, silence where there is nothing to trade with."""

import numpy as np
import pytest

from agents.index_arbitrageur import IndexArbitrageur, IndexArbitrageurParameters
from agents.metaorder_taker import MetaorderTaker, MetaorderTakerParameters
from agents.momentum_trader import MomentumTrader, MomentumTraderParameters
from agents.noise_trader import NoiseTrader, NoiseTraderParameters
from agents.patient_bidder import PatientBidder, PatientBidderParameters
from exchange.order import OrderType, Side
from exchange.price_limits import PriceBand
from scenarios.facts import sign_memory_exponent
from tests.agents.fake_venue import FakeExchange

SPOT, PERPETUAL = "BTC-USDT", "BTC-USDT-SWAP"


def exchange_with_book(bid: int = 499_999, ask: int = 500_001, lots: int = 10**7) -> FakeExchange:
    exchange = FakeExchange([PERPETUAL])
    exchange.keep_requests = True
    exchange.rest(PERPETUAL, Side.BUY, bid, lots)
    exchange.rest(PERPETUAL, Side.SELL, ask, lots)
    return exchange


def test_metaorder_children_are_limited_and_grow_with_activity() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(MetaorderTakerParameters(), start=False)
    assert isinstance(agent, MetaorderTaker)
    for _ in range(300):
        agent.send_child()
    exchange.run(1)
    unit = exchange.markets[PERPETUAL].lots_per_bp
    sent = exchange.venues[-1].sent
    sizes = [request.size_lots / unit for request in sent]
    assert min(sizes) >= 0.25 / 22 - 1e-6
    assert max(sizes) <= 25 / 22 + 1e-6
    assert all(request.order_type == OrderType.IOC for request in sent)
    buy = next(request for request in sent if request.side == Side.BUY)
    assert buy.price_ticks == int(500_001 * 1.01)
    agent.market.stress.activity = 60.0
    before = len(sent)
    for _ in range(300):
        agent.send_child()
    exchange.run(1)
    assert min(r.size_lots for r in sent[before:]) >= 5 * 0.25 / 22 * unit - 1


def test_metaorders_end_and_are_replaced() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(MetaorderTakerParameters(metaorders=1), start=False)
    assert isinstance(agent, MetaorderTaker)
    first = agent.live[0]
    for _ in range(first.children):
        agent.send_child()
    assert agent.live[0].number == first.number + 1
    ids = [request.client_order_id for request in exchange.venues[-1].sent]
    assert ids == [f"1:{child}" for child in range(first.children)]
    exchange.run(1)
    assert agent.history[0] is first
    assert first.traded_children == first.children
    assert first.filled_lots == sum(request.size_lots for request in exchange.venues[-1].sent)
    assert first.sign * first.filled_lots == agent.bought_lots[PERPETUAL]
    assert exchange.venues[-1].now_ns - 2 * 10**9 < first.first_ns <= first.last_ns


def test_a_large_position_turns_new_metaorders() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(MetaorderTakerParameters(), start=False)
    assert isinstance(agent, MetaorderTaker)
    agent.bought_lots[PERPETUAL] = int(3 * 400 * exchange.markets[PERPETUAL].lots_per_bp)
    signs = [agent._new_metaorder().sign for _ in range(200)]
    assert sum(signs) < -180


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_takers_send_nothing_into_an_empty_side(side: Side) -> None:
    exchange = FakeExchange([PERPETUAL])
    exchange.keep_requests = True
    exchange.rest(PERPETUAL, side, 500_000, 100)
    makers = [
        exchange.add(MetaorderTakerParameters(metaorders=1), start=False)[0],
        exchange.add(IndexArbitrageurParameters(), start=False)[0],
        exchange.add(MomentumTraderParameters(), start=False)[0],
    ]
    taker, arbitrageur, momentum = makers
    assert isinstance(taker, MetaorderTaker)
    assert isinstance(arbitrageur, IndexArbitrageur)
    assert isinstance(momentum, MomentumTrader)
    taker.live[0].sign = int(side)  # a buyer where only bids are, a seller where only offers are
    taker.live[0].remaining = taker.live[0].children = 100
    for _ in range(20):
        taker.send_child()
        arbitrageur.trade()
        momentum.trade()
    exchange.run(1)
    assert [request for venue in exchange.venues[1:] for request in venue.sent] == []


def test_index_arbitrage_by_hand() -> None:
    exchange = exchange_with_book(499_499, 499_501)  # mid 10 bp below the outside price
    (agent,) = exchange.add(IndexArbitrageurParameters(delay_seconds=0.0), start=False)
    assert isinstance(agent, IndexArbitrageur)
    agent.trade()
    exchange.run(1)
    (request,) = exchange.venues[-1].sent
    threshold = 3e-4 + 2 * 3**0.5 * 0.55e-4
    unit = exchange.markets[PERPETUAL].lots_per_bp
    assert request.side == Side.BUY
    assert request.size_lots == int((10e-4 - threshold) * 1e4 * 0.25 / 22 * unit + 0.5)
    assert request.price_ticks == int(500_000 * (1 - threshold))
    assert agent.position == request.size_lots
    assert exchange.outside["BTC"].memories[PERPETUAL].log_impact == 0.0  # hedged outside


def test_index_arbitrage_sees_the_past_and_respects_its_limit() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(IndexArbitrageurParameters(delay_seconds=2.0), start=False)
    assert isinstance(agent, IndexArbitrageur)
    agent.trade()
    exchange.outside["BTC"].log_price += 0.01
    for _ in range(4):
        agent.trade()
        assert exchange.venues[-1].sent == []
    agent.position = 2.0 * agent._limit
    agent.trade()
    assert exchange.venues[-1].sent == []
    agent.position = 0.0
    agent.trade()
    assert len(exchange.venues[-1].sent) == 1
    exchange.outside["BTC"].log_price = float("nan")
    for _ in range(9):
        agent.trade()
    assert len(exchange.venues[-1].sent) < 9


def test_momentum_targets() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(MomentumTraderParameters(), start=False)
    assert isinstance(agent, MomentumTrader)
    full = 400 / 22 * exchange.markets[PERPETUAL].lots_per_bp
    assert agent.target_lots(4.9) == 0.0
    assert agent.target_lots(10.0) == pytest.approx(full * np.tanh(1.2))
    assert agent.target_lots(-10.0) == -agent.target_lots(10.0)
    assert agent.target_lots(1e9) == pytest.approx(full)


def test_momentum_buys_a_rise_and_comes_back() -> None:
    exchange = FakeExchange([PERPETUAL])
    (agent,) = exchange.add(MomentumTraderParameters(horizons_seconds=(60.0,)))
    assert isinstance(agent, MomentumTrader)
    exchange.rest(PERPETUAL, Side.BUY, 400_000, 10**8)
    exchange.rest(PERPETUAL, Side.SELL, 400_002, 10**8)
    exchange.run(5)
    assert agent.positions == [0]
    exchange.rest(PERPETUAL, Side.BUY, 400_001, 1)
    engine = exchange.markets[PERPETUAL].engine
    for order in list(engine.book):
        engine.cancel(order.order_id, 0)
    exchange.rest(PERPETUAL, Side.BUY, 408_000, 10**8)
    exchange.rest(PERPETUAL, Side.SELL, 408_002, 10**8)
    exchange.run(20)
    assert 0 < agent.positions[0] <= exchange.venues[0].view.position_lots(PERPETUAL)
    exchange.run(900)
    assert agent.positions == [0]


def test_noise_signs_remember_as_a_power_law() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(NoiseTraderParameters(), start=False)
    assert isinstance(agent, NoiseTrader)
    signs = np.array([agent.next_sign() for _ in range(60_000)], dtype=float)
    assert abs(signs.mean()) < 0.3
    assert 0.3 < sign_memory_exponent([signs], 1, 100) < 0.9
    free = exchange.add(NoiseTraderParameters(memory=0.0), name="free", start=False)[0]
    assert isinstance(free, NoiseTrader)
    signs = np.array([free.next_sign() for _ in range(20_000)], dtype=float)
    assert abs(np.corrcoef(signs[:-1], signs[1:])[0, 1]) < 0.03


def test_noise_limit_orders_live_and_die() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(
        NoiseTraderParameters(limit_share=1.0, events_per_second=2.0, life_seconds=5.0)
    )
    assert isinstance(agent, NoiseTrader)
    exchange.run(300)
    alive = len(exchange.venues[-1].live_orders(PERPETUAL))
    assert 2 <= alive <= 30  # about rate x life
    assert exchange.cancelled_limit_orders > 400


def test_the_patient_bidder_ignores_stress() -> None:
    exchange = FakeExchange([PERPETUAL])
    (agent,) = exchange.add(PatientBidderParameters(), start=False)
    assert isinstance(agent, PatientBidder)
    agent.quote()
    exchange.run(1)
    market = exchange.markets[PERPETUAL]
    before = market.depth(Side.BUY, 99), market.depth(Side.SELL, 99)
    assert len(before[0]) == len(before[1]) == 13
    for _ in range(30):
        market.stress.on_second(0.005)
    agent.quote()
    exchange.run(1)
    assert (market.depth(Side.BUY, 99), market.depth(Side.SELL, 99)) == before


def resting(exchange: FakeExchange, name: str, side: Side) -> int:
    return sum(lots for _, lots in exchange.markets[name].depth(side, 99))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_patient_bidder_does_not_borrow(sign: int) -> None:
    """Orders and position together are worth its equity at most; the way out stays open."""
    exchange = FakeExchange([PERPETUAL])
    (agent,) = exchange.add(PatientBidderParameters(), start=False)
    assert isinstance(agent, PatientBidder)
    view = exchange.venues[0].view
    adding, closing = (Side.BUY, Side.SELL)[::sign]
    lot_usd = 0.0001 * 50_000.0
    agent.quote()
    exchange.run(1)
    full = resting(exchange, PERPETUAL, adding)
    most = view.equity_usd / lot_usd
    seen = []
    for held in (most - 2 * full, most - 0.6 * full, most - 0.5 * full, most + 1):
        view.positions[PERPETUAL] = sign * round(held)
        agent.quote()
        exchange.run(1)
        seen.append(resting(exchange, PERPETUAL, adding))
        assert held + seen[-1] <= max(most, held) + 13  # half a lot of rounding per level
        assert resting(exchange, PERPETUAL, closing) == full
    assert seen[0] == full > seen[1] >= seen[2] > seen[3] == 0


def test_the_patient_bidder_of_spot_spends_what_it_has() -> None:
    exchange = FakeExchange([SPOT])
    (agent,) = exchange.add(PatientBidderParameters(instrument_id=SPOT, count=1), start=False)
    assert isinstance(agent, PatientBidder)
    view = exchange.venues[0].view
    view.balances.update(USDT=20_000.0, BTC=0.3)
    agent.quote()
    exchange.run(1)
    lot = float(exchange.markets[SPOT].instrument.units_per_lot)
    spent = resting(exchange, SPOT, Side.BUY) * lot * 50_000.0  # at the outside price
    assert spent == pytest.approx(20_000.0 / 1.25, rel=0.01)
    assert resting(exchange, SPOT, Side.SELL) * lot == pytest.approx(0.3 / 1.25, rel=0.01)


def test_several_patient_bidders_share_depth_and_money() -> None:
    one, four = FakeExchange([PERPETUAL]), FakeExchange([PERPETUAL])
    for exchange, count in ((one, 1), (four, 4)):
        for agent in exchange.add(PatientBidderParameters(count=count), start=False):
            assert isinstance(agent, PatientBidder)
            agent.quote()
        exchange.run(1)
    money = [sum(v.view.equity_usd for v in exchange.venues) for exchange in (one, four)]
    assert money[0] == pytest.approx(money[1])
    depths = [resting(exchange, PERPETUAL, Side.BUY) for exchange in (one, four)]
    assert depths[0] == pytest.approx(depths[1], rel=1e-3)


def test_a_ladder_ends_at_the_price_limits() -> None:
    """What would be refused beyond them waits at them."""
    exchange = FakeExchange([PERPETUAL])
    exchange.keep_requests = True
    market = exchange.markets[PERPETUAL]
    market.band = PriceBand(503_000, 506_000)  # the outside price, 500,000, is below
    (agent,) = exchange.add(PatientBidderParameters(), start=False)
    assert isinstance(agent, PatientBidder)
    agent.quote()
    exchange.run(1)
    sales = [r.price_ticks for r in exchange.venues[0].sent if r.side == Side.SELL]
    assert sales[:3] == [503_000, 503_001, 505_001]  # the first would be at 501,501
    assert len(sales) == 13
    market.band = PriceBand(1, 490_000)
    exchange.venues[0].sent.clear()
    agent.quote()
    exchange.run(1)
    bids = [r.price_ticks for r in exchange.venues[0].sent if r.side == Side.BUY]
    assert bids and max(bids) == 490_000


def test_takers_stay_inside_the_price_limits() -> None:
    exchange = exchange_with_book()
    (agent,) = exchange.add(MomentumTraderParameters(), start=False)
    market = exchange.markets[PERPETUAL]
    market.band = PriceBand(499_000, 501_000)  # one per cent beyond the best would be 5,000 ticks
    buy, sell = agent.taking_request(market, 5), agent.taking_request(market, -5)
    assert buy is not None and sell is not None
    assert (buy.price_ticks, sell.price_ticks) == (501_000, 499_000)
    assert agent.take(market, 0) is None
    market.band = PriceBand(500_000, 500_000)  # neither side of the book can be taken
    assert agent.take(market, 5) is None
    assert agent.take(market, -5) is None
