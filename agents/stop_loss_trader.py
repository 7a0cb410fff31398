"""Stop-loss traders: coin holders whose stops turn a fall into more selling, and who come back.

The stops live with the trader, not in the book, as on most venues.
Source: Osler 2005 (stop clusters cascade). Figures are ours.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup
from exchange.instrument import InstrumentKind


@dataclass(frozen=True, kw_only=True)
class StopLossTraderParameters(AgentParameters):
    """Many holders in one account, each with a stop; spot pair only."""

    kind: Literal["stop_loss_trader"] = "stop_loss_trader"
    instrument_id: Annotated[str, doc("a spot pair")] = "BTC-USDT"
    holdings_usd: Annotated[
        float, Interval(gt=0, le=1e12), Unit("USD"), doc("coins held at the start")
    ] = 50e6
    stops: Annotated[int, Interval(ge=1, le=10_000), doc("holders, equally large")] = 100
    median_distance: Annotated[
        float, Interval(gt=0, lt=1), doc("median distance of a stop below the entry price")
    ] = 0.06
    distance_log_sd: Annotated[
        float, Interval(ge=0, le=3), doc("sd of the log of the distance")
    ] = 0.6
    smallest_distance: Annotated[
        float, Interval(gt=0, lt=1), doc("stops are not closer than this")
    ] = 0.02
    round_prices: Annotated[
        float, Interval(ge=0, le=1), doc("share of stops that sit just below a round price")
    ] = 0.3
    reaction_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("time between looks at the last price")
    ] = 1.0
    return_hours: Annotated[
        float, Interval(gt=0, le=1e5), Unit("h"), doc("mean time until a stopped holder buys again")
    ] = 24.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("largest order")
    ] = 0.5
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("orders are IOC, limited this far beyond the best")
    ] = 0.01

    def __post_init__(self) -> None:
        if not self.smallest_distance < self.median_distance:
            raise ValueError("smallest_distance < median_distance must hold")

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        market = setup.markets[self.instrument_id]
        if market.instrument.kind != InstrumentKind.SPOT:
            raise ValueError(f"instrument_id: {self.instrument_id} is not a spot pair")
        coins = self.holdings_usd / setup.usd_prices[market.instrument.base]
        balances = {market.instrument.base: coins, market.instrument.quote: 0.0}
        return [AccountPlan(balances, account_mode=self.account_mode)]

    def build(self, context: AgentContext) -> StopLossTrader:
        return StopLossTrader(context, self)


class StopLossTrader(Agent):
    """See `StopLossTraderParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: StopLossTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        instrument = self.market.instrument
        held = self.venue.account().balance(instrument.base) / float(instrument.units_per_lot)
        self._lots_each = max(1, int(held / p.stops))
        self._slice = max(1, int(p.slice_size * self.market.lots_per_bp))
        self.stops: list[tuple[float, int]] = []  # (-price, lots): the highest stop first
        self._returns: list[int] = []  # times at which a stopped holder buys again
        self.to_sell_lots = 0
        self.to_buy_lots = 0
        self._pending: OwnOrder | None = None
        price = context.setup.markets[p.instrument_id].price
        for _ in range(p.stops):
            self._set_stop(price)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.reaction_seconds)
            self.look()

    def look(self) -> None:
        """Trigger stops at or above the last price; sell and buy what is due, in slices.

        O(triggered x log stops)."""
        price = self.market.last_price()
        if not price > 0.0:
            return
        now = self.now_ns
        while self.stops and -self.stops[0][0] >= price:
            _, lots = heapq.heappop(self.stops)
            self.to_sell_lots += lots
            back = self.draws.exponential_ns(self.parameters.return_hours * 3600.0)
            heapq.heappush(self._returns, now + back)
        while self._returns and self._returns[0] <= now:
            heapq.heappop(self._returns)
            self.to_buy_lots += self._lots_each
            self._set_stop(price)
        self._work()

    def _work(self) -> None:
        """Book the order that has come back; send the next slice, sales first."""
        if self._pending is not None:
            if not self._pending.is_done:
                return
            filled = self._pending.request.size_lots - self._pending.remaining_lots
            if self._pending.request.side < 0:
                self.to_sell_lots -= filled
            else:
                self.to_buy_lots -= filled
        lots = -self.to_sell_lots if self.to_sell_lots > 0 else self.to_buy_lots
        size = max(-self._slice, min(self._slice, lots))
        self._pending = self.take(self.market, size, self.parameters.protection)

    def _set_stop(self, price: float) -> None:
        p = self.parameters
        distance = p.smallest_distance
        while distance <= p.smallest_distance:
            distance = self.draws.lognormal(p.median_distance, p.distance_log_sd)
        stop = price * max(0.01, 1.0 - distance)
        if self.draws.uniform() < p.round_prices:
            step = 10.0 ** (len(f"{int(price)}") - 2) if price >= 10.0 else price / 100.0
            stop = max(step, step * int(stop / step)) * 0.999
        heapq.heappush(self.stops, (-stop, self._lots_each))
