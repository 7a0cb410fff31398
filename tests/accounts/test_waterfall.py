"""Who pays for a bankrupt account: fund, winners, the day's profits, nobody. Worked by hand.

The loser is long 1 BTC (10,000 lots of BTC-USDT-SWAP) from 50,000 with 5,000 USDT; the price gaps
to 40,000: profit -10,000, deficit 5,000. Equity is gone, so the pool takes the position at the
mark.
"""

from __future__ import annotations

from typing import Any

import pytest

from accounts.account import Account
from accounts.events import (
    AccountState,
    Bankruptcy,
    Deleveraging,
    FundBalance,
    FundBooking,
    LiquidationStage,
    PostingKind,
)
from tests.accounts.small_exchange import SmallExchange, rules_with, steps

SWAP, INVERSE, SPOT = "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USDT"
CALL = "BTC-USD-250328-50000-C"
USDT = 10**8


class Gap:
    """The loser of the module's docstring, its winners, and the gap."""

    def __init__(self, pool: float = 0.0, **deleveraging: Any) -> None:
        rules = rules_with(deleveraging=deleveraging)
        self.exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0}, rules=rules)
        self.pool = self.exchange.fill_pool(SWAP, pool)
        self.loser = self.exchange.account("loser", USDT=5_000.0)

    def winner(self, name: str, lots: int, entry: float, cash: float = 20_000.0) -> Account:
        account = self.exchange.account(name, USDT=cash)
        self.exchange.give(account, SWAP, -lots, entry)
        return account

    def fall(self, price: float = 40_000.0) -> Bankruptcy:
        """The counterparty of all positions ends flat: the winners stand against the loser."""
        held = self.exchange.lots(self.exchange.counterparty, SWAP)
        self.exchange.give(self.loser, SWAP, 10_000, 50_000.0)
        rest = held - 10_000
        if rest:
            other = self.exchange.account("indifferent", USDT=10.0**6)
            self.exchange.give(other, SWAP, rest, 40_000.0)
        events = self.exchange.check(BTC=price)
        self.exchange.assert_sound()
        assert self.loser.state == AccountState.BANKRUPT
        assert self.exchange.cash(self.loser, "USDT") == 0.0
        (bankruptcy,) = [e for e in events if type(e) is Bankruptcy]
        total, *parts = bankruptcy.split_atoms["USDT"]
        assert sum(parts) == total == 5_000 * USDT
        return bankruptcy

    def closed(self) -> dict[str, tuple[int, float]]:
        """winner -> (lots, price) of all deleveragings."""
        names = {account.number: account.name for account in self.exchange.house.accounts}
        return {
            names[e.winner]: (e.lots, e.price_ticks / 10)
            for e in self.exchange.events
            if type(e) is Deleveraging
        }


def layers(bankruptcy: Bankruptcy) -> tuple[float, float, float, float]:
    _, *parts = bankruptcy.split_atoms["USDT"]
    fund, winners, social, uncovered = (part / USDT for part in parts)
    return fund, winners, social, uncovered


def test_an_ample_fund_pays_all() -> None:
    gap = Gap(pool=100_000.0)
    gap.winner("short", 10_000, 50_000.0)
    bankruptcy = gap.fall()
    assert layers(bankruptcy) == (5_000.0, 0.0, 0.0, 0.0)
    assert bankruptcy.fund_usd == pytest.approx(bankruptcy.deficit_usd)
    assert bankruptcy.pools == {"swaps/BTC-USDT": pytest.approx(5_000.0)}
    assert gap.closed() == {}
    assert gap.exchange.cash(gap.pool, "USDT") == 95_000.0
    assert gap.exchange.lots(gap.pool, SWAP) == 10_000
    changes = [e for e in gap.exchange.events if type(e) is FundBalance]
    assert [e.booking for e in changes] == [
        FundBooking.PLATFORM_REVENUE, FundBooking.BANKRUPTCY_LOSS,
    ]  # fmt: skip


def test_a_small_fund_ends_at_zero_and_the_winner_pays_the_rest() -> None:
    # The pool has 2,000 of 5,000: the winner buys back 1 BTC at 40,000 + 3,000 instead of 40,000.
    gap = Gap(pool=2_000.0)
    short = gap.winner("short", 10_000, 50_000.0)
    bankruptcy = gap.fall()
    assert layers(bankruptcy) == (2_000.0, 3_000.0, 0.0, 0.0)
    assert gap.closed() == {"short": (10_000, 43_000.0)}
    assert gap.exchange.cash(gap.pool, "USDT") == 0.0
    assert gap.exchange.cash(short, "USDT") == 27_000.0  # 20,000 + 7,000 of 10,000 profit
    assert gap.exchange.lots(short, SWAP) == gap.exchange.lots(gap.pool, SWAP) == 0
    action = [a for a in steps(gap.exchange.events) if a.stage == LiquidationStage.DELEVERAGING]
    assert [(a.side, a.wanted_lots, a.filled_lots) for a in action] == [(-1, 10_000, 10_000)]
    taken = [a for a in steps(gap.exchange.events) if a.stage == LiquidationStage.TAKE_OVER]
    assert action[0].trigger_id == taken[0].action_id


def test_no_fund_means_bankruptcy_price() -> None:
    # at worst the whole deficit: 40,000 + 5,000
    gap = Gap()
    gap.winner("short", 10_000, 50_000.0)
    assert layers(gap.fall()) == (0.0, 5_000.0, 0.0, 0.0)
    assert gap.closed() == {"short": (10_000, 45_000.0)}


def test_nobody_is_pushed_below_zero_profit() -> None:
    # Short from 42,000: 2,000 of profit is all that he gives; 3,000 are covered by nobody.
    gap = Gap()
    short = gap.winner("short", 10_000, 42_000.0)
    assert layers(gap.fall()) == (0.0, 2_000.0, 0.0, 3_000.0)
    assert gap.closed() == {"short": (10_000, 42_000.0)}
    assert gap.exchange.cash(short, "USDT") == 20_000.0
    uncovered = gap.exchange.house.ledger.find("uncovered_loss", "USDT")
    assert uncovered is not None
    assert gap.exchange.house.ledger.balances[uncovered] == -3_000 * USDT


def test_what_one_cannot_pay_another_does_up_to_the_bankruptcy_price() -> None:
    # Half with a short from 41,000 (500 of profit for 0.5 BTC), half with one from 50,000: each is
    # asked for 2,500; the first has 500, the second pays no more than his half of the loss.
    gap = Gap(policy="pro_rata")
    gap.winner("thin", 5_000, 41_000.0)
    gap.winner("fat", 5_000, 50_000.0)
    assert layers(gap.fall()) == (0.0, 3_000.0, 0.0, 2_000.0)
    assert gap.closed() == {"thin": (5_000, 41_000.0), "fat": (5_000, 45_000.0)}


def test_losers_and_the_same_side_are_not_touched() -> None:
    gap = Gap()
    gap.winner("under water", 6_000, 39_000.0)
    gap.winner("short", 4_000, 50_000.0)
    long = gap.exchange.account("long", USDT=100_000.0)
    gap.exchange.give(long, SWAP, 5_000, 30_000.0)
    gap.fall()
    # 0.4 BTC at 45,000; 0.6 BTC stay with the pool
    assert gap.closed() == {"short": (4_000, 45_000.0)}
    assert gap.exchange.lots(long, SWAP) == 5_000
    assert gap.exchange.lots(gap.pool, SWAP) == 6_000


def three(policy: str) -> dict[str, tuple[int, float]]:
    """Shorts of 0.6, 0.6 and 1.2 BTC; the ranking by profit and margin ratio is b, a, c."""
    gap = Gap(policy=policy)
    gap.winner("a", 6_000, 50_000.0, cash=20_000.0)
    gap.winner("b", 6_000, 50_000.0, cash=5_000.0)
    gap.winner("c", 12_000, 45_000.0, cash=90_000.0)
    gap.fall()
    return gap.closed()


def test_queue_takes_profit_times_leverage_first() -> None:
    # a and b have gained 20 %, c 11 %; b has least equity to its margin: b whole, then a with the
    # rest.
    assert {n: lots for n, (lots, _) in three("queue").items()} == {"b": 6_000, "a": 4_000}


def test_pro_rata_takes_the_same_share_of_all() -> None:
    # 10,000 of 24,000 lots: 2,500, 2,500 and 5,000, all at one price
    closed = three("pro_rata")
    assert {n: lots for n, (lots, _) in closed.items()} == {"a": 2_500, "b": 2_500, "c": 5_000}
    assert {price for _, price in closed.values()} == {45_000.0}


def test_capped_pro_rata_goes_by_profit() -> None:
    # profits 6,000, 6,000 and 6,000 USD: a third each
    lots = {n: lots for n, (lots, _) in three("capped_pro_rata").items()}
    assert lots == {"a": 3_334, "b": 3_333, "c": 3_333}


def test_drawdown_starts_it_at_the_mark_and_recovery_ends_it() -> None:
    # 16,000 fall by 5,000 to 11,000: less than 70 % of the peak (11,200). What the pool has taken
    # over goes to the winners at the mark, since the pool can pay: nobody gives up a profit.
    gap = Gap(pool=16_000.0)
    exchange = gap.exchange
    short = gap.winner("short", 10_000, 50_000.0, cash=50_000.0)
    assert layers(gap.fall()) == (5_000.0, 0.0, 0.0, 0.0)
    assert exchange.risk.deleverager.active(gap.pool)
    assert gap.closed() == {"short": (10_000, 40_000.0)}
    assert exchange.cash(short, "USDT") == 60_000.0
    assert exchange.cash(gap.pool, "USDT") == 11_000.0
    exchange.check(seconds=8.1 * 3_600)  # the peak is forgotten
    assert not exchange.risk.deleverager.active(gap.pool)


def test_bankruptcy_price_throughout() -> None:
    # As before, but the second loser's deficit is the winners' although the pool could pay.
    gap = Gap(pool=16_000.0, bankruptcy_price_only=True)
    exchange = gap.exchange
    gap.winner("short", 20_000, 50_000.0, cash=50_000.0)
    second = exchange.account("second", USDT=15_000.0)
    gap.fall()
    exchange.check()
    # the pool took over at its mark, 40,000: no loss of its own to pass on
    assert gap.closed() == {"short": (10_000, 40_000.0)}
    exchange.give(second, SWAP, 10_000, 40_000.0, giver=exchange.house.accounts[-1])
    bankruptcy = next(e for e in exchange.check(BTC=20_000.0) if type(e) is Bankruptcy)
    assert layers(bankruptcy)[:2] == (0.0, 5_000.0)
    assert gap.closed() == {"short": (10_000, 25_000.0)}


def test_winners_take_it_later_if_there_are_none_now() -> None:
    gap = Gap()
    short = gap.winner("under water", 10_000, 39_000.0)
    assert layers(gap.fall()) == (0.0, 0.0, 0.0, 5_000.0)
    assert gap.exchange.lots(gap.pool, SWAP) == 10_000
    gap.exchange.check(BTC=38_000.0)
    # The pool's loss of 2,000 since then is not covered by a fund: the winner's 1,000 go to it,
    # and only what that pays for is closed.
    assert gap.exchange.cash(gap.pool, "USDT") == 0.0
    assert gap.closed() == {}
    assert gap.exchange.lots(short, SWAP) == -10_000
    gap.exchange.assert_sound()


def test_socialised_loss_by_the_days_profits() -> None:
    # Two traders have realised 3,000 and 1,000 today, the counterparty of all 10,000 - 4,000: half
    # of everybody's gain makes up the deficit of 5,000.
    gap = Gap(socialise_losses=True)
    exchange = gap.exchange
    for name, gain in (("first", 3_000.0), ("second", 1_000.0), ("idle", 0.0)):
        trader = exchange.account(name, USDT=10_000.0)
        exchange.give(trader, SWAP, 10_000, 50_000.0)
        exchange.give(trader, SWAP, -10_000, 50_000.0 + gain)
    bankruptcy = gap.fall()
    cash = {a.name: exchange.cash(a, "USDT") for a in exchange.house.accounts if a.balances}
    assert (cash["first"], cash["second"], cash["idle"]) == (11_500.0, 10_500.0, 10_000.0)
    assert cash["counterparty"] == 10**6 + 6_000 - 3_000
    assert layers(bankruptcy) == (0.0, 0.0, 5_000.0, 0.0)


def test_profits_of_the_day_before_are_not_shared() -> None:
    # 500 were gained before 08:00, 1,500 and the counterparty's 10,000 - 1,500 after it: half of
    # these.
    gap = Gap(socialise_losses=True)
    exchange = gap.exchange
    traders = []
    exchange.check()
    for name, gain in (("yesterday", 500.0), ("today", 1_500.0)):
        trader = exchange.account(name, USDT=10_000.0)
        traders.append(trader)
        exchange.give(trader, SWAP, 10_000, 50_000.0)
        exchange.give(trader, SWAP, -10_000, 50_000.0 + gain)
        exchange.check(seconds=22.0 * 3_600 if name == "yesterday" else 1.0)
        exchange.check()
    assert layers(gap.fall()) == (0.0, 0.0, 5_000.0, 0.0)
    assert [exchange.cash(trader, "USDT") for trader in traders] == [10_500.0, 10_750.0]


def test_coin_margined_winners_give_up_coins() -> None:
    # Long 500 lots (50,000 USD) from 50,000 with 0.1 BTC. At 40,000: 50,000 x (1 / 50,000 - 1 /
    # 40,000) = -0.25 BTC, deficit 0.15. The pool has 0.05; the winner buys back at 1 / p = 1 /
    # 40,000 - 0.1 / 50,000: p = 43,478.26, rounded up to the tick.
    exchange = SmallExchange(INVERSE, usd={"BTC": 50_000.0})
    pool = exchange.fill_pool(INVERSE, 0.05)
    loser = exchange.account("loser", BTC=0.1)
    short = exchange.account("short", BTC=1.0)
    exchange.give(loser, INVERSE, 500, 50_000.0, giver=short)
    events = exchange.check(BTC=40_000.0)
    (closed,) = [e for e in events if type(e) is Deleveraging]
    assert (closed.lots, closed.price_ticks) == (500, 434_783)
    (bankruptcy,) = [e for e in events if type(e) is Bankruptcy]
    total, fund, winners, social, uncovered = bankruptcy.split_atoms["BTC"]
    assert total == fund + winners == 15_000_000
    assert winners == pytest.approx(10_000_000, abs=200)  # a tick is 132 atoms
    assert (social, uncovered) == (0, 0)
    assert exchange.cash(short, "BTC") == pytest.approx(1.25 - 0.1, abs=2e-6)
    assert 0 <= exchange.cash(pool, "BTC") < 2e-6
    exchange.assert_sound()


def test_option_winners_sell_below_the_mark() -> None:
    # Short 100 calls (1 BTC) from 0.1059 with 0.1 BTC and the premium; the coin doubles. The
    # holder of the calls has gained the difference, and sells them below the mark by what the pool
    # cannot pay.
    exchange = SmallExchange(CALL, usd={"BTC": 50_000.0})
    pool = exchange.fill_pool(CALL, 0.02)
    loser = exchange.account("loser", BTC=0.1)
    holder = exchange.account("holder", BTC=1.0)
    exchange.give(loser, CALL, -100, 0.1059, giver=holder)
    events = exchange.check(BTC=100_000.0)
    mark = int(exchange.house.market.mark_ticks[0])
    deficit = mark * 10_000 - 10_590_000 - 10_000_000  # atoms: mark x 1 BTC - premium - margin
    (closed,) = [e for e in events if type(e) is Deleveraging]
    (bankruptcy,) = [e for e in events if type(e) is Bankruptcy]
    total, fund, winners, social, uncovered = bankruptcy.split_atoms["BTC"]
    assert total == fund + winners == pytest.approx(deficit, abs=10_000)  # the mark is a whole tick
    assert fund == pytest.approx(2_000_000, abs=10_000)
    assert (social, uncovered) == (0, 0)
    assert closed.lots == -100
    assert closed.price_ticks == mark - -(-(total - 2_000_000) // 10_000)
    assert 0 <= exchange.cash(pool, "BTC") < 1e-4
    assert exchange.lots(pool, CALL) == exchange.lots(holder, CALL) == 0
    exchange.assert_sound()


def test_collateral_is_converted_at_the_discount() -> None:
    # 1 BTC of collateral at 40,000 counts 98 %: 39,200 against a loss of 40,000; 800 are missing.
    exchange = SmallExchange(SWAP, SPOT, usd={"BTC": 50_000.0})
    pool = exchange.fill_pool(SWAP, 10_000.0)
    loser = exchange.account("loser", BTC=1.0)
    exchange.give(loser, SWAP, 40_000, 50_000.0)
    (bankruptcy,) = [e for e in exchange.check(BTC=40_000.0) if type(e) is Bankruptcy]
    assert bankruptcy.equity_usd == pytest.approx(0.0, abs=1e-6)
    assert bankruptcy.split_atoms == {"USDT": (800 * USDT, 800 * USDT, 0, 0, 0)}
    assert exchange.cash(pool, "USDT") == 9_200.0
    exchange.assert_sound()


def test_an_empty_pool_pays_no_premium() -> None:
    # Long options of a bankrupt account are worth something, but the pool cannot pay for them.
    exchange = SmallExchange(CALL, SWAP, usd={"BTC": 50_000.0})
    loser = exchange.account("loser", USDT=3_000.0)
    exchange.give(loser, CALL, 100, 0.1059)
    exchange.give(loser, SWAP, 10_000, 50_000.0)
    exchange.check(BTC=36_000.0)
    exchange.assert_sound()
    assert loser.state == AccountState.BANKRUPT
    for pool in exchange.funds.pools.values():
        assert all(balance.liability_atoms == 0 for balance in pool.balances.values())


def test_ledger_names_every_layer() -> None:
    gap = Gap(pool=2_000.0, socialise_losses=True)
    gap.exchange.house.flush()
    gap.winner("short", 10_000, 42_000.0)
    gap.fall()
    batch = gap.exchange.house.ledger.flush()
    assert batch is not None
    kinds = {row[1] for row in batch.rows}
    assert int(PostingKind.DEFICIT) in kinds
