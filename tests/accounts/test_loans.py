"""Borrowing, repayment, interest and funding, to the atom."""

from accounts.funding import Funding
from accounts.interest import charge_interest
from exchange.events import OrderRejected, RejectReason
from tests.accounts.venue import E8, Venue

SWAP = "BTC-USDT-SWAP"


def test_selling_a_coin_that_one_does_not_own() -> None:
    venue = Venue(["DASH-USDT"])
    venue.lend(DASH="1000")
    seller, buyer = venue.account("seller", USDT="1000"), venue.account("buyer", USDT="1000")
    venue.trade(buyer, seller, "DASH-USDT", "10", "40")
    assert venue.cash(seller, "DASH") == -10 * E8
    assert venue.cash(seller, "USDT") == 1_400 * E8 - 32_000_000  # maker fee 0.08 % of 400
    assert venue.house.balance(seller, "DASH").liability_atoms == 10 * E8
    assert venue.house.loans.available(venue.house.market.currency_number["DASH"]) == 990 * E8
    # 0.02 % a day on 10 DASH, in full since auto-borrow is on: 10 x 0.0002 / 24
    assert charge_interest(venue.now_ns, venue.house) == 1
    assert venue.cash(seller, "DASH") == -10 * E8 - 8_333
    assert venue.house.ledger.total("interest") == {"DASH": 8_333}
    # buying them back repays first, interest too
    venue.marks(DASH="30")
    venue.trade(seller, buyer, "DASH-USDT", "10", "30")
    assert venue.cash(seller, "DASH") == -8_333
    venue.house.deposit(venue.now_ns, seller, "DASH", 10_000)
    assert venue.cash(seller, "DASH") == 1_667
    assert venue.house.balance(seller, "DASH").liability_atoms == 0
    venue.check()


def test_an_empty_pool_refuses_what_would_borrow() -> None:
    venue = Venue(["DASH-USDT"])
    venue.lend(DASH="5")
    seller = venue.account("seller", USDT="1000")
    events = venue.send(seller, "DASH-USDT", "-10", "40")
    assert isinstance(events[0], OrderRejected)
    assert events[0].reason is RejectReason.LENDING_POOL_EMPTY
    venue.rests(seller, "DASH-USDT", "-5", "40")
    venue.check()


def test_what_a_pool_has_lent_counts_at_once() -> None:
    """Two accounts cannot both borrow the last coins between two marks."""
    venue = Venue(["DASH-USDT"])
    venue.lend(DASH="5")
    first, second = venue.account("first", USDT="1000"), venue.account("second", USDT="1000")
    buyer = venue.account("buyer", USDT="1000")
    venue.trade(buyer, first, "DASH-USDT", "5", "40")
    events = venue.send(second, "DASH-USDT", "-5", "40")
    assert isinstance(events[0], OrderRejected)
    assert events[0].reason is RejectReason.LENDING_POOL_EMPTY
    venue.check()


def test_auto_borrow_off_sells_only_what_is_there() -> None:
    venue = Venue(["BTC-USDT", SWAP])
    venue.lend(BTC="100", USDT="1000000")
    careful = venue.account("careful", auto_borrow=False, BTC="1", USDT="1000")
    events = venue.send(careful, "BTC-USDT", "-1.000001", "100000")
    assert isinstance(events[0], OrderRejected)
    assert events[0].reason is RejectReason.INSUFFICIENT_BALANCE
    order = venue.rests(careful, "BTC-USDT", "-1", "100000")
    # the same coin cannot be offered twice
    assert isinstance(venue.send(careful, "BTC-USDT", "-0.1", "100000")[0], OrderRejected)
    venue.house.cancel(venue.now_ns, careful.number, order)
    # 0.01 BTC at 99,000 costs 990, and 0.99 of fee: 990.99 of 1,000 USDT; with 1 % more it is short
    venue.rests(careful, "BTC-USDT", "0.01", "99000")
    venue.house.cancel_all(venue.now_ns, careful.number)
    assert isinstance(venue.send(careful, "BTC-USDT", "0.0101", "99000")[0], OrderRejected)
    venue.check()


def test_realised_losses_are_lent_and_repaid() -> None:
    venue = Venue([SWAP])
    venue.lend(USDT="1000000")
    loser, winner = venue.account("loser", BTC="1"), venue.account("winner", USDT="100000")
    venue.trade(loser, winner, SWAP, "10", "100000")  # 10,000 USDT, taker fee 5
    assert venue.cash(loser, "USDT") == -5 * E8
    venue.marks(BTC="90000")
    venue.trade(winner, loser, SWAP, "10", "90000")  # maker fee 0.02 % of 9,000
    assert venue.cash(loser, "USDT") == -5 * E8 - 1_000 * E8 - 180_000_000
    # 1,006.8 USDT at 0.03 % a day, no free limit for what a negative balance owes
    charge_interest(venue.now_ns, venue.house)
    assert venue.cash(loser, "USDT") == -100_680_000_000 - 1_258_500
    venue.check()


def test_funding_sums_to_zero() -> None:
    venue = Venue([SWAP])
    long, short = venue.account("long", USDT="10000"), venue.account("short", USDT="10000")
    venue.trade(long, short, SWAP, "1", "100000")
    before = venue.cash(long, "USDT"), venue.cash(short, "USDT")
    funding = Funding(venue.house)
    rate = funding.rate_e8(venue.house.listings[SWAP])
    assert rate == 10_000  # no premium was sampled: interest of 0.01 %
    funding.settle(venue.now_ns)
    assert venue.cash(long, "USDT") == before[0] - 10_000_000  # 0.1 USDT of 1,000
    assert venue.cash(short, "USDT") == before[1] + 10_000_000
    venue.check()
