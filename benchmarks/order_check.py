"""What one order check costs when called from Python, against positions and open orders held.

Prints one JSON object: {"cases": [{"positions": .., "orders": .., "check_us": ..,
"book_and_cancel_us": .., "after_mark_us": ..}, ..]}.
`check_us`: checking a new order, booking it and taking it out again, between marks: two calls.
`book_and_cancel_us`: the same without the check, for comparison. `after_mark_us`: as the first
when the mark is new, which rebuilds the sums of the account.

    python benchmarks/order_check.py [--n 20000]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from accounts.clearing import ClearingHouse
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from risk.rules import load_rules

E8 = 10**8
COINS = {"BTC": 60_000, "ETH": 3_000, "SOL": 150, "XRP": 1, "DOGE": 1, "LTC": 80, "ADA": 1}
COINS |= {"BNB": 500, "AVAX": 30, "LINK": 15}
USD = {coin: price * E8 for coin, price in COINS.items()} | {"USDT": E8, "USDC": E8}


def house_with(positions: int, orders: int) -> ClearingHouse:
    """Account 0 with positions in so many coins and so many open orders, spread over them."""
    names = [f"{coin}-USDT-SWAP" for coin in COINS]
    house = ClearingHouse(
        [parse_instrument(name) for name in names], load_rules("okx-2025"), recording=False
    )
    for name in ("trader", "other"):
        house.deposit(0, house.open_account(name), "USDT", 10**9 * E8)
    house.publish(0, USD, {})
    for name in names[:positions]:
        ticks = int(house.market.mark_ticks[house.listings[name].number])
        for account, side in ((0, Side.BUY), (1, Side.SELL)):
            house.submit(1, account, OrderRequest(name, side, OrderType.LIMIT, 100, ticks))
    for number in range(orders):
        name = names[number % max(1, positions)]
        ticks = int(house.market.mark_ticks[house.listings[name].number])
        ticks -= max(1, ticks // 1000)
        house.submit(2, 0, OrderRequest(name, Side.BUY, OrderType.LIMIT, 10, ticks))
    assert len(house.accounts[0].orders) == orders
    return house


def microseconds(count: int, run: Callable[[], object]) -> float:
    """The fastest of five rounds, per call."""
    fastest = 1e9
    for _ in range(5):
        started = time.process_time()
        for _ in range(count):
            run()
        fastest = min(fastest, time.process_time() - started)
    return fastest / count * 1e6


def case(positions: int, orders: int, count: int) -> dict[str, float]:
    house = house_with(positions, orders)
    exposures, market = house.exposures, house.market
    listing = house.listings["BTC-USDT-SWAP"]
    position = house.position(house.accounts[0], listing).row
    ticks = int(market.mark_ticks[listing.number]) - 10
    row = exposures.order_row()

    def check() -> None:
        assert exposures.place(row, position, 1, ticks, 10, False) == 0
        exposures.without_order(row)

    def undo() -> None:
        exposures.with_order(row)
        exposures.without_order(row)

    def after_mark() -> None:
        market.rule_terms[t.R_VERSION] += 1.0
        check()

    check()
    both, booking = microseconds(count, check), microseconds(count, undo)
    return {
        "positions": positions,
        "orders": orders,
        "check_us": round(both, 3),
        "book_and_cancel_us": round(booking, 3),
        "after_mark_us": round(microseconds(count, after_mark), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000)
    arguments = parser.parse_args()
    sizes = ((1, 0), (1, 20), (10, 0), (10, 20), (10, 200))
    print(json.dumps({"cases": [case(p, o, arguments.n) for p, o in sizes]}, indent=1))


if __name__ == "__main__":
    main()
