"""The calm ecology without a clearing side: flow and book facts of half an hour.

The facts of the index (tails, clustering) need days; `selloff validate` measures those.
Source: ecology.md sections 6 and 7.
"""

from dataclasses import dataclass, field
from math import log

import numpy as np
import pytest

from agents.ecology import ecology
from exchange.order import Side
from scenarios.facts import linear_fit_quality
from tests.agents.fake_venue import FakeExchange

PERPETUAL = "BTC-USDT-SWAP"
SECONDS = 1800


@dataclass
class Seen:
    exchange: FakeExchange
    one_tick: int = 0
    depths: list[list[float]] = field(default_factory=list)
    mids: list[float] = field(default_factory=list)


def play(seed: int, price: float = 50_000.0, preset: str = "calm") -> Seen:
    moves = 0.5e-4 * np.random.default_rng(seed).normal(size=SECONDS + 10)
    path = log(price) + np.cumsum(moves)
    chosen = ecology(PERPETUAL, preset)  # type: ignore[arg-type]
    exchange = FakeExchange(
        [PERPETUAL],
        price=price,
        log_paths={"BTC": lambda second: float(path[second])},
        outside=chosen.outside,
        seed=seed,
    )
    for parameters in chosen.agents:
        exchange.add(parameters)
    seen = Seen(exchange)
    market = exchange.markets[PERPETUAL]

    def look(second: int) -> None:
        bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
        if bid is None or ask is None:
            return
        seen.one_tick += ask - bid == 1
        seen.mids.append(market.mid())
        if second % 60 == 0:
            seen.depths.append(
                [
                    market.volume_within(Side.BUY, int(bid * (1 - d * 1e-4))) / market.lots_per_bp
                    for d in (1, 2, 3, 5, 7, 10)
                ]
            )

    exchange.on_second.append(look)
    exchange.run(SECONDS)
    return seen


@pytest.fixture(scope="module")
def calm() -> Seen:
    return play(seed=3)


def test_spread_is_one_tick_most_of_the_time(calm: Seen) -> None:
    assert calm.one_tick / SECONDS > 0.7


def test_nearly_all_limit_orders_are_cancelled(calm: Seen) -> None:
    exchange = calm.exchange
    assert exchange.cancelled_limit_orders / exchange.limit_orders > 0.95


def test_depth_is_linear_and_as_large_as_usual(calm: Seen) -> None:
    depth = np.mean(calm.depths, axis=0)
    assert linear_fit_quality([1, 2, 3, 5, 7, 10], depth) > 0.95
    assert depth[-1] == pytest.approx(10.0, rel=0.25)


def test_the_budget_of_messages(calm: Seen) -> None:
    assert 14.0 < calm.exchange.messages / SECONDS < 30.0


def test_the_book_follows_the_outside(calm: Seen) -> None:
    market = calm.exchange.markets[PERPETUAL]
    assert abs(log(market.mid()) - market.outside.log_price) < 10e-4
    minutes = np.diff(np.log(calm.mids[::60]))
    assert 0.5 < minutes.std() / (0.5e-4 * 60**0.5) < 2.0


def test_the_crash_preset_needs_fewer_messages(calm: Seen) -> None:
    crash = play(seed=3, preset="crash")
    assert crash.exchange.messages < 0.8 * calm.exchange.messages


def test_one_seed_one_run() -> None:
    first, second, other = (play(seed) for seed in (5, 5, 6))
    assert first.mids == second.mids
    assert first.exchange.messages == second.exchange.messages
    assert first.mids != other.mids


@pytest.mark.parametrize("price", [3.0, 1_000_000.0])
def test_any_price_level_works(price: float) -> None:
    """The tick is 0.1 throughout, so spreads differ; depth and pace do not."""
    seen = play(seed=3, price=price)
    assert 3.0 < seen.exchange.messages / SECONDS < 40.0
    assert np.mean(seen.depths, axis=0)[-1] > 1.0
