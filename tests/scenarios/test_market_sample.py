"""The look of a book: what rests within each band, against a query for each."""

from __future__ import annotations

import random

from exchange.book import OrderBook
from exchange.instrument import parse_instrument
from exchange.order import Order, OrderType, Side
from scenarios.market_sample import DEPTH_BANDS_BPS, sample_market

INSTRUMENT = parse_instrument("BTC-USDT-SWAP")


def test_depth_is_what_rests_within_each_band() -> None:
    rng = random.Random(5)
    for orders in (0, 1, 3, 40, 400):
        book = OrderBook(INSTRUMENT)
        for number in range(orders):
            side = rng.choice((Side.BUY, Side.SELL))
            away = round(rng.choice((30, 300, 3_000)) * rng.random()) + 1
            price, lots = 50_000 - int(side) * away, rng.randint(1, 9)
            book.add(Order(number + 1, INSTRUMENT, 1, side, OrderType.LIMIT, price, lots, lots))
        sample = sample_market(1, 0, book, index_e8=1, mark_ticks=50_000, last_ticks=0)
        bid, ask = book.best_bid(), book.best_ask()
        doubled = (bid or ask or 50_000) + (ask or bid or 50_000)
        for n, bps in enumerate(DEPTH_BANDS_BPS):
            low = -(-doubled * (10_000 - bps) // 20_000)
            high = doubled * (10_000 + bps) // 20_000
            assert sample.bid_depth_lots[n] == book.volume_within(Side.BUY, low)
            assert sample.ask_depth_lots[n] == book.volume_within(Side.SELL, high)
        assert len(sample.bid_depth_lots) == len(sample.ask_depth_lots) == len(DEPTH_BANDS_BPS)
