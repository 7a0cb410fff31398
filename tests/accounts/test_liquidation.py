"""The life of a liquidation: execution, widening limits, take-over, unwinding, triggers, the end.

The account of most tests is long 1 BTC (10,000 lots of BTC-USDT-SWAP) from 50,000. At 48,900 with
7,000 USDT: equity 5,900, margin 12.2 % x 48,900 = 5,965.8, ratio 0.98897. Alone, its position
carries all of the equity, so its bankruptcy price is 48,900 - 5,900 = 43,000.
"""

from __future__ import annotations

from typing import Any

import pytest

from accounts.account import Account
from accounts.events import (
    AccountState,
    Bankruptcy,
    FundBalance,
    FundBooking,
    LiquidationStage,
    RiskAction,
    StateChange,
)
from exchange.events import CancelReason, Fill, OrderCancelled
from tests.accounts.small_exchange import (
    SECOND_NS,
    START_NS,
    SmallExchange,
    rules_with,
    states,
    steps,
)

SWAP, ETH, ETH_FUTURE = "BTC-USDT-SWAP", "ETH-USDT-SWAP", "ETH-USDT-250328"
S, STAGE = AccountState, LiquidationStage


def falling(cash: float = 7_000.0, **options: Any) -> tuple[SmallExchange, Account]:
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0}, **options)
    account = exchange.account("long", USDT=cash)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.publish(BTC=48_900.0)
    return exchange, account


def test_one_step_event_by_event() -> None:
    exchange, account = falling()
    exchange.quote(SWAP, 1, 48_900.0, 50_000)
    events = [e for e in exchange.check() if type(e).__name__ != "MarginWarning"]
    assert [type(e) for e in events] == [
        StateChange, StateChange, *[type(e) for e in events[2:-2]], RiskAction, StateChange,
    ]  # fmt: skip
    assert states(events, account) == [
        (S.HEALTHY, S.PRE_LIQUIDATION),
        (S.PRE_LIQUIDATION, S.LIQUIDATING),
        (S.LIQUIDATING, S.WARNED),
    ]
    (fill,) = [e for e in events if type(e) is Fill]
    assert fill.taker.is_liquidation
    action = steps(events)[0]
    assert fill.taker.cause_id == action.action_id
    # limit 0.45 % (MR7 rate) below mark: 489,000 x 0.9955 = 486,799.5, rounded up
    assert (action.stage, action.side, action.limit_ticks) == (STAGE.STANDARD, -1, 486_800)
    assert (action.wanted_lots, action.filled_lots) == (1_765, 1_765)
    assert action.average_price == action.mark_price == 48_900.0
    assert action.bankruptcy_price == pytest.approx(43_000.0, abs=0.11)
    assert action.notional_usd == pytest.approx(0.1765 * 48_900)
    assert action.slippage_usd == 0.0
    assert action.fee_usd == pytest.approx(0.1765 * 48_900 * 0.0005)
    assert action.ratio_before == pytest.approx(5_900 / 5_965.8, rel=1e-6)
    assert action.ratio_after == pytest.approx(5_895.6846 / (5_965.8 * 0.8235), rel=1e-6)
    exchange.assert_sound()


def test_a_better_price_is_the_traders() -> None:
    exchange, _ = falling()
    exchange.quote(SWAP, 1, 48_950.0, 50_000)
    action = steps(exchange.check())[0]
    assert action.average_price == 48_950.0
    assert action.slippage_usd == pytest.approx(-50.0 * action.filled_lots / 10_000)


def test_depth_bounds_a_step() -> None:
    exchange, _ = falling()
    exchange.quote(SWAP, 1, 48_800.0, 300)
    exchange.quote(SWAP, 1, 48_600.0, 9_000)  # outside the limit of 0.45 %
    assert steps(exchange.check())[0].filled_lots == 300


def test_limit_widens_until_it_fills() -> None:
    # Bids 1 % below mark. Limits 0.45 % and 0.9 % fill nothing, 1.8 % does, the next begins anew.
    exchange, _ = falling()
    exchange.quote(SWAP, 1, 48_411.0, 100)
    actions = [steps(exchange.check())[0] for _ in range(4)]
    assert [a.limit_ticks for a in actions] == [486_800, 484_599, 480_198, 486_800]
    assert [a.filled_lots for a in actions] == [0, 0, 100, 0]
    assert actions[0].wanted_lots == 1  # nothing visible: one lot is tried


def test_cool_down_between_steps() -> None:
    exchange, _ = falling()
    exchange.quote(SWAP, 1, 48_900.0, 100)
    assert len(steps(exchange.check())) == 1
    assert steps(exchange.check(seconds=0.5)) == []
    assert len(steps(exchange.check(seconds=0.5))) == 1


def test_a_closing_order_waits_at_the_price_limit() -> None:
    # Nobody bids. 0.45, 0.9, 1.8 %, then 3.6 % is beyond the price limit of 2 % (47,922), which is
    # above the bankruptcy price of 43,000: the orders stand there as long as it takes.
    exchange, account = falling()
    actions = [steps(exchange.check(), account)[0] for _ in range(20)]
    assert [a.limit_ticks for a in actions[3:]] == [479_220] * 17
    assert account.state == S.LIQUIDATING
    exchange.quote(SWAP, 1, 47_922.0, 50_000)
    assert steps(exchange.check(), account)[0].filled_lots == 2_000


def test_five_attempts_at_the_bankruptcy_price_then_taken_over() -> None:
    # Beside the BTC position 20 ETH (50,000 USD) of perpetuals are held against as much of a
    # future. By MR7 (0.45 % each) BTC has 220 / 670 = 0.328 of the equity of 1,500: 492.6 USD,
    # bankruptcy price 48,900 - 492.62 = 48,407.38, rounded down to the tick. Limits 0.45 and 0.9 %
    # fill nothing, 1.8 % is beyond that price: five attempts at it, then the pool takes the
    # position. The rest of the account is safe.
    exchange = SmallExchange(SWAP, ETH, ETH_FUTURE, usd={"BTC": 50_000.0, "ETH": 2_500.0})
    account = exchange.account("long", USDT=2_600.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.give(account, ETH, 20_000, 2_500.0)
    exchange.give(account, ETH_FUTURE, -20_000, 2_500.0)
    exchange.publish(BTC=48_900.0)
    events = [event for _ in range(7) for event in exchange.check()]
    actions = steps(events, account)
    assert [a.stage for a in actions] == [STAGE.STANDARD] * 7 + [STAGE.TAKE_OVER]
    assert [a.limit_ticks for a in actions[2:7]] == [484_073] * 5
    taken = actions[-1]
    assert (taken.instrument_id, taken.filled_lots) == (SWAP, 10_000)
    assert taken.average_price == pytest.approx(48_407.3)
    assert taken.slippage_usd == pytest.approx(492.6, abs=0.1)
    assert states(events, account)[-1] == (S.LIQUIDATING, S.WARNED)
    pool = exchange.fill_pool(SWAP, 0.0)
    assert exchange.lots(pool, SWAP) == 10_000
    assert exchange.standing(pool).equity == pytest.approx(492.6, abs=0.1)
    assert exchange.standing(account).equity == pytest.approx(1_500.0 - 492.6, abs=0.1)
    exchange.assert_sound()


def test_taken_over_whole_leaves_nothing() -> None:
    # Three steps and the case is given up: 1 BTC goes at 43,000, which uses up the equity of 5,900.
    exchange, account = falling(rules=rules_with(liquidation={"max_steps": 3}))
    events = [event for _ in range(4) for event in exchange.check()]
    taken = steps(events, account)[-1]
    assert taken.average_price == pytest.approx(43_000.0, abs=0.11)
    assert taken.slippage_usd == pytest.approx(5_900.0, abs=0.2)
    assert states(events, account)[-1] == (S.LIQUIDATING, S.BANKRUPT)
    bankruptcy = next(e for e in events if type(e) is Bankruptcy)
    assert bankruptcy.deficit_usd < 0.2  # at most the rounding of the price
    pool = exchange.fill_pool(SWAP, 0.0)
    assert exchange.standing(pool).equity == pytest.approx(5_900.0, abs=0.2)
    exchange.assert_sound()


def test_pool_unwinds_a_tenth_of_the_depth() -> None:
    exchange, _ = falling(rules=rules_with(liquidation={"max_steps": 1}))
    pool = exchange.fill_pool(SWAP, 100_000.0)
    exchange.check()
    exchange.check()
    taken = steps(exchange.events)[-1]
    assert taken.stage == STAGE.TAKE_OVER
    exchange.quote(SWAP, 1, 48_900.0, 3_000)
    exchange.quote(SWAP, 1, 48_700.0, 2_000)
    exchange.quote(SWAP, 1, 48_600.0, 9_000)  # outside 0.5 %
    actions = steps(exchange.check())
    assert [a.stage for a in actions] == [STAGE.FUND_UNWIND]
    assert actions[0].filled_lots == 500
    assert actions[0].account == pool.number
    assert actions[0].trigger_id == taken.action_id
    # bought at 43,000, sold at 48,900: 0.05 BTC x 5,900 less the fee of 0.05 %
    assert exchange.cash(pool, "USDT") == pytest.approx(100_000 + 295 - 1.2225, abs=0.01)
    for _ in range(200):
        exchange.check()
        if exchange.lots(pool, SWAP) == 0:
            break
        exchange.quote(SWAP, 1, 48_900.0, 5_000)
    assert exchange.lots(pool, SWAP) == 0
    assert exchange.check() == []
    assert exchange.risk.take_over.held == {}
    exchange.assert_sound()


def test_no_step_improves() -> None:
    # Equity 500, ratio 0.0838: closing 1 BTC frees 12.2 % x 0.0838 = 1.02 % of its value in margin
    # at that ratio. Bids 1.02 % below mark cost 1.07 % with the fee: the guard refuses, the pool
    # takes all.
    exchange, account = falling(1_600.0)
    exchange.quote(SWAP, 1, 48_400.0, 50_000)
    events = [event for _ in range(3) for event in exchange.check()]
    actions = steps(events, account)
    assert [a.stage for a in actions] == [STAGE.STANDARD] * 2 + [STAGE.TAKE_OVER]
    assert actions[-1].reason == "no step improves the margin ratio"
    assert account.state == S.BANKRUPT
    exchange.assert_sound()


def test_steps_are_bounded() -> None:
    exchange, account = falling(rules=rules_with(liquidation={"max_steps": 3}))
    events = [event for _ in range(4) for event in exchange.check()]
    assert [a.stage for a in steps(events, account)] == [STAGE.STANDARD] * 3 + [STAGE.TAKE_OVER]
    assert account.state == S.BANKRUPT


def test_dust_is_closed_whole() -> None:
    # 10 lots of 0.0001 BTC are 48.90 USD, below the dust level of 50: no fifths, and no rest
    # where less than the whole would reach 120 %.
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    account = exchange.account("dust", USDT=7.0)
    exchange.give(account, SWAP, 10, 50_000.0)
    exchange.quote(SWAP, 1, 48_900.0, 500)
    action = steps(exchange.check(BTC=48_900.0))[0]
    assert action.filled_lots == 10
    assert account.state == S.HEALTHY and not any(p.lots for p in account.positions.values())


def test_liquidated_again() -> None:
    exchange, account = falling()
    exchange.quote(SWAP, 1, 48_900.0, 50_000)
    exchange.check()
    assert account.state == S.WARNED
    exchange.quote(SWAP, 1, 47_000.0, 50_000)
    second = exchange.check(BTC=47_000.0)
    assert states(second, account)[0][1] == S.PRE_LIQUIDATION
    assert len(steps(second, account)) == 1


def test_orders_of_a_bankrupt_account_are_cancelled() -> None:
    exchange, account = falling(20_000.0)
    exchange.order(account, SWAP, -1, 49_500.0, 1_000)
    exchange.add(account, "USDT", -20_000.0)
    events = exchange.check()
    assert account.state == S.BANKRUPT
    assert [e.reason for e in events if type(e) is OrderCancelled] == [CancelReason.RISK_CONTROL]
    assert account.orders == {}


def test_fee_share_is_booked_at_eight() -> None:
    exchange, account = falling()
    pool = exchange.fill_pool(SWAP, 0.0)
    exchange.quote(SWAP, 1, 48_900.0, 50_000)
    fee = steps(exchange.check(), account)[0].fee_usd
    assert exchange.cash(pool, "USDT") == 0.0
    hours = 21.6  # from 10:26 to after 08:00
    booked = [e for e in exchange.check(seconds=hours * 3_600) if type(e) is FundBalance]
    assert [e.booking for e in booked] == [FundBooking.REGULAR_UPDATE]
    assert exchange.cash(pool, "USDT") == pytest.approx(fee / 2, abs=1e-7)
    assert [e for e in exchange.check(seconds=60.0) if type(e) is FundBalance] == []


def test_trigger_is_the_forced_fill_that_went_against_the_account() -> None:
    exchange, first = falling()
    second = exchange.account("second long", USDT=9_300.0)
    exchange.give(second, SWAP, 10_000, 50_000.0)
    short = exchange.account("short", USDT=6_500.0)
    exchange.give(short, SWAP, -10_000, 48_000.0)
    exchange.quote(SWAP, 1, 48_900.0, 50_000)
    cause = steps(exchange.check(), first)[-1]
    assert cause.trigger_id == 0  # the path alone
    exchange.quote(SWAP, 1, 46_200.0, 50_000)
    events = exchange.check(BTC=46_200.0)
    assert steps(events, second)[0].trigger_id == cause.action_id
    opened = [e for e in events if type(e) is StateChange and e.new == S.LIQUIDATING]
    assert {e.account: e.action_id for e in opened}[second.number] == cause.action_id
    # the short breaks by a rise: no forced purchase came before it
    exchange.clear_quotes()
    exchange.quote(SWAP, -1, 48_700.0, 50_000)
    events = exchange.check(BTC=48_700.0)
    assert steps(events, short)[0].trigger_id == 0


def test_a_trigger_is_forgotten_after_a_minute() -> None:
    exchange, _ = falling()
    second = exchange.account("second long", USDT=9_300.0)
    exchange.give(second, SWAP, 10_000, 50_000.0)
    exchange.quote(SWAP, 1, 48_900.0, 50_000)
    exchange.check()
    exchange.quote(SWAP, 1, 46_200.0, 50_000)
    events = exchange.check(seconds=61.0, BTC=46_200.0)
    assert steps(events, second)[0].trigger_id == 0
    assert exchange.now_ns > START_NS + 60 * SECOND_NS
