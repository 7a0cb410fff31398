"""Delivery and exercise at 08:00 UTC, by hand-computed integers."""

from accounts.expiry import Expiry, TimeWeightedIndex
from exchange.events import CancelReason, OrderCancelled, OrderRejected, RejectReason
from exchange.instrument import parse_instrument
from tests.accounts.venue import E8, Venue

LINEAR, INVERSE = "BTC-USDT-250328", "BTC-USD-250328"
CALL, PUT = "BTC-USD-250328-100000-C", "BTC-USD-250328-100000-P"
MINUTE_NS = 60 * 10**9


def _expire(venue: Venue, expiry: Expiry, expiry_ns: int, *prices: str) -> list:
    """Let the last hour pass at the given prices, each for the same time; the deliveries."""
    deliveries: list = []
    step = 60 * MINUTE_NS // len(prices)
    for number, price in enumerate(prices):
        venue.now_ns = expiry_ns - 60 * MINUTE_NS + number * step
        venue.marks(BTC=price)
        deliveries += expiry.check(venue.now_ns)
    venue.now_ns = expiry_ns
    venue.marks(BTC="1")  # the index of the moment itself no longer counts
    return deliveries + expiry.check(venue.now_ns)


def _expiry_ns(instrument_id: str) -> int:
    expiry_ns = parse_instrument(instrument_id).expiry_ns
    assert expiry_ns is not None
    return expiry_ns


def test_linear_future_is_delivered_at_the_mean_index() -> None:
    venue = Venue([LINEAR])
    long, short = venue.account("long", USDT="10000"), venue.account("short", USDT="10000")
    expiry = Expiry(venue.house)
    venue.trade(long, short, LINEAR, "1", "100000")  # 0.01 BTC
    venue.rests(long, LINEAR, "1", "99000")
    (delivery,) = _expire(venue, expiry, _expiry_ns(LINEAR), "100000", "104000", "102000", "110000")
    assert (delivery.price_e8, delivery.long_lots) == (104_000 * E8, 100)
    assert delivery.paid_atoms == 1_040 * E8
    # profit 40 USDT; fees: taker 0.5, maker 0.2, delivery 0.01 % of 1,040 = 0.104 each
    assert venue.cash(long, "USDT") == 10_040 * E8 - 50_000_000 - 10_400_000
    assert venue.cash(short, "USDT") == 9_960 * E8 - 20_000_000 - 10_400_000
    assert venue.position(long, LINEAR) == venue.position(short, LINEAR) == (0, 0)
    cancelled = [e for e in venue.events if isinstance(e, OrderCancelled)]
    assert [e.reason for e in cancelled] == [CancelReason.DELIVERY]
    assert not long.orders
    event = venue.send(long, LINEAR, "1", "100000")[0]
    assert isinstance(event, OrderRejected) and event.reason is RejectReason.INSTRUMENT_EXPIRED
    assert expiry.check(venue.now_ns + 1) == []
    venue.check()


def test_inverse_future_is_delivered_in_coins() -> None:
    venue = Venue([INVERSE])
    long, short = venue.account("long", BTC="1"), venue.account("short", BTC="1")
    expiry = Expiry(venue.house)
    venue.trade(long, short, INVERSE, "10", "100000")  # 1,000 USD = 0.01 BTC
    (delivery,) = _expire(venue, expiry, _expiry_ns(INVERSE), "120000", "130000")
    assert delivery.price_e8 == 125_000 * E8
    # 1,000 / 125,000 = 0.008 BTC: 0.002 gained; delivery fee 0.01 % of 0.008 = 80 satoshi
    assert venue.cash(long, "BTC") == E8 + 200_000 - 500 - 80
    assert venue.cash(short, "BTC") == E8 - 200_000 - 200 - 80
    venue.check()


def test_what_rounding_leaves_belongs_to_nobody() -> None:
    venue = Venue([INVERSE])
    expiry = Expiry(venue.house)
    short = venue.account("short", BTC="1")
    longs = [venue.account(f"long/{n}", BTC="1") for n in range(3)]
    for long in longs:
        venue.trade(long, short, INVERSE, "1", "100000")
    _expire(venue, expiry, _expiry_ns(INVERSE), "90000")
    # 100 / 90,000 BTC = 111,111.11 satoshi each, 333,333.33 for the three
    assert venue.house.ledger.total("rounding") == {"BTC": 0}
    assert venue.house.ledger.total("settlement") == {"BTC": 0}
    assert venue.cash(longs[0], "BTC") == E8 - 50 - 11_111 - 11
    venue.check()


def test_options_are_exercised_by_themselves() -> None:
    venue = Venue([CALL, PUT], volatility=0.4)
    holder, writer = venue.account("holder", BTC="1"), venue.account("writer", BTC="2")
    expiry = Expiry(venue.house)
    venue.trade(holder, writer, CALL, "10", "0.05")  # 0.1 BTC, premium 500,000 satoshi
    venue.trade(holder, writer, PUT, "10", "0.05")
    before = venue.cash(holder, "BTC"), venue.cash(writer, "BTC")
    calls, puts = _expire(venue, expiry, _expiry_ns(CALL), "90000", "90000", "125000", "125000")
    # only the last half hour counts: 125,000. Call: 0.1 x 25,000 / 125,000 = 0.02 BTC;
    # exercise fee 0.02 % of 0.1 BTC = 2,000 satoshi from each side; the put ends worthless
    assert (calls.price_e8, calls.paid_atoms, calls.fee_atoms) == (125_000 * E8, 2_000_000, 4_000)
    assert (puts.paid_atoms, puts.fee_atoms) == (0, 0)
    assert venue.cash(holder, "BTC") == before[0] + 2_000_000 - 2_000
    assert venue.cash(writer, "BTC") == before[1] - 2_000_000 - 2_000
    assert venue.position(holder, CALL) == venue.position(writer, PUT) == (0, 0)
    position = venue.house.position(holder, venue.house.listings[CALL])
    assert position.realised_atoms == 2_000_000 - 500_000
    venue.check()


def test_a_small_payoff_caps_the_exercise_fee() -> None:
    venue = Venue([CALL], volatility=0.4)
    holder, writer = venue.account("holder", BTC="1"), venue.account("writer", BTC="2")
    expiry = Expiry(venue.house)
    venue.trade(holder, writer, CALL, "10", "0.05")
    before = venue.cash(holder, "BTC")
    (delivery,) = _expire(venue, expiry, _expiry_ns(CALL), "100010")
    # 0.1 x 10 / 100,010 BTC = 999.9 satoshi, of which 12.5 % is 124.99
    assert venue.cash(holder, "BTC") == before + 1_000 - 125
    assert delivery.fee_atoms == 250
    venue.check()


def test_an_option_that_a_writer_cannot_pay_leaves_a_debt() -> None:
    venue = Venue([CALL], volatility=0.4)
    venue.lend(BTC="10")
    holder, writer = venue.account("holder", BTC="1"), venue.account("writer", USDT="20000")
    expiry = Expiry(venue.house)
    venue.trade(holder, writer, CALL, "10", "0.05")
    _expire(venue, expiry, _expiry_ns(CALL), "125000")
    assert venue.cash(writer, "BTC") == 500_000 - 2_000 - 2_000_000 - 2_000
    assert venue.house.balance(writer, "BTC").liability_atoms == 1_504_000
    venue.check()


def test_time_weighted_index_counts_each_price_until_the_next() -> None:
    average = TimeWeightedIndex(100, 200)
    average.add(50, 7)  # before the window: holds into it
    average.add(125, 11)
    average.add(150, 13)
    average.add(260, 99)  # after it: the last price held to the end
    assert average.price_e8() == round((25 * 7 + 25 * 11 + 50 * 13) / 100)
    alone = TimeWeightedIndex(100, 200)
    alone.add(200, 5)
    assert alone.price_e8() == 5
