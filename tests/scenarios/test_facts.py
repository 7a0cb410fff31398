"""Estimators of stylised facts on synthetic series with known answers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scenarios import facts
from scenarios.facts import Metaorder


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("index", [2.0, 3.0, 4.5])
def test_hill_finds_a_pareto_tail(index: float) -> None:
    values = rng().pareto(index, 200_000) + 1.0
    values *= rng(2).choice([-1.0, 1.0], values.size)
    assert facts.hill_index(values) == pytest.approx(index, rel=0.08)


def test_hill_of_student_t_and_of_too_few() -> None:
    assert facts.hill_index(rng().standard_t(3, 400_000), 0.001) == pytest.approx(3.0, rel=0.15)
    assert np.isnan(facts.hill_index(rng().normal(size=500)))
    assert np.isnan(facts.hill_index(np.zeros(5000)))


def test_log_returns_skip_missing_prices() -> None:
    assert facts.log_returns([100.0, 101.0, np.nan, 102.0, 103.0]) == pytest.approx(
        [np.log(1.01), np.log(103 / 102)]
    )


def autoregressive(phi: float, n: int, seed: int) -> NDArray[np.float64]:
    noise = rng(seed).normal(size=n)
    series = np.empty(n)
    series[0] = noise[0]
    for i in range(1, n):
        series[i] = phi * series[i - 1] + noise[i]
    return series


def test_autocorrelation_of_an_autoregression() -> None:
    segments = [autoregressive(0.8, 20_000, seed) for seed in range(3)]
    found = facts.autocorrelation(segments, [1, 2, 5])
    assert found == pytest.approx([0.8, 0.64, 0.8**5], abs=0.03)


def test_autocorrelation_does_not_join_segments() -> None:
    up, down = np.ones(50), -np.ones(50)
    assert facts.autocorrelation([up, down], [1])[0] == pytest.approx(1.0)
    joined = facts.autocorrelation([np.concatenate([up, down])], [1])[0]
    assert joined < 1.0
    assert np.isnan(facts.autocorrelation([np.ones(9)], [1])[0])  # no variance
    assert np.isnan(facts.autocorrelation([up[:3], down[:3]], [5])[0])  # no pair


def fractional(memory: float, n: int, seed: int) -> NDArray[np.float64]:
    """Fractionally integrated noise: ACF ~ lag^(2 memory - 1)."""
    k = np.arange(1, 4000)
    weights = np.concatenate([[1.0], np.cumprod((k - 1 + memory) / k)])
    noise = rng(seed).normal(size=n + weights.size)
    size = 1 << (noise.size + weights.size).bit_length()
    product = np.fft.irfft(np.fft.rfft(noise, size) * np.fft.rfft(weights, size), size)
    series: NDArray[np.float64] = product[weights.size : weights.size + n]
    return series


@pytest.mark.parametrize("memory", [0.25, 0.35])
def test_decay_exponent_of_long_memory(memory: float) -> None:
    segments = [fractional(memory, 60_000, seed) for seed in range(3)]
    assert facts.decay_exponent(segments) == pytest.approx(1 - 2 * memory, abs=0.08)


def test_decay_exponent_of_noise_is_unknown_or_steep() -> None:
    found = facts.decay_exponent([rng().normal(size=50_000)])
    assert np.isnan(found) or found > 0.5 or found < -0.5 or abs(found) < 2.0
    alternating = np.tile([1.0, -1.0], 500)
    assert np.isnan(facts.decay_exponent([alternating], longest_lag=1))


def test_sign_memory_of_split_metaorders() -> None:
    """Lillo, Mike and Farmer: lengths with tail index a make signs with exponent a - 1."""
    source = rng(3)
    live = [[1, 1] for _ in range(5)]
    signs = np.empty(300_000)
    for i, slot in enumerate(source.integers(5, size=signs.size)):
        if live[slot][1] == 0:
            length = min(int((1 - source.random()) ** (-1 / 1.5)), 2000)
            live[slot] = [int(source.choice([-1, 1])), length]
        signs[i] = live[slot][0]
        live[slot][1] -= 1
    assert facts.sign_memory_exponent([signs]) == pytest.approx(0.5, abs=0.15)


def test_volume_correlation() -> None:
    source = rng(4)
    z = source.normal(size=(2, 100_000))
    sizes = np.abs(z[0])
    # log volume with a known share of |r|: correlation 0.5
    standard = (sizes - sizes.mean()) / sizes.std()
    volumes = np.exp(0.5 * standard + np.sqrt(0.75) * z[1])
    assert facts.volume_correlation([z[0]], [volumes]) == pytest.approx(0.5, abs=0.02)
    volumes[::2] = 0.0
    assert facts.volume_correlation([z[0]], [volumes]) == pytest.approx(0.5, abs=0.03)
    assert np.isnan(facts.volume_correlation([z[0]], [np.zeros(z[0].size)]))


@pytest.mark.parametrize(("exponent", "prefactor"), [(0.5, 0.8), (0.5, 1.3), (0.6, 1.0)])
def test_impact_law_is_recovered(exponent: float, prefactor: float) -> None:
    source = rng(5)
    shares = 1e-5 * (1 - source.random(20_000)) ** (-1 / 1.2)
    shares = shares[shares < 0.01]
    moves = prefactor * shares**exponent + 0.002 * source.normal(size=shares.size)
    signs = source.choice([-1, 1], shares.size)
    orders = [
        Metaorder(int(s), float(q), float(s * m), 20)
        for s, q, m in zip(signs, shares, moves, strict=True)
    ]
    fit = facts.impact_fit(orders)
    assert fit.exponent == pytest.approx(exponent, abs=0.05)
    assert abs(fit.exponent - exponent) < 4 * fit.errors[0] + 0.02
    if exponent == 0.5:
        assert fit.prefactor_root == pytest.approx(prefactor, rel=0.05)


def test_small_metaorders_and_small_samples_do_not_count() -> None:
    one_child = [Metaorder(1, 1e-4, 0.01, 1)] * 100
    assert np.isnan(facts.impact_fit(one_child).exponent)
    assert np.isnan(facts.impact_fit([]).prefactor_root)


def test_depth_profiles() -> None:
    distance = np.array([1.0, 2, 3, 5, 7, 10])
    assert facts.linear_fit_quality(distance, 22 * distance + 3) == pytest.approx(1.0)
    assert facts.depth_power(distance, 22 * distance) == pytest.approx(1.0)
    assert facts.depth_power(distance, distance**2) == pytest.approx(2.0)
    steps = np.array([0, 0, 0, 0, 0, 1.0])
    assert facts.linear_fit_quality(distance, steps) < 0.9
    assert np.isnan(facts.linear_fit_quality(distance, np.ones(6)))


def test_one_tick_share_weighs_by_time() -> None:
    share = facts.one_tick_share([0, 10, 40], [1.0, 2.0, 1.0], end_ns=100)
    assert share == pytest.approx(0.7)
    assert facts.one_tick_share([0, 50], [np.nan, 1.0], 100) == pytest.approx(0.5)
    assert facts.one_tick_share([0, 10], [1, 2], 100, start_ns=5) == pytest.approx(5 / 95)


def test_cancelled_share_and_jackknife() -> None:
    assert facts.cancelled_share(200, 194) == pytest.approx(0.97)
    assert np.isnan(facts.cancelled_share(0, 0))
    values = rng(6).normal(size=40)
    without = [(values.sum() - v) / 39 for v in values]
    assert facts.jackknife_error(without) == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    assert np.isnan(facts.jackknife_error([1.0]))
