"""Shocks and the news split over any path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.errors import UserError
from scenarios.path_kinds import BridgedBarPath, Leg, LegsPath, NewsSplit, Shock
from scenarios.path_transforms import closing, rolling_maximum, without_healed
from scenarios.paths import build_path
from scenarios.streams import Streams
from tests.scenarios.path_tools import FloatArray, hours, span

CRASH = span("2020-03-12T06:00:00", "2020-03-13T05:00:00")
values = st.lists(st.integers(1, 50), min_size=1, max_size=40)


def flat(*shocks: Shock) -> FloatArray:
    path = LegsPath(
        initial_prices={"BTC-USDT": 100.0}, legs=(Leg(at_s=1, factor=1.0),), shocks=shocks
    )
    return build_path(path, hours(1), Streams(1)).prices[:, 0]


@given(values, st.integers(1, 12))
@settings(max_examples=200)
def test_rolling_maximum_against_the_definition(numbers: list[int], width: int) -> None:
    if width > len(numbers):
        return
    array = np.array(numbers, float)
    expected = [max(numbers[i : i + width]) for i in range(len(numbers) - width + 1)]
    assert rolling_maximum(array, width).tolist() == expected


@given(values, st.integers(1, 12))
@settings(max_examples=200)
def test_closing_against_the_definition(numbers: list[int], width: int) -> None:
    """The smallest, over all windows that hold a sample, of the largest in the window."""
    padded = [numbers[0]] * width + numbers + [numbers[-1]] * width
    expected = [
        min(max(padded[j : j + width]) for j in range(i - width + 1, i + 1))
        for i in range(width, width + len(numbers))
    ]
    result = closing(np.array(numbers, float), width)
    assert result.tolist() == expected
    assert (result >= numbers).all()
    assert closing(result, width).tolist() == result.tolist()  # idempotent


def test_valleys_that_heal_are_raised_and_others_stay() -> None:
    prices = np.full(400, 100.0)
    prices[50:60] = 80.0  # heals after 10 samples
    prices[200:300] = 70.0  # heals after 100
    prices[390:] = 60.0  # nobody knows
    half = without_healed(prices, 30, 0.5)
    assert half[55] == pytest.approx((80 * 100) ** 0.5)
    assert (half[200:300] == 70).all()
    assert (half[390:] == 60).all()
    assert (half[:50] == 100).all()
    assert (without_healed(prices, 30, 0.0) == prices).all()
    assert without_healed(prices, 30, 1.0)[55] == pytest.approx(100)


def test_news_split_of_march_2020() -> None:
    file = "2020-03-black-thursday"
    names = ["BTC-USDT", "USDT-USD"]
    real = build_path(BridgedBarPath(file=file), CRASH, Streams(1), series=names)
    split = build_path(
        BridgedBarPath(file=file, news_split=NewsSplit()), CRASH, Streams(1), series=names
    )
    full = build_path(
        BridgedBarPath(file=file, news_split=NewsSplit(kappa=1.0)), CRASH, Streams(1), series=names
    )
    raised = np.log(split.of("BTC-USDT") / real.of("BTC-USDT"))
    assert raised.min() >= 0
    assert raised == pytest.approx(np.log(full.of("BTC-USDT") / real.of("BTC-USDT")) / 2)
    # A stablecoin's price is not what the agents produce.
    assert (split.of("USDT-USD") == real.of("USDT-USD")).all()
    assert "news split: 0.5 of what healed within 3600 s is left out" in split.notes
    named = BridgedBarPath(file=file, news_split=NewsSplit(series=("USDT-USD",)))
    other = build_path(named, CRASH, Streams(1), series=names)
    assert (other.of("BTC-USDT") == real.of("BTC-USDT")).all()
    assert (other.of("USDT-USD") != real.of("USDT-USD")).any()


def test_shock_at_once() -> None:
    path = flat(Shock(at_s=600, size=-0.3))
    assert set(path[:600].tolist()) == {100.0}
    assert path[600:] == pytest.approx(70)


def test_shock_over_a_time_with_recovery() -> None:
    path = flat(Shock(at_s=600, size=-0.19, over_s=100, half_life_s=300))
    assert path[650] == pytest.approx(90)
    assert path[700] == pytest.approx(81)
    assert path[1000] == pytest.approx(90)
    assert path[1300] == pytest.approx(100 * 0.81**0.25)


def test_shocks_add_up_and_hit_their_series() -> None:
    assert flat(Shock(at_s=0, size=1.0), Shock(at_s=10, size=-0.5))[20] == pytest.approx(100)
    path = LegsPath(
        initial_prices={"BTC-USDT": 100.0, "ETH-USDT": 10.0},
        legs=(Leg(at_s=1, factor=1.0),),
        shocks=(Shock(at_s=5, size=-0.5, series=("ETH-USDT",)),),
    )
    at = build_path(path, hours(1), Streams(1)).prices[100]
    assert at.tolist() == pytest.approx([100, 5])


def test_options_for_a_series_that_is_not_there() -> None:
    with pytest.raises(UserError) as caught:
        flat(Shock(at_s=0, size=0.1), Shock(at_s=0, size=0.1, series=("SOL-USDT",)))
    assert str(caught.value) == "shocks.1.series: SOL-USDT is not in this path: BTC-USDT"
    split = BridgedBarPath(
        file="2020-03-black-thursday", news_split=NewsSplit(series=("SOL-USDT",))
    )
    with pytest.raises(UserError, match=r"news_split\.series: SOL-USDT is not in this path: BTC-"):
        build_path(split, CRASH, Streams(1), series=["BTC-USDT"])
