"""The book itself: queries, the invariant check, and orders that leave nothing behind."""

import gc
import random

import pytest

from exchange.book import OrderBook
from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import Order, OrderRequest, OrderType, Side

INSTRUMENT = parse_instrument("BTC-USDT-SWAP")


def order(order_id: int, side: Side, price: int, lots: int) -> Order:
    return Order(order_id, INSTRUMENT, 1, side, OrderType.LIMIT, price, lots, lots)


@pytest.fixture
def book() -> OrderBook:
    book = OrderBook(INSTRUMENT)
    for row in [(1, 99, 3), (2, 98, 4), (3, 99, 5), (4, 90, 1)]:
        book.add(order(row[0], Side.BUY, *row[1:]))
    for row in [(5, 105, 6), (6, 101, 2), (7, 103, 1)]:
        book.add(order(row[0], Side.SELL, *row[1:]))
    return book


def test_an_empty_book() -> None:
    book = OrderBook(INSTRUMENT)
    book._check()
    assert (len(book), book.best_bid(), book.best_ask()) == (0, None, None)
    assert book.depth(1, 5) == book.depth(-1, 5) == []
    assert book.volume_within(1, 1) == book.level_lots(-1, 7) == 0
    assert book.cancel(1) is None and book.get(1) is None and 1 not in book
    assert list(book) == []


def test_queries(book: OrderBook) -> None:
    book._check()
    assert (book.best_bid(), book.best_ask()) == (99, 101)
    assert book.depth(1, 2) == [(99, 8), (98, 4)]
    assert book.depth(-1, 9) == [(101, 2), (103, 1), (105, 6)]
    assert book.depth(1, 0) == book.depth(1, -1) == []
    assert (book.level_lots(1, 99), book.level_lots(-1, 99)) == (8, 0)
    assert [book.volume_within(1, limit) for limit in (100, 99, 98, 1)] == [0, 8, 12, 13]
    assert [book.volume_within(-1, limit) for limit in (100, 101, 103, 999)] == [0, 2, 3, 9]
    assert book.volumes_within(1, (100, 99, 98, 98, 1)) == (0, 8, 12, 12, 13)
    assert book.volumes_within(-1, (100, 101, 103, 999, 1000)) == (0, 2, 3, 9, 9)
    assert [live.order_id for live in book] == [1, 3, 2, 4, 6, 7, 5]
    assert 3 in book and 8 not in book and len(book) == 7


def test_the_best_price_moves_with_the_levels(book: OrderBook) -> None:
    for order_id, best in [(1, 99), (3, 98), (2, 90), (4, None)]:
        cancelled = book.cancel(order_id)
        assert cancelled is not None and cancelled.order_id == order_id
        assert book.best_bid() == best
        book._check()
    book.add(order(9, Side.BUY, 97, 1))
    book.add(order(10, Side.BUY, 96, 1))
    book.add(order(11, Side.BUY, 98, 1))
    assert book.best_bid() == 98


def test_a_cancelled_order_holds_no_other_order(book: OrderBook) -> None:
    for order_id in (3, 1):
        cancelled = book.cancel(order_id)
        assert cancelled is not None
        assert cancelled.previous_order is None and cancelled.next_order is None


def test_shrink_asserts_that_the_size_falls(book: OrderBook) -> None:
    live = book.get(1)
    assert live is not None
    for size in (0, 4):
        with pytest.raises(AssertionError):
            book.shrink(live, size)
    book.shrink(live, 1)
    assert book.level_lots(1, 99) == 6


@pytest.mark.parametrize("damage", range(8))
def test_check_finds_a_damaged_book(book: OrderBook, damage: int) -> None:
    first = book.get(1)
    assert first is not None and book.bids.best is not None
    if damage == 0:
        book.add(order(20, Side.BUY, 101, 1))  # locked
    elif damage == 1:
        first.remaining_lots -= 1  # level total is wrong
    elif damage == 2:
        del book.orders[1]  # an order that is queued but not indexed
    elif damage == 3:
        book.orders[50] = first  # an id that is not queued
    elif damage == 4:
        book.bids.best = None
    elif damage == 5:
        first.price_ticks = 98  # in the wrong level
    elif damage == 6:
        first.next_order = None  # a cut queue
    else:
        first.time_ns = 5  # behind a later one
    with pytest.raises(AssertionError):
        book._check()


def test_deep_queue_cancels_from_anywhere() -> None:
    """100,000 orders at one price, cancelled in random order: quadratic code would hang here."""
    count = 100_000
    book = OrderBook(INSTRUMENT)
    for order_id in range(count):
        book.add(order(order_id, Side.SELL, 500, 1))
    ids = list(range(count))
    random.Random(7).shuffle(ids)
    for order_id in ids[: count // 2]:
        book.cancel(order_id)
    assert book.level_lots(-1, 500) == len(book) == count // 2
    kept = [live.order_id for live in book]
    assert kept == sorted(ids[count // 2 :])
    book._check()


def test_what_has_left_the_book_is_freed_at_once() -> None:
    """Nothing is left for the garbage collector, which would cost more than the book itself."""
    engine = MatchingEngine(INSTRUMENT)

    def send(side: Side, price: int, order_type: OrderType = OrderType.LIMIT) -> Order:
        request = OrderRequest(INSTRUMENT.instrument_id, side, order_type, 2, price)
        placed = engine.new_order(int(side), request, 0)
        engine.submit(placed, 0)
        return placed

    gc.collect()
    gc.disable()
    try:
        for price in range(100, 200):
            for _ in range(3):  # the last of them alone in its level
                send(Side.SELL, price)
            engine.cancel(send(Side.SELL, price).order_id, 0)
            engine.cancel(send(Side.SELL, 2 * price).order_id, 0)
            for _ in range(3):
                send(Side.BUY, price, OrderType.IOC)
        assert len(engine.book) == 0
        assert gc.collect() == 0  # objects that only the collector found
    finally:
        gc.enable()
