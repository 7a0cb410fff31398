"""From the first warning to the door of liquidation: one hand-built account for each transition.

The account of most tests is long 1 BTC in BTC-USDT-SWAP (10,000 lots of 0.0001 BTC) from 50,000.
Its maintenance margin at price p is MR1 12 % (= MR6: half of 24 %) + MR4 0.2 % = 0.122 p; initial
margin is 1.3 times that; equity is cash - (50,000 - p). No quotes on both sides: mark = index.
"""

from __future__ import annotations

import pytest

from accounts.account import Account
from accounts.events import AccountState, MarginWarning
from exchange.events import CancelReason, OrderAccepted, OrderCancelled, OrderRejected, RejectReason
from risk import order_standing
from tests.accounts.small_exchange import SmallExchange, rules_with, states, steps

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
S = AccountState


def long_one(cash: float, **options: bool) -> tuple[SmallExchange, Account]:
    exchange = SmallExchange(SWAP, SPOT, usd={"BTC": 50_000.0}, **options)
    account = exchange.account("trader", USDT=cash)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    return exchange, account


def cancelled(events: list[object]) -> list[tuple[int, CancelReason]]:
    return [(e.order.order_id, e.reason) for e in events if type(e) is OrderCancelled]


def test_healthy_account_is_left_alone() -> None:
    # 20,000 / 6,100 = 3.28 > 3
    exchange, account = long_one(20_000.0)
    assert exchange.check() == []
    assert account.state == S.HEALTHY


def test_warning_at_three_hundred_percent_once_an_hour() -> None:
    # at 47,000: equity 17,000, maintenance margin 5,734, ratio 2.9648
    exchange, account = long_one(20_000.0)
    exchange.check()
    events = exchange.check(BTC=47_000.0)
    assert [type(e) for e in events] == [MarginWarning, *[type(e) for e in events[1:]]]
    assert events[0].margin_ratio == pytest.approx(17_000 / 5_734, rel=1e-6)
    assert states(events, account) == [(S.HEALTHY, S.WARNED)]
    assert exchange.check(BTC=46_900.0) == []  # still warned, no second warning
    assert states(exchange.check(BTC=49_000.0), account) == [(S.WARNED, S.HEALTHY)]
    again = exchange.check(BTC=47_000.0)
    assert [e for e in again if type(e) is MarginWarning] == []  # the hour is not over
    later = exchange.check(seconds=3_600.0)
    assert [type(e) for e in later] == [MarginWarning]


def test_order_control_cancels_largest_occupied_margin_first() -> None:
    # Orders for 0.1, 0.3 and 0.2 BTC at 49,000. With all three the account is long 1.6 BTC in one
    # fill set: IMR 1.3 x 0.122 x 50,000 x 1.6 = 12,688; adjusted equity 13,000 less fees of orders
    # (0.6 BTC x 50,000 x 0.05 % = 15): above.
    exchange, account = long_one(13_000.0)
    for lots in (1_000, 3_000, 2_000):
        assert type(exchange.order(account, SWAP, 1, 49_000.0, lots)[0]) is not OrderRejected
    ids = list(account.orders)
    assert cancelled(exchange.check()) == []
    # At 48,700 adjusted equity is 11,700 - pending losses 0.6 x 300 = 180 - fees 14.61 =
    # 11,505.39; IMR 1.6 x 0.1586 x 48,700 = 12,358.11, 91 % of it 11,245.88: nothing yet.
    assert cancelled(exchange.check(BTC=48_700.0)) == []
    # At 48,000: equity 11,000 - 600 - 14.4 = 10,385.6 < 0.91 x 12,180.48 = 11,084.2. Without the
    # order of 0.3: 11,000 - 300 - 7.2 = 10,692.8 >= 0.91 x 1.3 x 0.1586 x 48,000 = 9,005.9:
    # restored.
    events = exchange.check(BTC=48_000.0)
    assert cancelled(events) == [(ids[1], CancelReason.RISK_CONTROL)]
    assert states(events, account)[0][1] == S.ORDER_CONTROL
    assert states(events, account)[-1][1] == S.WARNED
    assert list(account.orders) == [ids[0], ids[2]]


def test_order_control_spares_orders_that_lower_margin() -> None:
    exchange, account = long_one(20_000.0)
    exchange.order(account, SWAP, -1, 51_000.0, 5_000)  # closes half
    exchange.add(account, "USDT", -13_000.0)
    # 7,000 - fee 12.5 < 0.91 x 1.3 x 6,100 = 7,216.3, but the sale occupies no margin
    events = exchange.check()
    assert states(events, account) == [(S.HEALTHY, S.ORDER_CONTROL)]
    assert len(account.orders) == 1


def test_pre_liquidation_cancels_what_opens_and_recovers() -> None:
    # The bid for 1 BTC at 49,500 costs a pending loss. At 49,000: equity 6,000 - 500 - fee 24.5 =
    # 5,475.5 < 0.122 x 49,000 = 5,978; without it 6,000 > 5,978: saved by the cancellation alone.
    exchange, account = long_one(7_000.0)
    exchange.add(account, "USDT", 20_000.0)
    exchange.order(account, SWAP, 1, 49_500.0, 10_000)
    (opening,) = account.orders
    exchange.add(account, "USDT", -20_000.0)
    events = exchange.check(BTC=49_000.0)
    assert cancelled(events) == [(opening, CancelReason.RISK_CONTROL)]
    assert states(events, account)[0] == (S.HEALTHY, S.PRE_LIQUIDATION)
    assert states(events, account)[1] == (S.PRE_LIQUIDATION, S.ORDER_CONTROL)
    assert steps(events) == []


def test_closing_orders_stay_only_up_to_the_position() -> None:
    exchange, account = long_one(30_000.0)
    for price in (52_000.0, 53_000.0):
        exchange.order(account, SWAP, -1, price, 6_000)
    first, second = account.orders
    exchange.add(account, "USDT", -24_000.0)  # 6,000 <= 6,100
    assert cancelled(exchange.check())[0] == (second, CancelReason.RISK_CONTROL)
    assert list(account.orders) == [first]


def test_liquidation_blocks_orders_but_not_cancels_and_deposits() -> None:
    exchange, account = long_one(20_000.0)
    exchange.order(account, SWAP, -1, 51_000.0, 1_000)
    exchange.add(account, "USDT", -15_000.0)
    events = exchange.check()  # 5,000 < 6,100, and nobody bids
    assert states(events, account)[-1] == (S.PRE_LIQUIDATION, S.LIQUIDATING)
    refused = exchange.order(account, SWAP, -1, 50_000.0, 1)[0]
    assert refused.reason == RejectReason.ACCOUNT_BLOCKED
    (order_id,) = account.orders
    assert exchange.house.cancel(exchange.now_ns, account.number, order_id)
    exchange.add(account, "USDT", 20_000.0)
    events = exchange.check()
    assert states(events, account) == [(S.LIQUIDATING, S.HEALTHY)]
    assert not account.blocked


def test_hysteresis_between_start_and_stop() -> None:
    # Between 100 % and 120 % a healthy account is not touched, a liquidating one is.
    exchange, account = long_one(6_700.0)  # 6,700 / 6,100 = 1.098
    assert steps(exchange.check()) == []
    assert account.state == S.ORDER_CONTROL
    exchange.check(BTC=49_000.0)  # 5,700 / 5,978 = 0.953
    assert account.state == S.LIQUIDATING
    events = exchange.check(BTC=50_000.0)  # 1.098 again: one attempt more
    assert account.state == S.LIQUIDATING
    assert len(steps(events)) == 1


def test_borrow_limit_cancels_orders_with_source_four() -> None:
    # The limit of an account in BTC is the bound of tier 20: 20 + 5 + 5 + 17 x 20 = 370 BTC. Sales
    # of 200 and 150 BTC (owned 0) borrow 350; a debt of 30 that the counterparty's loan adds takes
    # them over.
    exchange = SmallExchange(SPOT, usd={"BTC": 50_000.0})
    account = exchange.account("short", USDT=100_000_000.0)
    for coins in (200, 150):
        events = exchange.order(account, SPOT, -1, 51_000.0, coins * 10**6)
        assert type(events[0]) is not OrderRejected, events
    large, small = account.orders
    assert cancelled(exchange.check()) == []
    exchange.add(account, "BTC", -30.0)
    events = exchange.check()
    assert cancelled(events) == [(large, CancelReason.BORROW_LIMIT)]
    assert list(account.orders) == [small]


def test_stale_marks_stop_liquidation_and_opening_orders_only() -> None:
    exchange, account = long_one(5_000.0)
    exchange.now_ns += 11 * 10**9
    seen = len(exchange.events)
    exchange.risk.check(exchange.now_ns)
    assert exchange.events[seen:] == []
    refused = exchange.order(exchange.maker, SWAP, 1, 49_000.0, 10)[0]
    assert refused.reason == RejectReason.INSTRUMENT_SUSPENDED
    exchange.add(account, "USDT", 1.0)
    exchange.check()
    assert account.state == S.LIQUIDATING


def test_stale_marks_let_in_what_only_closes() -> None:
    """Section 1: a stale mark blocks opening orders. A long of 10,000 lots is closed in parts."""
    exchange, account = long_one(30_000.0)
    exchange.now_ns += 11 * 10**9

    def sent(side: int, lots: int) -> object:
        event = exchange.order(account, SWAP, side, 50_500.0, lots)[0]
        return event.reason if type(event) is OrderRejected else type(event)

    stale = RejectReason.INSTRUMENT_SUSPENDED
    assert sent(-1, 9_999) is OrderAccepted
    assert (sent(-1, 2), sent(1, 1)) == (stale, stale), "beyond the position, and opening"
    assert sent(-1, 1) is OrderAccepted
    assert sent(-1, 1) == stale
    first = next(iter(account.orders))
    exchange.house.cancel(exchange.now_ns, account.number, first)
    assert first not in account.orders
    spot = exchange.order(account, SPOT, -1, 50_500.0, 1)[0]
    assert type(spot) is OrderRejected and spot.reason == stale


def test_forced_flow_off_keeps_cancellations() -> None:
    exchange, account = long_one(26_000.0, forced_flow=False)
    exchange.order(account, SWAP, 1, 49_000.0, 1_000)
    exchange.add(account, "USDT", -21_000.0)
    events = exchange.check()
    assert len(cancelled(events)) == 1
    assert steps(events) == []
    assert account.state == S.PRE_LIQUIDATION
    assert not account.blocked


def test_thresholds_and_interval_are_parameters() -> None:
    rules = rules_with(liquidation={"warning_ratio": 4.0, "check_interval_s": 5.0})
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0}, rules=rules)
    account = exchange.account("trader", USDT=20_000.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    assert type(exchange.check()[0]) is MarginWarning
    assert exchange.check(BTC=33_000.0) == []  # 3,000 < 4,026, but within the interval
    exchange.check(seconds=4.0)
    assert account.state == S.LIQUIDATING


def test_the_kernel_numbers_the_states_as_the_events_do() -> None:
    assert [order_standing.__dict__[state.name] for state in AccountState] == list(AccountState)
