"""No mark moves an account across a threshold unseen: the watch against the full pass.

Two houses with the same accounts follow the same path; one looks only at the accounts whose radius
the prices have left, the other at all. Their standings are the same at every tick.

Source: design.md section 5 (marks); liquidation-and-losses.md sections 1 and 5 (4).
"""

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from accounts.clearing import ClearingHouse
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from risk.rules import load_rules
from tests.accounts.venue import E8, NOW_NS

INSTRUMENTS = (
    "BTC-USDT",
    "ETH-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "ETH-USDT-SWAP",
    "SOL-USDT-SWAP",
    "BTC-USD-250328",
    "SOL-USDT-250328",
    "BTC-USDT-250328",
    "BTC-USD-250328-100000-C",
)
FIRST = {"BTC": 97_000, "ETH": 3_300, "SOL": 170, "USDT": 1, "USDC": 1}
ACCOUNTS = 150
SECOND_NS, HOUR_NS = 10**9, 3600 * 10**9


def small_moves(rng: Random, tick: int, usd: dict[str, int]) -> None:
    """A basis point or two a tick, all coins apart."""
    for coin in ("BTC", "ETH", "SOL"):
        usd[coin] = round(usd[coin] * (1.0 + rng.gauss(0.0, 2e-4)))


def jumps(rng: Random, tick: int, usd: dict[str, int]) -> None:
    """Calm, with a jump of some per cent now and then."""
    small_moves(rng, tick, usd)
    if rng.random() < 0.02:
        coin = rng.choice(("BTC", "ETH", "SOL"))
        usd[coin] = round(usd[coin] * rng.uniform(0.93, 1.07))


def slide(rng: Random, tick: int, usd: dict[str, int]) -> None:
    """All coins fall together by a third over the path, and come half the way back."""
    drift = -4e-4 if tick % 1000 < 700 else 6e-4
    for coin in ("BTC", "ETH", "SOL"):
        usd[coin] = round(usd[coin] * (1.0 + drift + rng.gauss(0.0, 3e-4)))


def depeg(rng: Random, tick: int, usd: dict[str, int]) -> None:
    """Stablecoins leave their peg, one far, and return."""
    small_moves(rng, tick, usd)
    depth = 0.12 * min(1.0, abs((tick % 400) - 200) / 200.0)
    usd["USDC"] = round(E8 * (0.88 + depth + rng.gauss(0.0, 1e-4)))
    usd["USDT"] = round(usd["USDT"] * (1.0 + rng.gauss(0.0, 1e-4)))


def stand_still(rng: Random, tick: int, usd: dict[str, int]) -> None:
    """No price moves: only time does, and with it the basis charge of dated futures."""


def _house(seed: int, *, dated: bool = False) -> ClearingHouse:
    """A hundred and fifty traders at random; dated: each holds dated futures only."""
    rng = Random(seed)
    house = ClearingHouse(
        [parse_instrument(name) for name in INSTRUMENTS], load_rules("okx-2025"), recording=False
    )
    usd = {coin: price * E8 for coin, price in FIRST.items()}
    for currency in usd:
        house.fund_pool(NOW_NS, currency, 10**8 * E8)
    _publish(house, NOW_NS, usd)
    bank = house.open_account("bank")
    for currency, price in FIRST.items():
        house.deposit(NOW_NS, bank, currency, 10**10 * E8 // price)
    for number in range(ACCOUNTS):
        account = house.open_account(f"trader/{number}")
        equity = 10.0 ** rng.uniform(3.5, 6.5)
        for currency in rng.sample(tuple(FIRST), rng.choice((1, 1, 2))):
            house.deposit(NOW_NS, account, currency, round(equity / FIRST[currency] * E8))
        leverage = 10.0 ** rng.uniform(-0.7, 0.9)
        names = rng.sample(INSTRUMENTS[:-2], rng.choice((1, 2, 3)))
        names += rng.choice(([], [], [], [INSTRUMENTS[-1]], [INSTRUMENTS[-2]]))
        for name in rng.sample(INSTRUMENTS[-4:-1], 2) if dated else names:
            listing = house.listings[name]
            lots = leverage * equity / float(house.market.terms[listing.number, t.M_USD])
            ticks = max(1, round(float(house.market.terms[listing.number, t.M_REFERENCE])))
            house.settlement.move(
                NOW_NS,
                listing,
                house.position(bank, listing),
                house.position(account, listing),
                rng.choice((1, -1)) * max(1, round(lots)),
                ticks,
                0,
            )
    return house


def _publish(house: ClearingHouse, now_ns: int, usd: dict[str, int]) -> None:
    house.publish(now_ns, usd, {}, implied_vol={INSTRUMENTS[-1]: 0.6})


def _standing(figures: np.ndarray) -> np.ndarray:
    ratio, adjusted = figures[:, t.T_RATIO], figures[:, t.T_ADJUSTED]
    control = load_rules("okx-2025").liquidation
    short = adjusted < control.order_control * figures[:, t.T_IMR]
    return (ratio <= control.warning_ratio) + 2 * short + 4 * (ratio <= control.start_ratio)


def _events(house: ClearingHouse, rng: Random, now_ns: int) -> None:
    """What happens between two marks: a deposit, an order that rests, a cancel."""
    account = house.accounts[rng.randrange(1, ACCOUNTS)]
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


def _follow(
    path: Callable[[Random, int, dict[str, int]], None],
    ticks: int,
    seed: int,
    *,
    step_ns: int = SECOND_NS,
    dated: bool = False,
) -> tuple[int, int]:
    """Run both houses; return the crossings seen and the accounts looked at."""
    watching, full = _house(seed, dated=dated), _house(seed, dated=dated)
    rng, usd = Random(seed + 1), {coin: price * E8 for coin, price in FIRST.items()}
    crossings, looked, before = 0, 0, None
    for tick in range(ticks):
        now_ns = NOW_NS + (1 + tick) * step_ns
        path(rng, tick, usd)
        state = rng.getstate()
        for house in (watching, full):
            rng.setstate(state)
            _publish(house, now_ns, usd)
            if tick % 3 == 0 and not dated:
                _events(house, rng, now_ns)
        seen = _standing(watching.exposures.watch())
        looked += len(watching.exposures.looked)
        expected = _standing(full.exposures.all_figures())
        missed = np.flatnonzero(seen != expected)
        assert missed.size == 0, (path.__name__, tick, missed[:5], seen[missed], expected[missed])
        crossings += 0 if before is None else int((before != expected).sum())
        before = expected
    return crossings, looked


PATHS = (small_moves, jumps, slide, depeg)


@pytest.mark.parametrize("path", PATHS)
def test_no_breach_is_missed(path: Callable[[Random, int, dict[str, int]], None]) -> None:
    crossings, looked = _follow(path, 120, 12)
    assert looked < 120 * ACCOUNTS
    assert crossings > 0


@pytest.mark.parametrize(("path", "step_ns"), [(stand_still, HOUR_NS), (slide, SECOND_NS)])
def test_no_breach_of_dated_futures_is_missed(
    path: Callable[[Random, int, dict[str, int]], None], step_ns: int
) -> None:
    crossings, looked = _follow(path, 800, 12, step_ns=step_ns, dated=True)
    assert looked < 800 * ACCOUNTS // 3  # they have a radius, too
    assert crossings > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_no_breach_is_missed_in_long(
    path: Callable[[Random, int, dict[str, int]], None], seed: int
) -> None:
    crossings, _ = _follow(path, 1000, 100 + seed)
    assert crossings > 0
