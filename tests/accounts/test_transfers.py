"""What may leave an account, and what is sold to repay when auto-borrow is off."""

from random import Random

import pytest

from accounts.interest import charge_interest
from accounts.portfolio import portfolio_of
from accounts.repayment import excess_atoms, force_repayments
from accounts.transfers import most_that_may_leave, withdraw
from exchange.events import RejectReason
from risk.admission import max_transfer_out
from tests.accounts.venue import E8, Venue

SWAP, CALL = "BTC-USDT-SWAP", "BTC-USD-250328-100000-C"


def test_a_free_balance_leaves_whole() -> None:
    venue = Venue([SWAP])
    trader = venue.account("trader", USDT="1000")
    assert most_that_may_leave(venue.house, trader, "USDT") == 1_000 * E8
    assert most_that_may_leave(venue.house, trader, "BTC") == 0
    reason = withdraw(venue.house, venue.now_ns, trader, "USDT", 1_000 * E8 + 1)
    assert reason is RejectReason.INSUFFICIENT_BALANCE
    assert withdraw(venue.house, venue.now_ns, trader, "USDT", 1_000 * E8) is None
    assert venue.cash(trader, "USDT") == 0
    venue.check()


def test_initial_margin_stays() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="1000"), venue.account("other", USDT="100000")
    venue.trade(other, trader, SWAP, "1", "100000")  # initial margin 158.6; maker fee 0.2
    most = most_that_may_leave(venue.house, trader, "USDT")
    assert most == pytest.approx(84_120_000_000, abs=9_999)  # stress rows are rounded
    reason = withdraw(venue.house, venue.now_ns, trader, "USDT", most + 1)
    assert reason is RejectReason.INSUFFICIENT_MARGIN
    assert withdraw(venue.house, venue.now_ns, trader, "USDT", most) is None
    assert most_that_may_leave(venue.house, trader, "USDT") == 0
    venue.check()


@pytest.mark.parametrize("seed", range(25))
def test_the_reference_lets_the_same_leave(seed: int) -> None:
    rng = Random(seed)
    venue = Venue([SWAP, CALL, "ETH-USDT-SWAP"], volatility=0.4)
    venue.lend(BTC="1000", USDT="1000000")
    owned = {"USDT": str(rng.randrange(1, 90_000)), "BTC": str(rng.randrange(1, 5))}
    trader = venue.account("trader", **owned)
    other = venue.account("other", USDT="10000000", BTC="100")
    for name, ticks in ((SWAP, "100000"), (CALL, "0.05"), ("ETH-USDT-SWAP", "4000")):
        if rng.random() < 0.7:
            sides = [trader, other]
            rng.shuffle(sides)
            venue.trade(*sides, name, str(rng.randrange(1, 60)), ticks)
    if rng.random() < 0.5:
        venue.rests(trader, SWAP, "-5", "101000")
    for currency in ("USDT", "BTC"):
        most = most_that_may_leave(venue.house, trader, currency)
        portfolio = portfolio_of(venue.house, trader)
        expected = max_transfer_out(portfolio, currency, venue.house.rules)
        assert most / E8 == pytest.approx(expected, rel=1e-4, abs=1e-3), currency
    venue.check()


def test_forced_repayment_sells_the_largest_holding() -> None:
    venue = Venue(["BTC-USDT", "ETH-USDT", SWAP])
    venue.lend(USDT="1000000")
    loser = venue.account("loser", auto_borrow=False, BTC="1", ETH="1")
    other = venue.account("other", USDT="1000000", BTC="10")
    venue.house.deposit(venue.now_ns, loser, "USDT", 1_000 * E8)
    venue.trade(loser, other, SWAP, "100", "100000")  # taker fee 50
    venue.marks(BTC="70000")  # 30,000 of unrealised loss: equity in USDT is -29,050
    # 20,000 USDT are free of interest: 9,050 are to be repaid, from the bitcoin first
    assert excess_atoms(venue.house, loser, "USDT") == 9_050 * E8
    venue.rests(other, "BTC-USDT", "2", "69990")
    (repayment,) = force_repayments(venue.house, venue.now_ns)
    assert repayment.instrument_id == "BTC-USDT"
    assert repayment.filled_lots == repayment.wanted_lots
    assert excess_atoms(venue.house, loser, "USDT") == 0
    assert venue.cash(loser, "ETH") == E8
    assert 0.86 * E8 < venue.cash(loser, "BTC") < 0.871 * E8
    assert force_repayments(venue.house, venue.now_ns) == []
    assert charge_interest(venue.now_ns, venue.house) == 0  # what is left is free
    venue.check()


def test_forced_repayment_buys_a_coin_that_is_owed() -> None:
    venue = Venue(["BTC-USDT", "BTC-USD-SWAP"])
    venue.lend(BTC="100")
    loser = venue.account("loser", auto_borrow=False, USDT="500000", BTC="1.2")
    other = venue.account("other", USDT="1000000", BTC="30")
    venue.trade(loser, other, "BTC-USD-SWAP", "4000", "100000")  # 400,000 USD
    venue.marks(BTC="60000")  # 2.67 BTC of unrealised loss
    assert excess_atoms(venue.house, loser, "BTC") > 0
    venue.rests(other, "BTC-USDT", "-5", "60050")
    (repayment,) = force_repayments(venue.house, venue.now_ns)
    assert repayment.instrument_id == "BTC-USDT" and repayment.filled_lots > 0
    assert excess_atoms(venue.house, loser, "BTC") == 0
    venue.check()
