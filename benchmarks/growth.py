"""How the cost of an event grows with the size of the market, one thing at a time.

Grows accounts, instruments, open orders, positions per account and options per surface, each from a
small market, and measures in CPU microseconds per event:

- rest_us: a limit order that is checked and rests; cancel_us: taking it out again;
- trade_us: two orders that meet: both checked, matched, settled for maker and taker;
- mark_us: prices of a moment: marks, stress table, the look at all accounts by the watch;
- full_us: the margin of all accounts, from nothing.

Prints one JSON object; `--out DIR` also writes one plot per growth (HTML, no network needed).

    python benchmarks/growth.py [--out DIR] [--scale 1.0] [--only accounts,options]
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from accounts.clearing import ClearingHouse
from exchange.instrument import InstrumentKind, parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk.rules import load_rules

E8 = 10**8
SECOND = 10**9
START = 1_735_689_600 * SECOND  # 2025-01-01
COINS = {
    "BTC": 60_000, "ETH": 3_000, "SOL": 150, "BNB": 600, "LTC": 80, "AVAX": 30, "LINK": 15,
    "XRP": 1, "DOGE": 1, "ADA": 1,
}  # fmt: skip
USD = {coin: price * E8 for coin, price in COINS.items()} | {"USDT": E8, "USDC": E8}
PERPETUALS = [f"{coin}-USDT-SWAP" for coin in COINS] + [f"{coin}-USDC-SWAP" for coin in COINS]
EXPIRIES = ("250328", "250627", "250926", "251226")
EVENTS = 2_000
ROUNDS = 3

SIZES: dict[str, tuple[int, ...]] = {
    "accounts": (100, 1_000, 10_000, 50_000),
    "instruments": (1, 2, 5, 10, 20),
    "open_orders": (100, 1_000, 10_000, 50_000),
    "positions": (1, 2, 5, 10, 20),
    "options": (0, 16, 64, 256),
}
DEFAULTS = {"accounts": 100, "instruments": 2, "open_orders": 100, "positions": 1, "options": 0}


def surface_names(count: int) -> list[str]:
    """`count` options of BTC over four expiries, calls and puts around 60,000."""
    strikes = -(-count // (2 * len(EXPIRIES)))
    names = [
        f"BTC-USD-{expiry}-{60_000 + 1_000 * (k - strikes // 2)}-{kind}"
        for k in range(strikes)
        for expiry in EXPIRIES
        for kind in "CP"
    ]
    return names[:count]


class Market:
    """A clearing house of the wanted size; times events in it."""

    def __init__(
        self, accounts: int, instruments: int, open_orders: int, positions: int, options: int
    ) -> None:
        self.names = PERPETUALS[: max(instruments, positions)]
        surface = surface_names(options)
        self.house = ClearingHouse(
            [parse_instrument(name) for name in (*self.names, *surface)],
            load_rules("okx-2025"),
            recording=False,
        )
        self.vols = dict.fromkeys(surface, 0.6) or None
        self.now, self.accounts = START, accounts
        self.publish(0)
        for number in range(accounts):
            account = self.house.open_account(f"trader/{number}")
            self.house.deposit(self.now, account, "USDT", 10**9 * E8)
        self._hold(positions, surface)
        self._rest(open_orders)

    def publish(self, bp: int) -> None:
        """The prices of the next second, `bp` basis points above the first ones."""
        self.now += SECOND
        usd = {c: p * (10_000 + bp) // 10_000 for c, p in USD.items()}
        usd |= {"USDT": E8, "USDC": E8}
        self.house.publish(self.now, usd, {}, implied_vol=self.vols)

    def ticks(self, name: str) -> int:
        """The mark of an instrument."""
        return int(self.house.market.mark_ticks[self.house.listings[name].number])

    def submit(self, account: int, name: str, side: Side, ticks: int, lots: int = 1) -> Any:
        """One limit order; its first event. It must be accepted."""
        request = OrderRequest(name, side, OrderType.LIMIT, lots, ticks)
        first = self.house.submit(self.now, account % self.accounts, request)[0]
        assert hasattr(first, "order"), first
        return first

    def _hold(self, positions: int, surface: list[str]) -> None:
        """Every account holds so many perpetuals, and the first hundred two options each."""
        for number in range(self.accounts):
            held = [(self.names[(number + k) % len(self.names)], 100) for k in range(positions)]
            if surface and number < 100:
                held += [(surface[(2 * number + k) % len(surface)], 10) for k in (0, 1)]
            for name, lots in held:
                listing = self.house.listings[name]
                giver = self.house.position(self.house.accounts[(number + 1) % 100], listing)
                taker = self.house.position(self.house.accounts[number], listing)
                ticks = self.ticks(name)
                self.house.settlement.move(self.now, listing, giver, taker, lots, ticks, 0)

    def _rest(self, open_orders: int) -> None:
        for n in range(open_orders):
            name = self.names[n % len(self.names)]
            mark = self.ticks(name)
            # every account in every book: an account may have 500 orders in each
            account = n // len(self.names)
            self.submit(account, name, Side.BUY, mark - 2 - n % max(1, mark // 100))

    def measure(self) -> dict[str, float]:
        """Microseconds per event, the least of a few rounds."""
        spent: dict[str, list[float]] = {}
        gc.collect()
        gc.freeze()
        for number in range(ROUNDS):
            for what, run, events in (
                ("rest_us", self._resting, EVENTS),
                ("cancel_us", self._cancelling, EVENTS),
                ("trade_us", self._trading, EVENTS // 2),
                ("mark_us", lambda number=number: self._marking(number), 10),
            ):
                spent.setdefault(what, []).append(_cpu_us(run) / events)
            self.publish(number)  # a new mark: every account's figures are old
            spent.setdefault("full_us", []).append(_cpu_us(self.house.exposures.all_figures))
        gc.unfreeze()
        return {what: round(min(times), 2) for what, times in spent.items()}

    def _resting(self) -> None:
        self.resting = []
        prices = [(name, self.ticks(name) - 1) for name in self.names]
        for n in range(EVENTS):
            name, ticks = prices[n % len(prices)]
            account = 7 * (n // len(prices))
            self.resting.append(self.submit(account, name, Side.BUY, ticks).order)

    def _cancelling(self) -> None:
        for order in self.resting:
            self.house.cancel(self.now, order.owner, order.order_id)

    def _trading(self) -> None:
        prices = [(name, self.ticks(name)) for name in self.names]
        for n in range(EVENTS // 2):
            name, ticks = prices[n % len(prices)]
            self.submit(7 * n, name, Side.SELL, ticks)
            self.submit(7 * n + 1, name, Side.BUY, ticks)

    def _marking(self, number: int) -> None:
        for n in range(10):
            self.publish((n + number) % 2)
            self.house.exposures.watch()


def _cpu_us(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1e6


def grow(what: str, scale: float) -> list[dict[str, float]]:
    """One market per size of `what`, all else at the defaults; sizes above the least scaled."""
    cases = []
    least = SIZES[what][0]
    for size in sorted({max(least, round(size * scale)) for size in SIZES[what]}):
        market = Market(**{**DEFAULTS, what: size})
        kinds = [i.kind for i in (x.instrument for x in market.house.by_number)]
        assert kinds.count(InstrumentKind.OPTION) == (size if what == "options" else 0)
        cases.append({what: size, **market.measure()})
    return cases


def draw(what: str, cases: list[dict[str, float]], folder: Path) -> None:
    """One plot: cost per event against size, both axes logarithmic (0 options drawn at 1)."""
    figure = go.Figure()
    for cost in ("rest_us", "cancel_us", "trade_us", "mark_us", "full_us"):
        figure.add_scatter(
            x=[max(1, case[what]) for case in cases],
            y=[case[cost] for case in cases],
            name=cost.removesuffix("_us"),
            mode="lines+markers",
        )
    figure.update_xaxes(type="log", title=what.replace("_", " "))
    figure.update_yaxes(type="log", title="CPU microseconds per event")
    figure.update_layout(title=f"Cost per event against {what.replace('_', ' ')}")
    folder.mkdir(parents=True, exist_ok=True)
    figure.write_html(folder / f"growth-{what}.html", include_plotlyjs="directory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes above the least")
    parser.add_argument("--only", default=",".join(SIZES), help="what to grow, with commas")
    arguments = parser.parse_args()
    Market(**DEFAULTS).measure()  # kernels are loaded before the clock starts
    growth = {}
    for what in arguments.only.split(","):
        growth[what] = grow(what, arguments.scale)
        if arguments.out is not None:
            draw(what, growth[what], arguments.out)
    print(json.dumps({"events": EVENTS, "growth": growth}, indent=1))


if __name__ == "__main__":
    main()
