"""Liquidation of isolated positions by hand: partial, whole, take-over; the owner's rest untouched.

BTC-USDT-SWAP: a contract is 0.01 BTC, a lot 0.01 contracts, so a lot is 0.0001 BTC. Tiers of 5
million USD: 0.4 % maintenance margin in the first, 0.3 % more in each that follows. Taker fee
0.05 %, maker fee 0.02 %.

Source: portfolio-margin.md sections 10.4, 16.18; liquidation-and-losses.md sections 1 to 4.
"""

from __future__ import annotations

from typing import Any

import pytest

from accounts.account import Account
from accounts.events import AccountState, Bankruptcy, LiquidationStage, MarginWarning
from accounts.isolated import Isolated
from exchange.events import CancelReason, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side
from tests.accounts.small_exchange import SmallExchange, states, steps

SWAP = "BTC-USDT-SWAP"
S = AccountState
USDT = 10**8


def send(exchange: SmallExchange, trader: Account, side: int, price: float, lots: int) -> list[Any]:
    request = OrderRequest(
        SWAP, Side(side), OrderType.LIMIT, lots, round(price * 10), isolated=True
    )
    return exchange.house.submit(exchange.now_ns, trader.number, request)


def isolated_long(
    lots: int, leverage: float, usdt: float
) -> tuple[SmallExchange, Account, Isolated]:
    """A trader's isolated long from 50,000, and a pool with a million."""
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    exchange.fill_pool(SWAP, 1_000_000.0)
    trader = exchange.account("trader", USDT=usdt)
    listing = exchange.house.listings[SWAP]
    assert exchange.house.isolated.set_leverage(trader, listing, leverage) is None
    exchange.quote(SWAP, -1, 50_000.0, lots)
    assert type(send(exchange, trader, 1, 50_000.0, lots)[0]) is not OrderRejected
    return exchange, trader, exchange.house.isolated.open(trader, listing)


def atoms(exchange: SmallExchange, account: Account) -> int:
    return exchange.house.ledger.balances[account.balances["USDT"].cash]


def test_the_closing_fee_counts_in_the_ratio() -> None:
    """1 BTC from 50,000 with 5,000. At 45,200: equity 200; 0.4 % = 180.80 and fee 22.60: 0.983. At
    45,300: equity 300 over 181.20 + 22.65: 1.47, warned."""
    exchange, _, held = isolated_long(10_000, 10.0, 10_000.0)
    events = exchange.check(BTC=45_300.0)
    assert [e.margin_ratio for e in events if type(e) is MarginWarning] == [
        pytest.approx(300 / 203.85)
    ]
    assert (held.account.state, steps(events)) == (S.WARNED, [])
    events = exchange.check(BTC=45_200.0)
    assert exchange.house.isolated.figures(held).ratio == pytest.approx(200 / 203.40)
    assert held.account.state == S.LIQUIDATING
    assert steps(events)[0].filled_lots == 0  # nobody buys


def test_in_the_lowest_tier_the_whole_position_is_closed() -> None:
    """At 45,200 a bid at 45,190: 190 of margin are left, less the fee of 45,190 x 0.05 % = 22.595:
    167.405 go back to 4,975 outside."""
    exchange, trader, held = isolated_long(10_000, 10.0, 10_000.0)
    assert atoms(exchange, trader) == 497_500_000_000
    exchange.quote(SWAP, 1, 45_190.0, 100_000)
    events = exchange.check(BTC=45_200.0)
    (action,) = steps(events)
    assert (action.stage, action.account) == (LiquidationStage.ISOLATED, held.account.number)
    assert (action.wanted_lots, action.filled_lots) == (10_000, 10_000)
    assert (held.position.lots, atoms(exchange, held.account)) == (0, 0)
    assert atoms(exchange, trader) == 497_500_000_000 + 16_740_500_000
    assert states(events, held.account) == [
        (S.HEALTHY, S.LIQUIDATING),
        (S.LIQUIDATING, S.HEALTHY),
    ]
    assert (trader.state, trader.blocked, held.account.blocked) == (S.HEALTHY, False, False)
    exchange.assert_sound()


def test_a_large_position_is_reduced_to_the_next_lower_tier() -> None:
    """240 BTC at 50,000 are 12 million: tier 3, 1.0 %; leverage 20: 600,000 of margin.

    At 48,000: equity 600,000 - 480,000 = 120,000; 11.52 million are tier 3: 115,200 and fee 5,760:
    0.992. Two tiers are 10 million: 208.3333 BTC; 316,667 lots go at 48,000. They realise
    31.6667 x 2,000 = 63,333.40 of the loss; their fee is 1,520,001.60 x 0.05 % = 760.0008. Left:
    2,083,333 lots with 600,000 - 63,333.40 - 760.0008 = 535,906.5992, equity less 416,666.60 =
    119,239.9992, maintenance 0.7 % of 9,999,998.40 = 69,999.9888, fee 4,999.9992: 1.59.
    """
    exchange, trader, held = isolated_long(2_400_000, 20.0, 700_000.0)
    outside = 700_000 * USDT - 606_000 * USDT
    assert atoms(exchange, trader) == outside
    assert exchange.house.isolated.margin_atoms(held) == 600_000 * USDT
    exchange.quote(SWAP, 1, 48_000.0, 3_000_000)
    events = exchange.check(BTC=48_000.0)
    (action,) = steps(events)
    assert action.filled_lots == 316_667
    assert action.ratio_before == pytest.approx(120_000 / 120_960)
    assert action.ratio_after == pytest.approx(119_239.9992 / 74_999.988)
    assert held.position.lots == 2_083_333
    assert atoms(exchange, held.account) == 53_590_659_920_000
    assert held.account.state == S.WARNED
    assert atoms(exchange, trader) == outside
    assert steps(exchange.check()) == []
    exchange.assert_sound()


def test_its_open_orders_go_first_and_take_their_margin_home() -> None:
    """1 BTC more is bid for at 45,000, with 5,025. That is not margin of the position: at 45,100 it
    breaks all the same, the bid is cancelled and the trader has its margin back."""
    exchange, trader, held = isolated_long(10_000, 10.0, 20_000.0)
    before = atoms(exchange, trader)
    assert type(send(exchange, trader, 1, 45_000.0, 10_000)[0]) is not OrderRejected
    assert atoms(exchange, trader) == before - 5_025 * USDT
    events = exchange.check(BTC=45_100.0)
    (gone,) = [e for e in events if type(e) is OrderCancelled and not e.order.is_liquidation]
    assert gone.reason == CancelReason.RISK_CONTROL
    assert atoms(exchange, trader) == before
    assert states(events, held.account)[:2] == [
        (S.HEALTHY, S.PRE_LIQUIDATION),
        (S.PRE_LIQUIDATION, S.LIQUIDATING),
    ]
    assert send(exchange, trader, 1, 45_000.0, 1)[0].reason == RejectReason.ACCOUNT_BLOCKED


def test_a_gap_through_the_margin_ends_in_a_take_over_and_the_pool_pays() -> None:
    """At 44,000 the equity is 5,000 - 6,000 = -1,000: the position goes to the pool at the mark
    (nothing is left for a better price), and the pool pays 1,000. Outside nothing moves."""
    exchange, trader, held = isolated_long(10_000, 10.0, 10_000.0)
    pool = exchange.fill_pool(SWAP, 0.0)
    outside, fund = atoms(exchange, trader), atoms(exchange, pool)
    events = exchange.check(BTC=44_000.0)
    (bankruptcy,) = [e for e in events if type(e) is Bankruptcy]
    assert bankruptcy.account == held.account.number
    deficit = 1_000 * USDT
    assert bankruptcy.split_atoms["USDT"] == (deficit, deficit, 0, 0, 0)
    assert atoms(exchange, pool) == fund - deficit
    assert exchange.lots(pool, SWAP) == 10_000
    assert (held.position.lots, atoms(exchange, held.account)) == (0, 0)
    assert held.cash.liability_atoms == 0
    assert atoms(exchange, trader) == outside
    assert (trader.state, held.account.state) == (S.HEALTHY, S.HEALTHY)
    exchange.clear_quotes()
    exchange.quote(SWAP, -1, 44_000.0, 1_000)
    assert type(send(exchange, trader, 1, 44_000.0, 1_000)[0]) is not OrderRejected
    exchange.assert_sound()


def test_with_margin_left_and_no_other_side_the_pool_takes_it_at_the_bankruptcy_price() -> None:
    """At 45,200 an equity of 200 is left and the book is empty: after the attempts at 45,000 the
    pool has the position at 45,000, and nobody owes anything."""
    exchange, trader, held = isolated_long(10_000, 10.0, 10_000.0)
    pool, outside = exchange.fill_pool(SWAP, 0.0), atoms(exchange, trader)
    events = [e for _ in range(30) for e in exchange.check(BTC=45_200.0)]
    actions = steps(events, held.account)
    assert [a.stage for a in actions[:-1]] == [LiquidationStage.ISOLATED] * (len(actions) - 1)
    assert actions[-1].stage == LiquidationStage.TAKE_OVER
    assert actions[-1].limit_ticks == 450_000
    assert sum(a.limit_ticks == 450_000 for a in actions[:-1]) == 5  # attempts
    assert exchange.lots(pool, SWAP) == 10_000
    assert (held.position.lots, atoms(exchange, held.account)) == (0, 0)
    assert atoms(exchange, trader) == outside
    exchange.assert_sound()


def test_without_forced_flow_orders_go_and_the_position_stays() -> None:
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0}, forced_flow=False)
    trader = exchange.account("trader", USDT=20_000.0)
    exchange.quote(SWAP, -1, 50_000.0, 10_000)
    send(exchange, trader, 1, 50_000.0, 10_000)
    send(exchange, trader, 1, 43_000.0, 1_000)
    events = exchange.check(BTC=44_000.0)
    assert [e.reason for e in events if type(e) is OrderCancelled] == [CancelReason.RISK_CONTROL]
    assert steps(events) == []
    (holder,) = trader.isolated.values()
    assert exchange.lots(holder, SWAP) == 10_000
