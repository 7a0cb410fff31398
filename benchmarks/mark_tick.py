"""What a mark costs with many accounts: a tick of 1 bp against the full pass over all of them.

Prints one JSON object: full_ms, tick_ms (the watch of accounts by their radius), ratio,
accounts looked at per tick, and check_ms: the whole risk control at such a tick.

    python benchmarks/mark_tick.py [--accounts 100000] [--positions 5] [--ticks 50]
"""

from __future__ import annotations

import argparse
import json
import time
from random import Random

from accounts.clearing import ClearingHouse
from accounts.insurance import InsuranceFunds
from accounts.risk_control import RiskControl
from exchange.instrument import parse_instrument
from risk import order_tables as t
from risk.rules import load_rules

E8 = 10**8
COINS = {"BTC": 60_000, "ETH": 3_000, "SOL": 150, "XRP": 1, "DOGE": 1, "LTC": 80, "ADA": 1}
COINS |= {"BNB": 500, "AVAX": 30, "LINK": 15}
FIRST = {coin: price * E8 for coin, price in COINS.items()} | {"USDT": E8, "USDC": E8}


def filled_house(accounts: int, positions: int) -> ClearingHouse:
    """Accounts of 10,000 to 1,000,000 USDT with leverage 0.1 to 3, half of them short."""
    rng = Random(7)
    names = [f"{coin}-USDT-SWAP" for coin in COINS]
    house = ClearingHouse(
        [parse_instrument(name) for name in names], load_rules("okx-2025"), recording=False
    )
    house.publish(0, FIRST, {})
    maker = house.open_account("counterparty")
    house.deposit(0, maker, "USDT", 5 * 10**10 * E8)
    for number in range(accounts):
        account = house.open_account(f"trader/{number}")
        usd = 10 ** rng.uniform(4.0, 6.0)
        house.deposit(0, account, "USDT", round(usd) * E8)
        share = usd * 10 ** rng.uniform(-1.0, 0.5) / positions
        for name in rng.sample(names, positions):
            listing = house.listings[name]
            ticks = int(house.market.mark_ticks[listing.number])
            lots = max(1, round(share * E8 / listing.instrument.value_atoms(ticks, 1)))
            giver, taker = house.position(maker, listing), house.position(account, listing)
            house.settlement.move(0, listing, giver, taker, rng.choice((1, -1)) * lots, ticks, 0)
        while house.exposures.figures(account.number)[t.T_RATIO] < 1.05:  # none to liquidate
            house.deposit(0, account, "USDT", round(usd) * E8)
    return house


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--positions", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=50)
    arguments = parser.parse_args()
    house = filled_house(arguments.accounts, arguments.positions)
    control = RiskControl(house, InsuranceFunds(house), forced_flow=False)
    control.check(1)
    rng, usd, now_ns = Random(1), dict(FIRST), 1
    ticks, checks, looked = [], [], 0
    for _ in range(arguments.ticks):
        now_ns += 10**9
        for coin in COINS:
            usd[coin] = round(usd[coin] * (1.0 + rng.choice((-1e-4, 1e-4))))
        house.publish(now_ns, usd, {})
        started = time.process_time()
        house.exposures.watch()
        ticks.append(time.process_time() - started)
        looked += len(house.exposures.looked)
        started = time.process_time()
        control.check(now_ns)
        checks.append(time.process_time() - started)
    full = []
    for _ in range(3):
        now_ns += 10**9
        house.publish(now_ns, usd, {})
        started = time.process_time()
        house.exposures.all_figures()
        full.append(time.process_time() - started)
    full_ms, tick_ms = min(full) * 1e3, sum(ticks) / len(ticks) * 1e3
    print(
        json.dumps(
            {
                "accounts": arguments.accounts,
                "positions": arguments.accounts * arguments.positions,
                "full_ms": round(full_ms, 3),
                "tick_ms": round(tick_ms, 3),
                "ratio": round(full_ms / tick_ms, 1),
                "looked_at_per_tick": round(looked / arguments.ticks, 1),
                "check_ms": round(sum(checks) / len(checks) * 1e3, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
