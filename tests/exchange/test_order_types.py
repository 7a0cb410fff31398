"""Every order type of spec 9.1, against an empty, a thin and a deep book."""

import pytest

from exchange.events import CancelReason, RejectReason
from exchange.order import OrderType, StpMode
from tests.exchange.venue import TestVenue

OPTION = "BTC-USD-250328-100000-C"
FOK, IOC, POST_ONLY = OrderType.FOK, OrderType.IOC, OrderType.POST_ONLY
SWEEPING = [OrderType.MARKET, OrderType.OPTIMAL_LIMIT_IOC]


@pytest.fixture
def venue() -> TestVenue:
    """Asks: order 1 has 5 lots at 101, order 2 has 3 at 101, order 3 has 4 at 103. Bid: 4, 2 at 99.

    Sellers are owner 2, the buyer is owner 1; takers of the tests are owner 9.
    """
    venue = TestVenue()
    venue.sell(5, 101)
    venue.sell(3, 101)
    venue.sell(4, 103)
    venue.buy(2, 99)
    return venue


def test_limit_rests_when_it_does_not_cross(venue: TestVenue) -> None:
    assert venue.buy(7, 100, owner=9) == [("accepted", 5)]
    assert venue.book.best_bid() == 100
    assert venue.book.depth(1, 5) == [(100, 7), (99, 2)]


def test_limit_trades_at_the_makers_price_in_time_order_and_rests_the_remainder(
    venue: TestVenue,
) -> None:
    assert venue.buy(10, 102, owner=9) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 5),
        ("fill", 2, 5, 101, 3),
    ]
    assert venue.resting() == [(5, 2), (4, 2), (3, 4)]
    assert venue.book.best_bid() == 102


def test_limit_at_the_touch_trades(venue: TestVenue) -> None:
    assert venue.sell(1, 99, owner=9) == [("accepted", 5), ("fill", 4, 5, 99, 1)]
    assert venue.resting()[0] == (4, 1)


def test_partly_filled_maker_keeps_its_place(venue: TestVenue) -> None:
    venue.buy(2, 101, owner=9)
    assert venue.buy(4, 101, owner=9) == [
        ("accepted", 6),
        ("fill", 1, 6, 101, 3),
        ("fill", 2, 6, 101, 1),
    ]


@pytest.mark.parametrize("order_type", SWEEPING)
def test_market_without_protection_sweeps_every_level_and_cancels_the_rest(
    venue: TestVenue, order_type: OrderType
) -> None:
    assert venue.buy(20, None, order_type, owner=9) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 5),
        ("fill", 2, 5, 101, 3),
        ("fill", 3, 5, 103, 4),
        ("cancelled", 5, 8, CancelReason.IOC),
    ]
    assert venue.book.best_ask() is None


@pytest.mark.parametrize("order_type", SWEEPING)
def test_market_stops_at_its_protective_limit(venue: TestVenue, order_type: OrderType) -> None:
    events = venue.buy(20, 102, order_type, owner=9)
    assert events[-1] == ("cancelled", 5, 12, CancelReason.PRICE_LIMIT)
    assert venue.book.best_ask() == 103


def test_market_sell_without_protection(venue: TestVenue) -> None:
    assert venue.sell(2, None, OrderType.MARKET, owner=9) == [
        ("accepted", 5),
        ("fill", 4, 5, 99, 2),
    ]


@pytest.mark.parametrize("order_type", [*SWEEPING, IOC])
def test_taker_in_an_empty_book_is_cancelled_without_being_accepted(order_type: OrderType) -> None:
    assert TestVenue().sell(3, 10, order_type) == [("cancelled", 1, 3, CancelReason.IOC)]


def test_ioc_fills_what_it_can_and_cancels_the_rest(venue: TestVenue) -> None:
    assert venue.buy(9, 101, IOC, owner=9) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 5),
        ("fill", 2, 5, 101, 3),
        ("cancelled", 5, 1, CancelReason.IOC),
    ]


@pytest.mark.parametrize(("lots", "price"), [(8, 101), (12, 103), (1, 200)])
def test_fok_fills_when_exactly_enough_is_in_reach(venue: TestVenue, lots: int, price: int) -> None:
    events = venue.buy(lots, price, FOK, owner=9)
    assert events[0] == ("accepted", 5)
    assert sum(int(event[4]) for event in events[1:]) == lots


@pytest.mark.parametrize(("lots", "price"), [(9, 101), (9, 102), (13, 103), (1, 100)])
def test_fok_one_lot_short_does_nothing(venue: TestVenue, lots: int, price: int) -> None:
    before = venue.resting()
    assert venue.buy(lots, price, FOK, owner=9) == [("cancelled", 5, lots, CancelReason.FOK)]
    assert venue.resting() == before


def test_fok_sell_side(venue: TestVenue) -> None:
    assert venue.sell(3, 99, FOK, owner=9) == [("cancelled", 5, 3, CancelReason.FOK)]
    assert venue.sell(2, 99, FOK, owner=9) == [("accepted", 6), ("fill", 4, 6, 99, 2)]


def test_post_only_rests_or_is_cancelled(venue: TestVenue) -> None:
    assert venue.buy(1, 100, POST_ONLY, owner=9) == [("accepted", 5)]
    before = venue.resting()
    assert venue.buy(1, 101, POST_ONLY, owner=9) == [("cancelled", 6, 1, CancelReason.POST_ONLY)]
    assert venue.sell(1, 100, POST_ONLY, owner=9) == [("cancelled", 7, 1, CancelReason.POST_ONLY)]
    assert venue.resting() == before


def test_mmp_types_behave_like_limit_and_post_only() -> None:
    venue = TestVenue(OPTION)
    assert venue.sell(5, 40, OrderType.MMP) == [("accepted", 1)]
    assert venue.buy(2, 40, OrderType.MMP_AND_POST_ONLY) == [
        ("cancelled", 2, 2, CancelReason.POST_ONLY)
    ]
    assert venue.buy(7, 40, OrderType.MMP) == [("accepted", 3), ("fill", 1, 3, 40, 5)]
    assert venue.buy(2, 39, OrderType.MMP_AND_POST_ONLY) == [("accepted", 4)]
    assert venue.resting() == [(3, 2), (4, 2)]


@pytest.mark.parametrize(
    ("instrument_id", "order_type", "size", "price", "reason"),
    [
        ("BTC-USDT-SWAP", OrderType.LIMIT, 0, 100, RejectReason.BAD_SIZE),
        ("BTC-USDT-SWAP", OrderType.MARKET, -1, None, RejectReason.BAD_SIZE),
        ("BTC-USDT-SWAP", OrderType.LIMIT, 1, None, RejectReason.BAD_PRICE),
        ("BTC-USDT-SWAP", OrderType.IOC, 1, 0, RejectReason.BAD_PRICE),
        ("BTC-USDT-SWAP", OrderType.FOK, 1, -5, RejectReason.BAD_PRICE),
        ("BTC-USDT-SWAP", OrderType.MMP, 1, 100, RejectReason.BAD_ORDER_TYPE),
        ("BTC-USDT-SWAP", OrderType.MMP_AND_POST_ONLY, 1, 100, RejectReason.BAD_ORDER_TYPE),
        ("BTC-USDT", OrderType.OPTIMAL_LIMIT_IOC, 1, None, RejectReason.BAD_ORDER_TYPE),
        (OPTION, OrderType.OPTIMAL_LIMIT_IOC, 1, None, RejectReason.BAD_ORDER_TYPE),
        (OPTION, OrderType.MARKET, 1, None, RejectReason.BAD_ORDER_TYPE),
        (OPTION, OrderType.LIMIT, 1, 51, RejectReason.BAD_TICK),
        (OPTION, OrderType.POST_ONLY, 1, 104, RejectReason.BAD_TICK),
    ],
)
def test_requests_that_the_instrument_refuses(
    instrument_id: str,
    order_type: OrderType,
    size: int,
    price: int | None,
    reason: RejectReason,
) -> None:
    venue = TestVenue(instrument_id)
    assert venue.buy(size, price, order_type) == [("rejected", reason.name)]
    assert venue.sell(1, 40) == [("accepted", 1)], "a refused request uses no order id"


@pytest.mark.parametrize("price", [1, 49, 50, 55, 100])
def test_option_prices_on_the_grid_are_accepted(price: int) -> None:
    assert TestVenue(OPTION).buy(1, price) == [("accepted", 1)]


@pytest.mark.parametrize(
    "instrument_id", ["BTC-USDT-SWAP", "BTC-USDT-250328", "BTC-USD-SWAP", "BTC-USD-250328"]
)
def test_optimal_limit_ioc_is_offered_for_perpetuals_and_futures(instrument_id: str) -> None:
    venue = TestVenue(instrument_id)
    assert venue.buy(1, None, OrderType.OPTIMAL_LIMIT_IOC)[0][0] == "cancelled"


def test_fok_does_not_know_cancel_both(venue: TestVenue) -> None:
    events = venue.buy(1, 101, FOK, owner=9, stp_mode=StpMode.CANCEL_BOTH)
    assert events == [("rejected", RejectReason.BAD_STP_MODE.name)]
