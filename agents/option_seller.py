"""Option sellers: strangles sold for the premium, bought back in panic when they go wrong.

Source: portfolio-margin.md section 6 (what a short strangle is charged). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.delta_hedger import DeltaHedge
from agents.draws import Draws
from agents.option_chain import ListedOption, listed_options
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, money

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class OptionSellerParameters(AgentParameters):
    """Keeps a short strangle in the nearest expiry that is far enough away."""

    kind: Literal["option_seller"] = "option_seller"
    base: Annotated[str, doc("coin of the options")] = "BTC"
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e12), Unit("USD"), doc("own money at the start")
    ] = 5e6
    capital_currency: Annotated[str, doc("currency of that money")] = "USDT"
    leverage: Annotated[
        float, Interval(gt=0, le=20), doc("underlying sold per side over own money")
    ] = 1.0
    target_delta: Annotated[
        float, Interval(gt=0, lt=0.5), doc("absolute delta of the options it sells")
    ] = 0.15
    shortest_days: Annotated[
        float, Interval(ge=0, le=1000), Unit("d"), doc("it sells no option that expires sooner")
    ] = 2.0
    stop_multiple: Annotated[
        float, Interval(gt=1, le=100), doc("mark over premium received at which it buys back")
    ] = 3.0
    hedge_id: Annotated[str, doc("perpetual to hedge with; empty: no hedge")] = ""
    hedge_band: Annotated[
        float, Interval(ge=0, le=10), doc("net delta left alone, as a share of underlying sold")
    ] = 0.1
    orders_per_leg: Annotated[
        int, Interval(ge=1, le=1000), doc("a leg is sold in this many orders")
    ] = 10
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=86_400), Unit("s"), doc("mean time between looks")
    ] = 60.0
    protection: Annotated[
        float,
        Interval(gt=0, le=1),
        doc("share of the mark below which it does not sell; it buys back up to twice the mark"),
    ] = 0.8

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        return [money(setup, self.capital_currency, self.capital_usd, self.account_mode)]

    def build(self, context: AgentContext) -> OptionSeller:
        return OptionSeller(context, self)


class OptionSeller(Agent):
    """See `OptionSellerParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: OptionSellerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self._options = listed_options(self.venue, p.base)
        self._coins = p.capital_usd * p.leverage / context.setup.usd_prices[p.base]
        self._strangle: list[ListedOption] = []
        self._entry: dict[str, float] = {}
        self._pending: OwnOrder | None = None
        self.buying_back = False
        self._hedge: DeltaHedge | None = None
        if p.hedge_id:
            band = p.hedge_band * self._coins
            self._hedge = DeltaHedge(self, p.base, p.hedge_id, band, 0.01)

    def run(self) -> AgentProcess:
        while True:
            # In panic it looks every few seconds.
            mean = 5.0 if self.buying_back else self.parameters.wake_seconds
            yield self.sleep_exponential(mean)
            if self.venue.account().can_trade:
                self.act()

    def act(self) -> None:
        """Choose, sell, buy back or hedge; at most one option order at a time."""
        if self._hedge is not None:
            self._hedge.act()
        if self._pending is not None and not self._pending.is_done:
            return
        now = self.venue.now_ns
        if not self._strangle or self._strangle[0].expiry_ns <= now:
            self._strangle = self.choose(now)
            self._entry = {o.instrument_id: o.market.mark_price() for o in self._strangle}
            self.buying_back = False
        account = self.venue.account()
        for option in self._strangle:
            lots = account.position_lots(option.instrument_id)
            mark = option.market.mark_price()
            if (
                lots < 0
                and mark > self.parameters.stop_multiple * self._entry[option.instrument_id]
            ):
                self.buying_back = True
        for option in self._strangle:
            lots = account.position_lots(option.instrument_id)
            if self._trade(option, lots):
                return

    def choose(self, now_ns: int) -> list[ListedOption]:
        """Call and put nearest to the target delta in the first expiry that is far enough."""
        p = self.parameters
        earliest = now_ns + int(p.shortest_days * DAY_NS)
        later = [o for o in self._options if o.expiry_ns >= earliest]
        if not later:
            return []
        expiry = min(option.expiry_ns for option in later)
        chosen = []
        for is_call in (True, False):
            side = [o for o in later if o.expiry_ns == expiry and o.is_call == is_call]
            if side:
                chosen.append(min(side, key=lambda o: abs(abs(o.delta(now_ns)) - p.target_delta)))
        return chosen

    def _trade(self, option: ListedOption, lots: int) -> bool:
        """Send the next order in one leg; True if one was sent."""
        p = self.parameters
        full = self._coins / option.coins_per_lot
        step = max(1, int(full / p.orders_per_leg))
        mark = option.market.mark_price() / option.market.tick
        if self.buying_back:
            ask = option.market.best_ask_ticks()
            if lots >= 0 or ask is None or ask > 2.0 * mark + 1.0:
                return False
            self._pending = self.take(option.market, min(step, -lots), 0.05)
        else:
            bid = option.market.best_bid_ticks()
            missing = int(full) + lots
            if missing <= 0 or bid is None or bid < p.protection * mark:
                return False
            self._pending = self.take(option.market, -min(step, missing), 0.05)
        return self._pending is not None
