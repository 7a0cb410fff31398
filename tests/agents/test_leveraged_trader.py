"""The leveraged population: sizes, buffers, balance, and re-opening through the book."""

from math import log

import numpy as np
import pytest

from agents.draws import Draws
from agents.leveraged_trader import (
    LeveragedTraderParameters,
    LeveragedTraders,
    draw_leverage,
    draw_sizes,
)
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

PERPETUAL = "BTC-USDT-SWAP"
SPOT = "BTC-USDT"


def draws(seed: int = 1) -> Draws:
    return Draws(np.random.default_rng(seed))


def test_longs_and_shorts_balance_to_the_lot() -> None:
    exchange = FakeExchange([PERPETUAL])
    p = LeveragedTraderParameters(accounts=501, long_usd=3e8, short_usd=3e8)
    plans = p.account_plans(exchange.setup(), draws())
    lots = [plan.positions[0].lots for plan in plans]
    assert len(plans) == 501
    assert sum(lots) == 0
    assert 0 not in lots
    longs = exchange.setup().lots_to_usd(PERPETUAL, sum(n for n in lots if n > 0))
    assert longs == pytest.approx(3e8, rel=1e-3)
    assert max(lots) <= 0.0501 * sum(n for n in lots if n > 0)


@pytest.mark.parametrize("seed", range(3))
def test_every_account_has_its_buffer(seed: int) -> None:
    exchange = FakeExchange([PERPETUAL])
    setup = exchange.setup()
    p = LeveragedTraderParameters(accounts=400, long_usd=1e8, short_usd=5e7)
    for plan in p.account_plans(setup, draws(seed)):
        (position,) = plan.positions
        notional = abs(setup.lots_to_usd(PERPETUAL, position.lots))
        profit = setup.lots_to_usd(PERPETUAL, position.lots) * (
            1.0 - position.entry_price / 50_000.0
        )
        buffer = (plan.balances["USDT"] + profit) / notional - 0.122
        assert buffer >= 0.06 - 1e-9


def test_leverages_vary_and_are_not_clipped() -> None:
    p = LeveragedTraderParameters()
    source = draws()
    leverages = [draw_leverage(p, source, 0.122) for _ in range(2000)]
    values = np.array([x for x in leverages if x is not None])
    assert values.size == 2000
    assert values.max() <= 1 / (0.06 + 0.122)
    assert np.unique(values).size == 2000  # no wall of equal liquidation prices
    assert 1.5 < np.median(values) < 4.5
    assert draw_leverage(p, source, 0.122, profit=-5.0) is None


def test_one_sided_and_empty_populations() -> None:
    setup = FakeExchange([PERPETUAL]).setup()
    p = LeveragedTraderParameters(accounts=7, long_usd=1e6, short_usd=0.0)
    plans = p.account_plans(setup, draws())
    assert len(plans) == 7
    assert all(plan.positions[0].lots > 0 for plan in plans)
    assert draw_sizes(p, draws(), 0, 1e6) == []
    sizes = draw_sizes(p, draws(), 3, 9.0)
    assert sum(sizes) == pytest.approx(9.0)


def test_spot_longs_owe_money_and_hold_coins() -> None:
    exchange = FakeExchange([SPOT])
    p = LeveragedTraderParameters(
        instrument_id=SPOT, accounts=40, long_usd=1e7, short_usd=1e7, median_leverage=3.0
    )
    plans = p.account_plans(exchange.setup(), draws())
    coins = [plan.balances["BTC"] for plan in plans]
    assert sum(c > 0 for c in coins) == 20
    for plan in plans:
        assert plan.positions == ()
        equity = plan.balances["USDT"] + plan.balances["BTC"] * 50_000.0
        assert equity > 0.0
    levered = [plan for plan in plans if plan.balances["USDT"] < 0.0]
    assert levered  # some longs have borrowed


def test_collateral_shares_are_checked() -> None:
    with pytest.raises(ValueError, match="collateral: the shares must sum to 1"):
        LeveragedTraderParameters(collateral={"USDT": 0.5})


def reopening_market() -> tuple[FakeExchange, LeveragedTraders]:
    exchange = FakeExchange([PERPETUAL])
    exchange.rest(PERPETUAL, Side.BUY, 499_990, 10**9)
    exchange.rest(PERPETUAL, Side.SELL, 500_010, 10**9)
    p = LeveragedTraderParameters(accounts=50, long_usd=1e6, short_usd=1e6, reopening_hours=0.05)
    (agent,) = exchange.add(p)
    assert isinstance(agent, LeveragedTraders)
    return exchange, agent


def test_accounts_reopen_through_the_book() -> None:
    exchange, agent = reopening_market()
    before = [agent.position_lots(member) for member in agent.members]
    exchange.run(600)
    after = [agent.position_lots(member) for member in agent.members]
    changed = sum(a != b for a, b in zip(after, before, strict=True))
    assert changed > 30
    assert exchange.messages > 30
    settled = [m for m in agent.members if not m.working]
    assert all(agent.position_lots(m) == m.target_lots for m in settled)


def test_nobody_trades_while_liquidated_or_poor() -> None:
    exchange, agent = reopening_market()
    for member in agent.members:
        member.venue.account().can_trade = False  # type: ignore[misc]
    exchange.run(300)
    assert exchange.messages == 0
    for member in agent.members:
        account = member.venue.account()
        account.can_trade = True  # type: ignore[misc]
        account.balances = {"USDT": 1.0}  # type: ignore[attr-defined]
    exchange.run(300)
    assert exchange.messages == 0


def test_new_longs_follow_the_trend() -> None:
    _, agent = reopening_market()
    agent.step()
    for _ in range(3):
        agent._follow(log(50_000.0) + 0.05)
    agent._trend = log(50_000.0)
    signs = []
    for member in agent.members:
        agent._reopen(member, 50_000.0)
        signs.append(1 if member.target_lots > 0 else -1)
    assert sum(signs) > 10  # 80 % longs on average
