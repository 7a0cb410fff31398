"""Every kind of price path as a table of parameters: what a scenario file may say under
`[market.path]`.

Plain frozen dataclasses; the bounds in the annotations are checked where files come in (pydantic),
what concerns several fields in `__post_init__` (ValueError). Units: names end in `_s` (seconds) or
say `annual_` (a year has 365 days); prices are in the quote currency of their series; shares are
0.1 for 10 %.
A path is described from its start, time 0 s. The functions that build paths are in
`scenarios.paths`.

Source: issue "Scenarios, agents and reports that people believe"; ecology, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Interval, Len
from pydantic import Discriminator

from scenarios.bar_file import LARGEST_PRICE, SMALLEST_PRICE, is_series_name, parse_time_ns

Price = Annotated[float, Interval(ge=SMALLEST_PRICE, le=LARGEST_PRICE)]
AnnualVolatility = Annotated[float, Interval(ge=0, le=20)]
AnnualDrift = Annotated[float, Interval(ge=-20, le=20)]
Seconds = Annotated[float, Interval(ge=0, le=366 * 86400)]
PositiveSeconds = Annotated[float, Interval(ge=1e-3, le=366 * 86400)]
Share = Annotated[float, Interval(ge=0, le=1)]
Factor = Annotated[float, Interval(ge=1e-4, le=1e4)]
Names = tuple[str, ...]
# An eigenvalue this little below zero is rounding, not a contradiction.
ROUNDING = 1e-9


def _check_names(field_name: str, names: Names | Mapping[str, float]) -> None:
    for name in names:
        if not is_series_name(name):
            raise ValueError(f"{field_name}: {name!r} is not a series as BTC-USDT or USDT-USD")
    if len(set(names)) != len(tuple(names)):
        raise ValueError(f"{field_name}: a series appears twice")


@dataclass(frozen=True, kw_only=True)
class Shock:
    """A move on top of any path: at `at_s` the price starts to move by `size`, done after `over_s`.

    at_s: seconds from the path's start. size: relative move (-0.1: 10 % down). over_s: duration of
    the move (0: one step). half_life_s: time in which half of it is taken back, counted from its
    end; None: it stays.
    series: which series it hits; empty: all.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    at_s: Seconds
    size: Annotated[float, Interval(ge=-0.9999, le=100)]
    over_s: Seconds = 0.0
    half_life_s: PositiveSeconds | None = None
    series: Names = ()

    def __post_init__(self) -> None:
        _check_names("series", self.series)


@dataclass(frozen=True, kw_only=True)
class NewsSplit:
    """Takes part of what healed by itself out of a real path: the agents are to produce it anew.

    kappa: 0 replays the path, 1 fills every valley that heals within `width_s`. series: which
    series; empty: all but stablecoins and their pairs. Source: ecology, section 2 (news or
    cascade).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    kappa: Share = 0.5
    width_s: Annotated[float, Interval(ge=1, le=7 * 86400)] = 3600.0
    series: Names = ()

    def __post_init__(self) -> None:
        _check_names("series", self.series)


@dataclass(frozen=True, kw_only=True)
class PathOptions:
    """What every kind of path has: a news split (none by default), then shocks."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    news_split: NewsSplit | None = None
    shocks: tuple[Shock, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BarSource(PathOptions):
    """What every path out of bars has.

    file: name of a shipped event, or a CSV file. series: which series; empty: all that cover the
    window.
    largest_gap_s: longest time without bars that is bridged at the last price. hold_last_price: a
    series may end before the window does. clip_wicks: longest wick as a share of the body's price;
    None: as recorded.
    """

    file: str
    series: Names = ()
    largest_gap_s: Seconds = 3600.0
    hold_last_price: bool = False
    clip_wicks: Annotated[float, Interval(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        _check_names("series", self.series)


@dataclass(frozen=True, kw_only=True)
class BarPath(BarSource):
    """Bars by the simple rule: open, the nearer extreme, the other one, close, at thirds,
    log-linear.

    noise_annual_volatility: of bridges laid between these four prices, within high and low; 0:
    none.
    Source: data README, "From bars to a path".
    """

    kind: Literal["bars"] = "bars"
    noise_annual_volatility: AnnualVolatility = 0.0


@dataclass(frozen=True, kw_only=True)
class Bridging:
    """How a bar is filled by the best of several Brownian bridges. Source: ecology, section 2.

    cascade_sd: of the log multipliers of the variance cascade. smallest_block_s: halving stops
    here.
    candidates: bridges drawn per bar. total_sd: of a bridge, in units of the bar's log range;
    total_sd_spread: it is multiplied by exp(U(-spread, spread)), drawn per bridge.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    cascade_sd: Annotated[float, Interval(ge=0, le=2)] = 0.3
    smallest_block_s: Annotated[float, Interval(ge=1, le=86400)] = 30.0
    candidates: Annotated[int, Interval(ge=1, le=1000)] = 48
    total_sd: Annotated[float, Interval(ge=0.05, le=5)] = 0.57
    total_sd_spread: Annotated[float, Interval(ge=0, le=2)] = 0.25


@dataclass(frozen=True, kw_only=True)
class BridgedBarPath(BarSource):
    """Bars filled with bridges that hit open, high, low and close exactly: looks like a real tick
    path.
    """

    kind: Literal["bridged_bars"] = "bridged_bars"
    bridging: Bridging = field(default_factory=Bridging)


@dataclass(frozen=True, kw_only=True)
class ScaledEventPath(BarSource):
    """A real event, faster or slower, larger or smaller, put at any date.

    event_start: UTC time in the file that becomes the path's start. speed: 2 is twice as fast.
    size: factor on all log moves since the start (1.5: a fall to 1/2 becomes one to 0.354).
    size_by_series: another factor for some series, e.g. stablecoins.
    """

    kind: Literal["scaled_event"] = "scaled_event"
    event_start: str
    speed: Annotated[float, Interval(ge=0.01, le=100)] = 1.0
    size: Annotated[float, Interval(ge=-10, le=10)] = 1.0
    size_by_series: Mapping[str, Annotated[float, Interval(ge=-10, le=10)]] = field(
        default_factory=dict
    )
    bridging: Bridging = field(default_factory=Bridging)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names("size_by_series", self.size_by_series)
        _time_ns("event_start", self.event_start)


@dataclass(frozen=True, kw_only=True)
class BootstrapPath(BarSource):
    """Returns of a real event, drawn again in blocks; all series in the same blocks.

    event_start, event_end: UTC times in the file, the part to draw from. block_s: length of a
    block.
    keep_drift: False takes the event's mean return out. initial_prices: empty: the event's first
    prices.
    """

    kind: Literal["bootstrap"] = "bootstrap"
    event_start: str
    event_end: str
    block_s: Annotated[float, Interval(ge=1, le=86400)] = 1800.0
    keep_drift: bool = False
    initial_prices: Mapping[str, Price] = field(default_factory=dict)
    bridging: Bridging = field(default_factory=Bridging)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names("initial_prices", self.initial_prices)
        length_ns = _time_ns("event_end", self.event_end) - _time_ns(
            "event_start", self.event_start
        )
        if length_ns < self.block_s * 1e9:
            raise ValueError(
                f"block_s: {self.block_s:g} is longer than the event, {length_ns / 1e9:g} s"
            )


@dataclass(frozen=True, kw_only=True)
class ModelPath(PathOptions):
    """What every model has. initial_prices: each series' first price, e.g. {BTC-USDT = 60000.0}."""

    initial_prices: Annotated[Mapping[str, Price], Len(1, 100)]

    def __post_init__(self) -> None:
        _check_names("initial_prices", self.initial_prices)


@dataclass(frozen=True, kw_only=True)
class ClusteredVolatility:
    """Volatility as the exponential of a sum of Ornstein-Uhlenbeck processes (stationary from the
    start).

    time_constants_s, variances: of the processes, in log volatility. Source: ecology, section 2.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    time_constants_s: tuple[PositiveSeconds, ...] = (120.0, 1800.0, 14400.0, 86400.0)
    variances: tuple[Annotated[float, Interval(ge=0, le=4)], ...] = (0.18, 0.10, 0.10, 0.12)

    def __post_init__(self) -> None:
        if len(self.time_constants_s) != len(self.variances):
            raise ValueError("variances: one for each of time_constants_s is needed")


@dataclass(frozen=True, kw_only=True)
class CalmPath(ModelPath):
    """A calm day: Gaussian returns with clustered volatility; fat tails come out of the mixture."""

    kind: Literal["calm"] = "calm"
    annual_volatility: AnnualVolatility = 0.28
    annual_drift: AnnualDrift = 0.0
    clustering: ClusteredVolatility = field(default_factory=ClusteredVolatility)


@dataclass(frozen=True, kw_only=True)
class GeometricBrownianPath(ModelPath):
    """Geometric Brownian motion. annual_drift: of the expected price, continuously compounded."""

    kind: Literal["gbm"] = "gbm"
    annual_volatility: AnnualVolatility = 0.6
    annual_drift: AnnualDrift = 0.0


@dataclass(frozen=True, kw_only=True)
class JumpDiffusionPath(ModelPath):
    """Merton's jump-diffusion: Brownian motion plus log-normal jumps at Poisson times.

    jumps_per_day: mean number. jump_mean, jump_sd: of a jump's log size. annual_drift: of the
    diffusion; the jumps' mean is on top. Source: Merton 1976.
    """

    kind: Literal["jump_diffusion"] = "jump_diffusion"
    annual_volatility: AnnualVolatility = 0.6
    annual_drift: AnnualDrift = 0.0
    jumps_per_day: Annotated[float, Interval(ge=0, le=10_000)] = 4.0
    jump_mean: Annotated[float, Interval(ge=-2, le=2)] = -0.01
    jump_sd: Annotated[float, Interval(ge=0, le=2)] = 0.02


@dataclass(frozen=True, kw_only=True)
class PegPath(ModelPath):
    """A pegged price: Ornstein-Uhlenbeck in the log around `peg`.

    half_life_s: in which a deviation halves. annual_volatility: of the short-term moves (0.05: a
    standing deviation of 4.5 bps at the default half-life). peg: in the quote currency.
    """

    kind: Literal["peg"] = "peg"
    peg: Price = 1.0
    half_life_s: PositiveSeconds = 3600.0
    annual_volatility: AnnualVolatility = 0.05


@dataclass(frozen=True, kw_only=True)
class Leg:
    """The price reaches `factor` times the initial price at `at_s` seconds from the path's
    start.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    at_s: PositiveSeconds
    factor: Factor


@dataclass(frozen=True, kw_only=True)
class LegsPath(ModelPath):
    """Straight legs in the log price; after the last leg the price stands.

    legs: in order of time. noise_annual_volatility: of bridges laid into the legs, which keep the
    legs' ends; after the last leg free Brownian motion; 0: straight lines.
    """

    kind: Literal["legs"] = "legs"
    legs: Annotated[tuple[Leg, ...], Len(1, 1000)]
    noise_annual_volatility: AnnualVolatility = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for index, (one, other) in enumerate(zip(self.legs, self.legs[1:], strict=False), 1):
            if other.at_s <= one.at_s:
                raise ValueError(f"legs.{index}.at_s: {other.at_s:g} is not after {one.at_s:g}")


@dataclass(frozen=True, kw_only=True)
class Coin:
    """One of several correlated coins. initial_price in the quote currency of `series`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    series: str
    initial_price: Price
    annual_volatility: AnnualVolatility = 0.6
    annual_drift: AnnualDrift = 0.0

    def __post_init__(self) -> None:
        _check_names("series", (self.series,))


@dataclass(frozen=True, kw_only=True)
class CorrelatedPath(PathOptions):
    """Several coins whose returns are correlated; coin i depends on the coins before it, not on
    later ones.

    correlation: a row per coin, symmetric, ones on the diagonal, no negative eigenvalue.
    clustering: common volatility process of all coins; None: constant volatilities.
    """

    kind: Literal["correlated"] = "correlated"
    coins: Annotated[tuple[Coin, ...], Len(1, 100)]
    correlation: tuple[tuple[Annotated[float, Interval(ge=-1, le=1)], ...], ...]
    clustering: ClusteredVolatility | None = None

    def __post_init__(self) -> None:
        names = tuple(coin.series for coin in self.coins)
        _check_names("coins", names)
        rows, count = self.correlation, len(names)
        if len(rows) != count or any(len(row) != count for row in rows):
            raise ValueError(f"correlation: {count} rows of {count} numbers are needed")
        for i in range(count):
            if rows[i][i] != 1:
                raise ValueError(f"correlation.{i}.{i}: {rows[i][i]:g} is not 1")
            for j in range(i):
                if rows[i][j] != rows[j][i]:
                    raise ValueError(
                        f"correlation.{i}.{j}: {rows[i][j]:g} differs from {rows[j][i]:g} "
                        f"at {j}.{i}"
                    )
        smallest = float(np.linalg.eigvalsh(np.array(rows))[0])
        if smallest < -ROUNDING:
            raise ValueError(
                f"correlation: the entries contradict each other (smallest eigenvalue "
                f"{smallest:.4g}, 0 or more is needed)"
            )


@dataclass(frozen=True, kw_only=True)
class SeveralPaths(PathOptions):
    """Paths of any kinds side by side, such as a real BTC and a made-up USDT-USD; no series
    twice.
    """

    kind: Literal["several"] = "several"
    parts: Annotated[tuple[PathParameters, ...], Len(1, 100)]


AnyPath = (
    BarPath
    | BridgedBarPath
    | ScaledEventPath
    | BootstrapPath
    | CalmPath
    | GeometricBrownianPath
    | JumpDiffusionPath
    | PegPath
    | LegsPath
    | CorrelatedPath
    | SeveralPaths
)
# What a scenario's model has as the type of its path: the field `kind` chooses.
PathParameters = Annotated[AnyPath, Discriminator("kind")]


def _time_ns(field_name: str, text: str) -> int:
    try:
        return parse_time_ns(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{field_name}: {text!r} is not a UTC time as in 2020-03-12T10:30:00Z"
        ) from None
