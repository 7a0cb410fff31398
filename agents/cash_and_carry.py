"""Cash-and-carry traders: long spot on borrowed money, short perpetual, for the funding.

In a portfolio-margin account the legs offset, so leverage is high; when funding turns or margin
gets short they unwind, and sell spot into a falling market.
Source: portfolio-margin.md section 5 (spot that hedges derivatives). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess
from agents.draws import Draws
from agents.pair import PairTrade
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, InitialPosition, Setup, coins_per_lot

FUNDINGS_PER_YEAR = 3 * 365


@dataclass(frozen=True, kw_only=True)
class CashAndCarryParameters(AgentParameters):
    """Holds spot against a short perpetual while funding pays more than the loan costs."""

    kind: Literal["cash_and_carry"] = "cash_and_carry"
    spot_id: Annotated[str, doc("bought")] = "BTC-USDT"
    perpetual_id: Annotated[str, doc("sold")] = "BTC-USDT-SWAP"
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e11), Unit("USD"), doc("own money at the start")
    ] = 1e6
    leverage: Annotated[
        float, Interval(gt=0, le=20), doc("spot bought over own money at full position")
    ] = 2.0
    initial_share: Annotated[
        float, Interval(ge=0, le=1), doc("share of the full position that stands at the start")
    ] = 0.8
    entry_yearly: Annotated[
        float, Interval(ge=-5, le=5), doc("yearly funding above which it builds the position")
    ] = 0.08
    exit_yearly: Annotated[
        float, Interval(ge=-5, le=5), doc("yearly funding below which it unwinds")
    ] = -0.15
    exit_margin_ratio: Annotated[
        float, Interval(ge=1, le=100), doc("margin ratio below which it unwinds")
    ] = 1.6
    exit_discount_bp: Annotated[
        float,
        Interval(ge=0, le=10_000),
        Unit("bp"),
        doc("perpetual this far below spot: it takes the profit and unwinds"),
    ] = 60.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("size of one order")
    ] = 0.15
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("mean time between orders")
    ] = 20.0
    refusal_seconds: Annotated[
        float, Interval(ge=0, le=1e6), Unit("s"), doc("it does not build after a refused order")
    ] = 1800.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("legs are IOC, limited this far beyond the best")
    ] = 0.005

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        spot = setup.markets[self.spot_id]
        perpetual = setup.markets[self.perpetual_id]
        usd = setup.usd_prices[spot.instrument.quote]
        wanted = self.capital_usd * self.leverage * self.initial_share / usd / spot.price
        lots = int(wanted / coins_per_lot(perpetual.instrument, perpetual.price))
        coins = lots * coins_per_lot(perpetual.instrument, perpetual.price)
        balances = {
            spot.instrument.base: coins,
            spot.instrument.quote: self.capital_usd / usd - coins * spot.price,
        }
        position = InitialPosition(self.perpetual_id, -lots, perpetual.price)
        return [AccountPlan(balances, (position,) if lots else (), self.account_mode)]

    def build(self, context: AgentContext) -> CashAndCarryTrader:
        return CashAndCarryTrader(context, self)


class CashAndCarryTrader(Agent):
    """See `CashAndCarryParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: CashAndCarryParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.pair = PairTrade(self, p.spot_id, p.perpetual_id)
        market = context.setup.markets[p.perpetual_id]
        unit = market.lots_per_bp * coins_per_lot(market.instrument, market.price)
        self._slice = p.slice_size * unit
        self.unwinding = False

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep_exponential(self.parameters.wake_seconds)
            self.trade()

    def trade(self) -> None:
        """Mend unequal legs; else move one slice towards full or towards nothing."""
        p = self.parameters
        pair = self.pair
        account = self.venue.account()
        if not account.can_trade or pair.is_busy():
            return
        if pair.balance_legs(p.protection, 0.05 * self._slice, p.refusal_seconds):
            return
        yearly = pair.second.funding_rate() * FUNDINGS_PER_YEAR
        discount = pair.premium(-1)  # gain of selling spot and buying the perpetual
        self.unwinding = (
            yearly < p.exit_yearly
            or account.margin_ratio < p.exit_margin_ratio
            or (discount is not None and discount * 1e4 > p.exit_discount_bp)
            or (self.unwinding and yearly < p.entry_yearly)
        )
        held = pair.coins(pair.first)
        if self.unwinding:
            if held > 0.0:
                pair.trade(-min(self._slice, held), p.protection)
        elif yearly > p.entry_yearly and not pair.was_refused(p.refusal_seconds):
            price = pair.first.mark_price() * self.venue.usd_price(pair.first.instrument.quote)
            full = account.equity_usd * p.leverage / price
            if full - held > 0.5 * self._slice:
                pair.trade(min(self._slice, full - held), p.protection)
