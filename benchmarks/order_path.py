"""What the full check and settlement of an order cost, against bare matching of the same orders.

Prints one JSON object: {"cases": [{"accounts": .., "checked_orders_per_s": ..,
"bare_orders_per_s": .., "ratio": ..}]}. Both paths take the stream of order_stream.py and make the
same request, order, fill and event objects; the checked path is `ClearingHouse.submit` (price
limits, margin check, matching, ledger, positions, exposures). The reference fills of the stream
must come out of both. Times are of the process, so that other load on the machine counts as little
as it can.

    python benchmarks/order_path.py [--n 200000] [--accounts 100,1000,10000] [--mixed]
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import time
from typing import Any

from order_stream import generate

from accounts.clearing import ClearingHouse
from exchange.events import Fill
from exchange.instrument import parse_instrument
from exchange.matching import Ids, MatchingEngine
from exchange.order import OrderRequest, OrderType, Side
from risk.rules import load_rules

INSTRUMENT = "BTC-USDT-SWAP"
MIXED = (INSTRUMENT, "BTC-USD-SWAP", "BTC-USDC-SWAP", "BTC-USDT-250328", "BTC-USDT")
E8 = 10**8


class Reference:
    """The hash of the fill sequence as order_stream.py makes it."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=8)
        self.fills = 0

    def add(self, taker: int, maker: int, price: int, lots: int) -> None:
        self.fills += 1
        self.hash.update(b"%d,%d,%d,%d;" % (taker, maker, price, lots))


def requests(rows: Any) -> list[tuple[int, int, int, int, int]]:
    """The stream as (op, oid, side, price, qty or target) with sides +1 and -1."""
    return [
        (op, oid, 1 if side == 0 else -1, price, target if op == 1 else qty)
        for op, oid, side, price, qty, target in rows.tolist()
    ]


def run(
    ops: list[tuple[int, int, int, int, int]], names: tuple[str, ...], submit: Any, cancel: Any
) -> tuple[float, str]:
    """Feed the stream, its orders dealt out over `names`; seconds and the hash of the fills."""
    books = len(names)
    owner_of: dict[int, int] = {}  # oid of the stream -> order id here
    stream_id: dict[int, int] = {}
    fills: list[tuple[int, int, int, int]] = []
    buy, sell = Side.BUY, Side.SELL
    limit, market = OrderType.LIMIT, OrderType.IOC
    gc.collect()
    gc.freeze()  # what was set up before is not the collector's business, in either path
    started = time.process_time()
    for op, oid, side, price, value in ops:
        if op == 1:
            cancel(owner_of[value], value)
            continue
        kind = limit if op != 2 else market
        ticks = price if op != 2 else (200_000 if side > 0 else 50_000)
        name = names[oid % books]
        events = submit(oid, OrderRequest(name, buy if side > 0 else sell, kind, value, ticks))
        order = events[0].order
        owner_of[oid] = order.order_id
        stream_id[order.order_id] = oid
        for event in events:
            if type(event) is Fill:
                fills.append(
                    (event.taker.order_id, event.maker.order_id, event.price_ticks, event.size_lots)
                )
    seconds = time.process_time() - started
    gc.unfreeze()
    reference = Reference()
    for taker, maker, price, lots in fills:
        reference.add(stream_id[taker], stream_id[maker], price, lots)
    return seconds, reference.hash.hexdigest()


def bare(ops: list[tuple[int, int, int, int, int]], names: tuple[str, ...]) -> tuple[float, str]:
    ids, fills = Ids(), Ids()
    engines = [
        MatchingEngine(parse_instrument(name), order_ids=ids, fill_ids=fills) for name in names
    ]
    books, engine = len(engines), engines[0]

    def submit(oid: int, request: OrderRequest) -> list[Any]:
        return engine.submit(engine.new_order(oid, request, oid), oid)

    def cancel(order_id: int, oid: int) -> None:
        engine.cancel(order_id, oid)

    def submit_to_one(oid: int, request: OrderRequest) -> list[Any]:
        engine = engines[oid % books]
        return engine.submit(engine.new_order(oid, request, oid), oid)

    def cancel_in_one(order_id: int, oid: int) -> None:
        engines[oid % books].cancel(order_id, oid)

    if books == 1:
        return run(ops, names, submit, cancel)
    return run(ops, names, submit_to_one, cancel_in_one)


def checked(
    ops: list[tuple[int, int, int, int, int]], names: tuple[str, ...], accounts: int
) -> tuple[float, str]:
    instruments = [parse_instrument(name) for name in names]
    house = ClearingHouse(instruments, load_rules("okx-2025"), recording=True)
    for number in range(accounts):
        account = house.open_account(f"trader/{number}")
        for currency in ("BTC", "USDT", "USDC"):
            house.deposit(0, account, currency, 10**6 * E8)
    price = 10_000 * E8
    house.publish(0, {"BTC": price, "USDT": E8, "USDC": E8}, {})
    for listing in house.by_number:
        listing.low_ticks, listing.high_ticks = 1, 1 << 40  # the stream wanders without an index
    for account in house.accounts:
        for listing in house.by_number:
            house.position(account, listing)  # opening rows is not the order's cost
    half = accounts // 2
    owner: dict[int, int] = {}

    def submit(oid: int, request: OrderRequest) -> list[Any]:
        # buyers only buy, sellers only sell: no order meets one of its own account
        account = 2 * (oid % half) + (1 if request.side > 0 else 0)
        owner[oid] = account
        return house.submit(oid, account, request)

    def cancel(order_id: int, oid: int) -> None:
        house.cancel(oid, owner[oid], order_id)

    result = run(ops, names, submit, cancel)
    assert all(error == 0 for error in house.ledger.conservation_error().values())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--accounts", default="100,1000,10000")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--mixed", action="store_true", help="also five products at once")
    arguments = parser.parse_args()
    rows, marks = generate(arguments.n, 7, 3000, 2000)
    ops = requests(rows)
    sizes = [int(text) for text in arguments.accounts.split(",")]
    reference = marks[arguments.n]["hash"]
    cases = [case(ops, (INSTRUMENT,), n, arguments.repeat, reference) for n in sizes]
    mixed = [case(ops, MIXED, n, arguments.repeat, None) for n in sizes if arguments.mixed]
    if mixed:
        print(json.dumps({"cases": cases, "mixed_cases": mixed}))
    else:
        print(json.dumps({"cases": cases}))


def case(
    ops: list[tuple[int, int, int, int, int]],
    names: tuple[str, ...],
    accounts: int,
    repeat: int,
    reference: str | None,
) -> dict[str, Any]:
    """The fastest of `repeat` runs of either path; both must make the same fills."""
    fastest_bare, fastest = 1e9, 1e9
    for _ in range(repeat):
        seconds, expected = bare(ops, names)
        assert reference in (None, expected), "bare fills differ from the reference"
        fastest_bare = min(fastest_bare, seconds)
        seconds, digest = checked(ops, names, accounts)
        assert digest == expected, "checked fills differ from the reference"
        fastest = min(fastest, seconds)
    return {
        "accounts": accounts,
        "instruments": len(names),
        "checked_orders_per_s": round(len(ops) / fastest),
        "bare_orders_per_s": round(len(ops) / fastest_bare),
        "ratio": round(fastest / fastest_bare, 2),
        "reference_fills": digest == reference,
    }


if __name__ == "__main__":
    main()
