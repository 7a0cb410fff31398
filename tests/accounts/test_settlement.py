"""Fills booked to the atom: every number below is computed by hand.

BTC-USDT-SWAP: 1 contract = 0.01 BTC, so 1,000 USDT at 100,000. Fees: maker 0.02 %, taker 0.05 %;
options 0.02 / 0.03 % of the coins, at most 12.5 % of the premium; spot 0.08 / 0.10 %.
"""

import pytest

from accounts.ledger import Ledger
from tests.accounts.venue import E8, Venue

SWAP, INVERSE, OPTION = "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-250328-100000-C"


def test_linear_open_close_in_part_and_flip() -> None:
    venue = Venue([SWAP])
    maker, taker = venue.account("maker", USDT="10000"), venue.account("taker", USDT="10000")
    venue.trade(taker, maker, SWAP, "1", "100000")
    assert venue.position(taker, SWAP) == (100, -1_000 * E8)
    assert venue.position(maker, SWAP) == (-100, 1_000 * E8)
    assert venue.cash(taker, "USDT") == 10_000 * E8 - 50_000_000  # 0.5 USDT
    assert venue.cash(maker, "USDT") == 10_000 * E8 - 20_000_000
    # half of it closes 1 % higher: 5 USDT of profit, fee 0.05 % of 505
    venue.marks(BTC="101000")
    venue.trade(maker, taker, SWAP, "0.5", "101000")
    assert venue.position(taker, SWAP) == (50, -500 * E8)
    assert venue.cash(taker, "USDT") == 10_000 * E8 - 50_000_000 + 5 * E8 - 10_100_000
    # sell 150 at 99,000: 50 close with 5 USDT of loss, 100 open short at 990
    venue.marks(BTC="99000")
    venue.trade(maker, taker, SWAP, "1.5", "99000")
    assert venue.position(taker, SWAP) == (-100, 990 * E8)
    assert venue.cash(taker, "USDT") == 10_000 * E8 - 50_000_000 - 10_100_000 - 29_700_000
    # and back to nothing
    venue.trade(taker, maker, SWAP, "1", "99000")
    assert venue.position(taker, SWAP) == (0, 0)
    assert venue.position(maker, SWAP) == (0, 0)
    venue.check()


def test_linear_closing_in_thirds_leaves_no_residue() -> None:
    venue = Venue([SWAP])
    maker, taker = venue.account("maker", USDT="10000"), venue.account("taker", USDT="10000")
    venue.trade(taker, maker, SWAP, "0.03", "100000.1")
    assert venue.position(taker, SWAP) == (3, -3_000_003_000)
    for left in (2, 1, 0):
        venue.trade(maker, taker, SWAP, "0.01", "100000.1")
        assert venue.position(taker, SWAP) == (left, -1_000_001_000 * left)
    position = venue.house.position(taker, venue.house.listings[SWAP])
    assert position.realised_atoms == 0
    venue.check()


def test_inverse_profit_is_in_coins() -> None:
    venue = Venue([INVERSE])
    maker, taker = venue.account("maker", BTC="1"), venue.account("taker", BTC="1")
    venue.trade(taker, maker, INVERSE, "10", "100000")  # 1,000 USD = 0.01 BTC
    assert venue.position(taker, INVERSE) == (10, 1_000_000)
    assert venue.cash(taker, "BTC") == E8 - 500
    assert venue.cash(maker, "BTC") == E8 - 200
    venue.marks(BTC="80000")
    venue.trade(maker, taker, INVERSE, "10", "80000")  # 0.0125 BTC
    assert venue.position(taker, INVERSE) == (0, 0)
    assert venue.cash(taker, "BTC") == E8 - 500 - 250_000 - 250  # now the maker
    assert venue.cash(maker, "BTC") == E8 - 200 + 250_000 - 625
    venue.check()


def test_coin_margined_hedge_held_through_a_halving() -> None:
    venue = Venue([INVERSE])
    hedger, other = venue.account("hedger", BTC="1"), venue.account("other", BTC="100")
    venue.trade(other, hedger, INVERSE, "1000", "100000")
    assert venue.cash(hedger, "BTC") == E8 - 20_000  # maker fee of 1 BTC's worth
    for price in ("75000", "50000"):
        venue.marks(BTC=price)
        equity = venue.house.exposures.figures(hedger.number)[5]
        assert abs(equity - (100_000 - 0.0002 * float(price))) < 0.01
    assert venue.house.exposures.figures(hedger.number)[4] > 3.0  # never even warned
    venue.check()


def test_option_premium_moves_cash_and_fee_is_capped() -> None:
    venue = Venue([OPTION], volatility=0.4)
    writer, buyer = venue.account("writer", BTC="2"), venue.account("buyer", BTC="1")
    venue.trade(buyer, writer, OPTION, "10", "0.05")  # 0.1 BTC of call at 0.05: 0.005 BTC
    assert venue.position(buyer, OPTION) == (10, 500_000)
    assert venue.cash(buyer, "BTC") == E8 - 500_000 - 3_000
    assert venue.cash(writer, "BTC") == 2 * E8 + 500_000 - 2_000
    venue.marks(BTC="50000")
    # at one tick the premium is 1,000 satoshi: both fees are capped at 125
    venue.trade(writer, buyer, OPTION, "10", "0.0001")
    assert venue.position(buyer, OPTION) == (0, 0)
    assert venue.cash(buyer, "BTC") == E8 - 503_000 + 1_000 - 125
    assert venue.cash(writer, "BTC") == 2 * E8 + 498_000 - 1_000 - 125
    position = venue.house.position(buyer, venue.house.listings[OPTION])
    assert position.realised_atoms == 1_000 - 500_000
    venue.check()


def test_spot_moves_both_currencies_and_fees_the_quote() -> None:
    venue = Venue(["BTC-USDT"])
    seller, buyer = venue.account("seller", BTC="1"), venue.account("buyer", USDT="100000")
    venue.trade(buyer, seller, "BTC-USDT", "0.5", "100000")
    assert venue.cash(buyer, "BTC") == E8 // 2
    assert venue.cash(buyer, "USDT") == 50_000 * E8 - 50 * E8
    assert venue.cash(seller, "BTC") == E8 // 2
    assert venue.cash(seller, "USDT") == 50_000 * E8 - 40 * E8
    assert venue.house.ledger.total("fees") == {"USDT": 90 * E8}
    venue.check()


def test_fills_split_or_whole_cost_the_same() -> None:
    whole, split = Venue([SWAP]), Venue([SWAP])
    for venue, sizes in ((whole, ["3"]), (split, ["1", "1", "1"])):
        maker = venue.account("maker", USDT="10000")
        taker = venue.account("taker", USDT="10000")
        for size in sizes:
            venue.rests(maker, SWAP, f"-{size}", "100000")
        venue.rests(taker, SWAP, "3", "100000")
        venue.check()
    for name in ("maker", "taker"):
        first, second = (
            next(a for a in venue.house.accounts if a.name == name) for venue in (whole, split)
        )
        assert whole.cash(first, "USDT") == split.cash(second, "USDT")
        assert whole.position(first, SWAP) == split.position(second, SWAP)


def test_a_booking_has_two_sides_and_never_crosses_currencies() -> None:
    ledger = Ledger()
    here, there = ledger.open("cash/a", "USDT"), ledger.open("cash/b", "USDT")
    assert ledger.open("cash/a", "USDT") == here
    ledger.deposit(1, here, 1_000)
    ledger.post(2, 3, here, there, 400, 7)
    ledger.post(3, 3, here, there, -100, 8)  # the other way
    ledger.post(4, 3, here, there, 0, 9)  # nothing
    assert (ledger.balances[here], ledger.balances[there]) == (700, 300)
    ledger.withdraw(5, there, 300)
    assert ledger.custody("USDT") == 700
    assert ledger.conservation_error() == {"USDT": 0}
    batch = ledger.flush()
    assert batch is not None and [row[4] for row in batch.rows] == [1_000, 400, 100, 300]
    assert ledger.flush() is None
    with pytest.raises(AssertionError, match="custody"):
        ledger.withdraw(6, here, 701)


def test_the_journal_holds_what_was_booked_since_the_last_flush() -> None:
    ledger, plain = Ledger(), Ledger(recording=False)
    rows = [(2**62 + n, 1 + n % 18, n % 7, 7 + n % 5, 1 + n * 10**15, -n) for n in range(3_000)]
    for one in (ledger, plain):
        for number in range(12):
            one.open(f"cash/{number}", "USDT")
    for start, end in ((0, 1), (1, 2_000), (2_000, 3_000)):
        for row in rows[start:end]:
            ledger.post(*row)
            plain.post(*row)
        assert ledger.unflushed == end - start
        batch = ledger.flush()
        assert batch is not None and [tuple(r) for r in batch.rows.tolist()] == rows[start:end]
        assert ledger.unflushed == 0
    assert ledger.balances == plain.balances and plain.flush() is None
    with pytest.raises(ValueError, match="too large"):
        ledger.post(1, 3, 0, 1, 2**63, 0)
    assert ledger.balances == plain.balances and ledger.unflushed == 0
    ledger.post(1, 3, 0, 1, 2**63 - 1, 0)  # the next booking stands as if nothing had been
    batch = ledger.flush()
    assert batch is not None and batch.rows.tolist() == [[1, 3, 0, 1, 2**63 - 1, 0]]
