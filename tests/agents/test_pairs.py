"""Agents with two legs: the legs match, the thresholds hold, mismatches are mended."""

import pytest

from agents.arbitrageur import Arbitrageur, ArbitrageurParameters
from agents.calendar_trader import CalendarTrader, CalendarTraderParameters
from agents.cash_and_carry import CashAndCarryParameters, CashAndCarryTrader
from agents.stablecoin_arbitrageur import StablecoinArbitrageur, StablecoinArbitrageurParameters
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

SPOT, PERPETUAL, FUTURE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USDT-250328"
MANY = 10**11


def two_books(spot: int, perpetual: int, second: str = PERPETUAL) -> FakeExchange:
    """Books one tick wide around the two prices, in ticks of 0.1."""
    exchange = FakeExchange([SPOT, second] if second != FUTURE else [PERPETUAL, FUTURE])
    exchange.keep_requests = True
    first = SPOT if second != FUTURE else PERPETUAL
    for name, price in ((first, spot), (second, perpetual)):
        exchange.rest(name, Side.BUY, price, MANY)
        exchange.rest(name, Side.SELL, price + 1, MANY)
    return exchange


def legs(exchange: FakeExchange) -> tuple[float, float]:
    """Coins of the last account: spot above its idle coins, perpetual."""
    view = exchange.venues[-1].view
    lot = float(exchange.markets[PERPETUAL].instrument.units_per_lot)
    return view.balance("BTC"), view.position_lots(PERPETUAL) * lot


def test_arbitrage_buys_the_cheap_one() -> None:
    exchange = two_books(500_000, 502_000)  # perpetual 40 bp dear
    (agent,) = exchange.add(ArbitrageurParameters(), start=False)
    assert isinstance(agent, Arbitrageur)
    idle = legs(exchange)[0]
    agent.trade()
    exchange.run(1)
    coins, perpetual = legs(exchange)
    assert coins - idle > 0.01
    assert coins - idle == pytest.approx(-perpetual, abs=1e-4)
    assert exchange.outside["BTC"].memories[PERPETUAL].log_impact == 0.0


def test_arbitrage_needs_more_than_its_costs() -> None:
    exchange = two_books(500_000, 500_400)  # 8 bp
    (agent,) = exchange.add(ArbitrageurParameters(), start=False)
    assert isinstance(agent, Arbitrageur)
    agent.trade()
    exchange.run(1)
    assert exchange.venues[-1].sent == []


def test_arbitrage_stops_at_its_limit_and_closes_for_less() -> None:
    exchange = two_books(500_000, 502_000)
    (agent,) = exchange.add(ArbitrageurParameters(position_limit=0.5, size_per_bp=10.0))
    assert isinstance(agent, Arbitrageur)
    exchange.run(60)
    limit = 0.5 * agent._unit_coins
    assert -legs(exchange)[1] == pytest.approx(limit, rel=0.01)
    engine = exchange.markets[PERPETUAL].engine
    for order in list(engine.book):
        engine.cancel(order.order_id, 0)
    exchange.rest(PERPETUAL, Side.BUY, 499_700, MANY)  # perpetual 6 bp cheap: below entry cost
    exchange.rest(PERPETUAL, Side.SELL, 499_701, MANY)
    exchange.run(60)
    assert legs(exchange)[1] == pytest.approx(0.0, abs=0.002 * agent._unit_coins)


def test_a_missing_leg_is_mended() -> None:
    exchange = two_books(500_000, 500_000)
    (agent,) = exchange.add(ArbitrageurParameters(), start=False)
    assert isinstance(agent, Arbitrageur)
    exchange.venues[-1].view.positions[PERPETUAL] = 5_000  # half a coin, alone
    agent.trade()
    exchange.run(1)
    assert legs(exchange)[1] == 0.0


def carry(exchange: FakeExchange, **changes: float) -> CashAndCarryTrader:
    (agent,) = exchange.add(CashAndCarryParameters(**changes))  # type: ignore[arg-type]
    assert isinstance(agent, CashAndCarryTrader)
    return agent


def test_carry_starts_hedged_and_borrowed() -> None:
    exchange = two_books(500_000, 500_010)
    carry(exchange, capital_usd=1e6, leverage=2.0, initial_share=1.0)
    coins, perpetual = legs(exchange)
    assert coins == pytest.approx(40.0, abs=0.001)
    assert coins == pytest.approx(-perpetual)
    assert exchange.venues[-1].view.balance("USDT") == pytest.approx(-1e6, rel=1e-3)


def test_carry_builds_on_funding_and_unwinds_without() -> None:
    exchange = two_books(500_000, 500_010)
    exchange.markets[PERPETUAL].funding = 0.0003  # 33 % a year
    agent = carry(exchange, capital_usd=1e6, leverage=2.0, initial_share=0.0, wake_seconds=2.0)
    exchange.run(200)
    built, perpetual = legs(exchange)
    assert built > 10.0
    assert built == pytest.approx(-perpetual, abs=0.01)
    exchange.markets[PERPETUAL].funding = -0.001
    exchange.run(600)
    assert agent.unwinding
    assert legs(exchange)[0] == pytest.approx(0.0, abs=0.01)
    assert legs(exchange)[1] == pytest.approx(0.0, abs=0.01)


def test_carry_waits_after_a_refusal() -> None:
    exchange = two_books(500_000, 500_010)
    exchange.markets[PERPETUAL].funding = 0.0003
    carry(exchange, capital_usd=1e6, leverage=2.0, initial_share=0.0, wake_seconds=2.0)
    exchange.refused = {SPOT}
    exchange.run(600)
    refused = [r for r in exchange.venues[-1].sent if r.instrument_id == SPOT]
    assert len(refused) == 1
    assert legs(exchange)[1] == pytest.approx(0.0, abs=0.01)  # the other leg was taken back
    exchange.refused = set()
    exchange.run(1800)
    assert legs(exchange)[0] > 1.0


def test_carry_unwinds_when_margin_gets_short() -> None:
    exchange = two_books(500_000, 500_010)
    carry(exchange, capital_usd=1e6, leverage=2.0, initial_share=1.0, wake_seconds=2.0)
    exchange.venues[-1].view.margin_ratio = 1.2
    exchange.run(30)
    assert legs(exchange)[0] < 40.0


def test_calendar_sells_a_dear_future_and_learns() -> None:
    exchange = two_books(500_000, 515_000, FUTURE)
    (agent,) = exchange.add(CalendarTraderParameters(far_id=FUTURE, near_id=PERPETUAL))
    assert isinstance(agent, CalendarTrader)
    exchange.run(120)
    view = exchange.venues[-1].view
    assert view.position_lots(FUTURE) < 0
    assert view.position_lots(PERPETUAL) == -view.position_lots(FUTURE)
    assert agent.usual > 0.0  # it learns


def test_calendar_is_flat_at_expiry() -> None:
    exchange = two_books(500_000, 515_000, FUTURE)
    (agent,) = exchange.add(
        CalendarTraderParameters(far_id=FUTURE, near_id=PERPETUAL, flat_hours=24 * 90.0)
    )
    assert isinstance(agent, CalendarTrader)
    exchange.venues[-1].view.positions = {FUTURE: -5_000, PERPETUAL: 5_000}
    exchange.run(120)
    assert exchange.venues[-1].view.position_lots(FUTURE) == 0


def stable_market(price: float, worth: float) -> FakeExchange:
    exchange = FakeExchange(["USDC-USDT"], price=worth)
    exchange.keep_requests = True
    ticks = round(price * 10_000)
    exchange.rest("USDC-USDT", Side.BUY, ticks, MANY)
    exchange.rest("USDC-USDT", Side.SELL, ticks + 1, MANY)
    return exchange


def test_stablecoin_capital_is_limited_and_comes_back_late() -> None:
    exchange = stable_market(price=0.95, worth=0.99)
    (agent,) = exchange.add(
        StablecoinArbitrageurParameters(capital_usd=1e6, order_usd=1e5, redemption_hours=1.0)
    )
    assert isinstance(agent, StablecoinArbitrageur)
    exchange.run(600)
    assert exchange.venues[-1].view.balance("USDC") == pytest.approx(0.5e6 / 0.99 + 0.5e6, rel=0.01)
    assert agent.available_usd == pytest.approx(0.0, abs=1.0)
    sent = len(exchange.venues[-1].sent)
    exchange.run(2400)
    assert len(exchange.venues[-1].sent) == sent
    exchange.run(1200)
    assert len(exchange.venues[-1].sent) > sent


def test_stablecoin_at_par_is_left_alone() -> None:
    exchange = stable_market(price=1.0, worth=1.0)
    exchange.add(StablecoinArbitrageurParameters())
    exchange.run(300)
    assert exchange.venues[-1].sent == []


def test_stablecoin_triangle() -> None:
    exchange = FakeExchange(
        ["USDC-USDT", "BTC-USDT", "BTC-USDC"], price={"USDC": 1.0, "BTC": 50_000.0}
    )
    exchange.keep_requests = True
    for name, bid in (("USDC-USDT", 10_000), ("BTC-USDT", 500_000), ("BTC-USDC", 490_000)):
        exchange.rest(name, Side.BUY, bid, MANY)
        exchange.rest(name, Side.SELL, bid + 1, MANY)
    (agent,) = exchange.add(
        StablecoinArbitrageurParameters(coin="BTC", delay_seconds=0.0), start=False
    )
    assert isinstance(agent, StablecoinArbitrageur)
    agent.trade()
    exchange.run(1)
    sides = {r.instrument_id: r.side for r in exchange.venues[-1].sent}
    assert sides == {"USDC-USDT": Side.BUY, "BTC-USDC": Side.BUY, "BTC-USDT": Side.SELL}
    assert exchange.venues[-1].view.balance("BTC") == pytest.approx(0.0, abs=1e-3)


def test_a_leg_that_is_refused_is_not_sent_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other leg is undone instead, and after a refusal of both nothing is sent for a while."""
    exchange = two_books(500_000, 500_000)
    (agent,) = exchange.add(ArbitrageurParameters(refusal_seconds=100.0), start=False)
    assert isinstance(agent, Arbitrageur)
    venue = exchange.venues[-1]
    monkeypatch.setattr(venue, "later", lambda action: None)  # nothing that is sent arrives
    venue.view.balances["BTC"] += 2.0  # bought, and the sale of the perpetual is missing

    def sent() -> list[tuple[str, Side]]:
        venue.sent.clear()
        agent.trade()
        found = [(request.instrument_id, request.side) for request in venue.sent]
        for own in agent.pair._pending:  # the venue refuses it
            own.is_done, own.placed = True, None
        return found

    assert sent() == [(PERPETUAL, Side.SELL)]
    assert sent() == [(SPOT, Side.SELL)]
    assert sent() == []
    exchange.run(101)
    assert sent() == [(PERPETUAL, Side.SELL)]
