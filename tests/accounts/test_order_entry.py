"""The ways to place an order, each against a small market with round numbers.

Source: portfolio-margin.md sections 9.1 to 9.5, 12.6.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.account import Account
from accounts.order_entry import OptionPrice, OrderEntry
from exchange.events import (
    CancelReason,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderRejected,
    RejectReason,
)
from exchange.order import OrderRequest, OrderType, Side, StpMode
from tests.accounts.venue import NOW_NS, Venue

SPOT, SWAP, CALL = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-250328-100000-C"
E8 = 10**8


@pytest.fixture
def venue() -> Venue:
    return Venue((SPOT, SWAP, CALL))


@pytest.fixture
def entry(venue: Venue) -> OrderEntry:
    return OrderEntry(venue.house)


@pytest.fixture
def maker(venue: Venue) -> Account:
    return venue.account("maker", USDT="10000000", BTC="100")


@pytest.fixture
def trader(venue: Venue) -> Account:
    return venue.account("trader", USDT="100000", BTC="2")


def fills(events: list[Any]) -> list[tuple[int, int]]:
    return [(e.price_ticks, e.size_lots) for e in events if isinstance(e, Fill)]


def refused(events: list[Any]) -> RejectReason:
    assert len(events) == 1
    assert isinstance(events[0], OrderRejected), events
    return events[0].reason


def request_of(
    name: str = SWAP,
    side: Side = Side.BUY,
    lots: int = 100,
    price: int | None = 990_000,
    **more: Any,
) -> OrderRequest:
    return OrderRequest(name, side, more.pop("order_type", OrderType.LIMIT), lots, price, **more)


MARKET_BUY = request_of(SPOT, lots=1, price=None, order_type=OrderType.MARKET)


# --- market orders by quote amount ---------------------------------------------------------------


def test_a_quote_amount_sweeps_the_book(
    venue: Venue, entry: OrderEntry, maker: Account, trader: Account
) -> None:
    # 0.5 BTC at 100,000 take 50,000 of the 60,000; the other 10,000 buy 0.099009 at 101,000 for
    # 9,999.909, the next 0.000001 would cost 0.101. Fee 0.1 % of each fill, paid in USDT on top.
    venue.rests(maker, SPOT, "-0.5", "100000")
    venue.rests(maker, SPOT, "-1", "101000")
    events = entry.submit_quote_amount(1, trader.number, MARKET_BUY, 60_000 * E8)
    assert fills(events) == [(1_000_000, 500_000), (1_010_000, 99_009)]
    assert isinstance(events[-1], Fill)  # nothing is left to cancel
    spent = 50_000 * E8 + 999_990_900_000
    assert venue.cash(trader, "USDT") == 100_000 * E8 - spent - 5_000_000_000 - 999_990_900
    assert venue.cash(trader, "BTC") == 2 * E8 + 59_900_900
    venue.check()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(990_000, 1_060_000), st.integers(1, 9)), max_size=6),
    st.integers(1, 30),
    st.integers(0, 9_000_000),
    st.booleans(),
)
def test_a_quote_amount_buys_lot_after_lot(
    asks: list[tuple[int, int]], lots: int, rest: int, own: bool
) -> None:
    """Against the plainest count: one lot after the other, own offers and the limits left out."""
    venue = Venue((SPOT,))
    maker, trader = venue.account("maker", BTC="1"), venue.account("trader", USDT="1000", BTC="1")
    for number, (price, size) in enumerate(asks):
        owner = trader if own and number % 2 else maker
        request = request_of(SPOT, Side.SELL, size, price)
        venue.house.submit(venue.now_ns, owner.number, request)
    amount = lots * 10_000_000 + rest
    limit = min(venue.house.listings[SPOT].high_ticks, _gap_limit(venue))
    left, bought = amount, 0
    for price in sorted(
        price
        for number, (price, size) in enumerate(asks)
        if not (own and number % 2) and price <= limit
        for _ in range(size)
    ):
        if price * 10 > left:  # a lot of 0.000001 BTC at a price of ticks of 0.1
            break
        left, bought = left - price * 10, bought + 1
    events = OrderEntry(venue.house).submit_quote_amount(
        venue.now_ns, trader.number, MARKET_BUY, amount
    )
    assert sum(size for _, size in fills(events)) == bought
    assert sum(price * size * 10 for price, size in fills(events)) == amount - left
    venue.check()


def _gap_limit(venue: Venue) -> int:
    """Five per cent above the best offer, where the price gap ends a taker."""
    best = venue.house.listings[SPOT].engine.book.best_ask()
    return 0 if best is None else best * 105 // 100


def test_a_quote_amount_sells_for_at_most_that_much(
    venue: Venue, entry: OrderEntry, maker: Account, trader: Account
) -> None:
    venue.rests(maker, SPOT, "0.1", "100000")
    venue.rests(maker, SPOT, "1", "99000")
    sale = replace(MARKET_BUY, side=Side.SELL)
    events = entry.submit_quote_amount(1, trader.number, sale, 15_000 * E8)
    assert fills(events) == [(1_000_000, 100_000), (990_000, 50_505)]  # 5,000 / 99,000 down


def test_a_quote_amount_passes_over_own_orders_or_stops_there(
    venue: Venue, entry: OrderEntry, maker: Account, trader: Account
) -> None:
    venue.rests(trader, SPOT, "-0.1", "100000")
    venue.rests(maker, SPOT, "-1", "101000")
    stopped = replace(MARKET_BUY, stp_mode=StpMode.CANCEL_TAKER)
    events = entry.submit_quote_amount(1, trader.number, stopped, 10_100 * E8)
    assert fills(events) == []
    assert events[-1].reason == CancelReason.SELF_TRADE
    events = entry.submit_quote_amount(2, trader.number, MARKET_BUY, 10_100 * E8)
    assert fills(events) == [(1_010_000, 100_000)]


def test_the_check_keeps_five_percent_in_reserve(
    venue: Venue, entry: OrderEntry, maker: Account
) -> None:
    # Without auto-borrow 10,000 USDT pay for 10,000 x 1.05 + fee or for nothing.
    venue.rests(maker, SPOT, "-10", "100000")
    poor = venue.account("poor", auto_borrow=False, USDT="10000")
    events = entry.submit_quote_amount(1, poor.number, MARKET_BUY, 9_600 * E8)
    assert refused(events) == RejectReason.INSUFFICIENT_BALANCE  # 10,080
    events = entry.submit_quote_amount(2, poor.number, MARKET_BUY, 9_500 * E8)  # 9,975 + fee 9.5
    assert fills(events) == [(1_000_000, 95_000)]


def test_a_quote_amount_is_for_spot_market_orders_of_at_least_a_lot(
    venue: Venue, entry: OrderEntry, maker: Account, trader: Account
) -> None:
    venue.rests(maker, SPOT, "-1", "100000")
    number = trader.number
    limit = replace(MARKET_BUY, order_type=OrderType.LIMIT, price_ticks=1_000_000)
    assert refused(entry.submit_quote_amount(1, number, limit, E8)) == RejectReason.BAD_ORDER_TYPE
    swap = replace(MARKET_BUY, instrument_id=SWAP)
    assert refused(entry.submit_quote_amount(1, number, swap, E8)) == RejectReason.BAD_ORDER_TYPE
    assert refused(entry.submit_quote_amount(1, number, MARKET_BUY, 9_999_999)) == (
        RejectReason.BAD_SIZE  # 0.000001 BTC cost 0.1 USDT
    )
    unknown = replace(MARKET_BUY, instrument_id="XRP-USDT")
    assert refused(entry.submit_quote_amount(1, number, unknown, E8)) == (
        RejectReason.UNKNOWN_INSTRUMENT
    )


def test_a_quote_amount_in_an_empty_book_ends_like_any_market_order(
    entry: OrderEntry, trader: Account
) -> None:
    events = entry.submit_quote_amount(1, trader.number, MARKET_BUY, 1_000 * E8)
    assert [e.reason for e in events] == [CancelReason.IOC]


# --- options in coin, USD, volatility ------------------------------------------------------------


def priced(entry: OrderEntry, trader: Account, side: Side, price: OptionPrice) -> int:
    request = request_of(CALL, side, 1, None)
    first = entry.submit_option(NOW_NS, trader.number, request, price)[0]
    assert isinstance(first, OrderAccepted), first
    return first.order.price_ticks


def test_usd_prices_become_coin_prices_never_worse(entry: OrderEntry, trader: Account) -> None:
    # 6,280 USD at an index of 100,000 are 0.0628 coin: from 0.005 on the tick is 0.0005.
    assert priced(entry, trader, Side.BUY, OptionPrice(usd=Decimal(6_280))) == 625
    assert priced(entry, trader, Side.SELL, OptionPrice(usd=Decimal(6_280))) == 630
    assert priced(entry, trader, Side.BUY, OptionPrice(usd=Decimal(320))) == 32
    assert priced(entry, trader, Side.BUY, OptionPrice(usd=Decimal(1))) == 1  # one tick at least


def test_the_marks_own_volatility_gives_the_mark(
    venue: Venue, entry: OrderEntry, trader: Account
) -> None:
    mark = int(venue.house.market.mark_ticks[venue.house.listings[CALL].number])
    bid = priced(entry, trader, Side.BUY, OptionPrice(volatility=venue.volatility))
    offer = priced(entry, trader, Side.SELL, OptionPrice(volatility=venue.volatility))
    assert offer - bid == 5
    assert bid - 1 < mark < offer + 1
    assert priced(entry, trader, Side.BUY, OptionPrice(volatility=0.4)) < bid


def test_a_coin_price_must_be_on_the_tick(entry: OrderEntry, trader: Account) -> None:
    assert priced(entry, trader, Side.BUY, OptionPrice(coin=Decimal("0.0325"))) == 325
    request = request_of(CALL, lots=1, price=None)
    off = OptionPrice(coin=Decimal("0.0327"))
    assert refused(entry.submit_option(1, trader.number, request, off)) == RejectReason.BAD_TICK


def test_an_option_order_is_amended_in_any_form(entry: OrderEntry, trader: Account) -> None:
    number = trader.number
    request = request_of(CALL, lots=1, price=None, client_order_id="bid")
    entry.submit_option(NOW_NS, number, request, OptionPrice(volatility=0.45))
    (order,) = trader.orders.values()
    assert isinstance(
        entry.amend_option(NOW_NS, number, "bid", OptionPrice(usd=Decimal(5_980)))[0], OrderAmended
    )
    assert order.price_ticks == 595
    two = OptionPrice(usd=Decimal(1), volatility=0.5)
    assert refused(entry.amend_option(NOW_NS, number, "bid", two)) == RejectReason.PRICE_FORMS
    assert order.price_ticks == 595
    assert refused(entry.amend_option(NOW_NS, number, "x", OptionPrice(usd=Decimal(1)))) == (
        RejectReason.AMEND_ORDER_NOT_FOUND
    )


@pytest.mark.parametrize(
    ("name", "order_type", "price", "reason"),
    [
        (CALL, OrderType.LIMIT, OptionPrice(), RejectReason.PRICE_FORMS),
        (CALL, OrderType.LIMIT, OptionPrice(Decimal(1), Decimal(1)), RejectReason.PRICE_FORMS),
        (SWAP, OrderType.LIMIT, OptionPrice(usd=Decimal(9)), RejectReason.PRICE_FORM_TYPE),
        (CALL, OrderType.MARKET, OptionPrice(volatility=0.5), RejectReason.PRICE_FORM_TYPE),
        (CALL, OrderType.LIMIT, OptionPrice(volatility=-0.5), RejectReason.BAD_PRICE),
        (CALL, OrderType.LIMIT, OptionPrice(volatility=float("nan")), RejectReason.BAD_PRICE),
        ("BTC-X", OrderType.LIMIT, OptionPrice(usd=Decimal(9)), RejectReason.UNKNOWN_INSTRUMENT),
    ],
)
def test_option_prices_that_are_refused(
    entry: OrderEntry,
    trader: Account,
    name: str,
    order_type: OrderType,
    price: OptionPrice,
    reason: RejectReason,
) -> None:
    request = request_of(name, lots=1, price=None, order_type=order_type)
    assert refused(entry.submit_option(1, trader.number, request, price)) == reason


# --- types ---------------------------------------------------------------------------------------


def test_optimal_limit_ioc_takes_what_the_limits_allow(
    venue: Venue, maker: Account, trader: Account
) -> None:
    # The limit of a perpetual is 2 % from the index here; a market order goes as far.
    venue.rests(maker, SWAP, "-1", "101000")
    venue.rests(maker, SWAP, "-1", "102500")
    events = venue.send(trader, SWAP, "2", None, OrderType.OPTIMAL_LIMIT_IOC)
    assert fills(events) == [(1_010_000, 100)]
    assert events[-1].reason == CancelReason.PRICE_LIMIT
    assert refused(venue.send(trader, SPOT, "2", None, OrderType.OPTIMAL_LIMIT_IOC)) == (
        RejectReason.BAD_ORDER_TYPE
    )


# --- batches, ids, limits ------------------------------------------------------------------------


def test_each_order_of_a_batch_has_its_own_answer(
    venue: Venue, entry: OrderEntry, trader: Account
) -> None:
    batch = [request_of(), request_of(price=-1), request_of(price=980_000)]
    answers = entry.submit_batch(1, trader.number, batch)
    assert [type(answer[0]) for answer in answers] == [OrderAccepted, OrderRejected, OrderAccepted]
    assert len(trader.orders) == 2
    answers = entry.submit_batch(2, trader.number, [request_of()] * 21)
    assert {refused(answer) for answer in answers} == {RejectReason.BATCH_TOO_LARGE}
    assert len(answers) == 21
    venue.check()


def test_a_client_order_id_is_used_once_at_a_time(
    venue: Venue, entry: OrderEntry, maker: Account, trader: Account
) -> None:
    mine = request_of(client_order_id="a")
    number = trader.number
    assert isinstance(venue.house.submit(1, number, mine)[0], OrderAccepted)
    assert refused(venue.house.submit(2, number, mine)) == RejectReason.DUPLICATE_CLIENT_ORDER_ID
    assert isinstance(venue.house.submit(2, maker.number, mine)[0], OrderAccepted)  # another's
    assert isinstance(entry.amend(3, number, "a", new_price_ticks=985_000)[0], OrderAmended)
    assert isinstance(entry.cancel(4, number, "a")[0], OrderCancelled)
    assert refused(entry.cancel(5, number, "a")) == RejectReason.ORDER_NOT_FOUND
    assert refused(entry.amend(5, number, "a", 5)) == RejectReason.AMEND_ORDER_NOT_FOUND
    assert isinstance(venue.house.submit(6, number, mine)[0], OrderAccepted)
    venue.check()


def test_open_orders_are_limited_in_all_and_by_instrument(
    venue: Venue, trader: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = venue.house.conditions
    limits = conditions.limits.model_copy(
        update={"open_orders": 3, "open_orders_per_instrument": 2}
    )
    monkeypatch.setattr(conditions, "limits", limits)
    venue.rests(trader, SWAP, "1", "99000")
    venue.rests(trader, SWAP, "1", "99000")
    here = venue.send(trader, SWAP, "1", "99000")
    assert refused(here) == RejectReason.TOO_MANY_ORDERS
    assert here[0].detail == "2 open orders in the instrument of 2"
    venue.rests(trader, SPOT, "0.01", "99000")
    assert venue.send(trader, CALL, "1", "0.05")[0].detail == "3 open orders of 3"


def test_the_account_sets_the_mode_of_self_trade_prevention(
    venue: Venue, entry: OrderEntry, trader: Account
) -> None:
    number = trader.number
    entry.set_stp_mode(number, StpMode.CANCEL_BOTH)
    venue.rests(trader, SWAP, "1", "100000")
    sale = request_of(side=Side.SELL, price=1_000_000)
    reasons = [e.reason for e in venue.house.submit(1, number, sale)]
    assert reasons == [CancelReason.SELF_TRADE] * 2
    assert not trader.orders
    venue.rests(trader, SWAP, "1", "100000")
    named = replace(sale, stp_mode=StpMode.CANCEL_TAKER)  # the order's own mode goes before
    assert len(venue.house.submit(2, number, named)) == 1
    assert len(trader.orders) == 1
    fok = replace(sale, order_type=OrderType.FOK)
    assert refused(venue.house.submit(3, number, fok)) == RejectReason.BAD_STP_MODE
    venue.check()


# --- cancel all, and after a time ----------------------------------------------------------------


def test_cancel_all_after_fires_at_the_first_mark_beyond_the_deadline(
    venue: Venue, entry: OrderEntry, trader: Account, maker: Account
) -> None:
    venue.rests(trader, SWAP, "1", "99000")
    venue.rests(trader, SPOT, "0.1", "99000")
    venue.rests(maker, SWAP, "1", "98500")
    start = venue.now_ns
    assert entry.cancel_all_after(start, trader.number, 30) == start + 30 * E8 * 10
    venue.now_ns = start + 29 * 10**9
    venue.marks()
    assert len(trader.orders) == 2
    entry.cancel_all_after(venue.now_ns, trader.number, 10)  # alive: armed again
    venue.now_ns = start + 38 * 10**9
    venue.marks()
    assert len(trader.orders) == 2
    venue.now_ns = start + 39 * 10**9
    seen = len(venue.events)
    venue.marks()
    assert [e.reason for e in venue.events[seen:]] == [CancelReason.CANCEL_ALL_AFTER] * 2
    assert not trader.orders
    assert len(maker.orders) == 1
    venue.check()


def test_cancel_all_after_is_disarmed_by_zero_and_bounded(
    venue: Venue, entry: OrderEntry, trader: Account
) -> None:
    venue.rests(trader, SWAP, "1", "99000")
    entry.cancel_all_after(venue.now_ns, trader.number, 10)
    assert entry.cancel_all_after(venue.now_ns, trader.number, 0) is None
    venue.now_ns += 60 * 10**9
    venue.marks()
    assert len(trader.orders) == 1
    with pytest.raises(ValueError, match="0 or 10 to 120 s"):
        entry.cancel_all_after(venue.now_ns, trader.number, 5)


def test_names_and_modes_reach_isolated_positions(
    venue: Venue, entry: OrderEntry, trader: Account
) -> None:
    number, submit = trader.number, venue.house.submit
    isolated = request_of(client_order_id="a", isolated=True)
    assert isinstance(submit(venue.now_ns, number, isolated)[0], OrderAccepted)
    again = request_of(client_order_id="a")
    assert refused(submit(venue.now_ns, number, again)) == (RejectReason.DUPLICATE_CLIENT_ORDER_ID)
    entry.set_stp_mode(number, StpMode.CANCEL_TAKER)
    sale = request_of(side=Side.SELL, price=990_000, order_type=OrderType.IOC, isolated=True)
    (ended,) = submit(venue.now_ns, number, sale)
    assert (ended.reason, ended.order.stp_mode) == (
        CancelReason.SELF_TRADE,
        StpMode.CANCEL_TAKER,
    )
    entry.cancel_all_after(venue.now_ns, number, 10)
    venue.now_ns += 10 * 10**9
    venue.marks()
    assert venue.events[-1].reason == CancelReason.CANCEL_ALL_AFTER
    assert entry.house.conditions.client_order(trader, "a") is None
    venue.check()
