"""Black-76, undiscounted, with `math` only.

Source: portfolio-margin.md section 16.1.
"""

import math

YEAR_DAYS = 365.0


def cumulative(x: float) -> float:
    """Return the standard normal distribution function, accurate in both tails."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def density(x: float) -> float:
    """Return the standard normal density."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def _d1(forward: float, strike: float, years: float, sigma: float) -> float:
    spread = sigma * math.sqrt(years)
    return math.log(forward / strike) / spread + 0.5 * spread


def price(forward: float, strike: float, years: float, sigma: float, call: bool) -> float:
    """Return the option's value in USD per coin; the intrinsic value where T or sigma <= 0."""
    if years <= 0.0 or sigma <= 0.0:
        return max(0.0, forward - strike if call else strike - forward)
    d1 = _d1(forward, strike, years, sigma)
    d2 = d1 - sigma * math.sqrt(years)
    if call:
        return forward * cumulative(d1) - strike * cumulative(d2)
    # put = call - F + K, written so that small values keep their digits: N(-x) = 1 - N(x)
    return strike * cumulative(-d2) - forward * cumulative(-d1)


def delta(forward: float, strike: float, years: float, sigma: float, call: bool) -> float:
    """Return the delta: N(d1) of a call, N(d1) - 1 of a put."""
    if years <= 0.0 or sigma <= 0.0:
        above = forward > strike
        return float(above) if call else float(above) - 1.0
    d1 = _d1(forward, strike, years, sigma)
    return cumulative(d1) if call else -cumulative(-d1)


def vega(forward: float, strike: float, years: float, sigma: float) -> float:
    """Return dV/dsigma in USD per coin and 1.00 of volatility."""
    if years <= 0.0 or sigma <= 0.0:
        return 0.0
    return forward * density(_d1(forward, strike, years, sigma)) * math.sqrt(years)


def gamma(forward: float, strike: float, years: float, sigma: float) -> float:
    """Return d2V/dF2 in USD per coin and USD squared."""
    if years <= 0.0 or sigma <= 0.0:
        return 0.0
    d1 = _d1(forward, strike, years, sigma)
    return density(d1) / (forward * sigma * math.sqrt(years))
