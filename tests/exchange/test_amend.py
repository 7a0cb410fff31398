"""Amends and cancels: spec 9.3. The queue is kept only when size shrinks at the same price."""

import pytest

from exchange.events import CancelReason, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderType, StpMode
from tests.exchange.venue import TestVenue

USER = int(CancelReason.USER)


@pytest.fixture
def venue() -> TestVenue:
    """Bids at 100: order 1 has 5 lots, order 2 has 5; order 3 has 5 at 99. Ask: order 4 at 105."""
    venue = TestVenue()
    venue.buy(5, 100)
    venue.buy(5, 100)
    venue.buy(5, 99)
    venue.sell(5, 105)
    return venue


def test_a_smaller_size_keeps_the_place(venue: TestVenue) -> None:
    assert venue.amend(1, size=2) == [("amended", 1, 100, 5)]
    assert venue.resting() == [(1, 2), (2, 5), (3, 5), (4, 5)]
    assert venue.book.level_lots(1, 100) == 7
    assert venue.sell(3, 100)[1:] == [("fill", 1, 5, 100, 2), ("fill", 2, 5, 100, 1)]


def test_a_larger_size_goes_to_the_end(venue: TestVenue) -> None:
    assert venue.amend(1, size=6) == [("amended", 1, 100, 5)]
    assert venue.resting() == [(2, 5), (1, 6), (3, 5), (4, 5)]


@pytest.mark.parametrize("size", [None, 3])
def test_a_new_price_goes_to_the_end_even_when_smaller(venue: TestVenue, size: int | None) -> None:
    venue.amend(1, size, 99)
    assert [order_id for order_id, _ in venue.resting()] == [2, 3, 1, 4]
    venue.amend(1, price=100)
    assert [order_id for order_id, _ in venue.resting()] == [2, 1, 3, 4]


def test_the_new_size_includes_what_is_filled(venue: TestVenue) -> None:
    venue.sell(2, 100)
    assert venue.amend(1, size=4) == [("amended", 1, 100, 5)]
    order = venue.book.get(1)
    assert order is not None
    assert (order.size_lots, order.remaining_lots) == (4, 2)


@pytest.mark.parametrize("size", [1, 2])
def test_a_size_at_or_below_what_is_filled_cancels_the_rest(venue: TestVenue, size: int) -> None:
    venue.sell(2, 100)
    assert venue.amend(1, size=size) == [("cancelled", 1, 3, USER)]
    assert venue.book.get(1) is None


def test_a_crossing_price_trades_as_a_new_order(venue: TestVenue) -> None:
    assert venue.amend(1, size=8, price=106) == [("amended", 1, 100, 5), ("fill", 4, 1, 105, 5)]
    assert venue.resting() == [(1, 3), (2, 5), (3, 5)]
    assert venue.book.best_bid() == 106


def test_a_crossing_price_that_fills_the_order_leaves_nothing(venue: TestVenue) -> None:
    assert venue.amend(1, price=105) == [("amended", 1, 100, 5), ("fill", 4, 1, 105, 5)]
    assert venue.book.get(1) is None


def test_a_crossing_amend_obeys_self_trade_prevention() -> None:
    venue = TestVenue()
    venue.sell(1, 105, owner=1)
    venue.buy(5, 100, owner=1, stp_mode=StpMode.CANCEL_TAKER)
    assert venue.amend(2, price=105) == [
        ("amended", 2, 100, 5),
        ("cancelled", 2, 5, int(CancelReason.SELF_TRADE)),
    ]
    assert venue.resting() == [(1, 1)]


@pytest.mark.parametrize(
    ("size", "price", "reason"),
    [
        (0, None, RejectReason.BAD_SIZE),
        (-3, None, RejectReason.BAD_SIZE),
        (None, 0, RejectReason.BAD_PRICE),
        (None, -1, RejectReason.BAD_PRICE),
        (None, None, RejectReason.AMEND_EMPTY),
        (5, 100, RejectReason.AMEND_EMPTY),
    ],
)
def test_refused_amends_leave_the_order_alone(
    venue: TestVenue, size: int | None, price: int | None, reason: RejectReason
) -> None:
    before = venue.resting()
    assert venue.amend(1, size, price) == [("rejected", reason.name)]
    assert venue.resting() == before


def test_option_amend_off_the_grid_is_refused() -> None:
    venue = TestVenue("BTC-USD-250328-100000-C")
    venue.buy(1, 50)
    assert venue.amend(1, price=51) == [("rejected", RejectReason.BAD_TICK.name)]


@pytest.mark.parametrize("order_type", [OrderType.POST_ONLY, OrderType.MMP_AND_POST_ONLY])
def test_a_post_only_order_is_not_amended_into_a_trade(order_type: OrderType) -> None:
    venue = TestVenue("BTC-USD-250328-100000-C")
    venue.buy(1, 30, order_type)
    venue.sell(1, 40)
    assert venue.amend(1, price=40) == [("rejected", RejectReason.AMEND_POST_ONLY.name)]
    assert venue.resting() == [(1, 1), (2, 1)]
    assert venue.amend(1, price=39) == [("amended", 1, 30, 1)]


def test_a_rejected_amend_carries_the_terms_asked_for(venue: TestVenue) -> None:
    (event,) = venue.engine.amend(1, 77, 0, 98)
    assert isinstance(event, OrderRejected)
    assert (event.time_ns, event.owner) == (77, 1)
    assert (event.request.size_lots, event.request.price_ticks) == (0, 98)


def test_orders_that_are_not_live_give_no_event(venue: TestVenue) -> None:
    venue.sell(5, 100)  # fills order 1
    assert venue.amend(1, size=1) == []
    assert venue.cancel(1) == []
    assert venue.cancel(999) == []


def test_cancel_from_head_middle_and_tail_of_a_queue() -> None:
    venue = TestVenue()
    for _ in range(5):
        venue.buy(1, 100)
    assert venue.cancel(3) == [("cancelled", 3, 1, USER)]
    assert venue.cancel(1) == [("cancelled", 1, 1, USER)]
    assert venue.cancel(5) == [("cancelled", 5, 1, USER)]
    assert venue.resting() == [(2, 1), (4, 1)]
    venue.cancel(4)
    venue.cancel(2)
    assert venue.book.best_bid() is None
    assert len(venue.book) == 0


def test_cancel_carries_the_reason_it_is_given(venue: TestVenue) -> None:
    (event,) = venue.engine.cancel(1, 9, CancelReason.RISK_CONTROL)
    assert isinstance(event, OrderCancelled)
    assert event.reason is CancelReason.RISK_CONTROL
    assert event.order.previous_order is None
    assert event.order.next_order is None


def test_cancel_all_empties_the_book_in_priority(venue: TestVenue) -> None:
    events = venue.engine.cancel_all(50, CancelReason.DELIVERY)
    cancelled = [event for event in events if isinstance(event, OrderCancelled)]
    assert [event.order.order_id for event in cancelled] == [1, 2, 3, 4]
    assert {event.reason for event in cancelled} == {CancelReason.DELIVERY}
    assert len(cancelled) == len(events)
    assert len(venue.book) == 0
    venue.book._check()
