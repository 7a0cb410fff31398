"""Calendar traders: the future against the perpetual (or another future), around its usual carry.

Source: portfolio-margin.md 6.4 (basis risk of expiries). Figures are ours; the yearly basis reverts
to its own slow average.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess
from agents.draws import Draws
from agents.pair import PairTrade
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, coins_per_lot, trading_balances

YEAR_NS = 365 * 86_400 * 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class CalendarTraderParameters(AgentParameters):
    """Sells the far leg when its yearly basis is high against its average, and the reverse."""

    kind: Literal["calendar_trader"] = "calendar_trader"
    far_id: Annotated[str, doc("a future")] = "BTC-USDT-250328"
    near_id: Annotated[str, doc("perpetual, nearer future or spot")] = "BTC-USDT-SWAP"
    memory_hours: Annotated[
        float, Interval(gt=0, le=1e5), Unit("h"), doc("time constant of the average basis")
    ] = 24.0
    band_yearly: Annotated[
        float, Interval(gt=0, le=10), doc("deviation of the yearly basis that starts a trade")
    ] = 0.03
    smallest_band_bp: Annotated[
        float, Interval(ge=0, le=1000), Unit("bp"), doc("and the deviation of the price itself")
    ] = 8.0
    position_limit: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("largest position in one leg")
    ] = 20.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("size of one order")
    ] = 0.2
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("mean time between looks")
    ] = 5.0
    flat_hours: Annotated[
        float, Interval(ge=0, le=1e4), Unit("h"), doc("it closes this long before expiry")
    ] = 2.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 15.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("legs are IOC, limited this far beyond the best")
    ] = 0.003

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.near_id)
        return [trading_balances(setup, self.near_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> CalendarTrader:
        return CalendarTrader(context, self)


class CalendarTrader(Agent):
    """See `CalendarTraderParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: CalendarTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.pair = PairTrade(self, p.far_id, p.near_id)
        market = context.setup.markets[p.near_id]
        self._unit_coins = market.lots_per_bp * coins_per_lot(market.instrument, market.price)
        self.usual = float("nan")
        self._last_ns = self.now_ns

    def run(self) -> AgentProcess:
        expiry = self.pair.first.instrument.expiry_ns
        while expiry is None or self.now_ns < expiry:
            yield self.sleep_exponential(self.parameters.wake_seconds)
            self.trade()

    def trade(self) -> None:
        """Compare the basis with its average and move one slice."""
        p = self.parameters
        pair = self.pair
        if pair.is_busy() or pair.balance_legs(p.protection, 0.01 * self._unit_coins, pause_s=0.0):
            return
        expiry = pair.first.instrument.expiry_ns
        left = float("inf") if expiry is None else (expiry - self.now_ns) / YEAR_NS
        held = pair.coins(pair.first)
        step = p.slice_size * self._unit_coins
        if left * 8760.0 <= p.flat_hours:
            if held != 0.0:
                pair.trade(-max(-step, min(step, held)), p.protection)
            return
        far, near = self._mid(0), self._mid(1)
        if far is None or near is None:
            return
        if self.usual != self.usual:  # at first the venue's own forward is what is usual
            market = pair.first
            self.usual = log(market.forward_price() / market.index_price()) / left
        excess = log(far / near) / left - self.usual
        self._learn(excess)
        band = max(p.band_yearly, p.smallest_band_bp * 1e-4 / left)
        limit = p.position_limit * self._unit_coins
        if excess > band and held > -limit:
            pair.trade(-min(step, limit + held), p.protection)
        elif excess < -band and held < limit:
            pair.trade(min(step, limit - held), p.protection)
        elif held * excess > 0.0 and abs(excess) < 2.0 * band:
            pair.trade(-max(-step, min(step, held)), p.protection)

    def _mid(self, leg: int) -> float | None:
        market = (self.pair.first, self.pair.second)[leg]
        bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
        return None if bid is None or ask is None else 0.5 * (bid + ask) * market.tick

    def _learn(self, excess: float) -> None:
        elapsed = (self.now_ns - self._last_ns) * 1e-9
        self._last_ns = self.now_ns
        self.usual += excess * min(1.0, elapsed / (self.parameters.memory_hours * 3600.0))
