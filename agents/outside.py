"""The world outside the venue: external price, impact memory, volatility and stress.

The simulation drives these objects once a second and after each taker order; agents only read
them. Plain Python floats: a step costs a few microseconds.
Source: ecology.md sections 1 (stress state) and 4 (feedback).

Sizes are in units of the usual depth within one basis point and side (`MarketView.lots_per_bp`), so
that nothing here depends on a coin, a price level or a contract. The BTC figures of ecology.md were
found with a usual depth of 22 BTC per basis point.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
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


class StressState:
    """Volatility of the outside price against its own moving norm, on a one-second clock.

    volatility            per sqrt(s), the larger of a 30 s and a 600 s estimate (sigma)
    reference_volatility  moving norm over 90 minutes (sigma_ref)
    stress                q = volatility / (1.5 reference); above 1 the market is stressed
    depth_factor          D = min(1, 1/q): share of the usual depth that makers show
    activity              A = (volatility / usual)^1.25: pace of the takers
    Source: ecology.md section 1.
    """

    FAST_SECONDS = 30.0
    SLOW_SECONDS = 600.0
    NORM_SECONDS = 5400.0
    STRESS_MULTIPLE = 1.5
    ACTIVITY_POWER = 1.25
    FLOOR = 0.3

    __slots__ = (
        "_fast_variance",
        "_log_floor",
        "_log_reference",
        "_slow_variance",
        "activity",
        "depth_factor",
        "reference_volatility",
        "stress",
        "usual_volatility",
        "volatility",
    )

    def __init__(self, usual_volatility: float) -> None:
        self.usual_volatility = usual_volatility
        self._fast_variance = self._slow_variance = usual_volatility**2
        self._log_reference = log(usual_volatility)
        self._log_floor = log(self.FLOOR * usual_volatility)
        self._publish()

    def on_second(self, log_move: float) -> None:
        """Take the move of the log outside price over the last second."""
        square = log_move * log_move
        self._fast_variance += (square - self._fast_variance) / self.FAST_SECONDS
        self._slow_variance += (square - self._slow_variance) / self.SLOW_SECONDS
        self._publish()
        log_volatility = max(log(max(self.volatility, 1e-300)), self._log_floor)
        self._log_reference += (log_volatility - self._log_reference) / self.NORM_SECONDS

    def _publish(self) -> None:
        self.volatility = sqrt(max(self._fast_variance, self._slow_variance))
        self.reference_volatility = exp(self._log_reference)
        self.stress = self.volatility / (self.STRESS_MULTIPLE * self.reference_volatility)
        self.depth_factor = 1.0 if self.stress <= 1.0 else 1.0 / self.stress
        self.activity = (self.volatility / self.usual_volatility) ** self.ACTIVITY_POWER


class ImpactMemory:
    """How much the flow through one book still moves its price: eight decaying exponentials that
    stand for an age^-1/2 kernel. `log_impact` is I of ecology section 4; all of it fades.

    `depth_ratio` is the book's visible depth over the usual one; the simulation sets it once a
    second, or leaves it to the makers' depth factor.
    """

    MAXIMUM_AMPLIFICATION = 5.0

    __slots__ = ("_decays", "_flows", "_gains", "_parameters", "depth_ratio", "log_impact")

    def __init__(self, parameters: OutsideParameters) -> None:
        self._parameters = parameters
        times = [parameters.fastest_seconds * 10 ** (j / 2) for j in range(parameters.components)]
        self._gains = [parameters.impact_coefficient * 0.65 * time**-0.5 for time in times]
        self._decays = [exp(-1.0 / time) for time in times]
        self._flows = [0.0] * parameters.components
        self.depth_ratio = 1.0
        self.log_impact = 0.0

    def on_taker_fill(self, sign: int, size: float, forced: bool) -> None:
        """Remember one taker order: sign +1 bought, -1 sold; all that it took, in units of depth.

        Call once per order, not per fill (the impact of an ordinary order is concave in its
        size). Leave out takers that hedge elsewhere (`AgentParameters.hedged_outside`). O(8)."""
        if size <= 0.0:
            return
        p = self._parameters
        thin = max(self.depth_ratio, 1e-9)
        if forced:
            amount = size * min(self.MAXIMUM_AMPLIFICATION, thin**-p.forced_depth_power)
        else:
            amount = p.size_unit * (size / p.size_unit) ** p.volume_power
            amount *= min(self.MAXIMUM_AMPLIFICATION, thin**-p.depth_power)
        amount *= sign
        flows = self._flows
        for j in range(len(flows)):
            flows[j] += amount

    def on_second(self) -> None:
        """Let one second pass and publish `log_impact`. O(8)."""
        total = 0.0
        flows = self._flows
        for j, decay in enumerate(self._decays):
            flow = flows[j] * decay
            flows[j] = flow
            total += self._gains[j] * flow
        self.log_impact = total


class OutsideMarket:
    """One base coin as the rest of the world prices it, and the venue's books of that coin.

    log_path      X, the exogenous path
    log_price     E = X + psi x sum of the books' impacts
    `memories[instrument_id]` is the impact memory of one book.
    """

    __slots__ = ("log_path", "log_price", "memories", "parameters", "stress")

    def __init__(
        self, parameters: OutsideParameters, log_path: float, instrument_ids: list[str]
    ) -> None:
        self.parameters = parameters
        self.log_path = log_path
        self.log_price = log_path
        self.stress = StressState(parameters.usual_volatility)
        self.memories = {name: ImpactMemory(parameters) for name in instrument_ids}

    def on_second(self, log_path: float, depth_ratios: dict[str, float] | None = None) -> None:
        """Move to the next second of the path.

        depth_ratios: per instrument, depth within 1 % now over usual; without it the makers'
        depth factor stands in. O(books)."""
        total = 0.0
        for memory in self.memories.values():
            memory.on_second()
            total += memory.log_impact
        log_price = log_path + self.parameters.outside_share * total
        self.stress.on_second(log_price - self.log_price)
        self.log_path = log_path
        self.log_price = log_price
        for name, memory in self.memories.items():
            if depth_ratios is None:
                memory.depth_ratio = self.stress.depth_factor
            else:
                memory.depth_ratio = min(1.0, depth_ratios[name])

    def fair_log_price(self, instrument_id: str) -> float:
        """Log price around which makers of one book quote: E plus the part of that book's impact
        which the outside has not followed. With one book per coin this is X + I."""
        own = self.memories[instrument_id].log_impact
        return self.log_price + (1.0 - self.parameters.outside_share) * own
