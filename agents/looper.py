"""Loopers: deposit a coin, borrow against it, buy more of the coin, repeat.

The loop stands at the start; the looper sells some when its margin ratio gets low, loops again when
it is comfortable, and is liquidated when it is too slow.
Source: calibration.md (wrapped and staked collateral on 10 October 2025). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup
from exchange.instrument import InstrumentKind


@dataclass(frozen=True, kw_only=True)
class LooperParameters(AgentParameters):
    """A looped position in one coin of a spot pair."""

    kind: Literal["looper"] = "looper"
    spot_id: Annotated[str, doc("pair of the coin and the currency it borrows")] = "ETH-USDT"
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e11), Unit("USD"), doc("median own money at the start")
    ] = 2e6
    capital_log_sd: Annotated[
        float, Interval(ge=0, le=3), doc("sd of the log of own money between loopers")
    ] = 1.0
    leverage: Annotated[
        float, Interval(ge=1, le=20), doc("coins held over own money after looping")
    ] = 2.5
    sell_ratio: Annotated[
        float, Interval(ge=1, le=1000), doc("margin ratio below which it sells")
    ] = 2.0
    safe_ratio: Annotated[
        float, Interval(ge=1, le=1000), doc("margin ratio at which it stops selling")
    ] = 3.0
    loop_ratio: Annotated[
        float, Interval(ge=1, le=10_000), doc("margin ratio above which it loops again")
    ] = 40.0
    reaction_seconds: Annotated[
        float, Interval(ge=0.1, le=86_400), Unit("s"), doc("mean time between looks")
    ] = 60.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("size of one order")
    ] = 0.2
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("orders are IOC, limited this far beyond the best")
    ] = 0.01

    def __post_init__(self) -> None:
        if not self.sell_ratio < self.safe_ratio < self.loop_ratio:
            raise ValueError("sell_ratio < safe_ratio < loop_ratio must hold")

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        market = setup.markets[self.spot_id]
        if market.instrument.kind != InstrumentKind.SPOT:
            raise ValueError(f"spot_id: {self.spot_id} is not a spot pair")
        capital = draws.lognormal(self.capital_usd, self.capital_log_sd)
        coins = capital * self.leverage / (market.price * market.usd_per_quote)
        loan = -capital * (self.leverage - 1.0) / market.usd_per_quote
        balances = {market.instrument.base: coins, market.instrument.quote: loan}
        return [AccountPlan(balances, account_mode=self.account_mode)]

    def build(self, context: AgentContext) -> Looper:
        return Looper(context, self)


class Looper(Agent):
    """See `LooperParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: LooperParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.spot_id)
        self._slice = max(1, int(p.slice_size * self.market.lots_per_bp))
        self._pending: OwnOrder | None = None
        self.selling = False

    def run(self) -> AgentProcess:
        while True:
            # Once it sells, it looks every second until it is safe.
            mean = 1.0 if self.selling else self.parameters.reaction_seconds
            yield self.sleep_exponential(mean)
            self.look()

    def look(self) -> None:
        """Sell a slice, buy a slice, or leave it."""
        p = self.parameters
        account = self.venue.account()
        if not account.can_trade or (self._pending is not None and not self._pending.is_done):
            return
        instrument = self.market.instrument
        ratio = account.margin_ratio
        held = int(account.balance(instrument.base) / float(instrument.units_per_lot))
        debt = -account.balance(instrument.quote)
        self.selling = (
            held > 0
            and debt > 0.0
            and (ratio < p.sell_ratio or (self.selling and ratio < p.safe_ratio))
        )
        if self.selling:
            self._pending = self.take(self.market, -min(self._slice, held), p.protection)
            return
        price = self.market.mark_price()
        if ratio > p.loop_ratio and self.market.stress.stress < 1.0 and price > 0.0:
            usd = self.venue.usd_price(instrument.quote) * price * float(instrument.units_per_lot)
            wanted = int(account.equity_usd * p.leverage / usd) - held
            if wanted > self._slice:
                self._pending = self.take(self.market, self._slice, p.protection)
