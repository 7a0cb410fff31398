"""Rules change while positions and orders are open."""

from __future__ import annotations

import pytest

from accounts.account import Account
from accounts.events import AccountState
from accounts.rule_change import switch_rules
from exchange.order import OrderType
from risk import order_tables as t
from risk.rules import load_rules
from tests.accounts.small_exchange import SmallExchange, rules_with, states, steps

SWAP, INVERSE, SPOT = "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USDT"
CALL = "BTC-USD-250328-50000-C"


def busy(name: str = "okx-2025") -> tuple[SmallExchange, Account]:
    """Positions in three risk units of the older rules, open orders, a debt."""
    exchange = SmallExchange(
        SWAP, INVERSE, SPOT, CALL, usd={"BTC": 50_000.0}, rules=rules_with(name)
    )
    account = exchange.account("busy", USDT=60_000.0, BTC=-0.5)
    exchange.give(account, SWAP, 5_000, 49_000.0)
    exchange.give(account, INVERSE, -300, 51_000.0)
    exchange.give(account, CALL, -20, 0.1)
    exchange.order(account, SWAP, 1, 49_500.0, 700)
    exchange.order(account, SPOT, -1, 50_500.0, 100_000)
    exchange.publish()
    return exchange, account


def figures(exchange: SmallExchange) -> list[list[float]]:
    rows: list[list[float]] = exchange.house.exposures.all_figures()[:, : t.T_FEE + 1].tolist()
    return rows


@pytest.mark.parametrize("name", ["okx-2024", "okx-2021"])
def test_as_if_the_new_rules_had_always_been(name: str) -> None:
    exchange, _ = busy()
    before = figures(exchange)
    balances = list(exchange.house.ledger.balances)
    switch_rules(exchange.house, exchange.now_ns, rules_with(name))
    other, _ = busy(name)
    assert figures(exchange) == figures(other)
    assert figures(exchange) != before
    assert exchange.house.ledger.balances == balances
    switch_rules(exchange.house, exchange.now_ns, rules_with())
    assert figures(exchange) == before


def test_orders_live_on() -> None:
    exchange, account = busy()
    first, second = account.orders
    switch_rules(exchange.house, exchange.now_ns, rules_with("okx-2024"))
    exchange.order(exchange.maker, SWAP, -1, 49_500.0, 300, OrderType.IOC)
    assert exchange.lots(account, SWAP) == 5_300
    assert account.orders[first].remaining_lots == 400
    assert exchange.house.cancel(exchange.now_ns, account.number, second)
    exchange.order(account, SWAP, -1, 50_500.0, 100)
    kept = figures(exchange)
    exchange.house.exposures.recompute(account.number)
    assert figures(exchange) == kept
    exchange.assert_sound()


def test_stricter_rules_liquidate_at_the_next_check() -> None:
    # Long 1 BTC, equity 7,000. Margin 12.2 % = 6,100; with shocks of 14 % it is 7,100.
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    account = exchange.account("long", USDT=7_000.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.quote(SWAP, 1, 50_000.0, 50_000)
    assert steps(exchange.check(), account) == []
    shocks = load_rules("okx-2025").spot_shock.shocks.model_copy(update={"k1": (0.05, 0.10, 0.14)})
    stricter = rules_with(spot_shock={"shocks": shocks}, liquidation={"stop_ratio": 1.1})
    switch_rules(exchange.house, exchange.now_ns, stricter)
    events = exchange.check()
    assert states(events, account)[0][1] == AccountState.PRE_LIQUIDATION
    (action,) = steps(events, account)
    # slack to 1.1: 7,000 - 7,810 = -810; a fifth frees 1.1 x 1,420 and costs 5: 810 / 1,557 = 52.0
    # %
    assert action.filled_lots == 1_041
    assert action.ratio_after == pytest.approx(1.1, abs=1e-3)
    exchange.assert_sound()


def test_a_case_goes_on_under_the_new_rules() -> None:
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    account = exchange.account("long", USDT=5_000.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.check()
    assert account.state == AccountState.LIQUIDATING
    milder = rules_with(liquidation={"stop_ratio": 0.81, "start_ratio": 0.8})
    switch_rules(exchange.house, exchange.now_ns, milder)
    assert states(exchange.check(), account) == [(AccountState.LIQUIDATING, AccountState.WARNED)]
