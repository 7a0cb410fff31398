"""Made-up price paths: pure functions from parameters, window and streams to sampled prices.

All are exact at the sampling times (no Euler error), whatever the step. Every series draws from
streams of its own name, so that adding a series or a jump process changes no other. The first
sample is the initial price.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np

from scenarios.path_kinds import (
    ROUNDING,
    CalmPath,
    ClusteredVolatility,
    CorrelatedPath,
    GeometricBrownianPath,
    JumpDiffusionPath,
    LegsPath,
    PegPath,
)
from scenarios.sampling import YEAR_S, FloatArray, Sampled, SeriesSource, Window
from scenarios.streams import Streams


def calm(parameters: CalmPath, window: Window, streams: Streams) -> Sampled:
    """Gaussian returns times clustered volatility. Source: ecology, section 2."""
    sd = parameters.annual_volatility * math.sqrt(window.step_s / YEAR_S)
    sampled = Sampled()
    for series, initial in parameters.initial_prices.items():
        own = streams.within(series)
        volatility = clustered_volatility(parameters.clustering, window, own)
        normals = own.generator("returns").standard_normal(window.samples - 1)
        drift = _drift(parameters.annual_drift, window)
        prices = _from_returns(initial, sd * volatility[1:] * normals + drift)
        sampled.add(prices, SeriesSource(series, parameters.kind))
    return sampled


def geometric_brownian(
    parameters: GeometricBrownianPath, window: Window, streams: Streams
) -> Sampled:
    """Geometric Brownian motion."""
    sampled = Sampled()
    for series, initial in parameters.initial_prices.items():
        returns = _brownian(
            parameters.annual_volatility, parameters.annual_drift, window, streams.within(series)
        )
        sampled.add(_from_returns(initial, returns), SeriesSource(series, parameters.kind))
    return sampled


def jump_diffusion(parameters: JumpDiffusionPath, window: Window, streams: Streams) -> Sampled:
    """Brownian motion plus compound Poisson jumps, both exact at the samples. Source: Merton
    1976.
    """
    sampled = Sampled()
    rate = parameters.jumps_per_day * window.step_s / 86400
    for series, initial in parameters.initial_prices.items():
        own = streams.within(series)
        returns = _brownian(parameters.annual_volatility, parameters.annual_drift, window, own)
        jumps = own.generator("jump_times").poisson(rate, len(returns))
        steps = np.flatnonzero(jumps)
        normals = own.generator("jump_sizes").standard_normal(len(steps))
        counts = jumps[steps]
        returns[steps] += parameters.jump_mean * counts + parameters.jump_sd * (
            np.sqrt(counts) * normals
        )
        sampled.add(_from_returns(initial, returns), SeriesSource(series, parameters.kind))
    return sampled


def peg(parameters: PegPath, window: Window, streams: Streams) -> Sampled:
    """Ornstein-Uhlenbeck process in the log around the peg."""
    sampled = Sampled()
    rate = math.log(2) / parameters.half_life_s
    keep = math.exp(-rate * window.step_s)
    variance = parameters.annual_volatility**2 / YEAR_S
    sd = math.sqrt(variance * -math.expm1(-2 * rate * window.step_s) / (2 * rate))
    for series, initial in parameters.initial_prices.items():
        normals = streams.within(series).generator("returns").standard_normal(window.samples - 1)
        deviation = autoregression(math.log(initial / parameters.peg), keep, sd * normals)
        prices = parameters.peg * np.exp(deviation)
        prices[0] = initial
        sampled.add(prices, SeriesSource(series, parameters.kind))
    return sampled


def legs(parameters: LegsPath, window: Window, streams: Streams) -> Sampled:
    """Straight lines in the log between the legs' ends, with bridges if there is noise."""
    times = np.array([0.0] + [leg.at_s for leg in parameters.legs])
    levels = np.log([1.0] + [leg.factor for leg in parameters.legs])
    offsets = window.offsets_s()
    straight = np.interp(offsets, times, levels)
    # The sample at each leg's end; ends after the window pin nothing.
    ends = np.searchsorted(offsets, times)
    ends = np.unique(ends[ends < len(offsets)])
    sampled = Sampled()
    for series, initial in parameters.initial_prices.items():
        log_path = straight
        if parameters.noise_annual_volatility:
            own = streams.within(series)
            returns = _brownian(parameters.noise_annual_volatility, 0.0, window, own)
            walk = np.concatenate(([0.0], np.cumsum(returns)))
            log_path = straight + walk - np.interp(np.arange(len(walk)), ends, walk[ends])
        sampled.add(initial * np.exp(log_path), SeriesSource(series, parameters.kind))
    return sampled


def correlated(parameters: CorrelatedPath, window: Window, streams: Streams) -> Sampled:
    """Coins with correlated Gaussian returns, by a Cholesky factor: coin i needs the streams up to
    i only.
    """
    factor = correlation_factor(np.array(parameters.correlation))
    volatility = np.ones(window.samples)
    if parameters.clustering is not None:
        volatility = clustered_volatility(parameters.clustering, window, streams.within("common"))
    scale = volatility[1:] * math.sqrt(window.step_s / YEAR_S)
    sampled = Sampled()
    normals: list[FloatArray] = []
    for row, coin in zip(factor, parameters.coins, strict=True):
        own = streams.within(coin.series).generator("returns")
        normals.append(own.standard_normal(window.samples - 1))
        mixed = np.zeros(window.samples - 1)
        for weight, column in zip(row, normals, strict=False):
            mixed += weight * column
        drift = _drift(coin.annual_drift - coin.annual_volatility**2 / 2, window)
        prices = _from_returns(coin.initial_price, coin.annual_volatility * scale * mixed + drift)
        sampled.add(prices, SeriesSource(coin.series, parameters.kind))
    return sampled


def correlation_factor(correlation: FloatArray) -> FloatArray:
    """Lower triangular L with L L^T = `correlation`, float64 (n, n); also for singular matrices."""
    factor = np.zeros_like(correlation)
    for i in range(len(correlation)):
        for j in range(i):
            rest = correlation[i, j] - math.fsum(factor[i, :j] * factor[j, :j])
            # A zero on the diagonal: coin j is a mixture of the coins before it and adds nothing.
            factor[i, j] = rest / factor[j, j] if factor[j, j] > ROUNDING**0.5 else 0.0
        factor[i, i] = math.sqrt(max(0.0, correlation[i, i] - math.fsum(factor[i, :i] ** 2)))
    return factor


def clustered_volatility(
    parameters: ClusteredVolatility, window: Window, streams: Streams
) -> FloatArray:
    """Volatility at each sample as a multiple of its root mean square, float64 (samples,)."""
    log_volatility = np.zeros(window.samples)
    for tau, variance in zip(parameters.time_constants_s, parameters.variances, strict=True):
        generator = streams.generator(f"volatility/{tau:g}")
        keep = math.exp(-window.step_s / tau)
        sd = math.sqrt(variance * (1.0 - keep * keep))
        first = math.sqrt(variance) * float(generator.standard_normal())
        normals = generator.standard_normal(window.samples - 1)
        log_volatility += autoregression(first, keep, sd * normals)
    return np.exp(log_volatility - sum(parameters.variances))


def autoregression(first: float, keep: float, innovations: FloatArray) -> FloatArray:
    """x[0] = first, x[k+1] = keep x[k] + innovations[k]; float64 (innovations + 1,)."""
    steps = accumulate(innovations.tolist(), lambda x, e: keep * x + e, initial=first)
    return np.fromiter(steps, np.float64, len(innovations) + 1)


def _brownian(
    annual_volatility: float, annual_drift: float, window: Window, streams: Streams
) -> FloatArray:
    """Log returns of geometric Brownian motion whose expected price grows by the drift."""
    sd = annual_volatility * math.sqrt(window.step_s / YEAR_S)
    normals = streams.generator("returns").standard_normal(window.samples - 1)
    return sd * normals + _drift(annual_drift - annual_volatility**2 / 2, window)


def _drift(annual: float, window: Window) -> float:
    return annual * window.step_s / YEAR_S


def _from_returns(initial: float, returns: FloatArray) -> FloatArray:
    """Prices whose log returns are given, float64 (returns + 1,)."""
    return initial * np.exp(np.concatenate(([0.0], np.cumsum(returns))))
