"""Self-trade prevention, the mode of the taker: spec 9.2."""

import pytest

from exchange.events import CancelReason
from exchange.order import OrderType, StpMode
from tests.exchange.venue import TestVenue

STP = int(CancelReason.SELF_TRADE)
LIMIT, IOC, FOK, MARKET = OrderType.LIMIT, OrderType.IOC, OrderType.FOK, OrderType.MARKET
MAKER, TAKER, BOTH = StpMode.CANCEL_MAKER, StpMode.CANCEL_TAKER, StpMode.CANCEL_BOTH


@pytest.fixture
def venue() -> TestVenue:
    """Asks: 1 (owner 2) 3 lots, 2 (owner 1) 4 lots, 3 (owner 2) 5 lots at 101; 4 (owner 1) at 102.

    The takers are owner 1, so 2 and 4 are their own orders. Modes of makers must not matter:
    order 2 carries cancel-both.
    """
    venue = TestVenue()
    venue.sell(3, 101, owner=2)
    venue.sell(4, 101, owner=1, stp_mode=BOTH)
    venue.sell(5, 101, owner=2)
    venue.sell(6, 102, owner=1)
    return venue


def test_cancel_maker_removes_own_makers_and_goes_on(venue: TestVenue) -> None:
    assert venue.buy(6, 101, owner=1, stp_mode=MAKER) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 3),
        ("cancelled", 2, 4, STP),
        ("fill", 3, 5, 101, 3),
    ]
    assert venue.resting() == [(3, 2), (4, 6)]


def test_cancel_maker_rests_after_removing_the_last_makers(venue: TestVenue) -> None:
    events = venue.buy(10, 102, owner=1, stp_mode=MAKER)
    assert events[-1] == ("cancelled", 4, 6, STP)
    assert venue.resting() == [(5, 2)]
    assert venue.book.best_ask() is None


def test_a_filled_taker_leaves_own_makers_alone(venue: TestVenue) -> None:
    assert venue.buy(3, 101, owner=1) == [("accepted", 5), ("fill", 1, 5, 101, 3)]
    assert (2, 4) in venue.resting()


@pytest.mark.parametrize("order_type", [LIMIT, IOC, MARKET])
def test_cancel_taker_fills_better_orders_first(venue: TestVenue, order_type: OrderType) -> None:
    assert venue.buy(6, 101, order_type, owner=1, stp_mode=TAKER) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 3),
        ("cancelled", 5, 3, STP),
    ]
    assert venue.resting() == [(2, 4), (3, 5), (4, 6)]


def test_cancel_taker_that_meets_its_own_order_first_is_not_accepted() -> None:
    venue = TestVenue()
    venue.buy(2, 50, owner=7)
    assert venue.sell(5, 50, owner=7, stp_mode=TAKER) == [("cancelled", 2, 5, STP)]
    assert venue.resting() == [(1, 2)]


@pytest.mark.parametrize("order_type", [LIMIT, IOC, MARKET])
def test_cancel_both_removes_one_maker_and_the_taker(
    venue: TestVenue, order_type: OrderType
) -> None:
    assert venue.buy(20, 102, order_type, owner=1, stp_mode=BOTH) == [
        ("accepted", 5),
        ("fill", 1, 5, 101, 3),
        ("cancelled", 2, 4, STP),
        ("cancelled", 5, 17, STP),
    ]
    assert venue.resting() == [(3, 5), (4, 6)]


def test_ioc_that_only_removes_its_own_makers_was_never_accepted() -> None:
    venue = TestVenue()
    venue.sell(2, 101, owner=1)
    assert venue.buy(5, 101, IOC, owner=1) == [
        ("cancelled", 1, 2, STP),
        ("cancelled", 2, 5, int(CancelReason.IOC)),
    ]
    assert venue.resting() == []


def test_fok_cancel_maker_counts_only_the_volume_of_others(venue: TestVenue) -> None:
    assert venue.buy(9, 102, FOK, owner=1) == [("cancelled", 5, 9, int(CancelReason.FOK))]
    assert len(venue.book) == 4, "an unfilled fill-or-kill order removes no maker"
    assert venue.buy(8, 102, FOK, owner=1) == [
        ("accepted", 6),
        ("fill", 1, 6, 101, 3),
        ("cancelled", 2, 4, STP),
        ("fill", 3, 6, 101, 5),
    ]
    assert venue.resting() == [(4, 6)]


def test_fok_cancel_taker_that_would_self_trade_is_cancelled(venue: TestVenue) -> None:
    assert venue.buy(4, 101, FOK, owner=1, stp_mode=TAKER) == [("cancelled", 5, 4, STP)]
    assert len(venue.book) == 4
    assert venue.buy(3, 101, FOK, owner=1, stp_mode=TAKER)[0] == ("accepted", 6)


def test_post_only_meets_its_own_order_and_is_cancelled_as_post_only(venue: TestVenue) -> None:
    venue.buy(12, 101, owner=9)
    assert venue.book.depth(-1, 1) == [(102, 6)]
    assert venue.buy(1, 102, OrderType.POST_ONLY, owner=1) == [
        ("cancelled", 6, 1, int(CancelReason.POST_ONLY))
    ]


def test_owners_differ_no_prevention() -> None:
    venue = TestVenue()
    venue.sell(1, 101, owner=1)
    assert venue.buy(1, 101, owner=2, stp_mode=TAKER)[-1] == ("fill", 1, 2, 101, 1)
