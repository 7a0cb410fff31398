"""Black-76 without discounting: values and greeks of options on a forward.

The value is computed for the out-of-the-money side and the other side follows from parity, so
that both keep full precision where they are tiny:

    sqrt(F K / (2 pi)) exp(-(h^2 + t^2) / 2) (Y(h + t) - Y(h - t))

with h = -|ln(F / K)| / s, t = s / 2, s = sigma sqrt(T) and Y = N / phi (Mills' ratio). A
difference of normal distribution values alone loses all digits as s goes to zero.

Units: forward and strike in USD, years, sigma a fraction a year; values USD per coin.
At or after expiry, and at zero volatility, an option is worth its intrinsic value.

Source: portfolio-margin.md 16.1, 16.2, 16.16; F. Black (1976); P. Jaeckel, "Let's be rational"
(2015) for the normalised form; W. J. Cody (1969) for the scaled error function.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SQRT_HALF = math.sqrt(0.5)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_INV_SQRT_PI = 1.0 / math.sqrt(math.pi)
# Below this s / 2 the difference of Mills' ratios is summed as a series.
_SERIES_BELOW = 0.02
# Above it the plain form has no cancellation, and the scaled one could overflow.
_PLAIN_ABOVE = 0.5
# A smaller sigma sqrt(T) counts as none: nothing finite is left to divide by it.
_NO_DEVIATION = 1e-100
# exp(-h^2 / 2) underflows beyond it.
_H_LIMIT = -38.5


@njit(cache=True)
def scaled_erfc(x: float) -> float:
    """exp(x^2) erfc(x) for x >= 0, to a few units in the last place.  Source: Cody (1969)."""
    if x <= 0.46875:
        return math.exp(x * x) * math.erfc(x)
    if x <= 4.0:
        top = 2.15311535474403846e-8 * x
        low = x
        top = (top + 0.564188496988670089) * x
        low = (low + 15.7449261107098347) * x
        top = (top + 8.88314979438837594) * x
        low = (low + 117.693950891312499) * x
        top = (top + 66.1191906371416295) * x
        low = (low + 537.181101862009858) * x
        top = (top + 298.635138197400131) * x
        low = (low + 1621.38957456669019) * x
        top = (top + 881.95222124176909) * x
        low = (low + 3290.79923573345963) * x
        top = (top + 1712.04761263407058) * x
        low = (low + 4362.61909014324716) * x
        top = (top + 2051.07837782607147) * x
        low = (low + 3439.36767414372164) * x
        return (top + 1230.33935479799725) / (low + 1230.33935480374942)
    y = 1.0 / (x * x)
    top = 0.0163153871373020978 * y
    low = y
    top = (top + 0.305326634961232344) * y
    low = (low + 2.56852019228982242) * y
    top = (top + 0.360344899949804439) * y
    low = (low + 1.87295284992346047) * y
    top = (top + 0.125781726111229246) * y
    low = (low + 0.527905102951428412) * y
    top = (top + 0.0160837851487422766) * y
    low = (low + 0.0605183413124413191) * y
    tail = y * (top + 6.58749161529837803e-4) / (low + 0.00233520497626869185)
    return (_INV_SQRT_PI - tail) / x


@njit(cache=True)
def normal_cdf(x: float) -> float:
    """Standard normal distribution, accurate in both tails."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@njit(cache=True)
def normal_density(x: float) -> float:
    """Standard normal density."""
    return _INV_SQRT_2PI * math.exp(-0.5 * x * x)


@njit(cache=True)
def _mills_difference(h: float, t: float) -> float:
    """Y(h + t) - Y(h - t) by Taylor's series around h <= 0, for small t."""
    # The derivatives follow from Y' = 1 + h Y.
    y0 = _SQRT_HALF_PI * scaled_erfc(-h * _SQRT_HALF)
    y1 = 1.0 + h * y0
    y2 = h * y1 + y0
    y3 = h * y2 + 2.0 * y1
    y4 = h * y3 + 3.0 * y2
    y5 = h * y4 + 4.0 * y3
    y6 = h * y5 + 5.0 * y4
    y7 = h * y6 + 6.0 * y5
    square = t * t
    series = y1 + square / 6.0 * (y3 + square / 20.0 * (y5 + square / 42.0 * y7))
    return 2.0 * t * series


@njit(cache=True)
def otm_value(forward: float, strike: float, deviation: float) -> float:
    """Value of the out-of-the-money option (call or put), USD; deviation = sigma sqrt(T) > 0."""
    return otm_value_at(forward, strike, log_moneyness(forward, strike), deviation)


@njit(cache=True, forceinline=True)
def log_moneyness(forward: float, strike: float) -> float:
    """|ln(F / K)|; log1p keeps the digits of one near zero."""
    low = min(forward, strike)
    high = max(forward, strike)
    return math.log1p((high - low) / low)


@njit(cache=True)
def otm_value_at(forward: float, strike: float, moneyness: float, deviation: float) -> float:
    """As `otm_value`, with the `log_moneyness` that options of many volatilities share."""
    low = min(forward, strike)
    high = max(forward, strike)
    h = -moneyness / deviation
    t = 0.5 * deviation
    if t > _PLAIN_ABOVE:
        value = low * normal_cdf(h + t) - high * normal_cdf(h - t)
        return max(0.0, value)
    if h + t < _H_LIMIT:
        return 0.0
    if t < _SERIES_BELOW:
        difference = _mills_difference(h, t)
    else:
        difference = _mills(h + t) - _mills(h - t)
    scale = math.sqrt(low) * math.sqrt(high) * _INV_SQRT_2PI
    return max(0.0, scale * math.exp(-0.5 * (h * h + t * t)) * difference)


@njit(cache=True)
def _mills(x: float) -> float:
    """N(x) / phi(x)."""
    if x <= 0.0:
        return _SQRT_HALF_PI * scaled_erfc(-x * _SQRT_HALF)
    return normal_cdf(x) / normal_density(x)


@njit(cache=True)
def deviation_of(forward: float, years: float, sigma: float) -> float:
    """sigma sqrt(T), or 0 where an option is worth its intrinsic value."""
    if years <= 0.0 or sigma <= 0.0 or forward <= 0.0:
        return 0.0
    deviation = sigma * math.sqrt(years)
    return deviation if deviation > _NO_DEVIATION else 0.0


@njit(cache=True)
def option_value(forward: float, strike: float, years: float, sigma: float, is_call: bool) -> float:
    """Undiscounted value, USD per coin; intrinsic where years <= 0 or sigma <= 0.

    put = call - F + K holds by construction.  Source: 16.1.
    """
    intrinsic = intrinsic_value(forward, strike, is_call)
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        return intrinsic
    return intrinsic + otm_value(forward, strike, deviation)


@njit(cache=True, forceinline=True)
def intrinsic_value(forward: float, strike: float, is_call: bool) -> float:
    """What exercise would bring, USD per coin."""
    return max(0.0, forward - strike) if is_call else max(0.0, strike - forward)


@njit(cache=True)
def _d1(forward: float, strike: float, deviation: float) -> float:
    if forward > strike:
        moneyness = math.log1p((forward - strike) / strike)
    else:
        moneyness = -math.log1p((strike - forward) / forward)
    return moneyness / deviation + 0.5 * deviation


@njit(cache=True)
def option_delta(forward: float, strike: float, years: float, sigma: float, is_call: bool) -> float:
    """N(d1), or N(d1) - 1 of a put; at expiry N(d1) is 1 if F > K else 0.  Source: 16.1, 16.2."""
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        above = 1.0 if forward > strike else 0.0
        return above if is_call else above - 1.0
    d1 = _d1(forward, strike, deviation)
    return normal_cdf(d1) if is_call else -normal_cdf(-d1)


@njit(cache=True)
def option_vega(forward: float, strike: float, years: float, sigma: float) -> float:
    """F phi(d1) sqrt(T): USD per coin and unit of volatility (1 = 100 points); 0 at expiry."""
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        return 0.0
    return forward * normal_density(_d1(forward, strike, deviation)) * math.sqrt(years)


@njit(cache=True)
def option_gamma(forward: float, strike: float, years: float, sigma: float) -> float:
    """phi(d1) / (F sigma sqrt(T)): second derivative of the value in F; 0 at expiry."""
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        return 0.0
    return normal_density(_d1(forward, strike, deviation)) / (forward * deviation)


@njit(cache=True)
def delta_vega_gamma(
    forward: float, strike: float, years: float, sigma: float, is_call: bool
) -> tuple[float, float, float]:
    """`option_delta`, `option_vega` and `option_gamma` from one d1."""
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        return option_delta(forward, strike, years, sigma, is_call), 0.0, 0.0
    d1 = _d1(forward, strike, deviation)
    density = normal_density(d1)
    delta = normal_cdf(d1) if is_call else -normal_cdf(-d1)
    return delta, forward * density * math.sqrt(years), density / (forward * deviation)


@njit(cache=True)
def option_theta(forward: float, strike: float, years: float, sigma: float) -> float:
    """-F phi(d1) sigma / (2 sqrt(T)): change of the value per year of time; 0 at expiry."""
    deviation = deviation_of(forward, years, sigma)
    if deviation == 0.0:
        return 0.0
    density = normal_density(_d1(forward, strike, deviation))
    return -forward * density * sigma / (2.0 * math.sqrt(years))


@njit(cache=True)
def price_adjusted_greeks(
    forward: float, strike: float, years: float, sigma: float, is_call: bool
) -> tuple[float, float, float, float, float]:
    """OKX's PA figures in coin: price, delta, gamma, theta a day, vega a vol point.

    delta = N(d1) - P (put: N(d1) - 1 - P), gamma = phi(d1) / s - 2 delta as published, the rest as
    the derivatives of the coin price.  Source: golden case G2.
    """
    price = option_value(forward, strike, years, sigma, is_call) / forward
    delta = option_delta(forward, strike, years, sigma, is_call) - price
    gamma = option_gamma(forward, strike, years, sigma) * forward - 2.0 * delta
    theta = option_theta(forward, strike, years, sigma) / forward / 365.0
    vega = option_vega(forward, strike, years, sigma) / forward / 100.0
    return price, delta, gamma, theta, vega
