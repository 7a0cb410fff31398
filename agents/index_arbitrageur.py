"""The index arbitrageur: trades the book against the price outside, late and with limits.

Source: ecology.md section 3. Its fills leave the impact memory alone: it does the opposite outside.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import exp, sqrt
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Unit, doc

from agents.base import FILLS, Agent, AgentContext, AgentEvent, AgentProcess, allowed_limit
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, trading_balances
from exchange.events import Fill
from exchange.order import OrderRequest, OrderType, Side


@dataclass(frozen=True, kw_only=True)
class IndexArbitrageurParameters(AgentParameters):
    """Buys the book when it is cheap against the outside price by more than costs and risk."""

    hedged_outside: ClassVar[bool] = True

    kind: Literal["index_arbitrageur"] = "index_arbitrageur"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    wake_seconds: Annotated[
        float, Interval(ge=0.05, le=3600), Unit("s"), doc("time between looks, fixed")
    ] = 0.5
    delay_seconds: Annotated[
        float, Interval(ge=0, le=600), Unit("s"), doc("age of the outside price that it sees")
    ] = 2.0
    threshold_bp: Annotated[
        float, Interval(ge=0, le=1000), Unit("bp"), doc("costs that a difference must exceed")
    ] = 3.0
    threshold_volatilities: Annotated[
        float,
        Interval(ge=0, le=100),
        Unit("volatilities"),
        doc("allowance for the price's move until the trade is done"),
    ] = 2.0 * sqrt(3.0)
    size_per_bp: Annotated[
        float,
        Interval(gt=0, le=100),
        Unit("units of depth"),
        doc("order size per basis point of excess"),
    ] = 0.25 / 22.0
    position_limit: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("largest position, either sign")
    ] = 3000.0 / 22.0
    fade_seconds: Annotated[
        float,
        Interval(gt=0, le=1e7),
        Unit("s"),
        doc("the position counts less as coins are transferred; limited capital and delay"),
    ] = 7200.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 400.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> IndexArbitrageur:
        return IndexArbitrageur(context, self)


class IndexArbitrageur(Agent):
    """See `IndexArbitrageurParameters`."""

    hears = FILLS

    def __init__(self, context: AgentContext, parameters: IndexArbitrageurParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        unit = self.market.lots_per_bp
        self._limit = p.position_limit * unit
        self._lots_per_excess = p.size_per_bp * 1e4 * unit
        self._fade = exp(-p.wake_seconds / p.fade_seconds)
        self.position = 0.0
        self._seen: deque[float] = deque(maxlen=round(p.delay_seconds / p.wake_seconds) + 1)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.trade()

    def on_event(self, event: AgentEvent) -> None:
        if type(event) is Fill:
            self.position += self.own_fill_lots(event)

    def trade(self) -> None:
        """Compare mid and late outside price; send at most one IOC."""
        p = self.parameters
        market = self.market
        self.position *= self._fade
        self._seen.append(market.external_price() / market.tick)
        outside = self._seen[0]
        bid = market.best_bid_ticks()
        ask = market.best_ask_ticks()
        if bid is None or ask is None or not outside > 0.0:
            return
        basis = 0.5 * (bid + ask) / outside - 1.0
        threshold = p.threshold_bp * 1e-4 + p.threshold_volatilities * market.stress.volatility
        excess = abs(basis) - threshold
        if excess <= 0.0:
            return
        sign = -1 if basis > 0.0 else 1
        room = self._limit - sign * self.position
        size = int(min(excess * self._lots_per_excess, room) + 0.5)
        if size < 1:
            return
        side = Side.BUY if sign > 0 else Side.SELL
        limit = max(1, int(outside * (1.0 - sign * threshold)))
        limit = allowed_limit(market, side, limit)
        self.venue.submit(OrderRequest(p.instrument_id, side, OrderType.IOC, size, limit))
