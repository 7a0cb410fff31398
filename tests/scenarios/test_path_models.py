"""Made-up paths have the moments that their parameters say, and know no other series."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.path_kinds import (
    AnyPath,
    CalmPath,
    ClusteredVolatility,
    Coin,
    CorrelatedPath,
    GeometricBrownianPath,
    JumpDiffusionPath,
    Leg,
    LegsPath,
    PegPath,
)
from scenarios.path_models import autoregression, clustered_volatility, correlation_factor
from scenarios.paths import build_path
from scenarios.sampling import Window
from scenarios.streams import Streams
from tests.scenarios.path_tools import FloatArray, acf, annual_volatility, hours

BTC = {"BTC-USDT": 60000.0}
MODELS: list[AnyPath] = [
    CalmPath(initial_prices=BTC),
    GeometricBrownianPath(initial_prices=BTC),
    JumpDiffusionPath(initial_prices=BTC),
    PegPath(initial_prices={"BTC-USDT": 1.0}),
    LegsPath(initial_prices=BTC, legs=(Leg(at_s=60, factor=0.9),), noise_annual_volatility=0.5),
    CorrelatedPath(coins=(Coin(series="BTC-USDT", initial_price=60000.0),), correlation=((1,),)),
]


def prices(parameters: AnyPath, window: Window, seed: int = 1) -> FloatArray:
    return build_path(parameters, window, Streams(seed)).prices[:, 0]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.kind)
def test_deterministic_and_starts_at_the_initial_price(model: AnyPath) -> None:
    one, two, other = (prices(model, hours(1), seed) for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()
    assert one[0] == (1.0 if model.kind == "peg" else 60000)
    assert len(one) == 3600


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.kind)
def test_one_sample_is_a_path(model: AnyPath) -> None:
    assert len(prices(model, Window(0, 1))) == 1


@pytest.mark.parametrize(
    "kind", [CalmPath, GeometricBrownianPath, JumpDiffusionPath], ids=lambda k: k.__name__
)
def test_another_series_changes_nothing(kind: type[CalmPath]) -> None:
    window = hours(1)
    alone = build_path(kind(initial_prices=BTC), window, Streams(3))
    first = build_path(kind(initial_prices={"ETH-USDT": 3e3, **BTC}), window, Streams(3))
    assert (alone.of("BTC-USDT") == first.of("BTC-USDT")).all()
    ratio = np.diff(np.log(first.prices), axis=0).T
    assert abs(np.corrcoef(ratio)[0, 1]) < 0.08


@pytest.mark.parametrize("step_s", [1, 30])
def test_brownian_moments(step_s: float) -> None:
    model = GeometricBrownianPath(initial_prices=BTC, annual_volatility=0.8, annual_drift=20.0)
    returns = np.diff(np.log(prices(model, hours(24 * 30, step_s * 30), seed=4)))
    # 28,800 or 960 x 90 returns: standard error of the volatility 1/sqrt(2n)
    n = len(returns)
    assert annual_volatility(returns - returns.mean(), step_s * 30) == pytest.approx(
        0.8, rel=4 / math.sqrt(2 * n)
    )
    expected = (20 - 0.32) * step_s * 30 / (365 * 86400)
    assert returns.mean() == pytest.approx(expected, abs=4 * returns.std() / math.sqrt(n))


def test_jumps_are_as_frequent_and_large_as_asked() -> None:
    model = JumpDiffusionPath(
        initial_prices=BTC, annual_volatility=0.1, jumps_per_day=50, jump_mean=-0.03, jump_sd=0.005
    )
    returns = np.diff(np.log(prices(model, hours(24 * 10))))
    jumps = returns[returns < -0.01]
    assert len(jumps) == pytest.approx(500, abs=4 * math.sqrt(500))
    assert jumps.mean() == pytest.approx(-0.03, abs=0.001)
    assert jumps.std() == pytest.approx(0.005, rel=0.15)


def test_jumps_leave_the_diffusion_alone() -> None:
    shared = {"initial_prices": BTC, "annual_volatility": 0.5}
    plain = prices(GeometricBrownianPath(**shared), hours(2))  # type: ignore[arg-type]
    none = prices(JumpDiffusionPath(**shared, jumps_per_day=0.0), hours(2))  # type: ignore[arg-type]
    assert (plain == none).all()
    some = prices(JumpDiffusionPath(**shared, jumps_per_day=200.0), hours(2))  # type: ignore[arg-type]
    changed = np.abs(np.diff(np.log(some)) - np.diff(np.log(plain))) > 1e-9
    assert 4 < changed.sum() < 40


def test_peg_reverts_with_its_half_life_from_where_it_starts() -> None:
    model = PegPath(initial_prices={"USDT-USD": 0.9}, half_life_s=600.0, annual_volatility=0.0)
    path = prices(model, hours(1))
    for k in range(6):
        assert math.log(path[600 * k]) == pytest.approx(math.log(0.9) * 0.5**k)
    noisy = PegPath(initial_prices={"USDT-USD": 1.0}, half_life_s=600.0, annual_volatility=0.5)
    deviations = np.log(prices(noisy, hours(24 * 20, 10)))
    rate = math.log(2) / 600
    sd = 0.5 / math.sqrt(365 * 86400 * 2 * rate)
    assert deviations.std() == pytest.approx(sd, rel=0.1)
    assert acf(deviations, 60) == pytest.approx(0.5, abs=0.06)


def test_standing_deviation_that_the_documentation_states() -> None:
    path = prices(PegPath(initial_prices={"USDT-USD": 1.0}), hours(24 * 60, 60))
    assert np.log(path).std() * 1e4 == pytest.approx(4.5, rel=0.1)


def test_legs_are_straight_and_hit_their_ends() -> None:
    legs = (Leg(at_s=100, factor=0.8), Leg(at_s=300, factor=0.9))
    for noise in (0.0, 2.0):
        model = LegsPath(initial_prices={"USDT-USD": 2.0}, legs=legs, noise_annual_volatility=noise)
        path = prices(model, hours(0.2))
        assert path[[0, 100, 300]].tolist() == pytest.approx([2, 1.6, 1.8])
        if noise == 0:
            assert path[50] == pytest.approx(2 * 0.8**0.5)
            assert path[-1] == pytest.approx(1.8)
        else:
            assert np.log(path[301:] / 1.8).std() > 0


def test_legs_beyond_the_window_and_before_the_first_step() -> None:
    model = LegsPath(
        initial_prices={"USDT-USD": 1.0},
        legs=(Leg(at_s=0.25, factor=0.9), Leg(at_s=7200, factor=0.8)),
        noise_annual_volatility=1.0,
    )
    path = prices(model, hours(1))
    assert len(path) == 3600
    assert path[1] == pytest.approx(0.9, rel=1e-3)


def test_correlated_coins() -> None:
    names = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
    wanted = ((1.0, 0.8, 0.6), (0.8, 1.0, 0.7), (0.6, 0.7, 1.0))
    coins = tuple(
        Coin(series=name, initial_price=100.0, annual_volatility=vol)
        for name, vol in zip(names, (0.5, 0.8, 1.2), strict=True)
    )
    for clustering in (None, ClusteredVolatility()):
        model = CorrelatedPath(coins=coins, correlation=wanted, clustering=clustering)
        path = build_path(model, hours(24 * 4, 5), Streams(2))
        returns = np.diff(np.log(path.prices), axis=0)
        assert np.corrcoef(returns.T) == pytest.approx(np.array(wanted), abs=0.03)
        if clustering is None:
            found = [annual_volatility(column, 5) for column in returns.T]
            assert found == pytest.approx([0.5, 0.8, 1.2], rel=0.02)
    two = CorrelatedPath(coins=coins[:2], correlation=((1.0, 0.8), (0.8, 1.0)))
    three = CorrelatedPath(coins=coins, correlation=wanted)
    short = hours(1)
    assert (
        build_path(two, short, Streams(2)).prices
        == build_path(three, short, Streams(2)).prices[:, :2]
    ).all()


@given(st.integers(1, 6), st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=100)
def test_correlation_factor(count: int, seed: int, rank: int) -> None:
    """Also of singular matrices: L L^T is the correlation."""
    vectors = np.random.default_rng(seed).standard_normal((count, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    correlation = vectors @ vectors.T
    np.fill_diagonal(correlation, 1.0)
    factor = correlation_factor(correlation)
    assert (np.triu(factor, 1) == 0).all()
    assert factor @ factor.T == pytest.approx(correlation, abs=1e-4)


def test_coins_that_move_as_one() -> None:
    coins = tuple(Coin(series=f"{c}-USDT", initial_price=5.0) for c in ("A", "B", "C"))
    model = CorrelatedPath(coins=coins, correlation=((1, 1, -1), (1, 1, -1), (-1, -1, 1)))
    path = build_path(model, hours(1), Streams(1))
    assert path.of("A-USDT") == pytest.approx(path.of("B-USDT"))
    moves = np.diff(np.log(path.prices), axis=0)
    assert np.corrcoef(moves.T)[0, 2] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("correlation", "message"),
    [
        (((1.0,),), "correlation: 2 rows of 2 numbers are needed"),
        (((1.0, 0.5), (0.5,)), "correlation: 2 rows of 2 numbers are needed"),
        (((1.0, 0.5), (0.4, 1.0)), "correlation.1.0: 0.4 differs from 0.5 at 0.1"),
        (((1.0, 0.5), (0.5, 0.9)), "correlation.1.1: 0.9 is not 1"),
    ],
)
def test_wrong_correlations(correlation: tuple[tuple[float, ...], ...], message: str) -> None:
    coins = tuple(Coin(series=f"{c}-USDT", initial_price=5.0) for c in ("A", "B"))
    with pytest.raises(ValueError) as caught:
        CorrelatedPath(coins=coins, correlation=correlation)
    assert str(caught.value) == message


def test_contradicting_correlations() -> None:
    coins = tuple(Coin(series=f"{c}-USDT", initial_price=5.0) for c in ("A", "B", "C"))
    with pytest.raises(ValueError, match=r"contradict each other \(smallest eigenvalue -0.8"):
        CorrelatedPath(coins=coins, correlation=((1, 0.9, 0.9), (0.9, 1, -0.9), (0.9, -0.9, 1)))


def test_autoregression_is_the_recursion() -> None:
    innovations = np.random.default_rng(0).standard_normal(50)
    expected = [0.3]
    for e in innovations:
        expected.append(0.9 * expected[-1] + e)
    assert autoregression(0.3, 0.9, innovations).tolist() == expected


def test_clustered_volatility_is_stationary_with_mean_square_one() -> None:
    window = hours(3)
    starts, ends, squares = [], [], []
    for seed in range(300):
        volatility = clustered_volatility(ClusteredVolatility(), Window(0, 40, 10), Streams(seed))
        starts.append(math.log(volatility[0]))
        ends.append(math.log(volatility[-1]))
        squares.append(float((volatility**2).mean()))
    assert np.var(starts) == pytest.approx(0.5, rel=0.3)
    assert np.mean(starts) == pytest.approx(-0.5, abs=0.15)
    assert np.mean(squares) == pytest.approx(1.0, rel=0.4)
    long = clustered_volatility(ClusteredVolatility(), window, Streams(1))
    assert acf(np.log(long), 60) > 0.6
