"""Liquidation outside portfolio margin: isolated positions, and accounts of the other modes.

There the margin is a sum over positions (first tier of BTC: 0.4 % of the value), so positions are
closed one by one; nothing is hedged, and an isolated position falls alone. Its own rule is worked
out in test_isolated_liquidation.
"""

from __future__ import annotations

import pytest

from accounts.account import Account, AccountMode
from accounts.events import AccountState, Bankruptcy, LiquidationStage
from exchange.events import CancelReason, OrderCancelled, OrderRejected
from exchange.order import OrderRequest, OrderType, Side
from tests.accounts.small_exchange import SmallExchange, states, steps

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
S = AccountState


def send(exchange: SmallExchange, trader: Account, side: int, price: float, lots: int) -> None:
    """An isolated order that must be accepted."""
    request = OrderRequest(
        SWAP, Side(side), OrderType.LIMIT, lots, round(price * 10), isolated=True
    )
    events = exchange.house.submit(exchange.now_ns, trader.number, request)
    assert type(events[0]) is not OrderRejected, events


def isolated_long() -> tuple[SmallExchange, Account, Account]:
    """1 BTC from 50,000 at leverage 10: 5,000 of margin; fee 25 from it. 4,975 stay outside."""
    exchange = SmallExchange(SWAP, SPOT, usd={"BTC": 50_000.0})
    trader = exchange.account("trader", USDT=10_000.0)
    exchange.quote(SWAP, -1, 50_000.0, 10_000)
    send(exchange, trader, 1, 50_000.0, 10_000)
    (holder,) = trader.isolated.values()
    return exchange, trader, holder


def test_isolated_loss_ends_with_its_margin() -> None:
    # A gap to 44,000: 1,000 beyond the margin. The pool pays; what the trader has outside stays
    # his, and he may open a position again.
    exchange, trader, holder = isolated_long()
    pool = exchange.fill_pool(SWAP, 10_000.0)
    outside = exchange.cash(trader, "USDT")
    events = exchange.check(BTC=44_000.0)
    (bankruptcy,) = [e for e in events if type(e) is Bankruptcy]
    assert bankruptcy.account == holder.number
    deficit = bankruptcy.split_atoms["USDT"][0] / 1e8
    assert deficit == pytest.approx(1_000.0, abs=30.0)  # and the fee of the opening
    assert exchange.cash(pool, "USDT") == pytest.approx(10_000.0 - deficit)
    assert exchange.cash(trader, "USDT") == outside
    assert states(events, holder)[-2:] == [(S.LIQUIDATING, S.BANKRUPT), (S.BANKRUPT, S.HEALTHY)]
    exchange.clear_quotes()
    exchange.quote(SWAP, -1, 44_000.0, 1_000)
    send(exchange, trader, 1, 44_000.0, 1_000)
    assert exchange.lots(holder, SWAP) == 1_000
    exchange.assert_sound()


def test_isolated_opening_orders_go_with_the_cross_account() -> None:
    # The cross account falls: its isolated order that opens is cancelled too, the position stays.
    exchange, trader, holder = isolated_long()
    exchange.clear_quotes()
    send(exchange, trader, 1, 49_000.0, 1_000)
    exchange.add(trader, "USDT", 20_000.0)
    exchange.give(trader, SWAP, 10_000, 50_000.0)
    exchange.add(trader, "USDT", -20_000.0)
    events = exchange.check()
    assert trader.state == S.LIQUIDATING
    cancelled = [e for e in events if type(e) is OrderCancelled and not e.order.is_liquidation]
    assert [e.reason for e in cancelled] == [CancelReason.RISK_CONTROL]
    assert holder.orders == {}
    assert exchange.lots(holder, SWAP) == 10_000
    assert holder.state != S.LIQUIDATING


@pytest.mark.parametrize("mode", [AccountMode.MULTI_CURRENCY, AccountMode.SPOT_AND_FUTURES])
def test_other_modes_close_one_by_one(mode: AccountMode) -> None:
    # Long 1 BTC from 50,000 with 1,000 USDT. At 49,100 equity is 100, maintenance 0.4 % = 196.4.
    exchange = SmallExchange(SWAP, SPOT, usd={"BTC": 50_000.0})
    account = exchange.account("trader", mode=mode, auto_borrow=False, USDT=1_000.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.quote(SWAP, 1, 49_100.0, 100_000)
    events = [e for _ in range(10) for e in exchange.check(BTC=49_100.0)]
    actions = steps(events, account)
    assert {a.stage for a in actions} == {LiquidationStage.STANDARD}
    assert actions[0].ratio_before == pytest.approx(100.0 / 196.4, rel=1e-4)
    assert actions[0].filled_lots == 2_000
    assert states(events, account)[-1][1] in (S.WARNED, S.ORDER_CONTROL)
    assert exchange.standing(account).ratio > 1.2
    exchange.assert_sound()
