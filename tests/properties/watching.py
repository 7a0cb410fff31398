"""Two houses on one path of prices: one looks at the accounts that its watch names, one at all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np

from accounts.account import Account
from accounts.clearing import ClearingHouse
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from risk.rules import load_rules
from tests.accounts.venue import E8, NOW_NS

FIRST = {"BTC": 97_000, "ETH": 3_300, "SOL": 170, "USDT": 1, "USDC": 1}
SECOND_NS, HOUR_NS = 10**9, 3600 * 10**9


@dataclass
class World:
    """Prices outside: USD indices in 1e-8, volatility of options, forwards over the index."""

    vols: dict[str, float]
    forwards: dict[str, float] = field(default_factory=dict)
    usd: dict[str, int] = field(default_factory=lambda: {c: p * E8 for c, p in FIRST.items()})

    def publish(self, house: ClearingHouse, now_ns: int) -> None:
        forward = {
            name: self.usd[name.split("-")[0]] / E8 * ratio for name, ratio in self.forwards.items()
        }
        house.publish(now_ns, self.usd, {}, implied_vol=self.vols, forward=forward)


def open_bank(house: ClearingHouse, world: World) -> Account:
    """First prices, full lending pools, and an account that can take the other side of anything."""
    for currency in FIRST:
        house.fund_pool(NOW_NS, currency, 10**8 * E8)
    world.publish(house, NOW_NS)
    bank = house.open_account("bank")
    for currency, price in FIRST.items():
        house.deposit(NOW_NS, bank, currency, 10**10 * E8 // price)
    return bank


Path = Callable[[Random, int, World], None]
Make = Callable[[], tuple[ClearingHouse, World]]


def small_moves(rng: Random, tick: int, world: World) -> None:
    """A basis point or two a tick, all coins apart."""
    for coin in ("BTC", "ETH", "SOL"):
        world.usd[coin] = round(world.usd[coin] * (1.0 + rng.gauss(0.0, 2e-4)))


def jumps(rng: Random, tick: int, world: World) -> None:
    """Calm, with a jump of some per cent now and then."""
    small_moves(rng, tick, world)
    if rng.random() < 0.02:
        coin = rng.choice(("BTC", "ETH", "SOL"))
        world.usd[coin] = round(world.usd[coin] * rng.uniform(0.93, 1.07))


def slide(rng: Random, tick: int, world: World) -> None:
    """All coins fall together by a third over the path, and come half the way back."""
    drift = -4e-4 if tick % 1000 < 700 else 6e-4
    for coin in ("BTC", "ETH", "SOL"):
        world.usd[coin] = round(world.usd[coin] * (1.0 + drift + rng.gauss(0.0, 3e-4)))


def depeg(rng: Random, tick: int, world: World) -> None:
    """Stablecoins leave their peg, one far, and return."""
    small_moves(rng, tick, world)
    depth = 0.12 * min(1.0, abs((tick % 400) - 200) / 200.0)
    world.usd["USDC"] = round(E8 * (0.88 + depth + rng.gauss(0.0, 1e-4)))
    world.usd["USDT"] = round(world.usd["USDT"] * (1.0 + rng.gauss(0.0, 1e-4)))


def stand_still(rng: Random, tick: int, world: World) -> None:
    """No price moves: only time does, and with it the basis charge of dated futures."""


def standing(figures: np.ndarray) -> np.ndarray:
    ratio, adjusted = figures[:, t.T_RATIO], figures[:, t.T_ADJUSTED]
    control = load_rules("okx-2025").liquidation
    short = adjusted < control.order_control * figures[:, t.T_IMR]
    return (ratio <= control.warning_ratio) + 2 * short + 4 * (ratio <= control.start_ratio)


def _events(house: ClearingHouse, rng: Random, now_ns: int) -> None:
    """What happens between two marks: a deposit, an order that rests, a cancel."""
    account = house.accounts[rng.randrange(1, len(house.accounts))]
    kind = rng.random()
    if kind < 0.2:
        house.deposit(now_ns, account, "USDT", rng.randrange(1, 1000) * E8)
    elif kind < 0.5:
        listing = house.listings["BTC-USDT-SWAP"]
        ticks = int(house.market.mark_ticks[listing.number])
        buys = account.number % 2 == 0  # quotes of the two sides never meet
        ticks = ticks - 400 if buys else ticks + 400
        house.submit(
            now_ns,
            account.number,
            OrderRequest(
                "BTC-USDT-SWAP",
                Side.BUY if buys else Side.SELL,
                OrderType.POST_ONLY,
                rng.randrange(1, 50),
                min(max(ticks, listing.low_ticks), listing.high_ticks),
            ),
        )
    else:
        house.cancel_all(now_ns, account.number)


def follow(
    path: Path,
    ticks: int,
    seed: int,
    make: Make,
    *,
    step_ns: int = SECOND_NS,
    events: bool = True,
) -> tuple[int, int]:
    """Run both houses; return the crossings seen and the accounts looked at."""
    (watching, world), (full, _) = make(), make()
    rng, crossings, looked, before = Random(seed), 0, 0, None
    for tick in range(ticks):
        now_ns = NOW_NS + (1 + tick) * step_ns
        path(rng, tick, world)
        state = rng.getstate()
        for house in (watching, full):
            rng.setstate(state)
            world.publish(house, now_ns)
            if events and tick % 3 == 0:
                _events(house, rng, now_ns)
        seen = standing(watching.exposures.watch())
        looked += len(watching.exposures.looked)
        expected = standing(full.exposures.all_figures())
        missed = np.flatnonzero(seen != expected)
        assert missed.size == 0, (path.__name__, tick, missed[:5], seen[missed], expected[missed])
        crossings += 0 if before is None else int((before != expected).sum())
        before = expected
    return crossings, looked
