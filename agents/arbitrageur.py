"""The spot-perpetual arbitrageur: buys the cheap one and sells the dear one, with limited capital.

Source: ecology.md sections 3 (thresholds, sizes relative to depth) and 9.7 (its fills stay out of
the impact memory); calibration.md (basis of real crashes: the arbitrage is limited).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess
from agents.draws import Draws
from agents.pair import PairTrade
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, coins_per_lot


@dataclass(frozen=True, kw_only=True)
class ArbitrageurParameters(AgentParameters):
    """Trades the difference of two books of one coin when it exceeds costs and risk."""

    hedged_outside: ClassVar[bool] = True

    kind: Literal["arbitrageur"] = "arbitrageur"
    spot_id: Annotated[str, doc("first book, usually spot")] = "BTC-USDT"
    perpetual_id: Annotated[str, doc("second book")] = "BTC-USDT-SWAP"
    wake_seconds: Annotated[
        float, Interval(ge=0.05, le=3600), Unit("s"), doc("time between looks, fixed")
    ] = 0.5
    threshold_bp: Annotated[
        float, Interval(ge=0, le=1000), Unit("bp"), doc("fees and costs a difference must exceed")
    ] = 10.0
    threshold_volatilities: Annotated[
        float, Interval(ge=0, le=100), Unit("volatilities"), doc("allowance for leg risk")
    ] = 3.5
    exit_bp: Annotated[
        float, Interval(ge=0, le=1000), Unit("bp"), doc("a position is reduced from this gain on")
    ] = 2.0
    size_per_bp: Annotated[
        float, Interval(gt=0, le=100), Unit("units of depth"), doc("order size per bp of excess")
    ] = 0.05
    position_limit: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("largest position in one leg")
    ] = 50.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("half in coins, half in money")
    ] = 80.0
    refusal_seconds: Annotated[
        float, Interval(ge=0, le=1e6), Unit("s"), doc("no new position after a refused order")
    ] = 1800.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("legs are IOC, limited this far beyond the best")
    ] = 0.002

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        spot = setup.markets[self.spot_id].instrument
        usd = self.capital * setup.depth_unit_usd(self.perpetual_id)
        balances = {
            currency: 0.5 * usd / setup.usd_prices[currency] for currency in (spot.base, spot.quote)
        }
        return [AccountPlan(balances, account_mode=self.account_mode)]

    def build(self, context: AgentContext) -> Arbitrageur:
        return Arbitrageur(context, self)


class Arbitrageur(Agent):
    """See `ArbitrageurParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: ArbitrageurParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        base = self.venue.market(p.spot_id).instrument.base
        idle = self.venue.account().balance(base)
        self.pair = PairTrade(self, p.spot_id, p.perpetual_id, idle)
        market = context.setup.markets[p.perpetual_id]
        self._unit_coins = market.lots_per_bp * coins_per_lot(market.instrument, market.price)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.trade()

    def trade(self) -> None:
        """First mend unequal legs, then trade the better direction if it pays."""
        p = self.parameters
        pair = self.pair
        if pair.is_busy() or pair.balance_legs(
            p.protection, 0.002 * self._unit_coins, p.refusal_seconds
        ):
            return
        refused = pair.was_refused(p.refusal_seconds)
        held = pair.coins(pair.first)
        risk = p.threshold_volatilities * pair.first.stress.volatility * 1e4
        for sign in (1, -1):
            gain = pair.premium(sign)
            if gain is None or gain <= 0.0:
                continue
            reducing = held * sign < 0.0
            if refused and not reducing:
                continue
            threshold = p.exit_bp if reducing else p.threshold_bp + risk
            excess = gain * 1e4 - threshold
            if excess <= 0.0:
                continue
            room = p.position_limit * self._unit_coins - sign * held
            if reducing:
                room = min(room, abs(held))
            size = min(excess * p.size_per_bp * self._unit_coins, room, pair.touch_coins(sign) * 2)
            if size > 0.0:
                pair.trade(sign * size, p.protection)
            return
