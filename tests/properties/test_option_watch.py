"""Holders of options have a safe radius: no breach of theirs is missed, and few are looked at.

As test_watch.py, with options of all strikes, expiries and volatilities in most accounts.

Source: design.md section 5 (marks); portfolio-margin.md 16.1 to 16.12.
"""

import math
from random import Random

import numpy as np
import pytest

from accounts.clearing import ClearingHouse
from risk import order_tables as t
from tests.properties.option_traders import ACCOUNTS, house_of
from tests.properties.watching import (
    HOUR_NS,
    Path,
    World,
    depeg,
    follow,
    jumps,
    slide,
    small_moves,
    stand_still,
)


def restless(path: Path, usual: float, jump: float) -> Path:
    """The same path, with volatilities that move each tick, all together and each alone."""

    def both(rng: Random, tick: int, world: World) -> None:
        path(rng, tick, world)
        together = rng.gauss(0.0, usual)
        if rng.random() < 0.02:
            together += rng.uniform(-jump, jump)
        for name in world.vols:
            world.vols[name] *= math.exp(together + rng.gauss(0.0, 0.2 * usual))

    both.__name__ = f"restless_{path.__name__}"
    return both


def forwards_alone(rng: Random, tick: int, world: World) -> None:
    """Indices and volatilities stand still, forwards do not."""
    for name in world.forwards:
        world.forwards[name] *= math.exp(rng.gauss(0.0, 5e-4))


def volatilities_alone(rng: Random, tick: int, world: World) -> None:
    """Volatilities rise by a third, nothing else moves."""
    for name in world.vols:
        world.vols[name] *= math.exp(1e-3 + rng.gauss(0.0, 1e-3))


PATHS = tuple(restless(path, 3e-4, 0.3) for path in (small_moves, jumps, slide, depeg))


@pytest.mark.parametrize("path", PATHS)
def test_no_breach_of_options_is_missed(path: Path) -> None:
    crossings, looked = follow(path, 300, 21, lambda: house_of(20, size=3.0))
    assert looked < 300 * ACCOUNTS // 2
    assert crossings > 0


@pytest.mark.parametrize("path", [forwards_alone, volatilities_alone])
def test_no_breach_is_missed_if_one_price_moves_alone(path: Path) -> None:
    crossings, looked = follow(path, 300, 21, lambda: house_of(20, size=3.0), events=False)
    assert looked < 300 * ACCOUNTS // 3 * 2
    assert crossings > 0


def test_no_breach_is_missed_as_time_passes() -> None:
    """Eight days, past the first expiry and to two hours before the second."""
    crossings, looked = follow(
        stand_still, 200, 21, lambda: house_of(22, size=3.0), step_ns=HOUR_NS, events=False
    )
    assert looked < 200 * ACCOUNTS // 2
    assert crossings > 0


def test_option_holders_are_mostly_left_alone_in_small_moves() -> None:
    path = restless(small_moves, 1e-4, 0.0)
    _, looked = follow(path, 150, 21, lambda: house_of(24, size=0.3), events=False)
    assert looked < 150 * ACCOUNTS // 10
    house, _ = house_of(24, size=0.3)
    house.exposures.watch()
    radii = house.exposures.radii[1 : ACCOUNTS + 1, 0]
    assert (radii[_with_options(house)] > 0.0).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_no_breach_of_options_is_missed_in_long(path: Path, seed: int) -> None:
    crossings, _ = follow(path, 1000, 301 + seed, lambda: house_of(300 + seed, size=3.0))
    assert crossings > 0


def _with_options(house: ClearingHouse) -> np.ndarray:
    """Which of the traders hold an option."""
    rows = house.exposures.positions[: house.exposures.used["positions"]]
    kinds = house.market.instruments[rows[:, t.P_INSTRUMENT], t.I_KIND]
    held = rows[(kinds == t.OPTION) & (rows[:, t.P_LOTS] != 0), t.P_ACCOUNT]
    return np.isin(np.arange(1, ACCOUNTS + 1), held)
