"""Delta hedgers: they hold options and keep their delta near zero with the perpetual.

Short options make them buy what rises and sell what falls; that flow is their part in a crash.
Source: Frey and Stremme 1997 (feedback of hedging). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.option_chain import listed_options, options_delta_coins
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, InitialPosition, Setup, coins_per_lot, money


class DeltaHedge:
    """Keeps options + hedge of one account within a band; used by everyone who trades options.

    band_coins: net delta that is left alone."""

    def __init__(
        self, agent: Agent, base: str, hedge_id: str, band_coins: float, protection: float
    ) -> None:
        self._agent = agent
        self._market = agent.venue.market(hedge_id)
        self._options = listed_options(agent.venue, base)
        self._band = band_coins
        self._protection = protection
        self._pending: OwnOrder | None = None

    def net_delta_coins(self) -> float:
        """Delta of the options and the hedge, coins. O(options)."""
        market = self._market
        price = market.mark_price()
        if not price > 0.0:
            return 0.0
        lots = self._agent.venue.account().position_lots(market.instrument.instrument_id)
        hedge = lots * coins_per_lot(market.instrument, price)
        return hedge + options_delta_coins(self._agent.venue, self._options)

    def act(self) -> bool:
        """Send one IOC against the net delta if it is outside the band; True if sent."""
        if self._pending is not None and not self._pending.is_done:
            return False
        net = self.net_delta_coins()
        if not abs(net) > self._band:
            return False
        per_lot = coins_per_lot(self._market.instrument, self._market.mark_price())
        self._pending = self._agent.take(self._market, -round(net / per_lot), self._protection)
        return self._pending is not None


@dataclass(frozen=True, kw_only=True)
class DeltaHedgerParameters(AgentParameters):
    """A dealer with an option book from the start, who only hedges."""

    kind: Literal["delta_hedger"] = "delta_hedger"
    base: Annotated[str, doc("coin of the options")] = "BTC"
    hedge_id: Annotated[str, doc("perpetual or future to hedge with")] = "BTC-USDT-SWAP"
    options: Annotated[
        dict[str, Annotated[int, Interval(ge=-(10**9), le=10**9)]],
        Unit("lots"),
        doc("option -> signed lots held at the start, the same for each hedger"),
    ] = field(default_factory=dict)
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e12), Unit("USD"), doc("own money at the start")
    ] = 20e6
    capital_currency: Annotated[str, doc("currency of that money")] = "USDT"
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=86_400), Unit("s"), doc("mean time between looks")
    ] = 30.0
    band_usd: Annotated[
        float, Interval(ge=0, le=1e10), Unit("USD"), doc("net delta that is left alone")
    ] = 50_000.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("orders are IOC, limited this far beyond the best")
    ] = 0.01

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        plan = money(setup, self.capital_currency, self.capital_usd, self.account_mode)
        positions = tuple(
            InitialPosition(name, lots, setup.markets[name].price)
            for name, lots in self.options.items()
            if lots
        )
        return [replace(plan, positions=positions)]

    def build(self, context: AgentContext) -> DeltaHedger:
        return DeltaHedger(context, self)


class DeltaHedger(Agent):
    """See `DeltaHedgerParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: DeltaHedgerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        band = p.band_usd / context.setup.usd_prices[p.base]
        self.hedge = DeltaHedge(self, p.base, p.hedge_id, band, p.protection)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep_exponential(self.parameters.wake_seconds)
            if self.venue.account().can_trade:
                self.hedge.act()
