"""How cost grows with the number of accounts: a crash of 1,000 marks over 10,000 to 1,000,000.

`python benchmarks/scale.py [ACCOUNTS ...]` prints one JSON object. Each size runs in a process of
its own, with `ClearingHouse` and `RiskControl` directly: accounts with a USDT balance and a
position in one of four perpetuals, a maker who quotes a thin book, and prices that fall by 30 %.
Nothing is written. Loading, marks at which nothing is forced, and marks with liquidations are timed
apart (wall time); costs per account are processor time, liquidations included. A million accounts
need 4 GiB and four minutes or more, so they are asked for: `python benchmarks/scale.py 1000000`.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accounts.clearing import ClearingHouse
from accounts.events import RiskAction
from accounts.insurance import InsuranceFunds
from accounts.risk_control import RiskControl
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk.rules import load_rules

SIZES = (10_000, 100_000)
TICKS = 1_000
FALL = 0.30
SECOND = 10**9
START = 1_736_935_200 * SECOND
E8 = 10**8
PRICES = {"BTC": 97_000.0, "ETH": 3_300.0, "SOL": 190.0, "XRP": 3.1}
SWAPS = tuple(f"{coin}-USDT-SWAP" for coin in PRICES)
LEVELS, QUOTE_EVERY = 10, 20
DEPTH_USD = 5_000_000.0
"""What the maker shows at each of LEVELS prices, 5 bps apart, on each side."""


@dataclass
class Counter:
    """Counts forced orders as they are emitted."""

    forced: int = 0
    accounts: set[int] = field(default_factory=set)

    def __call__(self, event: Any) -> None:
        if type(event) is RiskAction:
            self.forced += 1
            self.accounts.add(event.account)


def publish(house: ClearingHouse, now: int, factor: float) -> None:
    """One mark: all coins at `factor` times their first price."""
    prices = {coin: round(price * factor * E8) for coin, price in PRICES.items()}
    usd = {**prices, "USDT": E8, "USDC": E8}
    house.publish(now, usd, {f"{coin}-USDT": price for coin, price in prices.items()})


def load(house: ClearingHouse, accounts: int) -> Any:
    """Open all accounts and their positions against one maker, whom it returns."""
    rng = np.random.default_rng(1)
    maker = house.open_account("maker")
    house.deposit(START, maker, "USDT", 10**10 * E8)
    listings = [house.listings[name] for name in SWAPS]
    others = [house.position(maker, listing) for listing in listings]
    ticks = [
        round(price / float(listing.instrument.tick))
        for price, listing in zip(PRICES.values(), listings, strict=True)
    ]
    usd_per_lot = [
        float(listing.instrument.units_per_lot) * price
        for price, listing in zip(PRICES.values(), listings, strict=True)
    ]
    money = rng.lognormal(np.log(5_000.0), 1.0, accounts)
    # half to 2.65 times the money, which a fall of 30 % just breaks; one account in 100: 6 times
    leverage = np.where(rng.random(accounts) < 0.01, 6.0, rng.uniform(0.5, 2.65, accounts))
    side = np.where(rng.random(accounts) < 0.6, 1, -1)
    which = rng.integers(0, len(SWAPS), accounts)
    for number in range(accounts):
        account = house.open_account(f"a{number}")
        house.deposit(START, account, "USDT", int(money[number] * E8))
        k = int(which[number])
        lots = int(side[number] * max(1.0, money[number] * leverage[number] / usd_per_lot[k]))
        position = house.position(account, listings[k])
        house.settlement.move(START, listings[k], others[k], position, lots, ticks[k], 0)
    return maker


def quote(house: ClearingHouse, maker: Any, now: int) -> None:
    """The maker's thin book around the mark."""
    house.cancel_all(now, maker.number)
    for name in SWAPS:
        listing = house.listings[name]
        mark = int(house.market.mark_ticks[listing.number])
        price = mark * float(listing.instrument.tick)
        lots = max(1, int(DEPTH_USD / (float(listing.instrument.units_per_lot) * price)))
        for level in range(1, LEVELS + 1):
            step = max(level, round(mark * 0.0005 * level))
            for side in (Side.BUY, Side.SELL):
                request = OrderRequest(name, side, OrderType.LIMIT, lots, mark - int(side) * step)
                house.submit(now, maker.number, request)


def crash(accounts: int) -> dict[str, Any]:
    """Load, fall, measure."""
    gc.disable()
    counter = Counter()
    house = ClearingHouse(
        [parse_instrument(name) for name in SWAPS], load_rules("okx-2025"), counter, recording=False
    )
    publish(house, START, 1.0)
    house.fund_pool(START, "USDT", 10**10 * E8)
    began, spent = time.perf_counter(), time.process_time()
    maker = load(house, accounts)
    loaded, spent = time.perf_counter() - began, time.process_time() - spent
    funds = InsuranceFunds(house)
    for name in SWAPS:
        funds.contribute(START, house.listings[name], 10**7 * E8)
    risk = RiskControl(house, funds)
    gc.freeze()
    quote(house, maker, START)
    risk.check(START)  # compiles, and fills every table for the first time
    noise = np.random.default_rng(2).normal(0.0, 5e-4, TICKS)
    quiet: list[float] = []
    busy: list[float] = []
    used = time.process_time()
    for tick in range(1, TICKS + 1):
        now = START + tick * SECOND
        before = counter.forced
        began = time.perf_counter()
        publish(house, now, 1.0 - FALL * tick / TICKS + noise[tick - 1])
        risk.check(now)
        (busy if counter.forced > before else quiet).append(time.perf_counter() - began)
        if tick % QUOTE_EVERY == 0:
            quote(house, maker, now)
    used = time.process_time() - used
    total = sum(quiet) + sum(busy)
    errors = house.ledger.conservation_error()
    assert not any(errors.values()), errors
    return {
        "accounts": accounts,
        "load_seconds": round(loaded, 2),
        "load_us_per_account": round(1e6 * spent / accounts, 2),
        "ticks": TICKS,
        "ticks_seconds": round(total, 2),
        "ticks_processor_seconds": round(used, 2),
        "ns_per_account_and_tick": round(1e9 * used / TICKS / accounts, 2),
        "ticks_without_forced_orders": len(quiet),
        "median_ms_of_those": round(1e3 * float(np.median(quiet)), 3) if quiet else None,
        "ticks_with_forced_orders": len(busy),
        "mean_ms_of_those": round(1e3 * float(np.mean(busy)), 3) if busy else None,
        "accounts_acted_on": len(counter.accounts),
        "forced_orders": counter.forced,
        "ms_per_forced_order": round(1e3 * sum(busy) / counter.forced, 3)
        if counter.forced
        else None,
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "conservation_error_atoms": 0,
    }


def main() -> None:
    """Run every size in a process of its own and print all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", nargs="*", type=int, default=list(SIZES))
    sizes: list[int] = parser.parse_args().accounts
    if len(sizes) == 1:
        print(json.dumps(crash(sizes[0]), indent=2))
        return
    found = [
        json.loads(
            subprocess.run([sys.executable, __file__, str(size)], check=True, stdout=-1).stdout
        )
        for size in sizes
    ]
    costs = [one["ns_per_account_and_tick"] for one in found]
    print(
        json.dumps({"sizes": found, "cost_last_to_first": round(costs[-1] / costs[0], 3)}, indent=2)
    )


if __name__ == "__main__":
    main()
