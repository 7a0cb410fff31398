"""The world outside the venue: external price, impact memory, volatility and stress.

The simulation drives these objects once a second and after each taker order; agents only read
them. Plain Python floats: a step costs a few microseconds.
Source: ecology.md sections 1 (stress state) and 4 (feedback).

Sizes are in units of the usual depth within one basis point and side (`MarketView.lots_per_bp`).
"""

from __future__ import annotations

from math import exp, log, sqrt

from agents.outside_parameters import OutsideParameters


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

    __slots__ = (
        "_decays",
        "_depth_power",
        "_flows",
        "_forced_depth_power",
        "_gains",
        "_size_unit",
        "_taken",
        "_volume_power",
        "depth_ratio",
        "log_impact",
    )

    def __init__(self, parameters: OutsideParameters) -> None:
        self._size_unit = parameters.size_unit
        self._volume_power = parameters.volume_power
        self._depth_power = parameters.depth_power
        self._forced_depth_power = parameters.forced_depth_power
        times = [parameters.fastest_seconds * 10 ** (j / 2) for j in range(parameters.components)]
        self._gains = [parameters.impact_coefficient * 0.65 * time**-0.5 for time in times]
        self._decays = [exp(-1.0 / time) for time in times]
        self._flows = [0.0] * parameters.components
        self._taken: list[float] = []  # this second, in order
        self.depth_ratio = 1.0
        self.log_impact = 0.0

    def on_taker_fill(self, sign: int, size: float, forced: bool) -> None:
        """Remember one taker order: sign +1 bought, -1 sold; all that it took, in units of depth.

        Call once per order, not per fill (the impact of an ordinary order is concave in its
        size). Leave out takers that hedge elsewhere (`AgentParameters.hedged_outside`). O(1)."""
        if size <= 0.0:
            return
        thin = max(self.depth_ratio, 1e-9)
        if forced:
            amount = size * min(self.MAXIMUM_AMPLIFICATION, thin**-self._forced_depth_power)
        else:
            unit = self._size_unit
            amount = unit * (size / unit) ** self._volume_power
            amount *= min(self.MAXIMUM_AMPLIFICATION, thin**-self._depth_power)
        self._taken.append(sign * amount)

    def on_second(self) -> None:
        """Let one second pass and publish `log_impact`. O(8), and for each order that took."""
        total = 0.0
        flows, taken = self._flows, self._taken
        for j, decay in enumerate(self._decays):
            flow = flows[j]
            for amount in taken:
                flow += amount
            flow *= decay
            flows[j] = flow
            total += self._gains[j] * flow
        taken.clear()
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
