"""What one order costs, step by step of its life, in CPU microseconds.

Layers: the stream of order_stream.py through bare matching, then with check and settlement, then
with the journal of the ledger, then with the recorder behind it; each layer's cost is the
difference to the one before, per operation of the stream. Pieces: single steps called alone, in a
market with two accounts. Clock: the simulation's own overhead, two simpy events per order.

Prints one JSON object.

    python benchmarks/order_life.py [--n 50000]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import order_path
import simpy
from order_stream import generate

from accounts.admission import rule_refusal
from accounts.clearing import ClearingHouse
from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import OrderRequest, OrderType, Side
from risk.rules import load_rules
from scenarios.recorder import Recorder

E8 = 10**8
NAME = order_path.INSTRUMENT
ROUNDS = 3
Ops = list[tuple[int, int, int, int, int]]


def per_call(count: int, run: Callable[[int], object]) -> float:
    """Microseconds per call, the least of a few rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for number in range(count):
            run(number)
        least = min(least, time.process_time() - started)
    return round(least / count * 1e6, 3)


def through_house(ops: Ops, *, journal: bool, record: bool) -> float:
    """Seconds for the stream through a clearing house of 1,000 accounts."""
    instruments = [parse_instrument("BTC-USDT"), parse_instrument(NAME)]
    recorder = Recorder(None, instruments) if record else None
    house = ClearingHouse(
        instruments, load_rules("okx-2025"), *([recorder] if recorder else []), recording=journal
    )
    for number in range(1_000):
        house.deposit(0, house.open_account(f"trader/{number}"), "USDT", 10**9 * E8)
    price = 10_000 * E8
    house.publish(0, {"BTC": price, "USDT": E8, "USDC": E8}, {"BTC-USDT": price})
    for listing in house.by_number:
        listing.low_ticks, listing.high_ticks = 1, 1 << 40
    for account in house.accounts:
        house.position(account, house.listings[NAME])
    house.flush()
    owner: dict[int, int] = {}

    def submit(oid: int, request: OrderRequest) -> list[Any]:
        owner[oid] = account = 2 * (oid % 500) + (1 if request.side > 0 else 0)
        if oid % 100 == 0:
            house.flush()
        return house.submit(oid, account, request)

    def cancel(order_id: int, oid: int) -> None:
        house.cancel(oid, owner[oid], order_id)

    return order_path.run(ops, (NAME,), submit, cancel)[0]


def layers(ops: Ops) -> dict[str, float]:
    """Microseconds per operation that each layer adds."""
    count = len(ops)
    steps = {
        "bare matching": lambda: order_path.bare(ops, (NAME,))[0],
        "check and settlement": lambda: through_house(ops, journal=False, record=False),
        "ledger journal": lambda: through_house(ops, journal=True, record=False),
        "recorder": lambda: through_house(ops, journal=True, record=True),
    }
    total = {name: min(run() for _ in range(ROUNDS)) / count * 1e6 for name, run in steps.items()}
    added, before = {}, 0.0
    for name, microseconds in total.items():
        added[name] = round(microseconds - before, 2)
        before = microseconds
    return added | {"in all": round(before, 2)}


def pieces(count: int) -> dict[str, float]:
    """Microseconds of single steps called alone."""
    house = ClearingHouse([parse_instrument(NAME)], load_rules("okx-2025"), recording=False)
    buyer, seller = (house.open_account(name) for name in ("buyer", "seller"))
    for account in (buyer, seller):
        house.deposit(0, account, "USDT", 10**9 * E8)
    house.publish(0, {"BTC": 10_000 * E8, "USDT": E8, "USDC": E8}, {})
    listing, exposures = house.listings[NAME], house.exposures
    bought, sold = house.position(buyer, listing), house.position(seller, listing)
    request = OrderRequest(NAME, Side.BUY, OrderType.LIMIT, 1, 99_000)
    row = exposures.order_row()
    engine = MatchingEngine(listing.instrument)
    book = engine.book

    def check(_: int) -> None:
        exposures.place(row, bought.row, 1, 99_000, 1, False)
        exposures.remove_order(row)
        exposures.order_row()

    def rest(number: int) -> None:
        order = engine.new_order(0, request, number)
        book.add(order)
        book.cancel(order.order_id)

    def settle(number: int) -> None:
        house.settlement.settle(number, listing, bought, sold, 10**6, 1, 50, 20, -1, -1, number)

    def fees(_: int) -> None:
        value = listing.instrument.value_atoms(99_000, 1)
        listing.fee_atoms(listing.maker_rate, value, 1)
        listing.fee_atoms(listing.taker_rate, value, 1)

    return {
        "request object": per_call(
            count, lambda _: OrderRequest(NAME, Side.BUY, OrderType.LIMIT, 1, 99_000)
        ),
        "rules of the instrument": per_call(
            count, lambda _: rule_refusal(listing, buyer, request, stale=False)
        ),
        "margin check, booked and taken out": per_call(count, check),
        "order object, rest in the book, cancel": per_call(count, rest),
        "value and two fees": per_call(count, fees),
        "settlement of a fill, both sides": per_call(count, settle),
    }


def clock(count: int) -> float:
    """Microseconds per order of two simpy events with a callback each: there and back."""
    env = simpy.Environment()

    def back(_: Any) -> None:
        return None

    def there(_: Any) -> None:
        env.timeout(5).callbacks.append(back)

    def run() -> float:
        for number in range(count):
            env.timeout(number).callbacks.append(there)
        started = time.process_time()
        env.run()
        return time.process_time() - started

    return round(min(run() for _ in range(ROUNDS)) / count * 1e6, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50_000)
    count = parser.parse_args().n
    rows, _ = generate(count, 7, 3000, 2000)
    ops = order_path.requests(rows)
    layers(ops[:2_000])  # kernels are loaded before the clock starts
    figures = {"layers_us": layers(ops), "pieces_us": pieces(count), "two_events_us": clock(count)}
    print(json.dumps({"operations": count, **figures}, indent=1))


if __name__ == "__main__":
    main()
