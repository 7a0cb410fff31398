"""Marks: the volatility surface that options are marked on, forwards, and the smoothed basis.

Pure functions of samples and quotes; who keeps the samples is the caller's business.

Source: portfolio-margin.md sections 11.1, 11.2, 16.1.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk.black76 import option_value
from risk.contracts import (
    DAYS_PER_YEAR,
    FUTURE,
    OPTION,
    Contract,
    days_to_expiry,
    expiry_code,
)

Floats = NDArray[np.float64]

# Volatilities between which a quote is explained; outside it has no implied volatility.
LOWEST_VOLATILITY = 1e-4
HIGHEST_VOLATILITY = 50.0
_ITERATIONS = 100


def implied_volatility(
    value_usd: float, forward: float, strike: float, years: float, is_call: bool
) -> float | None:
    """The volatility at which Black-76 gives `value_usd` (USD per coin), a fraction a year.

    None where there is none: at expiry, at or below the intrinsic value, or above what
    HIGHEST_VOLATILITY explains. Bisection on a bracket, sharpened by secants; about 1e-12 relative
    in the value.  Source: 16.1.
    """
    if years <= 0.0 or forward <= 0.0:
        return None
    low, high = LOWEST_VOLATILITY, HIGHEST_VOLATILITY
    below = option_value(forward, strike, years, low, is_call) - value_usd
    above = option_value(forward, strike, years, high, is_call) - value_usd
    if below > 0.0 or above < 0.0 or value_usd <= _intrinsic(forward, strike, is_call):
        return None
    for _ in range(_ITERATIONS):
        middle = 0.5 * (low + high)
        if above > below:
            secant = low - below * (high - low) / (above - below)
            # The secant is taken where it is inside the middle of the bracket.
            if abs(secant - middle) < 0.4 * (high - low):
                middle = secant
        error = option_value(forward, strike, years, middle, is_call) - value_usd
        if error == 0.0 or high - low <= 1e-15 * high:
            return middle
        if error > 0.0:
            high, above = middle, error
        else:
            low, below = middle, error
    return 0.5 * (low + high)


def _intrinsic(forward: float, strike: float, is_call: bool) -> float:
    return max(0.0, forward - strike) if is_call else max(0.0, strike - forward)


@dataclass(frozen=True, slots=True)
class Smile:
    """Volatilities of one expiry by log-moneyness ln(K / F), ascending, linear, flat outside."""

    expiry_ns: int
    log_moneyness: tuple[float, ...]
    volatility: tuple[float, ...]

    def at(self, log_moneyness: float) -> float:
        """Interpolated volatility, a fraction a year.

        The operations of `np.interp`, which takes ten times as long for one value.
        """
        known, values = self.log_moneyness, self.volatility
        after = bisect_right(known, log_moneyness)
        if after == 0:
            return values[0]
        if after == len(known):
            return values[-1]
        before, value = known[after - 1], values[after - 1]
        slope = (values[after] - value) / (known[after] - before)
        return slope * (log_moneyness - before) + value


@dataclass(frozen=True, slots=True)
class VolatilitySurface:
    """Smiles of one underlying, ascending by expiry.

    Between two expiries total variance (sigma^2 T) at equal log-moneyness is linear in time; before
    the first and after the last the nearest smile's volatility holds.
    """

    time_ns: int
    smiles: tuple[Smile, ...]

    def __post_init__(self) -> None:
        if not self.smiles:
            raise ValueError("a volatility surface needs at least one smile")

    def volatility(self, expiry_ns: int, strike: float, forward: float) -> float:
        """Volatility of an option, a fraction a year."""
        return self.smile(expiry_ns)(math.log(strike / forward))

    def smile(self, expiry_ns: int) -> Callable[[float], float]:
        """The smile of any expiry: ln(K / F) -> volatility, a fraction a year."""
        expiries = [smile.expiry_ns for smile in self.smiles]
        after = bisect_left(expiries, expiry_ns)
        if after == len(expiries):
            return self.smiles[-1].at
        far = self.smiles[after]
        if after == 0 or expiries[after] == expiry_ns:
            return far.at
        near = self.smiles[after - 1]
        t0 = days_to_expiry(near.expiry_ns, self.time_ns)
        t1 = days_to_expiry(far.expiry_ns, self.time_ns)
        t = days_to_expiry(expiry_ns, self.time_ns)
        if t0 <= 0.0:
            return far.at

        def between(moneyness: float) -> float:
            v0, v1 = near.at(moneyness) ** 2 * t0, far.at(moneyness) ** 2 * t1
            return math.sqrt((v0 + (v1 - v0) * (t - t0) / (t1 - t0)) / t)

        return between

    def shifted(self, points: float) -> VolatilitySurface:
        """The surface moved by vol points (1 = 0.01 a year), never below LOWEST_VOLATILITY."""
        move = points / 100.0
        smiles = tuple(
            Smile(
                smile.expiry_ns,
                smile.log_moneyness,
                tuple(max(LOWEST_VOLATILITY, vol + move) for vol in smile.volatility),
            )
            for smile in self.smiles
        )
        return VolatilitySurface(self.time_ns, smiles)


def surface_from_marks(
    contracts: Sequence[Contract],
    marks: Mapping[str, float],
    forwards: Mapping[str, float],
    time_ns: int,
) -> VolatilitySurface:
    """The surface that explains option marks of one underlying.

    marks: instrument -> price in coin; forwards: `BASE-USD-yymmdd` -> USD. Of a call and a put at
    one strike the out-of-the-money one counts. Marks without an implied volatility are left out;
    ValueError where none is left.
    """
    points: dict[int, dict[float, float]] = {}
    for contract in contracts:
        price = marks.get(contract.instrument_id)
        if contract.kind != OPTION or contract.expiry_ns is None or price is None:
            continue
        forward = forwards.get(forward_name(contract.base, contract.expiry_ns))
        if forward is None:
            continue
        years = days_to_expiry(contract.expiry_ns, time_ns) / DAYS_PER_YEAR
        strike, call = contract.strike, contract.is_call
        vol = implied_volatility(price * forward, forward, strike, years, call)
        if vol is None:
            continue
        moneyness = math.log(strike / forward)
        smile = points.setdefault(contract.expiry_ns, {})
        if moneyness not in smile or call == (strike > forward):
            smile[moneyness] = vol
    smiles = tuple(
        Smile(expiry, tuple(sorted(smile)), tuple(smile[m] for m in sorted(smile)))
        for expiry, smile in sorted(points.items())
    )
    return VolatilitySurface(time_ns, smiles)


def forward_name(base: str, expiry_ns: int) -> str:
    """Key of a forward in `MarketSnapshot.forward`, which is also the coin-margined future."""
    return f"{base}-USD-{expiry_code(expiry_ns)}"


def forwards_from_futures(
    contracts: Sequence[Contract], marks: Mapping[str, float]
) -> dict[str, float]:
    """Forward per expiry from the marks of coin-margined futures, USD.  Source: 16.1."""
    return {
        contract.instrument_id: marks[contract.instrument_id]
        for contract in contracts
        if contract.kind == FUTURE and contract.inverse and contract.instrument_id in marks
    }


def forward_at(
    expiry_ns: int, time_ns: int, spot_usd: float, futures: Mapping[int, float]
) -> float:
    """Forward of any expiry: the annual basis of the futures, linear in time, flat outside, USD.

    futures: expiry_ns -> mark in USD; without any the forward is the index.
    """
    known = sorted(e for e in futures if e > time_ns)
    days = days_to_expiry(expiry_ns, time_ns)
    if not known or days <= 0.0:
        return spot_usd
    times = [days_to_expiry(e, time_ns) for e in known]
    basis = [math.log(futures[e] / spot_usd) / t for e, t in zip(known, times, strict=True)]
    return spot_usd * math.exp(float(np.interp(days, times, basis)) * days)
