"""Speed of the order book and the matching engine: `python -m benchmarks.book`.

Prints one JSON object, times in microseconds per operation:

- bare: orders into `OrderBook` and `sweep`, no requests and no events, on the 1,000,000-operation
  stream; its fills must hash to the reference at every checkpoint;
- objects: OrderRequest -> MatchingEngine.place -> Order -> events, the same stream and check;
- deep: add, sweep and cancel in a book that holds 100,000 orders;
- naive: the sorted-list market of the tests on the head of the stream, and the engine on the
  same head, in this same process: `speed_ratio` compares them.

Each figure is the best of `--rounds` runs, in CPU time of this process, so that a busy machine does
not count; the stream is made before the clock starts.
"""

import argparse
import gc
import hashlib
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.order_stream import CANCEL, CROSS, LIMIT, MARKET, Checkpoint, generate
from exchange.book import OrderBook
from exchange.events import Fill, OrderAccepted
from exchange.instrument import Instrument, parse_instrument
from exchange.matching import MatchingEngine, sweep
from exchange.order import Order, OrderRequest, OrderType, Side
from tests.oracles import naive_book

INSTRUMENT_ID = "BTC-USDT-SWAP"
DEEP_ORDERS = 100_000
DEEP_OPERATIONS = 200_000
Row = tuple[int, int, int, int, int, int]


class Tape:
    """Hash and totals of the fills of a run, compared with the reference at checkpoints."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=8)
        self.fills = self.volume = self.notional = 0

    def add(self, taker_id: int, maker_id: int, price_ticks: int, lots: int) -> None:
        self.hash.update(b"%d,%d,%d,%d;" % (taker_id, maker_id, price_ticks, lots))
        self.fills += 1
        self.volume += lots
        self.notional += lots * price_ticks

    def agrees(self, book: OrderBook, expected: Checkpoint) -> bool:
        """Whether fills and book are those of the reference at this point."""
        return expected == {
            "fills": self.fills,
            "volume": self.volume,
            "notional": self.notional,
            "resting": len(book),
            "resting_qty": sum(order.remaining_lots for order in book),
            "best_bid": book.best_bid(),
            "best_ask": book.best_ask(),
            "hash": self.hash.hexdigest(),
            # The reference keeps emptied levels until they reach the touch.
            "levels": expected["levels"],
        }


def run_bare(instrument: Instrument, rows: Sequence[Row], book: OrderBook) -> None:
    """Play the stream on the book: the loop that is timed."""
    sides = (Side.BUY, Side.SELL)
    add, cancel, order_type = book.add, book.cancel, OrderType.LIMIT
    for op, order_id, side, price, lots, target in rows:
        if op == LIMIT:
            add(Order(order_id, instrument, order_id, sides[side], order_type, price, lots, lots))
        elif op == CANCEL:
            cancel(target)
        else:
            taker = Order(
                order_id, instrument, order_id, sides[side], order_type, price, lots, lots
            )
            sweep(book, taker, price, [])
            if op == CROSS and taker.remaining_lots:
                add(taker)


def run_objects(engine: MatchingEngine, rows: Sequence[Row], ids: dict[int, int]) -> None:
    """Play the stream through requests and events: the loop that is timed.

    ids: order id of the stream -> order id of the engine, filled here.
    """
    sides = (Side.BUY, Side.SELL)
    limit, market = OrderType.LIMIT, OrderType.MARKET
    for op, order_id, side, price, lots, target in rows:
        if op == CANCEL:
            engine.cancel(ids[target], order_id)
            continue
        request = OrderRequest(
            INSTRUMENT_ID,
            sides[side],
            market if op == MARKET else limit,
            lots,
            None if op == MARKET else price,
        )
        events = engine.place(order_id, request, order_id)
        first = events[0]
        if type(first) is OrderAccepted:
            ids[order_id] = first.order.order_id


def check_bare(rows: Sequence[Row], marks: dict[int, Checkpoint]) -> bool:
    """Play the stream untimed with a tape; True if every checkpoint agrees."""
    instrument = parse_instrument(INSTRUMENT_ID)
    book, tape, good = OrderBook(instrument), Tape(), True
    for op, order_id, side, price, lots, target in rows:
        if op == CANCEL:
            good &= book.cancel(target) is not None
        else:
            taker_side = Side.SELL if side else Side.BUY
            order_type = OrderType.LIMIT
            taker = Order(order_id, instrument, order_id, taker_side, order_type, price, lots, lots)
            matches: list[tuple[Order, int]] = []
            if op != LIMIT:
                sweep(book, taker, price, matches)
            for maker, filled in matches:
                tape.add(order_id, maker.order_id, maker.price_ticks, filled)
            if op != MARKET and taker.remaining_lots:
                book.add(taker)
        if order_id in marks:
            good &= tape.agrees(book, marks[order_id])
    book._check()
    return good


def check_objects(rows: Sequence[Row], marks: dict[int, Checkpoint]) -> bool:
    """As `check_bare`, through requests and events."""
    engine, tape, good = MatchingEngine(parse_instrument(INSTRUMENT_ID)), Tape(), True
    ids: dict[int, int] = {}
    for op, order_id, side, price, lots, target in rows:
        if op == CANCEL:
            good &= len(engine.cancel(ids[target], order_id)) == 1
        else:
            order_type = OrderType.MARKET if op == MARKET else OrderType.LIMIT
            taker_side = Side.SELL if side else Side.BUY
            request = OrderRequest(INSTRUMENT_ID, taker_side, order_type, lots, price or None)
            for event in engine.place(order_id, request, order_id):
                if isinstance(event, OrderAccepted):
                    ids[order_id] = event.order.order_id
                elif isinstance(event, Fill):
                    # Owners are the stream's order ids: they name maker and taker.
                    maker, taker = event.maker.owner, event.taker.owner
                    tape.add(taker, maker, event.price_ticks, event.size_lots)
        if order_id in marks:
            good &= tape.agrees(engine.book, marks[order_id])
    engine.book._check()
    return good


def run_naive(rows: Sequence[Row], market: naive_book.NaiveMarket, ids: dict[int, int]) -> None:
    """Play the stream on the sorted-list market: the loop that is timed."""
    for op, order_id, side, price, lots, target in rows:
        if op == CANCEL:
            market.cancel(ids[target])
            continue
        order_type = naive_book.MARKET if op == MARKET else naive_book.LIMIT
        market.submit(order_id, -1 if side else 1, order_type, lots, price or None)
        ids[order_id] = market.last_id


def deep_operations() -> tuple[list[Row], list[Row]]:
    """Return (orders that fill the book, operations on it that keep its depth)."""
    rng = random.Random(11)
    rows: list[Row] = []
    for order_id in range(1, DEEP_ORDERS + 1):
        side = order_id % 2
        distance = rng.randint(1, 2_000)
        price = 50_000 + distance if side else 50_000 - distance
        rows.append((LIMIT, order_id, side, price, rng.randint(1, 20), 0))
    live = list(range(1, DEEP_ORDERS + 1))
    operations: list[Row] = []
    for order_id in range(DEEP_ORDERS + 1, DEEP_ORDERS + DEEP_OPERATIONS + 1):
        side = order_id % 2
        draw = rng.random()
        if draw < 0.55:
            distance = rng.randint(1, 2_000)
            price = 50_000 + distance if side else 50_000 - distance
            operations.append((LIMIT, order_id, side, price, rng.randint(1, 20), 0))
            live.append(order_id)
        elif draw < 0.9:
            index = rng.randrange(len(live))
            live[index], live[-1] = live[-1], live[index]
            # The target may have been filled meanwhile, as in life.
            operations.append((CANCEL, order_id, 0, 0, 0, live.pop()))
        else:
            operations.append((MARKET, order_id, side, 0, rng.randint(1, 40), 0))
    return rows, operations


def seconds(run: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def measure_deep(rounds: int) -> tuple[float, int]:
    """Return (best seconds of the deep operations, live orders at the end)."""
    instrument = parse_instrument(INSTRUMENT_ID)
    rows, operations = deep_operations()
    times = []
    for _ in range(rounds):
        book = OrderBook(instrument)
        run_bare(instrument, rows, book)
        times.append(seconds(lambda book=book: run_bare(instrument, operations, book)))  # type: ignore[misc]
    book._check()
    return min(times), len(book)


def measure(n: int, naive_n: int, rounds: int) -> dict[str, object]:
    stream, marks = generate(n)
    rows: list[Row] = [tuple(row) for row in stream.tolist()]
    head = rows[:naive_n]
    instrument = parse_instrument(INSTRUMENT_ID)

    def bare(part: Sequence[Row]) -> float:
        book = OrderBook(instrument)
        return seconds(lambda: run_bare(instrument, part, book))

    def objects(part: Sequence[Row]) -> float:
        engine = MatchingEngine(instrument)
        return seconds(lambda: run_objects(engine, part, {}))

    fills_agree = check_bare(rows, marks), check_objects(rows, marks)
    bare_s = min(bare(rows) for _ in range(rounds))
    objects_s = min(objects(rows) for _ in range(rounds))
    deep_s, deep_live = measure_deep(rounds)
    market = naive_book.NaiveMarket(int(instrument.kind))
    naive_s = seconds(lambda: run_naive(head, market, {}))
    bare_head_s = min(bare(head) for _ in range(rounds))
    objects_head_s = min(objects(head) for _ in range(rounds))
    return {
        "operations": n,
        "reference": marks[n],
        "reference_fills_agree": {"bare": fills_agree[0], "objects": fills_agree[1]},
        "bare": {"ops_per_second": round(n / bare_s), "us_per_op": round(bare_s / n * 1e6, 3)},
        "objects": {
            "ops_per_second": round(n / objects_s),
            "us_per_op": round(objects_s / n * 1e6, 3),
        },
        "deep": {
            "live_orders": deep_live,
            "operations": DEEP_OPERATIONS,
            "ops_per_second": round(DEEP_OPERATIONS / deep_s),
            "us_per_op": round(deep_s / DEEP_OPERATIONS * 1e6, 3),
        },
        "naive": {
            "operations": naive_n,
            "us_per_op": round(naive_s / naive_n * 1e6, 3),
            "speed_ratio": {
                "bare": round(naive_s / bare_head_s, 1),
                "objects": round(naive_s / objects_head_s, 1),
            },
        },
        "python": platform.python_version(),
        "rounds": rounds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--naive-operations", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in ("operations", "naive_operations", "rounds"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    figures = measure(arguments.operations, arguments.naive_operations, arguments.rounds)
    print(json.dumps(figures, indent=2))
    agree = figures["reference_fills_agree"]
    return 0 if agree == {"bare": True, "objects": True} else 1


if __name__ == "__main__":
    sys.exit(main())
