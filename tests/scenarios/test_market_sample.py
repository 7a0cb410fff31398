"""The look of a book: what rests within each band, against the orders added up."""

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
            bids = [o.remaining_lots for o in book if o.side > 0 and o.price_ticks >= low]
            asks = [o.remaining_lots for o in book if o.side < 0 and o.price_ticks <= high]
            assert (sample.bid_depth_lots[n], sample.ask_depth_lots[n]) == (sum(bids), sum(asks))
        assert len(sample.bid_depth_lots) == len(sample.ask_depth_lots) == len(DEPTH_BANDS_BPS)
