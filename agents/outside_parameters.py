"""The world outside the venue: how its prices follow the path and the flow through the books.

Sizes are in units of the usual depth within one basis point and side (`MarketView.lots_per_bp`), so
that nothing here depends on a coin, a price level or a contract. The BTC figures of ecology.md were
found with a usual depth of 22 BTC per basis point.
Source: ecology.md sections 1 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval, Unit, doc

_FITTED_DEPTH = 22.0
"""BTC per basis point of the prototype: turns its BTC figures into units of usual depth."""


@dataclass(frozen=True, kw_only=True)
class OutsideParameters:
    """How the price outside follows the path and the venue's own flow. Source: ecology.md 1, 4."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    usual_volatility: Annotated[
        float,
        Interval(gt=0, le=0.01),
        Unit("1/sqrt(s)"),
        doc("sigma0: volatility of the log price per root second on a usual day"),
    ] = 0.55e-4
    outside_share: Annotated[
        float, Interval(ge=0, le=1), doc("psi: share of the impact that the outside price follows")
    ] = 0.6
    impact_coefficient: Annotated[
        float,
        Interval(ge=0, le=0.1),
        Unit("log price per unit of depth"),
        doc("g0: impact, before the kernel's 0.65 / sqrt(age in s), of one unit of depth taken"),
    ] = 4e-5 * _FITTED_DEPTH
    volume_power: Annotated[
        float, Interval(gt=0, le=1), doc("exponent of an ordinary order's size in its impact")
    ] = 0.5
    size_unit: Annotated[
        float,
        Interval(gt=0, le=100),
        Unit("units of depth"),
        doc("size at which an ordinary order moves the price as much as a forced one"),
    ] = 1.0 / _FITTED_DEPTH
    depth_power: Annotated[
        float, Interval(ge=0, le=1), doc("growth of ordinary impact as the book thins")
    ] = 0.2
    forced_depth_power: Annotated[
        float, Interval(ge=0, le=1), doc("the same for liquidations: the cascade's strength")
    ] = 0.3
    fastest_seconds: Annotated[
        float, Interval(ge=0.1, le=60), Unit("s"), doc("shortest time constant of the memory")
    ] = 2.0
    components: Annotated[
        int, Interval(ge=1, le=16), doc("number of exponentials, each sqrt(10) slower")
    ] = 8
