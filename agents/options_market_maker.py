"""Options market makers: quote a surface, lean against their vega, hedge delta, withdraw in stress.

Source: ecology.md section 3 (the same reactions in the perpetual); Stoikov and Saglam 2009 (option
market making under inventory risk). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.delta_hedger import DeltaHedge
from agents.draws import Draws
from agents.option_chain import YEAR_NS, ListedOption, listed_options
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup
from exchange.order import OrderRequest, OrderType, Side


@dataclass(frozen=True, kw_only=True)
class OptionsMarketMakerParameters(AgentParameters):
    """Two-sided quotes in the options of one coin, in volatility around the mark surface."""

    kind: Literal["options_market_maker"] = "options_market_maker"
    base: Annotated[str, doc("coin of the options")] = "BTC"
    hedge_id: Annotated[str, doc("perpetual to hedge with; empty: no hedge")] = "BTC-USDT-SWAP"
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e12), Unit("USD"), doc("own money at the start")
    ] = 200e6
    half_spread_points: Annotated[
        float, Interval(gt=0, le=100), Unit("vol points"), doc("half-spread on a calm day")
    ] = 1.0
    smallest_half_spread: Annotated[
        float, Interval(ge=0, le=1), Unit("coins"), doc("half-spread is at least this")
    ] = 0.0002
    stress_power: Annotated[
        float, Interval(ge=0, le=5), doc("the spread grows as max(1, stress) to this power")
    ] = 1.0
    withdrawal_stress: Annotated[
        float, Interval(gt=1, le=1000), doc("stress above which it cancels all quotes")
    ] = 8.0
    size_usd: Annotated[
        float, Interval(gt=0, le=1e10), Unit("USD"), doc("underlying per quote on a calm day")
    ] = 300_000.0
    vega_limit_usd: Annotated[
        float,
        Interval(gt=0, le=1e10),
        Unit("USD per vol point"),
        doc("vega at which its quotes have moved by `skew_points`"),
    ] = 100_000.0
    skew_points: Annotated[
        float, Interval(ge=0, le=100), Unit("vol points"), doc("shift of quotes at the vega limit")
    ] = 4.0
    tolerance: Annotated[
        float, Interval(ge=0, le=2), doc("a quote stays within this part of its half-spread")
    ] = 0.3
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=86_400), Unit("s"), doc("mean time between looks")
    ] = 20.0
    longest_days: Annotated[
        float, Interval(gt=0, le=2000), Unit("d"), doc("it quotes no option that expires later")
    ] = 400.0
    hedge_band_usd: Annotated[
        float, Interval(ge=0, le=1e10), Unit("USD"), doc("net delta that is left alone")
    ] = 200_000.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        # Half in the coin, in which premiums are paid.
        balances = {
            currency: 0.5 * self.capital_usd / setup.usd_prices[currency]
            for currency in (self.base, "USDT")
        }
        return [AccountPlan(balances, account_mode=self.account_mode)]

    def build(self, context: AgentContext) -> OptionsMarketMaker:
        return OptionsMarketMaker(context, self)


class OptionsMarketMaker(Agent):
    """See `OptionsMarketMakerParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: OptionsMarketMakerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self._options = listed_options(self.venue, p.base)
        coin_usd = context.setup.usd_prices[p.base]
        self._coin_usd = coin_usd
        self._quotes: dict[str, dict[Side, OwnOrder | None]] = {
            option.instrument_id: {Side.BUY: None, Side.SELL: None} for option in self._options
        }
        self._hedge: DeltaHedge | None = None
        if p.hedge_id:
            band = p.hedge_band_usd / coin_usd
            self._hedge = DeltaHedge(self, p.base, p.hedge_id, band, 0.01)

    def run(self) -> AgentProcess:
        while True:
            self.quote()
            yield self.sleep_exponential(self.parameters.wake_seconds)

    def vega_usd(self) -> float:
        """Vega of the account's options, USD per volatility point. O(options)."""
        account = self.venue.account()
        now = self.venue.now_ns
        coins = 0.0
        for option in self._options:
            lots = account.position_lots(option.instrument_id)
            if lots and option.expiry_ns > now:
                coins += lots * option.coins_per_lot * option.vega(now)
        return coins * self._coin_usd

    def quote(self) -> None:
        """Bring every option's quotes to the surface; hedge. O(options)."""
        p = self.parameters
        if self._hedge is not None:
            self._hedge.act()
        now = self.venue.now_ns
        skew = -p.skew_points * max(-1.5, min(1.5, self.vega_usd() / p.vega_limit_usd))
        for option in self._options:
            years = option.years(now)
            volatility = option.market.implied_volatility()
            stress = option.market.stress.stress
            usable = 0.0 < years * YEAR_NS <= p.longest_days * 86_400e9 and volatility > 0.0
            if not usable or stress > p.withdrawal_stress:
                self._withdraw(option)
            else:
                self._quote_one(option, now, volatility + 0.01 * skew, max(1.0, stress))

    def _quote_one(
        self, option: ListedOption, now_ns: int, volatility: float, stress: float
    ) -> None:
        p = self.parameters
        market = option.market
        tick = market.tick
        centre = option.value(now_ns, max(0.01, volatility))
        if not centre > 0.0:
            self._withdraw(option)
            return
        points = p.half_spread_points * stress**p.stress_power
        half = max(points * option.vega(now_ns), p.smallest_half_spread)
        lots = max(1, round(p.size_usd / self._coin_usd / option.coins_per_lot / stress))
        grid = market.instrument
        bid = grid.floor_to_grid(floor((centre - half) / tick))
        ask = grid.ceil_to_grid(max(ceil((centre + half) / tick), 1))
        best_bid, best_ask = market.best_bid_ticks(), market.best_ask_ticks()
        if best_ask is not None and bid >= best_ask:
            bid = grid.floor_to_grid(best_ask - 1)
        if best_bid is not None and ask <= best_bid:
            ask = grid.ceil_to_grid(best_bid + 1)
        slack = p.tolerance * half / tick
        self._replace(option, Side.BUY, bid, lots, slack)
        self._replace(option, Side.SELL, ask, lots, slack)

    def _replace(
        self, option: ListedOption, side: Side, price: int, lots: int, slack: float
    ) -> None:
        quotes = self._quotes[option.instrument_id]
        own = quotes[side]
        if own is not None and not own.is_done:
            standing = own.request.price_ticks
            assert standing is not None
            if abs(standing - price) <= slack and 0.5 * lots <= own.remaining_lots <= 2 * lots:
                return
            self.venue.cancel(own)
        quotes[side] = None
        if price >= 1:
            quotes[side] = self.venue.submit(
                OrderRequest(option.instrument_id, side, OrderType.POST_ONLY, lots, price)
            )

    def _withdraw(self, option: ListedOption) -> None:
        quotes = self._quotes[option.instrument_id]
        for side, own in quotes.items():
            if own is not None and not own.is_done:
                self.venue.cancel(own)
            quotes[side] = None
