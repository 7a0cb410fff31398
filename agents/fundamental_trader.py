"""Fundamental traders: buy below what they think the coin is worth, sell above.

Their value follows the outside price slowly and carries an opinion of their own.
Source: Chiarella and Iori 2002; Lux and Marchesi 2000. Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import FILLS, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, trading_balances


@dataclass(frozen=True, kw_only=True)
class FundamentalTraderParameters(AgentParameters):
    """Trades one book towards its own idea of value."""

    kind: Literal["fundamental_trader"] = "fundamental_trader"
    instrument_id: Annotated[str, doc("the book, usually spot")] = "BTC-USDT"
    value_hours: Annotated[
        float, Interval(gt=0, le=1e5), Unit("h"), doc("time constant of value behind the price")
    ] = 12.0
    opinion_sd: Annotated[
        float, Interval(ge=0, le=1), doc("sd of the opinion, as log of value over price")
    ] = 0.02
    opinion_hours: Annotated[
        float, Interval(gt=0, le=1e5), Unit("h"), doc("time constant of the opinion")
    ] = 24.0
    threshold: Annotated[
        float, Interval(ge=0, le=1), doc("mispricing, as a log, below which it does nothing")
    ] = 0.02
    full_mispricing: Annotated[
        float, Interval(gt=0, le=2), doc("mispricing at which the position is at its limit")
    ] = 0.15
    position_limit: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("largest position, either sign")
    ] = 30.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("mean size of one order")
    ] = 0.1
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=86_400), Unit("s"), doc("mean time between orders")
    ] = 30.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 80.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> FundamentalTrader:
        return FundamentalTrader(context, self)


class FundamentalTrader(Agent):
    """See `FundamentalTraderParameters`."""

    hears = FILLS

    def __init__(self, context: AgentContext, parameters: FundamentalTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        self._unit = self.market.lots_per_bp
        self.opinion = p.opinion_sd * self.draws.normal()
        self.log_value = float("nan")
        self._last_ns = self.now_ns
        self._pending: OwnOrder | None = None

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep_exponential(self.parameters.wake_seconds)
            self.trade()

    def target_lots(self, mispricing: float) -> float:
        """Position for log value - log price: nothing within the threshold, then linear."""
        p = self.parameters
        if abs(mispricing) <= p.threshold:
            return 0.0
        share = max(-1.0, min(1.0, mispricing / p.full_mispricing))
        return share * p.position_limit * self._unit

    def trade(self) -> None:
        """Update value and opinion; move one slice towards the target."""
        bid = self.market.best_bid_ticks()
        ask = self.market.best_ask_ticks()
        outside = self.market.external_price()
        if bid is None or ask is None or not outside > 0.0:
            return
        self._learn(log(outside))
        if self._pending is not None and not self._pending.is_done:
            return
        price = log(0.5 * (bid + ask) * self.market.tick)
        target = self.target_lots(self.log_value + self.opinion - price)
        held = self.bought_lots.get(self.parameters.instrument_id, 0)
        # Inside the threshold an existing position is kept: there is no reason to trade.
        if target == 0.0 or (abs(target) < abs(held) and target * held > 0.0):
            return
        step = self.draws.exponential(self.parameters.slice_size * self._unit)
        size = int(min(abs(target - held), step))
        self._pending = self.take(self.market, size if target > held else -size)

    def _learn(self, log_outside: float) -> None:
        p = self.parameters
        if self.log_value != self.log_value:
            self.log_value = log_outside
        now = self.now_ns
        elapsed = (now - self._last_ns) * 1e-9
        self._last_ns = now
        self.log_value += (log_outside - self.log_value) * (
            1.0 - exp(-elapsed / (p.value_hours * 3600.0))
        )
        keep = exp(-elapsed / (p.opinion_hours * 3600.0))
        self.opinion = keep * self.opinion + p.opinion_sd * sqrt(1.0 - keep * keep) * (
            self.draws.normal()
        )
