"""The twelve stylised facts of a calm day: each quantity, its band, and the real BTC figure.

Source: calibration.md, "The twelve acceptance bands for a calm day" and its measured references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isnan, nan, sqrt

import numpy as np

from scenarios import facts
from scenarios.fact_collector import DEPTH_BPS, DayFacts

TAIL_SHARE = 0.01
Estimator = Callable[[Sequence[DayFacts]], float]


@dataclass(frozen=True, slots=True)
class Band:
    """One quantity and where it should lie. real: the figure of real BTC, in words."""

    number: int
    key: str
    name: str
    low: float
    high: float
    real: str
    estimate: Estimator

    def holds(self, value: float) -> bool:
        """Whether a measured value lies in the band; an unknown one does not."""
        return self.low <= value <= self.high

    @property
    def words(self) -> str:
        """The band as a person writes it."""
        if self.high == inf:
            return f"at least {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A band with what was measured. error: standard error, NaN where one day tells none."""

    band: Band
    value: float
    error: float

    @property
    def holds(self) -> bool:
        return self.band.holds(self.value)

    @property
    def why(self) -> str:
        """Why a band fails, in words; empty where it holds."""
        band, value = self.band, self.value
        if self.holds:
            return ""
        if isnan(value):
            return "cannot be estimated: too few observations"
        edge, side = (band.low, "below") if value < band.low else (band.high, "above")
        gap = abs(value - edge)
        if isnan(self.error) or self.error <= 0.0:
            return f"{gap:.3g} {side} the band"
        return f"{gap:.3g} {side} the band, {gap / self.error:.1f} standard errors"


def _returns(days: Sequence[DayFacts]) -> list[facts.Floats]:
    return [day.returns for day in days]


def _sizes(days: Sequence[DayFacts]) -> list[facts.Floats]:
    return [np.abs(day.returns) for day in days]


def _acf(lag: int, absolute: bool) -> Estimator:
    def estimate(days: Sequence[DayFacts]) -> float:
        segments = _sizes(days) if absolute else _returns(days)
        return float(facts.autocorrelation(segments, [lag])[0])

    return estimate


def _hill(days: Sequence[DayFacts]) -> float:
    return facts.hill_index(np.concatenate(_returns(days)), TAIL_SHARE)


def _decay(days: Sequence[DayFacts]) -> float:
    return facts.decay_exponent(_sizes(days))


def _volume(days: Sequence[DayFacts]) -> float:
    return facts.volume_correlation(_returns(days), [day.volumes for day in days])


def _signs(days: Sequence[DayFacts]) -> float:
    return facts.sign_memory_exponent([day.signs for day in days])


def impact(days: Sequence[DayFacts]) -> facts.ImpactFit:
    """The impact law of all days' metaorders."""
    return facts.impact_fit([m for day in days for m in day.metaorders])


def _cancelled(days: Sequence[DayFacts]) -> float:
    return facts.cancelled_share(
        sum(day.limit_orders for day in days), sum(day.cancelled for day in days)
    )


def _one_tick(days: Sequence[DayFacts]) -> float:
    total = sum(day.seconds for day in days)
    return sum(day.one_tick_share * day.seconds for day in days) / total


def mean_depth(days: Sequence[DayFacts]) -> facts.Floats:
    """Mean cumulative depth at `DEPTH_BPS`, units of the usual depth."""
    depth: facts.Floats = np.mean([day.depth for day in days], axis=0)
    return depth


def _linear(days: Sequence[DayFacts]) -> float:
    return facts.linear_fit_quality(DEPTH_BPS, mean_depth(days))


BANDS = (
    Band(1, "tail_index", "tail index of abs(r), top 1 %", 2.5, 4.5, "4.05", _hill),
    Band(2, "acf_r_1", "ACF of r, lag 1", -0.05, 0.05, "0.03 in 2023", _acf(1, False)),
    Band(3, "acf_abs_1", "ACF of abs(r), lag 1", 0.25, 0.45, ".305; .444 in 2021", _acf(1, True)),
    Band(4, "acf_abs_60", "ACF of abs(r), lag 60", 0.1, 0.27, ".170; .266 in 2021", _acf(60, True)),
    Band(5, "decay", "decay exponent of that ACF", 0.2, 0.4, "0.15 to 0.2", _decay),
    Band(6, "volume", "correlation of abs(r), log volume", 0.4, 0.6, "", _volume),
    Band(7, "signs", "exponent of the trade-sign ACF", 0.4, 0.7, "0.54 spot, 0.62 swap", _signs),
    Band(
        8,
        "impact_exponent",
        "exponent of metaorder impact",
        0.4,
        0.6,
        "about 0.5",
        lambda days: impact(days).exponent,
    ),
    Band(
        9,
        "impact_prefactor",
        "Y of impact = Y sigma (Q/V)^0.5",
        0.5,
        1.5,
        "about 1",
        lambda days: impact(days).prefactor_root,
    ),
    Band(10, "cancelled", "share of limit orders cancelled", 0.95, inf, "", _cancelled),
    Band(11, "one_tick", "share of time with one-tick spread", 0.8, inf, "", _one_tick),
    Band(12, "linear_depth", "R^2 of linear depth, to 10 bps", 0.9, inf, "0.98", _linear),
)


def measure(days: Sequence[DayFacts]) -> list[Measured]:
    """All bands on the pooled days, with jackknife errors over days (impact: the fit's own)."""
    fit = impact(days)
    result = []
    for band in BANDS:
        value = band.estimate(days)
        if band.key == "impact_exponent":
            error = fit.errors[0]
        elif band.key == "impact_prefactor":
            error = fit.errors[1]
        elif len(days) < 2:
            error = _alone(band, days[0], value)
        else:
            error = facts.jackknife_error(
                [band.estimate([*days[:i], *days[i + 1 :]]) for i in range(len(days))]
            )
        result.append(Measured(band, value, error))
    return result


def _alone(band: Band, day: DayFacts, value: float) -> float:
    """The textbook error where there is one day only: of the tail index, and of an ACF near 0."""
    if band.key == "tail_index":
        return value / sqrt(max(1.0, TAIL_SHARE * day.returns.size))
    return 1.0 / sqrt(max(1, day.returns.size)) if band.key == "acf_r_1" else nan
