"""Momentum traders of several horizons: they buy what has risen far above its average.

Source: ecology.md section 3; Chiarella and Iori 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, log, sqrt, tanh
from typing import Annotated, Literal

from annotated_types import Interval, Len, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, trading_balances


@dataclass(frozen=True, kw_only=True)
class MomentumTraderParameters(AgentParameters):
    """One account trades all horizons; one of them, at random, acts each second."""

    kind: Literal["momentum_trader"] = "momentum_trader"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    horizons_seconds: Annotated[
        tuple[Annotated[float, Interval(gt=1, le=1e6)], ...],
        Len(1, 20),
        Unit("s"),
        doc("time constants of the averages"),
    ] = (60.0, 300.0, 1800.0)
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("time between looks, fixed")
    ] = 1.0
    threshold: Annotated[
        float,
        Interval(gt=0, le=100),
        Unit("standard deviations"),
        doc("move, in usual deviations from the average, beyond which it takes a position"),
    ] = 5.0
    steepness: Annotated[
        float, Interval(gt=0, le=100), doc("how fast the position fills beyond the threshold")
    ] = 1.2
    position: Annotated[
        float, Interval(gt=0, le=1e5), Unit("units of depth"), doc("largest position per horizon")
    ] = 400.0 / 22.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("mean size of one order")
    ] = 4.0 / 22.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 60.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> MomentumTrader:
        return MomentumTrader(context, self)


class MomentumTrader(Agent):
    """See `MomentumTraderParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: MomentumTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        unit = self.market.lots_per_bp
        self._position = p.position * unit
        self._slice = p.slice_size * unit
        usual = self.market.stress.usual_volatility
        self._weights = [min(1.0, p.wake_seconds / tau) for tau in p.horizons_seconds]
        self._scales = [1.0 / (usual * sqrt(tau / 2.0)) for tau in p.horizons_seconds]
        self._averages: list[float] = []
        self.positions = [0] * len(p.horizons_seconds)
        self._pending: list[OwnOrder | None] = [None] * len(p.horizons_seconds)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.trade()

    def target_lots(self, deviation: float) -> float:
        """Position of one horizon for a deviation from its average, in usual deviations."""
        p = self.parameters
        excess = abs(deviation) - p.threshold
        if excess <= 0.0:
            return 0.0
        return copysign(self._position * tanh(p.steepness * excess / p.threshold), deviation)

    def trade(self) -> None:
        """Update the averages; let one horizon at random move towards its target."""
        bid = self.market.best_bid_ticks()
        ask = self.market.best_ask_ticks()
        if bid is None or ask is None:
            return
        mid = log(0.5 * (bid + ask))
        if not self._averages:
            self._averages = [mid] * len(self._weights)
        averages = self._averages
        for h, weight in enumerate(self._weights):
            averages[h] += weight * (mid - averages[h])
        h = self.draws.below(len(averages))
        pending = self._pending[h]
        if pending is not None:
            if not pending.is_done:
                return
            filled = pending.request.size_lots - pending.remaining_lots
            self.positions[h] += filled * pending.request.side
            self._pending[h] = None
        wanted = self.target_lots((mid - averages[h]) * self._scales[h]) - self.positions[h]
        size = int(min(abs(wanted), self.draws.exponential(self._slice)))
        if size > 0:
            self._pending[h] = self.take(self.market, size if wanted > 0 else -size, tag=h)
