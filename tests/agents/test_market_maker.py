"""The market maker's rule on hand-made situations."""

from collections import Counter
from math import log

import pytest

from agents.market_maker import (
    OFFSETS_BP,
    MarketMaker,
    MarketMakerParameters,
    half_gaps,
    microprice,
    smaller_gaps,
)
from exchange.events import OrderRejected, RejectReason
from exchange.order import Side
from tests.agents.fake_venue import FakeExchange

PERPETUAL = "BTC-USDT-SWAP"


def one_maker(**changes: object) -> tuple[FakeExchange, MarketMaker]:
    exchange = FakeExchange([PERPETUAL])
    exchange.keep_requests = True
    parameters = MarketMakerParameters(count=1, **changes)  # type: ignore[arg-type]
    (maker,) = exchange.add(parameters, start=False)
    assert isinstance(maker, MarketMaker)
    return exchange, maker


def quote(exchange: FakeExchange, maker: MarketMaker) -> Counter[Side]:
    """Let the maker look once; wait for the messages; sides of the orders it sent."""
    venue = exchange.venues[0]
    venue.sent.clear()
    maker.quote()
    exchange.run(0.5)
    return Counter(request.side for request in venue.sent)


def test_widths_cover_the_book_once() -> None:
    widths = half_gaps(OFFSETS_BP)
    assert widths[0] == pytest.approx((0.2 + 0.4) / 2)
    assert widths[-1] == pytest.approx((60.0 + 60.0) / 2)
    assert sum(widths) == pytest.approx(0.1 + 160.0 + 30.0)
    assert smaller_gaps(OFFSETS_BP)[0] == 0.0


def test_first_look_fills_both_sides_around_the_outside_price() -> None:
    exchange, maker = one_maker(size_log_sd=0.0)
    assert quote(exchange, maker) == {Side.BUY: 13, Side.SELL: 13}
    market = exchange.markets[PERPETUAL]
    assert market.best_bid_ticks() == 500_000  # 50,000.0 at a tick of 0.1, rounded down
    assert market.best_ask_ticks() == 500_001  # one tick away: post-only, it slides
    within = market.volume_within(Side.BUY, int(500_000 * 0.99))
    assert within / market.lots_per_bp == pytest.approx(129.95, rel=0.01)  # all levels to 100 bp


def test_nothing_moves_nothing_is_sent() -> None:
    exchange, maker = one_maker(size_log_sd=0.0)
    quote(exchange, maker)
    assert quote(exchange, maker) == {}


def test_a_small_move_replaces_the_touch_only() -> None:
    exchange, maker = one_maker(size_log_sd=0.0, outside_weight=1.0)
    quote(exchange, maker)
    exchange.outside["BTC"].log_price += 0.02e-4  # one tick
    sent = quote(exchange, maker)
    assert 1 <= sent.total() <= 4


@pytest.mark.parametrize("ticks", [-7, 5, 40])
def test_own_stale_orders_do_not_hold_its_new_ones_back(ticks: int) -> None:
    exchange, maker = one_maker(size_log_sd=0.0, outside_weight=1.0)
    quote(exchange, maker)
    exchange.outside["BTC"].log_price = log((500_000.5 + ticks) / 10)
    quote(exchange, maker)
    market = exchange.markets[PERPETUAL]
    assert market.best_bid_ticks() == 500_000 + ticks
    assert market.best_ask_ticks() == 500_001 + ticks
    live = exchange.venues[0].live_orders(PERPETUAL)
    assert len(live) == 26  # nothing was refused for crossing


def test_inventory_shifts_quotes_down_and_stops_the_bid() -> None:
    exchange, maker = one_maker(size_log_sd=0.0)
    quote(exchange, maker)
    bid = exchange.markets[PERPETUAL].best_bid_ticks()
    assert bid is not None
    maker.inventory = 0.9 * maker.inventory_limit
    quote(exchange, maker)
    lower = exchange.markets[PERPETUAL].best_bid_ticks()
    assert lower is not None and lower < bid
    maker.inventory = 1.5 * maker.inventory_limit
    quote(exchange, maker)
    assert exchange.markets[PERPETUAL].best_bid_ticks() is None
    assert exchange.markets[PERPETUAL].best_ask_ticks() is not None
    maker.inventory = -1.5 * maker.inventory_limit
    quote(exchange, maker)
    assert exchange.markets[PERPETUAL].best_ask_ticks() is None


def test_inventory_fades() -> None:
    exchange, maker = one_maker()
    quote(exchange, maker)
    maker.inventory = 100.0
    exchange.run(60.0 - 0.5)
    maker.quote()
    assert maker.inventory == pytest.approx(100.0 / 2.718281828, rel=0.02)


def test_stress_thins_and_widens_the_book() -> None:
    exchange, maker = one_maker(size_log_sd=0.0)
    quote(exchange, maker)
    market = exchange.markets[PERPETUAL]
    calm = exchange.depth_ratio(market)
    for _ in range(30):
        market.stress.on_second(2e-3)
    quote(exchange, maker)
    bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
    assert bid is not None and ask is not None
    assert ask - bid > 50
    assert exchange.depth_ratio(market) < 0.2 * calm


def test_losses_make_it_withdraw_and_return() -> None:
    exchange, maker = one_maker(size_log_sd=0.0, withdrawal_seconds=1.0, return_seconds=10.0)
    quote(exchange, maker)
    maker.inventory = maker.inventory_limit
    maker._last_mid *= 1.05  # the price has fallen 5 % since
    quote(exchange, maker)
    assert maker.showing == pytest.approx(0.05)
    for _ in range(100):  # the loss fades with 120 s
        exchange.run(10.0)
        maker.quote()
    assert maker.showing > 0.99


def test_microprice_leans_to_the_thin_side() -> None:
    exchange, _ = one_maker()
    exchange.rest(PERPETUAL, Side.BUY, 100, 30)
    exchange.rest(PERPETUAL, Side.SELL, 110, 10)
    assert microprice(exchange.markets[PERPETUAL], 100, 110) == pytest.approx(107.5)


def test_no_outside_price_no_quote() -> None:
    exchange, maker = one_maker()
    exchange.outside["BTC"].log_price = float("nan")
    assert quote(exchange, maker) == {}


def test_makers_quote_into_an_empty_or_one_sided_book() -> None:
    exchange, maker = one_maker()
    exchange.rest(PERPETUAL, Side.SELL, 499_000, 1)  # far below the fair price
    quote(exchange, maker)
    market = exchange.markets[PERPETUAL]
    best_bid = market.best_bid_ticks()
    assert best_bid == 498_999  # slid behind the stranger, never crossing
    assert log(market.mid()) < log(50_000)


def test_a_side_that_was_refused_for_margin_is_taken_away_for_a_while() -> None:
    """Its standing orders go, the other side stays; a price limit, which moves, is no reason."""
    exchange, maker = one_maker(size_log_sd=0.0)
    quote(exchange, maker)
    market = exchange.markets[PERPETUAL]
    request = next(r for r in exchange.venues[0].sent if r.side == Side.BUY)
    owner = exchange.venues[0].owner
    maker.on_event(OrderRejected(0, request, owner, RejectReason.PRICE_LIMIT_BUY))
    quote(exchange, maker)
    assert len(market.depth(Side.BUY, 99)) == 13
    maker.on_event(OrderRejected(0, request, owner, RejectReason.INSUFFICIENT_MARGIN))
    quote(exchange, maker)
    assert market.depth(Side.BUY, 99) == []
    assert len(market.depth(Side.SELL, 99)) == 13
    exchange.run(605)
    quote(exchange, maker)
    assert len(market.depth(Side.BUY, 99)) == 13
