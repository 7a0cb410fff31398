"""Orders at the door: what is refused, amended, cancelled; nothing is ever half-applied."""

import pytest

from exchange.events import CancelReason, OrderAmended, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from tests.accounts.venue import E8, Venue

SWAP = "BTC-USDT-SWAP"


def _refusal(events: list) -> RejectReason:
    (event,) = events
    assert isinstance(event, OrderRejected), event
    reason: RejectReason = event.reason
    return reason


def test_margin_refusal_says_what_is_missing_and_changes_nothing() -> None:
    venue = Venue([SWAP])
    trader = venue.account("trader", USDT="1000")
    # 1 contract needs 1.3 x (12 % + 0.2 %) of 1,000 = 158.6 USDT, and 0.5 of fee
    venue.rests(trader, SWAP, "6", "100000")
    before = venue.house.exposures.figures(trader.number).tolist()
    events = venue.send(trader, SWAP, "1", "100000")
    assert _refusal(events) is RejectReason.INSUFFICIENT_MARGIN
    assert "initial margin 1110.20 USD" in events[0].detail
    assert "adjusted equity 996.50" in events[0].detail
    assert venue.house.exposures.figures(trader.number).tolist() == before
    assert venue.events[-1] is events[0]
    venue.check()


def test_an_order_that_lowers_risk_needs_no_margin() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="1000"), venue.account("other", USDT="100000")
    venue.trade(trader, other, SWAP, "6", "100000")
    venue.marks(BTC="92000")
    figures = venue.house.exposures.figures(trader.number).tolist()
    assert figures[t.T_ADJUSTED] < figures[t.T_IMR]
    venue.rests(other, SWAP, "2", "91000")
    # a resting sell is refused while equity is below initial margin, an IOC is accepted
    assert _refusal(venue.send(trader, SWAP, "1", "92000")) is RejectReason.ONLY_RISK_REDUCING_IOC
    events = venue.send(trader, SWAP, "-2", "91000", OrderType.IOC)
    assert not isinstance(events[0], OrderRejected)
    assert venue.position(trader, SWAP)[0] == 400
    venue.check()


@pytest.mark.parametrize(
    ("size", "price", "reason"),
    [
        (None, 0, RejectReason.AMEND_INSUFFICIENT_MARGIN),
        (None, "low", RejectReason.AMEND_POST_ONLY),
        (0, None, RejectReason.BAD_SIZE),
        (100, None, RejectReason.AMEND_EMPTY),
    ],
)
def test_a_refused_amend_leaves_the_order(
    size: int | None, price: object, reason: RejectReason
) -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="1000"), venue.account("other", USDT="100000")
    venue.rests(other, SWAP, "-1", "100500")
    events = venue.send(trader, SWAP, "1", "99000", OrderType.POST_ONLY)
    order = events[0].order
    before = venue.house.exposures.figures(trader.number).tolist()
    new_price = venue.house.listings[SWAP].instrument.price_ticks("100500") if price else None
    new_size = 10_000 if reason is RejectReason.AMEND_INSUFFICIENT_MARGIN else size
    events = venue.house.amend(venue.now_ns, trader.number, order.order_id, new_size, new_price)
    assert _refusal(events) is reason
    assert (order.price_ticks, order.remaining_lots) == (990_000, 100)
    assert venue.house.exposures.figures(trader.number).tolist() == before
    venue.check()


def test_amend_to_what_is_filled_cancels_the_rest() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="1000"), venue.account("other", USDT="100000")
    order_id = venue.rests(trader, SWAP, "1", "99000")
    venue.rests(other, SWAP, "-0.4", "99000")
    events = venue.house.amend(venue.now_ns, trader.number, order_id, 40)
    assert [type(e) for e in events] == [OrderCancelled]
    assert not trader.orders
    assert venue.position(trader, SWAP)[0] == 40
    venue.check()


def test_amend_through_the_book_trades() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="1000"), venue.account("other", USDT="100000")
    venue.rests(other, SWAP, "-0.4", "100100")
    order_id = venue.rests(trader, SWAP, "1", "99000")
    ticks = venue.house.listings[SWAP].instrument.price_ticks("100100")
    events = venue.house.amend(venue.now_ns, trader.number, order_id, None, ticks)
    assert isinstance(events[0], OrderAmended)
    assert venue.position(trader, SWAP)[0] == 40
    assert trader.orders[order_id].remaining_lots == 60
    venue.check()


def test_position_limit_counts_open_orders_of_the_side() -> None:
    venue = Venue([SWAP], overrides={"position_limit_lots": 150})
    trader = venue.account("trader", USDT="1000")
    venue.rests(trader, SWAP, "1", "99000")
    assert _refusal(venue.send(trader, SWAP, "0.51", "99000")) is RejectReason.POSITION_LIMIT
    venue.rests(trader, SWAP, "0.5", "99000")
    venue.rests(trader, SWAP, "-1.5", "101000")
    assert _refusal(venue.send(trader, SWAP, "-0.01", "101000")) is RejectReason.POSITION_LIMIT
    venue.check()


def test_price_limits_unknown_instruments_and_old_marks() -> None:
    venue = Venue([SWAP])
    trader = venue.account("trader", USDT="1000")
    assert _refusal(venue.send(trader, SWAP, "1", "110000")) is RejectReason.PRICE_LIMIT_BUY
    assert _refusal(venue.send(trader, SWAP, "-1", "90000")) is RejectReason.PRICE_LIMIT_SELL
    request = OrderRequest("XYZ-USDT-SWAP", Side.BUY, OrderType.LIMIT, 1, 1)
    events = venue.house.submit(venue.now_ns, trader.number, request)
    assert _refusal(events) is RejectReason.UNKNOWN_INSTRUMENT
    venue.now_ns += 3600 * 10**9
    assert _refusal(venue.send(trader, SWAP, "1", "99000")) is RejectReason.INSTRUMENT_SUSPENDED
    venue.check()


def test_huge_numbers_are_refused_not_overflowed() -> None:
    venue = Venue([SWAP])
    trader = venue.account("trader", USDT="1000")
    for size, ticks in ((10**30, 990_000), (1, 10**30), (2**33 + 1, 990_000)):
        request = OrderRequest(SWAP, Side.SELL, OrderType.LIMIT, size, ticks)
        assert isinstance(venue.house.submit(venue.now_ns, 0, request)[0], OrderRejected)
    assert not trader.orders
    venue.check()


def test_market_order_takes_the_price_limit() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="10000"), venue.account("other", USDT="100000")
    venue.rests(other, SWAP, "-1", "101000")
    events = venue.send(trader, SWAP, "2", None, OrderType.MARKET)
    assert isinstance(events[-1], OrderCancelled)
    assert (events[-1].remaining_lots, events[-1].reason) == (100, CancelReason.IOC)
    assert venue.position(trader, SWAP) == (100, -1_010 * E8)
    venue.check()


def test_cancel_all_in_one_instrument() -> None:
    venue = Venue([SWAP, "BTC-USDT"])
    trader = venue.account("trader", USDT="100000")
    venue.rests(trader, SWAP, "1", "99000")
    kept = venue.rests(trader, "BTC-USDT", "0.1", "99000")
    events = venue.house.cancel_all(venue.now_ns, trader.number, SWAP)
    assert [e.reason for e in events] == [CancelReason.USER]
    assert list(trader.orders) == [kept]
    assert venue.house.cancel(venue.now_ns, trader.number, 12345) == []
    venue.check()
