"""How far one taker may go: the price gap (27) and the number of makers (33).

Source: portfolio-margin.md section 9.5.
"""

from exchange.events import CancelReason, Event, Fill, OrderCancelled
from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import OrderRequest, OrderType, Side

GAP, MANY = CancelReason.PRICE_GAP, CancelReason.TOO_MANY_MATCHES
Row = tuple[int, int] | CancelReason


def engine_with(
    *asks: tuple[int, int], gap_bps: int = 0, most: int = 0, name: str = "BTC-USDT-SWAP"
) -> MatchingEngine:
    """An engine with sell orders (price ticks, lots) of owner 1."""
    engine = MatchingEngine(parse_instrument(name), price_gap_bps=gap_bps, most_matches=most)
    for price, lots in asks:
        request = OrderRequest(name, Side.SELL, OrderType.LIMIT, lots, price)
        engine.place(1, request, 1)
    return engine


def take(
    engine: MatchingEngine,
    lots: int,
    price: int | None,
    order_type: OrderType,
    side: Side = Side.BUY,
) -> list[Row]:
    """What a taker of owner 2 gets: (price, lots) of each fill, then why it ended."""
    request = OrderRequest(engine.instrument.instrument_id, side, order_type, lots, price)
    return rows(engine.place(2, request, 2))


def rows(events: list[Event]) -> list[Row]:
    found: list[Row] = []
    for event in events:
        if isinstance(event, Fill):
            found.append((event.price_ticks, event.size_lots))
        elif isinstance(event, OrderCancelled):
            found.append(event.reason)
    return found


def test_a_market_order_stops_five_percent_from_the_best_price() -> None:
    engine = engine_with((1000, 1), (1050, 2), (1051, 3), gap_bps=500)
    assert take(engine, 6, None, OrderType.MARKET) == [(1000, 1), (1050, 2), GAP]
    assert len(engine.book) == 1


def test_the_same_below_the_best_bid() -> None:
    engine = engine_with(gap_bps=500)
    for price, lots in ((1000, 1), (950, 2), (949, 3)):
        request = OrderRequest("BTC-USDT-SWAP", Side.BUY, OrderType.LIMIT, lots, price)
        engine.place(1, request, 1)
    sold = take(engine, 6, None, OrderType.MARKET, Side.SELL)
    assert sold == [(1000, 1), (950, 2), GAP]


def test_a_limit_order_that_would_go_further_does_not_rest_across_the_book() -> None:
    engine = engine_with((1000, 1), (1100, 2), gap_bps=500)
    assert take(engine, 5, 1200, OrderType.LIMIT) == [(1000, 1), GAP]
    engine.book._check()
    assert engine.book.best_bid() is None


def test_within_the_gap_a_limit_order_rests_as_ever() -> None:
    engine = engine_with((1000, 1), (1100, 2), gap_bps=500)
    assert take(engine, 5, 1060, OrderType.LIMIT) == [(1000, 1)]
    assert engine.book.best_bid() == 1060


def test_fill_or_kill_knows_both_limits_beforehand() -> None:
    engine = engine_with((1000, 1), (1100, 2), gap_bps=500)
    assert take(engine, 3, 1100, OrderType.FOK) == [GAP]
    engine = engine_with((1000, 1), (1001, 1), (1002, 1), most=2)
    assert take(engine, 3, 1002, OrderType.FOK) == [MANY]
    assert take(engine, 2, 1002, OrderType.FOK) == [(1000, 1), (1001, 1)]


def test_a_taker_meets_so_many_makers_and_no_more() -> None:
    engine = engine_with((1000, 1), (1001, 1), (1002, 1), most=2)
    assert take(engine, 3, 1005, OrderType.LIMIT) == [(1000, 1), (1001, 1), MANY]
    assert take(engine, 3, 1005, OrderType.IOC) == [(1002, 1), CancelReason.IOC]


def test_liquidation_orders_and_options_know_no_gap() -> None:
    engine = engine_with((1000, 1), (1100, 2), gap_bps=500, most=1)
    request = OrderRequest("BTC-USDT-SWAP", Side.BUY, OrderType.IOC, 3, 1200)
    order = engine.new_order(3, request, 2, is_liquidation=True)
    assert rows(engine.submit(order, 2)) == [(1000, 1), (1100, 2)]
    option = "BTC-USD-250328-100000-C"
    engine = engine_with((5, 1), (6, 1), gap_bps=500, name=option)
    assert take(engine, 2, 10, OrderType.IOC) == [(5, 1), (6, 1)]


def test_an_amend_that_crosses_is_a_taker_too() -> None:
    engine = engine_with((1000, 1), (1100, 2), gap_bps=500)
    request = OrderRequest("BTC-USDT-SWAP", Side.BUY, OrderType.LIMIT, 3, 900)
    engine.place(2, request, 2)
    assert rows(engine.amend(3, 3, None, 1150)) == [(1000, 1), GAP]
