"""Price levels of one side, near and far, against a sorted list of prices."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.price_levels import MOST_NEAR, BookSide


def prices(side: BookSide) -> list[int]:
    return [level.price_ticks for level in side]


def toggle(side: BookSide, price_ticks: int) -> None:
    """Open the level of this price, or close it if there is one."""
    level = side.level(price_ticks)
    if level is None:
        side.open_level(price_ticks)
    else:
        side.close_level(level)


@given(
    sign=st.sampled_from((1, -1)),
    most_near=st.integers(2, 5),
    steps=st.lists(st.integers(1, 20)),
)
def test_levels_are_those_of_a_sorted_list(sign: int, most_near: int, steps: list[int]) -> None:
    side, expected = BookSide(sign, most_near), set[int]()
    for price_ticks in steps:
        toggle(side, price_ticks)
        expected ^= {price_ticks}
        assert prices(side) == sorted(expected, reverse=sign > 0)
        side._check()
    while side.best is not None:
        side.close_level(side.best)
        side._check()
    assert not side.levels and not side.far


@pytest.mark.parametrize("sign", (1, -1))
def test_a_wide_side_in_any_order(sign: int) -> None:
    """Levels open and close at random, then from the best outwards: far ones come near in time."""
    rng = random.Random(3)
    wide = range(1, 5 * MOST_NEAR)
    side = BookSide(sign)
    for price_ticks in rng.sample(wide, len(wide)):
        side.open_level(price_ticks)
    assert side.far and side.near
    left = set(wide)
    for price_ticks in rng.sample(wide, 2 * MOST_NEAR):
        toggle(side, price_ticks)
        left.discard(price_ticks)
    side._check()
    for price_ticks in sorted(left, reverse=sign > 0):
        assert side.best is not None and side.best.price_ticks == price_ticks
        side.close_level(side.best)
    side._check()
    assert side.best is None and not side.levels


def spoil(side: BookSide, damage: int) -> None:
    if damage == 0:
        side.near.reverse()
    elif damage == 1:
        side.far.pop()
    elif damage == 2:
        side.border = side.near[0]
    elif damage == 3:
        side.border = side.far[-1] - 1
    elif damage == 4:
        side.best = side.level(1)
    elif damage == 5:
        del side.levels[side.near[0]]
    else:
        side.levels[side.near[0]].price_ticks += 100


@pytest.mark.parametrize("damage", range(7))
def test_check_finds_a_damaged_side(damage: int) -> None:
    side = BookSide(1, 4)
    for price_ticks in range(1, 9):
        side.open_level(price_ticks)
    assert len(side.near) > 1 and side.far
    side._check()
    spoil(side, damage)
    with pytest.raises(AssertionError):
        side._check()
