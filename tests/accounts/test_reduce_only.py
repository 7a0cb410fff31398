"""Reduce-only orders never open a position. Source: portfolio-margin.md sections 2.3, 9.5."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.account import Account, AccountMode
from exchange.events import CancelReason, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side
from tests.accounts.venue import Venue

SWAP = "BTC-USDT-SWAP"


def open_venue(lots: int = 100) -> tuple[Venue, Account, Account]:
    """A venue, a rich maker and a trader in multi-currency mode who is long `lots`."""
    venue = Venue((SWAP, "BTC-USDT"))
    maker = venue.account("maker", USDT="10000000")
    trader = venue.house.open_account("trader", mode=AccountMode.MULTI_CURRENCY)
    venue.house.deposit(1, trader, "USDT", 10**6 * 10**8)
    if lots:
        order(venue, maker, Side.SELL, lots, 1_000_000)
        order(venue, trader, Side.BUY, lots, 1_000_000)
    return venue, maker, trader


def order(
    venue: Venue,
    account: Account,
    side: Side,
    lots: int,
    price: int,
    *,
    reduce_only: bool = False,
    order_type: OrderType = OrderType.LIMIT,
) -> list[Any]:
    venue.now_ns += 1
    request = OrderRequest(SWAP, side, order_type, lots, price, reduce_only=reduce_only)
    return venue.house.submit(venue.now_ns, account.number, request)


def reason_of(events: list[Any]) -> RejectReason | None:
    return events[0].reason if isinstance(events[0], OrderRejected) else None


def cancelled(venue: Venue) -> list[tuple[int, CancelReason]]:
    return [(e.order.order_id, e.reason) for e in venue.events if isinstance(e, OrderCancelled)]


def test_admitted_up_to_the_position_and_in_its_direction_only() -> None:
    venue, _, trader = open_venue()
    assert reason_of(order(venue, trader, Side.BUY, 1, 990_000, reduce_only=True)) == (
        RejectReason.REDUCE_ONLY_DIRECTION
    )
    assert reason_of(order(venue, trader, Side.SELL, 60, 1_010_000, reduce_only=True)) is None
    events = order(venue, trader, Side.SELL, 41, 1_010_000, reduce_only=True)
    assert reason_of(events) == RejectReason.REDUCE_ONLY_SIZE
    assert events[0].detail == "40 lots are free to close"
    assert reason_of(order(venue, trader, Side.SELL, 40, 1_010_000, reduce_only=True)) is None
    venue.check()


def test_nothing_to_reduce_and_modes_without_it() -> None:
    venue, maker, trader = open_venue(0)
    assert reason_of(order(venue, trader, Side.SELL, 1, 1_010_000, reduce_only=True)) == (
        RejectReason.REDUCE_ONLY
    )
    assert reason_of(order(venue, maker, Side.SELL, 1, 1_010_000, reduce_only=True)) == (
        RejectReason.ACCOUNT_MODE
    )
    spot = OrderRequest("BTC-USDT", Side.SELL, OrderType.LIMIT, 1, 1_010_000, reduce_only=True)
    assert reason_of(venue.house.submit(9, trader.number, spot)) == RejectReason.ACCOUNT_MODE


def test_a_smaller_position_takes_the_newest_orders_away() -> None:
    venue, maker, trader = open_venue()
    order(venue, trader, Side.SELL, 50, 1_010_000, reduce_only=True)
    order(venue, trader, Side.SELL, 50, 1_011_000, reduce_only=True)
    first, second = trader.orders
    order(venue, maker, Side.BUY, 30, 990_000)
    order(venue, trader, Side.SELL, 30, 990_000, order_type=OrderType.IOC)  # 70 left
    assert cancelled(venue) == [(second, CancelReason.REDUCE_ONLY_EXCESS)]
    assert list(trader.orders) == [first]
    venue.check()


def test_an_ordinary_order_of_the_same_side_takes_the_room() -> None:
    venue, _, trader = open_venue()
    order(venue, trader, Side.SELL, 80, 1_010_000, reduce_only=True)
    (own,) = trader.orders
    order(venue, trader, Side.SELL, 20, 1_011_000)
    assert cancelled(venue) == []
    order(venue, trader, Side.SELL, 1, 1_012_000)
    assert cancelled(venue) == [(own, CancelReason.REDUCE_ONLY_EXCESS)]


def test_a_flat_position_and_one_that_turned() -> None:
    venue, maker, trader = open_venue()
    order(venue, trader, Side.SELL, 10, 1_010_000, reduce_only=True)
    (own,) = trader.orders
    order(venue, maker, Side.BUY, 100, 990_000)
    order(venue, trader, Side.SELL, 100, 990_000, order_type=OrderType.IOC)
    assert cancelled(venue) == [(own, CancelReason.POSITION_CLOSED)]
    venue, maker, trader = open_venue()
    order(venue, trader, Side.SELL, 10, 1_010_000, reduce_only=True)
    (own,) = trader.orders
    order(venue, maker, Side.BUY, 120, 990_000)
    order(venue, trader, Side.SELL, 120, 990_000, order_type=OrderType.IOC)
    assert cancelled(venue) == [(own, CancelReason.REDUCE_ONLY_CONFLICT)]


def test_deleveraging_takes_the_orders_of_the_position_along() -> None:
    venue, maker, trader = open_venue()
    order(venue, trader, Side.SELL, 80, 1_010_000, reduce_only=True)
    (own,) = trader.orders
    house = venue.house
    listing = house.listings[SWAP]
    held, other = house.position(trader, listing), house.position(maker, listing)
    house.settlement.move(venue.now_ns, listing, held, other, 21, 1_000_000, 0)
    house.conditions.trim(venue.now_ns, trader, listing, CancelReason.ADL)
    assert cancelled(venue) == [(own, CancelReason.ADL)]
    venue.check()


def test_an_amend_cannot_make_it_excessive() -> None:
    venue, _, trader = open_venue()
    order(venue, trader, Side.SELL, 60, 1_010_000, reduce_only=True)
    (own,) = trader.orders
    house, number = venue.house, trader.number
    assert reason_of(house.amend(9, number, own, 101)) == RejectReason.REDUCE_ONLY_SIZE
    assert reason_of(house.amend(9, number, own, 100)) is None
    assert trader.orders[own].size_lots == 100


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(("reduce", "sell", "buy", "hit", "lift")), st.integers(1, 120)),
        min_size=1,
        max_size=14,
    )
)
def test_reduce_only_orders_never_cross_zero(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, a fill of a reduce-only order brings the position towards zero."""
    venue, maker, trader = open_venue()
    reducing: set[int] = set()
    for step, lots in steps:
        before = venue.position(trader, SWAP)[0]
        seen = len(venue.events)
        if step == "reduce":
            side = Side.SELL if before > 0 else Side.BUY
            price = 1_005_000 if before > 0 else 995_000
            events = order(venue, trader, side, lots, price, reduce_only=True)
            reducing |= {events[0].order.order_id} if reason_of(events) is None else set()
        elif step in ("sell", "buy"):
            side = Side.SELL if step == "sell" else Side.BUY
            order(venue, trader, side, lots, 1_006_000 if step == "sell" else 994_000)
        else:
            side, price = (Side.BUY, 1_010_000) if step == "lift" else (Side.SELL, 990_000)
            order(venue, maker, side, lots, price)
        position = before
        for event in venue.events[seen:]:
            if type(event).__name__ != "Fill":
                continue
            own = event.maker if event.maker.owner == trader.number else event.taker
            after = position + int(own.side) * event.size_lots
            if own.order_id in reducing:
                assert abs(after) < abs(position) and after * position >= 0
            position = after
        assert position == venue.position(trader, SWAP)[0]
    venue.check()
