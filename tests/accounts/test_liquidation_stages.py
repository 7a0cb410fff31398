"""For each stage an account that only this stage can rescue, with the steps worked by hand.

Each account is run twice: with all stages, and without the one in question. BTC stands at 50,000
USD. BTC-USDT-SWAP: 0.0001 BTC a lot; BTC-USD-SWAP and BTC-USD-250328: 100 USD a lot; options: 0.01
BTC a lot, price tick 0.0001 BTC. A step trades at most 20 % of what it reduces, and stops at a
ratio of 1.2.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import accounts.liquidation_stages as stages
from accounts.account import Account
from accounts.events import AccountState, LiquidationStage
from tests.accounts.small_exchange import SmallExchange, rules_with, states, steps

SWAP, INVERSE, SPOT = "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USDT"
FUTURE, COIN_FUTURE = "BTC-USDT-250328", "BTC-USD-250328"
CALL = "BTC-USD-250328-50000-C"
LONG_CALL, LONG_PUT = "BTC-USD-271231-50000-C", "BTC-USD-271231-50000-P"
Scene = tuple[SmallExchange, Account]
Step = tuple[str, int]  # instrument, signed lots filled


def played(scene: Scene, checks: int = 12) -> tuple[list[Step], AccountState]:
    """Run risk control; what was traded on the account, and how it ended."""
    exchange, account = scene
    traded = []
    for _ in range(checks):
        for action in steps(exchange.check(), account):
            if action.stage != LiquidationStage.TAKE_OVER:
                traded.append((action.instrument_id, action.side * action.filled_lots))
        exchange.assert_sound()
    return traded, account.state


def without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take one stage away."""
    if name == "repayment":
        monkeypatch.setattr(stages, "repayment", lambda view: [])
    kept = tuple(stage for stage in stages.STAGES if stage.__name__ != name)
    monkeypatch.setattr(stages, "STAGES", kept)


def peg_hedge() -> Scene:
    # USDT at 0.95. Long 2 BTC in USDT contracts, short 100,000 USD in coin contracts: delta 0,
    # cross-quote hedge 100,000 USD, MR9 5 % = 5,000 the only component (MR7 900). Equity 5,000
    # USDT = 4,750 USD.
    exchange = SmallExchange(SWAP, INVERSE, usd={"BTC": 50_000.0, "USDT": 0.95})
    account = exchange.account("hedged", USDT=5_000.0)
    exchange.give(account, SWAP, 20_000, 52_631.6)
    exchange.give(account, INVERSE, -1_000, 50_000.0)
    exchange.quote(SWAP, 1, 52_631.6, 100_000)
    exchange.quote(INVERSE, -1, 50_000.0, 10_000)
    return exchange, account


def test_peg_hedge(monkeypatch: pytest.MonkeyPatch) -> None:
    # A fifth of the hedge: 4,000 of 20,000 lots of 5 USD against 200 of 1,000 of 100 USD. Fees 2 x
    # 10: 4,730 / (5 % x 80,000 = 4,000) = 1.1825. The second fifth is 3,200 and 160 lots, fees 16:
    # slack from 4,730 - 4,800 = -70 to 4,714 - 3,840 = 874, so 7.4 % of it suffice: 238 lots
    # against 12, and one more for the small debt in BTC that the fee of the coin contract makes.
    traded, state = played(peg_hedge())
    assert traded == [(SWAP, -4_000), (INVERSE, 200), (SWAP, -239), (INVERSE, 12)]
    assert state == AccountState.WARNED
    without(monkeypatch, "peg_hedge")
    assert played(peg_hedge())[1] == AccountState.BANKRUPT


def delta_hedge() -> Scene:
    # Short 100 calls (1 BTC) struck at 50,000, nobody quotes them. Their delta is -27,648 USD,
    # hedged in part by the premium of 0.105 BTC (5,250 USD): 22,398 USD are open, MR1 4,374 the
    # largest component.
    exchange = SmallExchange(SWAP, CALL, usd={"BTC": 50_000.0})
    account = exchange.account("short call", USDT=4_500.0)
    exchange.give(account, CALL, -100, 0.105)
    exchange.quote(SWAP, -1, 50_010.0, 100_000)
    return exchange, account


def test_delta_hedge(monkeypatch: pytest.MonkeyPatch) -> None:
    # A lot of the perpetual is 5 USD: 4,479 lots hedge 22,398 USD; a fifth is 895. Then a fifth of
    # what is left, 17,923 USD or 3,584 lots: 716. The third step needs only part of its fifth.
    traded, state = played(delta_hedge())
    assert traded == [(SWAP, 895), (SWAP, 716), (SWAP, 54)]
    assert state == AccountState.WARNED
    without(monkeypatch, "delta_hedge")
    # nobody quotes the option: the orders wait at its price limit, and nothing gets better
    left_alone = played(delta_hedge(), 20)
    assert left_alone == ([(CALL, 0)] * 20, AccountState.LIQUIDATING)


def inter_tenor() -> Scene:
    # Short 2 BTC of the perpetual, long 2 BTC of the March future (71.9 days). MR4 = 100,000 x 0.2
    # % + 100,000 x 5 % x 71.9 / 365 = 200 + 985 = 1,185, more than MR7 (900). Equity 1,170.
    exchange = SmallExchange(SWAP, FUTURE, usd={"BTC": 50_000.0})
    account = exchange.account("calendar", USDT=1_170.0)
    exchange.give(account, SWAP, -20_000, 50_000.0)
    exchange.give(account, FUTURE, 20_000, 50_000.0)
    exchange.quote(SWAP, -1, 50_010.0, 100_000)
    exchange.quote(FUTURE, 1, 49_990.0, 100_000)
    return exchange, account


def test_inter_tenor(monkeypatch: pytest.MonkeyPatch) -> None:
    # A fifth is 4,000 lots of each: margin 948, equity 1,170 less 2 x 4 slippage and 20 fees =
    # 1,142: ratio 1.205. The share needed for 1.2 by the linear estimate: slack before 1,170 -
    # 1,421.9 = -251.9, after 1,142 - 1,137.5 = 4.5; 251.9 / 256.4 = 98.2 %: 3,930 lots.
    traded, state = played(inter_tenor())
    assert traded == [(SWAP, 3_930), (FUTURE, -3_930)]
    assert state == AccountState.WARNED
    without(monkeypatch, "inter_tenor")
    assert played(inter_tenor())[1] == AccountState.BANKRUPT


def standard() -> Scene:
    # Long 1 BTC from 50,000 with 7,000 USDT. At 48,900: equity 5,900, margin 12.2 % = 5,965.8.
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    account = exchange.account("long", USDT=7_000.0)
    exchange.give(account, SWAP, 10_000, 50_000.0)
    exchange.publish(BTC=48_900.0)
    exchange.quote(SWAP, 1, 48_900.0, 100_000)
    return exchange, account


def test_standard_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    # A fifth, 2,000 lots: fee 4.89, equity 5,895.11, margin 4,772.64, slack to 1.2 from -1,258.96
    # to 167.94; needed 1,258.96 / 1,426.90 = 88.2 %: 1,765 lots. Ratio 5,895.68 / 4,912.84 =
    # 1.20006.
    traded, state = played(standard())
    assert traded == [(SWAP, -1_765)]
    assert state == AccountState.WARNED
    without(monkeypatch, "standard")
    assert played(standard())[1] == AccountState.BANKRUPT


def same_sign() -> Scene:
    # A synthetic short in December 2027: 100 short calls and 100 long puts (1 BTC), volatility 30
    # %, no annual basis charge. Alone each is a bet on volatility: vega 0.59 x 50,000 USD per 100
    # % moves by 12 points = 3,500 USD a BTC, more than the delta gives up at 12 %. Together they
    # cancel.
    rules = rules_with()
    annual = rules.basis.annual.model_copy(update={"k1": 0.0})
    rules = rules_with(basis={"annual": annual})
    exchange = SmallExchange(LONG_CALL, LONG_PUT, usd={"BTC": 50_000.0}, rules=rules, vol=0.3)
    account = exchange.account("synthetic short", USDT=5_900.0)
    exchange.give(account, LONG_CALL, -100, 0.2036)
    exchange.give(account, LONG_PUT, 100, 0.2036)
    exchange.quote(LONG_CALL, -1, 0.2040, 1_000)
    exchange.quote(LONG_PUT, 1, 0.2035, 1_000)
    return exchange, account


def test_special_reduction_of_one_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    # MR1 12 % x 50,000 = 6,000 + MR4 100 = 6,100 > 5,900. A fifth of both legs: 20 lots each,
    # margin 4,880, cost 0.2 BTC x 0.0005 x 50,000 = 5 and fees 6: ratio 5,889 / 4,880 = 1.207.
    traded, state = played(same_sign())
    assert traded == [(LONG_CALL, 20), (LONG_PUT, -20)]
    assert state == AccountState.WARNED
    without(monkeypatch, "special")
    assert played(same_sign(), 20)[1] == AccountState.BANKRUPT


def option_with_future() -> Scene:
    # Short 200 calls (2 BTC, delta 276.5 USD a lot) hedged by 553 coin futures of 100 USD: gamma
    # and vega are left, MR1 about 3,372. Closing either leg alone opens a delta.
    exchange = SmallExchange(CALL, COIN_FUTURE, usd={"BTC": 50_000.0})
    account = exchange.account("gamma", USDT=3_300.0)
    exchange.give(account, CALL, -200, 0.1059)
    exchange.give(account, COIN_FUTURE, 553, 50_000.0)
    exchange.quote(CALL, -1, 0.1065, 1_000)
    exchange.quote(COIN_FUTURE, 1, 49_990.0, 100_000)
    return exchange, account


def test_special_reduction_of_an_option_with_its_future(monkeypatch: pytest.MonkeyPatch) -> None:
    # A fifth of the option: 40 lots with 110 futures (40 x 276.5 / 100); needed for 1.2 is less.
    traded, state = played(option_with_future())
    assert {name for name, _ in traded} == {CALL, COIN_FUTURE}
    options = sum(lots for name, lots in traded if name == CALL)
    futures = sum(lots for name, lots in traded if name == COIN_FUTURE)
    assert futures == pytest.approx(-2.765 * options, abs=3)
    assert state == AccountState.WARNED
    without(monkeypatch, "special")
    assert played(option_with_future(), 20)[1] == AccountState.BANKRUPT


def repayment() -> Scene:
    # 2 BTC (98 %: 98,000) against 96,300 USDT: equity 1,700; margin 2 % = 1,926 + fee 96,300 x
    # 1.02 x 0.1 % = 98.2: ratio 0.84. No contract, no unit: only the coin can be sold.
    exchange = SmallExchange(SPOT, usd={"BTC": 50_000.0})
    account = exchange.account("borrower", BTC=2.0, USDT=-96_300.0)
    exchange.quote(SPOT, 1, 50_000.0, 10_000_000)
    return exchange, account


def test_forced_repayment_with_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    # A fifth: 0.4 BTC for 20,000 USDT less fee 20 and penalty 2 % = 400: debt 76,720. Collateral
    # 78,400, equity 1,680, requirement 1,534.4 + 78.25: 1.0418. Second: a fifth of 1.6 BTC is
    # 0.32; 0.215399 suffice.
    scene = repayment()
    exchange, account = scene
    first = steps(exchange.check(), account)[0]
    assert (first.instrument_id, first.side, first.filled_lots) == (SPOT, -1, 400_000)
    assert first.stage == LiquidationStage.REPAYMENT
    assert first.fee_usd == pytest.approx(420.0)
    assert exchange.cash(account, "USDT") == pytest.approx(-76_720.0)
    assert first.ratio_after == pytest.approx(1_680 / (1_534.4 + 76_720 * 1.02 * 0.001))
    # half of fee and penalty is set aside for the pool, booked at 08:00 UTC
    ledger = exchange.house.ledger
    accrued = ledger.find("accrued/margin/BTC-USDT", "USDT")
    assert accrued is not None and ledger.balances[accrued] == 210 * 10**8
    traded, state = played(scene)
    assert traded == [(SPOT, -215_399)]
    assert (
        state == AccountState.ORDER_CONTROL
    )  # saved, but below 91 % of the initial margin of the debt
    without(monkeypatch, "repayment")
    without_it = repayment()
    played(without_it)
    assert exchange.lots(without_it[1], SPOT) == 0
    assert states(without_it[0].events, without_it[1])[2] == (
        AccountState.LIQUIDATING,
        AccountState.BANKRUPT,
    )


def test_repayment_over_a_common_quote() -> None:
    # 40 ETH at 2,500 against a debt of 1.9 BTC: ETH is sold for USDT, USDT buys the coin, in one
    # step.
    exchange = SmallExchange(SPOT, "ETH-USDT", usd={"BTC": 50_000.0, "ETH": 2_500.0})
    account = exchange.account("coin borrower", ETH=40.0, BTC=-1.93)
    exchange.quote("ETH-USDT", 1, 2_500.0, 10**8)
    exchange.quote(SPOT, -1, 50_000.0, 10**7)
    traded, state = played((exchange, account))
    assert [name for name, _ in traded[:2]] == ["ETH-USDT", SPOT]
    assert state in (AccountState.WARNED, AccountState.ORDER_CONTROL)
    assert abs(exchange.cash(account, "USDT")) < 30.0


def test_near_the_money_options_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    # Margin is convex in the size of one position, so closing all of it never helps where a part
    # does not: 5 (c) is a net below the other stages. Without stage 4 it takes what the book
    # offers at once.
    exchange = SmallExchange(CALL, usd={"BTC": 50_000.0})
    account = exchange.account("naked", USDT=4_300.0)
    exchange.give(account, CALL, -100, 0.1059)
    exchange.quote(CALL, -1, 0.1065, 70)
    without(monkeypatch, "standard")
    traded, state = played((exchange, account), 3)
    assert len(traded) == 1 and traded[0][0] == CALL
    assert 20 < traded[0][1] <= 70
    assert state == AccountState.WARNED


@pytest.mark.parametrize(
    "scene",
    [peg_hedge, delta_hedge, inter_tenor, standard, same_sign, option_with_future, repayment],
)
def test_no_step_turns_a_position_or_lowers_the_ratio(scene: Callable[[], Scene]) -> None:
    exchange, account = scene()
    for _ in range(12):
        before = {p.number: p.lots for p in account.positions.values()}
        hedges = (LiquidationStage.PEG_HEDGE, LiquidationStage.DELTA_HEDGE)
        for action in steps(exchange.check(), account):
            assert action.ratio_after > action.ratio_before
            number = exchange.house.listings[action.instrument_id].number
            held, now = before.get(number, 0), account.positions[number].lots
            assert held * now >= 0
            assert abs(now) <= abs(held) or action.stage in hedges
