"""How fast the value and the margin of an option can change: bounds for the safe radius.

A slope is USD per coin and relative move: while every price that the option depends on moves by at
most delta, the figure moves by at most delta x slope. Prices are the forward F, the index u, the
volatility sigma and the time, which moves by delta when delta years pass (`Market.prices`). A slope
has three parts, by prices (F and u), by volatility and by time, and their sum is the bound.

They are bounds on derivatives of Black-76 (undiscounted), with s = sigma sqrt(T), phi the normal
density and N its integral; for any x, phi <= 0.399, |x| phi <= 0.242, x^2 phi <= 0.294 and
(1 + x^2) phi <= 0.484:

    dV/dF = N(d1) or N(d1) - 1        dV/dsigma = F phi(d1) sqrt(T)
    dV/dT = F phi(d1) sigma / (2 sqrt(T))
    dd1/dlnF = 1 / s                  dd1/dlnsigma = -d2          dd1/dlnT = -d2 / 2

They hold for all strikes, so nothing in them moves but F, u, sigma and T themselves. F, u and sigma
move by up to `LARGEST_RADIUS`: at most two factors grow or shrink so, 1.05 x 1.05 or 1.05 / 0.95,
and the fifth that `order_watch` adds to all slopes covers that. T only falls: T of the mark stands
where it multiplies. Where it divides stands the least time that may be left, `life` years and the
day of the time decay later; the radius is at most `life`. The bounds grow as 1 / sqrt(life), so an
option has no radius in its last day, and a small one just before.

Checked against the functions themselves in tests/properties/test_option_slopes.py.

Source: portfolio-margin.md 16.1 to 16.12; F. Black (1976).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t
from risk.black76 import option_value
from risk.kernels import interpolated
from risk.order_watch import LARGEST_RADIUS, SECOND_ORDER
from risk.stress_kernels import InstrumentTerms, StressPrices, StressRules

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Slopes = tuple[float, float, float]

_DENSITY = 0.399  # phi(x)
_FIRST = 0.242  # |x| phi(x)
_SECOND = 0.294  # x^2 phi(x)
_ZERO_AND_SECOND = 0.484  # (1 + x^2) phi(x)
_LEAST_VOLATILITY = 1e-6  # below it no radius: nothing finite is left to divide by it


@njit(cache=True)
def life_of(years: float, decay: float) -> float:
    """Years that a radius may last: half of the time that is left after the time decay, at most
    the largest radius; 0 for an option at its end."""
    return max(0.0, min(LARGEST_RADIUS, 0.5 * (years - decay)))


@njit(cache=True)
def value_slopes(forward: float, sigma: float, years: float, least: float) -> Slopes:
    """Of the value V, and of the change of V in a day (MR2): two values, and two derivatives of
    the same sign each, whose difference is not larger than the larger of them."""
    by_volatility = _DENSITY * forward * sigma * math.sqrt(years)
    return forward, by_volatility, 0.5 * _DENSITY * forward * sigma / math.sqrt(least)


@njit(cache=True)
def coin_slopes(
    forward: float,
    usd: float,
    strike: float,
    is_call: bool,
    sigma: float,
    years: float,
    least: float,
) -> Slopes:
    """Of the value in coin, V / F, at the index u of the mark: what a balance changes by.

    d(V / F)/dlnF = K/F N(d2) of a call, which is at most N(d1) <= 1; -K/F N(-d2) of a put.
    """
    _, by_volatility, by_time = value_slopes(usd, sigma, years, least)
    by_prices = min(1.0, strike / forward) if is_call else strike / forward
    return usd * by_prices, by_volatility, by_time


@njit(cache=True)
def cell_slopes(
    shocked: float,
    sigma: float,
    points: float,
    percent: float,
    shift: float,
    years: float,
    least: float,
) -> Slopes:
    """Of any cell V(F + a u, sigma') - V(F, sigma) of MR1 and MR6.

    shocked: the largest F + |a| u. points, percent: the largest shifts of volatility, fractions;
    shift: how fast the shifted volatility itself may move as time passes, a year. The derivatives
    of the two values have the same sign, so the larger counts: by F at most F, by u at most |a| u;
    dsigma'/dsigma is at most 1 + percent. A floor of shocked price or volatility only lowers them.
    """
    highest = max(sigma + points, sigma * (1.0 + percent))
    by_volatility = _DENSITY * shocked * sigma * (1.0 + percent) * math.sqrt(years)
    by_time = 0.5 * _DENSITY * shocked * highest / math.sqrt(least)
    return shocked, by_volatility, by_time + _DENSITY * shocked * math.sqrt(years) * shift


@njit(cache=True)
def vega_slopes(forward: float, sigma: float, years: float, least: float) -> Slopes:
    """Of F phi(d1) sqrt(T), USD per unit of volatility.

    By ln F: F sqrt(T) (phi - d1 phi / s). By ln sigma: F sqrt(T) d1 d2 phi, with d2 = d1 - s. By T:
    F (phi + d1 d2 phi) / (2 sqrt(T)).
    """
    root = math.sqrt(years)
    by_prices = forward * (_DENSITY * root + _FIRST / sigma)
    by_volatility = forward * root * (_SECOND + _FIRST * sigma * root)
    by_time = 0.5 * forward * (_ZERO_AND_SECOND / math.sqrt(least) + _FIRST * sigma)
    return by_prices, by_volatility, by_time


@njit(cache=True)
def delta_slopes(forward: float, sigma: float, years: float, least: float) -> Slopes:
    """Of the USD delta F N(d1), or F (N(d1) - 1).

    By ln F: F (N + phi / s). By ln sigma: -F d2 phi. By T: half of that over T.
    """
    by_prices = forward * (1.0 + _DENSITY / (sigma * math.sqrt(least)))
    by_volatility = forward * (_FIRST + _DENSITY * sigma * math.sqrt(years))
    by_time = 0.5 * forward * (_FIRST / least + _DENSITY * sigma / math.sqrt(least))
    return by_prices, by_volatility, by_time


@njit(cache=True)
def reach_of(years: float, days: Floats, values: Floats) -> tuple[float, float]:
    """The largest value of a table by days to expiry, and its steepest slope a year, while at most
    the largest radius passes."""
    high, low = 365.0 * years, 365.0 * (years - LARGEST_RADIUS)
    largest = max(interpolated(high, days, values), interpolated(low, days, values))
    steepest = 0.0
    for k in range(days.size - 1):
        if days[k] < high and days[k + 1] > low:
            slope = (values[k + 1] - values[k]) / (days[k + 1] - days[k])
            steepest = max(steepest, 365.0 * abs(slope))
            if days[k] > low:
                largest = max(largest, values[k])
            if days[k + 1] < high:
                largest = max(largest, values[k + 1])
    return largest, steepest


@njit(cache=True)
def volatility_reach(years: float, volatility: Floats) -> tuple[float, float, float, float]:
    """`reach_of` the shifts of volatility in points and in percent, the same for a whole expiry."""
    points, point_slope = reach_of(years, volatility[0], volatility[1])
    percent, percent_slope = reach_of(years, volatility[0], volatility[2])
    return points, point_slope, percent, percent_slope


@njit(cache=True)
def largest_shocked(
    i: int, terms: InstrumentTerms, prices: StressPrices, rules: StressRules, factor: float
) -> float:
    """The largest F + |a| u over the moves a of MR1, and of MR6, whose cells count by a factor."""
    forward, usd, shock = prices.forward[i], prices.usd_base[i], rules.price_floor
    for s in range(at.SHOCKS):
        shock = max(shock, abs(terms.shocks[i, s]))
    extreme = max(rules.price_floor, terms.extreme[i])
    return float(max(forward + shock * usd, factor * (forward + extreme * usd)))


@njit(cache=True)
def margin_slopes(
    i: int,
    terms: InstrumentTerms,
    prices: StressPrices,
    rules: StressRules,
    params: Floats,
    unit: int,
    years: float,
    life: float,
    reach: tuple[float, float, float, float],
) -> tuple[Slopes, Slopes, Slopes, Slopes]:
    """Of MR1, MR2 or MR6 (the largest counts), of MR3, MR4 and MR5, per coin, spot in use apart.

    reach: of `volatility_reach`.
    MR3: factor x vega a point x points. MR4: |delta| x the rate of the expiry, which falls as time
    passes. MR5: rate shift x V T.  Source: 16.4 to 16.9, 16.12.
    """
    forward, sigma, call = prices.forward[i], prices.volatility[i], terms.is_call[i] == 1
    least = years - rules.decay_years - life
    points, point_slope, percent, percent_slope = reach
    shift = max(0.01 * point_slope, sigma * percent_slope)
    shocked = largest_shocked(i, terms, prices, rules, params[unit, at.U_EXTREME_FACTOR])
    above = max(0.01 * points, rules.volatility_floor)
    cell = cell_slopes(shocked, sigma, above, percent, shift, years, least)

    p, v, h = vega_slopes(forward, sigma, years, least)
    factor = 0.01 * params[unit, at.U_VEGA_FACTOR]
    by_points = _DENSITY * forward * math.sqrt(years) * point_slope
    vega = (factor * points * p, factor * points * v, factor * (points * h + by_points))

    p, v, h = delta_slopes(forward, sigma, years, least)
    annual = params[unit, at.U_BASIS_ANNUAL]
    rate = max(params[unit, at.U_BASIS_RATE], annual * years)
    basis = (rate * p, rate * v, rate * h + annual * forward)

    p, v, h = value_slopes(forward, sigma, years, least)
    value = option_value(forward, terms.strike[i], years, sigma, call)
    highest = value + LARGEST_RADIUS * SECOND_ORDER * (p + v + h)
    move = params[unit, at.U_INTEREST_SHIFT]
    return cell, vega, basis, (move * years * p, move * years * v, move * (years * h + highest))


@njit(cache=True)
def _total(slopes: Slopes) -> float:
    return slopes[0] + slopes[1] + slopes[2]


@njit(cache=True)
def write_option_slopes(
    options: Ints,
    lots_per_contract: Floats,
    terms: InstrumentTerms,
    prices: StressPrices,
    rules: StressRules,
    params: Floats,
    unit_of: Ints,
    time_ns: int,
    out: Floats,
) -> None:
    """Write the slopes of all options per lot, columns M_EQUITY_SLOPE to M_LIFE of `out`.

    options: int64, instrument numbers; params: float64 (units, size); out: float64 (instruments,
    columns M_*). An option without a radius gets M_LIFE 0. Less than 0.4 us an option.
    """
    expiry_ns, reach = 0, (0.0, 0.0, 0.0, 0.0)
    for i in options:
        out[i, t.M_EQUITY_SLOPE : t.M_LIFE + 1] = 0.0
        years = (terms.expiry_ns[i] - time_ns) / 86_400e9 / 365.0
        life = life_of(years, rules.decay_years)
        forward, sigma, strike = prices.forward[i], prices.volatility[i], terms.strike[i]
        if life <= 0.0 or not sigma >= _LEAST_VOLATILITY:
            continue
        coins, call = terms.amount[i] / lots_per_contract[i], terms.is_call[i] == 1
        least = years - rules.decay_years - life
        equity = coin_slopes(forward, prices.usd_base[i], strike, call, sigma, years, least)
        if terms.expiry_ns[i] != expiry_ns:
            expiry_ns, reach = terms.expiry_ns[i], volatility_reach(years, rules.volatility)
        scenario, vega, basis, interest = margin_slopes(
            i, terms, prices, rules, params, unit_of[i], years, life, reach
        )
        margin = _total(scenario) + _total(vega) + _total(basis) + _total(interest)
        out[i, t.M_EQUITY_SLOPE] = coins * _total(equity)
        out[i, t.M_MARGIN_SLOPE] = coins * margin
        out[i, t.M_DELTA_SLOPE] = coins * _total(delta_slopes(forward, sigma, years, least))
        out[i, t.M_VALUE_SLOPE] = coins * _total(value_slopes(forward, sigma, years, least))
        out[i, t.M_LIFE] = life
