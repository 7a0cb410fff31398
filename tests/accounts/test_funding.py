"""Funding: premium, rate and payments, worked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from accounts.funding import Funding, impact_ticks
from tests.accounts.small_exchange import rules_with
from tests.accounts.venue import Venue

SWAP = "BTC-USDT-SWAP"  # one lot is 0.0001 BTC; at 100,000 that is 10 USDT, one tick 0.1
INVERSE = "BTC-USD-SWAP"  # one lot is 100 USD


def quoted(instrument: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Venue:
    """A venue at an index of 100,000 with a book of (size in contracts, price)."""
    venue = Venue([instrument])
    maker = venue.account("maker", USDT="10000000", BTC="100")
    for size, price in bids:
        venue.rests(maker, instrument, size, price)
    for size, price in asks:
        venue.rests(maker, instrument, f"-{size}", price)
    return venue


def sampled(venue: Venue, **entries: object) -> Funding:
    venue.house.rules = rules_with(funding=entries)
    funding = Funding(venue.house)
    funding.sample()
    return funding


def test_impact_price_is_the_average_of_what_the_notional_takes() -> None:
    # 20,000 USDT at the index are 2,000 lots = 20 contracts: 15 at 100,100 and 5 at 100,050
    venue = quoted(SWAP, [("15", "100100"), ("50", "100050")], [("100", "100300")])
    funding = sampled(venue)
    book = venue.house.listings[SWAP].engine.book
    assert impact_ticks(book.bids, 2000) == Fraction(1500 * 1001000 + 500 * 1000500, 2000)
    # impact bid 100,087.5 is 87.5 above the index, impact ask 300 above: premium 87.5 / 100,000
    assert list(funding.premiums_e8[0]) == [87_500]


def test_premium_is_negative_where_the_asks_are_below_the_index() -> None:
    venue = quoted(SWAP, [("50", "99000")], [("50", "99900")])
    assert list(sampled(venue).premiums_e8[0]) == [-100_000]  # (0 - 100) / 100,000


def test_no_premium_where_the_index_lies_between_the_impact_prices() -> None:
    venue = quoted(SWAP, [("50", "99900")], [("50", "100500")])
    assert list(sampled(venue).premiums_e8[0]) == [0]
    # the mid is 100,200: the older rule sees 0.2 %
    assert list(sampled(venue, premium="mid").premiums_e8[0]) == [200_000]


def test_a_thin_side_counts_with_all_it_has_and_an_empty_one_not_at_all() -> None:
    venue = quoted(SWAP, [("1", "100100")], [("50", "100300")])
    assert list(sampled(venue).premiums_e8[0]) == [100_000]
    assert list(sampled(quoted(SWAP, [("1", "100100")], [])).premiums_e8[0]) == []


def test_inverse_contracts_count_their_face() -> None:
    # 20,000 USD are 200 contracts of 100 USD: 100 at 100,200 and 100 at 100,100
    venue = quoted(INVERSE, [("100", "100200"), ("500", "100100")], [("500", "100400")])
    assert list(sampled(venue).premiums_e8[0]) == [150_000]


@pytest.mark.parametrize(
    ("formula", "average_e8", "rate_e8"),
    [
        # interest 0.01 %, clamp 0.05 %, cap 0.375 %
        ("with_rate", 0, 10_000),  # 0 + clamp(0.01 - 0) = 0.01 %
        ("with_rate", 40_000, 10_000),  # 0.04 + clamp(-0.03) = 0.01 %
        ("with_rate", 100_000, 50_000),  # 0.1 + clamp(-0.09 -> -0.05) = 0.05 %
        ("with_rate", -100_000, -50_000),  # -0.1 + clamp(0.11 -> 0.05) = -0.05 %
        ("with_rate", 900_000, 375_000),  # capped
        ("no_rate", 100_000, 100_000),
        ("no_rate", -900_000, -375_000),
    ],
)
def test_rate_of_both_formulas(formula: str, average_e8: int, rate_e8: int) -> None:
    venue = Venue([SWAP])
    venue.house.rules = rules_with(funding={"formula": formula})
    funding = Funding(venue.house)
    funding.premiums_e8[0].extend([average_e8 - 10, average_e8 + 10])
    assert funding.rate_e8(venue.house.by_number[0]) == rate_e8


def test_the_window_is_the_last_interval() -> None:
    """G9: with eight hours the last 480 minutes count, whenever the last settlement was."""
    funding = Funding(Venue([SWAP]).house)
    funding.premiums_e8[0].extend([999_999] * 20 + [0] * 480)
    assert len(funding.premiums_e8[0]) == 480
    assert sum(funding.premiums_e8[0]) == 0


def test_longs_pay_shorts_and_nothing_is_lost() -> None:
    venue = Venue([SWAP])
    house = venue.house
    long = venue.account("long", USDT="100000")
    shorts = [venue.account(f"short{n}", USDT="100000") for n in range(3)]
    for short in shorts:
        venue.trade(long, short, SWAP, "0.07", "100000")
    before = {a.name: venue.cash(a, "USDT") for a in (long, *shorts)}
    funding = Funding(house)
    funding.premiums_e8[0].append(
        60_003
    )  # 0.060003 % + clamp(0.01 - 0.060003 -> -0.05) = 0.010003 %
    funding.settle(venue.now_ns)
    mark = int(house.market.mark_ticks[0])
    assert mark == 1_000_000
    # 21 lots of 10 USDT: 210 USDT x 0.010003 % = 0.0210063 USDT; each short 0.0070021
    assert venue.cash(long, "USDT") - before["long"] == -2_100_630
    for short in shorts:
        assert venue.cash(short, "USDT") - before[short.name] == 700_210
    assert house.ledger.conservation_error()["USDT"] == 0
    rounding = house.ledger.find("rounding", "USDT")
    assert rounding is not None and house.ledger.balances[rounding] == 0
    payment = venue.events[-1]
    assert (payment.rate_e8, payment.long_lots, payment.paid_atoms) == (10_003, 21, 2_100_630)
