"""Noise traders: zero-intelligence flow with power-law sizes and signs that remember.

Market orders take their sign from an earlier own order, a Pareto-distributed number of orders back:
a discrete autoregressive process whose sign correlation falls as a power of the lag. Limit orders
rest at exponential distances and are cancelled after exponential lives.
Source: calibration.md (sizes, rates, tail index 1.05); Farmer, Patelli and Zovko 2005 (zero
intelligence); Jacobs and Lewis 1978 (discrete autoregression).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import BUY, NOTHING, SELL, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, trading_balances
from exchange.order import OrderRequest, OrderType


@dataclass(frozen=True, kw_only=True)
class NoiseTraderParameters(AgentParameters):
    """Random market and limit orders in one account."""

    kind: Literal["noise_trader"] = "noise_trader"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    events_per_second: Annotated[
        float, Interval(gt=0, le=1000), Unit("1/s"), doc("orders a second on a usual day")
    ] = 0.2
    activity_cap: Annotated[
        float, Interval(ge=0, le=1000), doc("the pace follows activity up to this factor")
    ] = 5.0
    limit_share: Annotated[
        float, Interval(ge=0, le=1), doc("share of limit orders; the rest takes")
    ] = 0.3
    smallest: Annotated[
        float, Interval(gt=0, le=100), Unit("units of depth"), doc("smallest order")
    ] = 0.003
    size_exponent: Annotated[float, Interval(gt=0.2, le=5), doc("tail index of the sizes")] = 1.2
    largest: Annotated[
        float, Interval(gt=0, le=1000), Unit("units of depth"), doc("largest order")
    ] = 1.0
    memory: Annotated[
        float,
        Interval(ge=0, le=1),
        doc("chance that an order repeats the sign of an earlier one; else a fair coin"),
    ] = 0.85
    memory_exponent: Annotated[
        float, Interval(gt=0.1, le=5), doc("tail index of how many orders back that one lies")
    ] = 0.5
    distance_bp: Annotated[
        float, Interval(gt=0, le=10_000), Unit("bp"), doc("mean distance of limit orders")
    ] = 5.0
    life_seconds: Annotated[
        float, Interval(gt=0, le=1e6), Unit("s"), doc("mean life of limit orders")
    ] = 60.0
    resting_limit: Annotated[
        int, Interval(ge=0, le=10_000), doc("limit orders alive at a time")
    ] = 50
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 200.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> NoiseTrader:
        return NoiseTrader(context, self)


class NoiseTrader(Agent):
    """See `NoiseTraderParameters`."""

    hears = NOTHING

    REMEMBERED = 4096

    def __init__(self, context: AgentContext, parameters: NoiseTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        unit = self.market.lots_per_bp
        self._smallest = p.smallest * unit
        self._largest = p.largest * unit
        self._signs: deque[int] = deque(maxlen=self.REMEMBERED)
        self._resting: deque[tuple[int, OwnOrder]] = deque()

    def run(self) -> AgentProcess:
        p = self.parameters
        while True:
            pace = p.events_per_second * min(self.market.stress.activity, p.activity_cap)
            yield self.sleep_exponential(1.0 / pace if pace > 0.0 else 60.0)
            self._expire()
            if self.draws.uniform() < p.limit_share:
                self.rest()
            else:
                self.take(self.market, self.next_sign() * self.draw_lots())

    def draw_lots(self) -> int:
        """A Pareto size, at least one lot."""
        size = self.draws.pareto(self._smallest, self.parameters.size_exponent, self._largest)
        return max(1, int(size + 0.5))

    def next_sign(self) -> int:
        """+1 or -1: an earlier own sign, or a fair coin. O(lag), small on average."""
        p = self.parameters
        sign = self.draws.sign()
        if self.draws.uniform() < p.memory:
            lag = int(self.draws.pareto(1.0, p.memory_exponent, 1e9))
            if lag <= len(self._signs):
                sign = self._signs[-lag]
        self._signs.append(sign)
        return sign

    def rest(self) -> None:
        """Rest one limit order, if the book has two sides and there is room for one more."""
        p = self.parameters
        bid = self.market.best_bid_ticks()
        ask = self.market.best_ask_ticks()
        if bid is None or ask is None or len(self._resting) >= p.resting_limit:
            return
        side = BUY if self.draws.sign() > 0 else SELL
        distance = self.draws.exponential(p.distance_bp) * 1e-4
        price = int(bid * (1.0 - distance)) if side > 0 else int(ask * (1.0 + distance)) + 1
        own = self.venue.submit(
            OrderRequest(
                p.instrument_id, side, OrderType.POST_ONLY, self.draw_lots(), max(1, price)
            )
        )
        self._resting.append((self.now_ns + self.draws.exponential_ns(p.life_seconds), own))

    def _expire(self) -> None:
        """Cancel limit orders whose life is over. Lives are looked at in order of placement."""
        now = self.now_ns
        for _ in range(len(self._resting)):
            until, own = self._resting.popleft()
            if own.is_done:
                continue
            if until <= now:
                self.venue.cancel(own)
            else:
                self._resting.append((until, own))
