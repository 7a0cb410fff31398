"""Stablecoin arbitrageurs: buy the coin below its worth elsewhere, with limited capital and delay.

They trade one stablecoin pair against the outside price, and, where a coin is listed against both
stablecoins, the triangle. Capital spent comes back only after a redemption time, so that a long
depeg exhausts them.
Source: calibration.md (March 2023, May 2022, October 2025: venues disagreed for hours). Figures
are ours.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Unit, doc

from agents.base import (
    NOTHING,
    Agent,
    AgentContext,
    AgentProcess,
    OwnOrder,
    allowed_limit,
)
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup
from exchange.instrument import InstrumentKind
from exchange.order import OrderRequest, OrderType, Side


@dataclass(frozen=True, kw_only=True)
class StablecoinArbitrageurParameters(AgentParameters):
    """Arbitrage in one stablecoin pair, for example USDC-USDT."""

    hedged_outside: ClassVar[bool] = True

    kind: Literal["stablecoin_arbitrageur"] = "stablecoin_arbitrageur"
    pair_id: Annotated[str, doc("spot pair of two stablecoins")] = "USDC-USDT"
    coin: Annotated[
        str, doc("coin listed against both, for the triangle; empty: outside price only")
    ] = ""
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e11), Unit("USD"), doc("half in each stablecoin")
    ] = 10e6
    threshold_bp: Annotated[
        float, Interval(ge=0, le=5000), Unit("bp"), doc("gain below which it does nothing")
    ] = 10.0
    redemption_hours: Annotated[
        float, Interval(ge=0, le=1e5), Unit("h"), doc("time until spent capital can be used again")
    ] = 24.0
    delay_seconds: Annotated[
        float, Interval(ge=0, le=86_400), Unit("s"), doc("age of the outside price that it sees")
    ] = 30.0
    order_usd: Annotated[float, Interval(gt=0, le=1e10), Unit("USD"), doc("largest order")] = (
        100_000.0
    )
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("time between looks, fixed")
    ] = 5.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        instrument = setup.markets[self.pair_id].instrument
        if instrument.kind != InstrumentKind.SPOT:
            raise ValueError(f"pair_id: {self.pair_id} is not a spot pair")
        balances = {
            currency: 0.5 * self.capital_usd / setup.usd_prices[currency]
            for currency in (instrument.base, instrument.quote)
        }
        return [AccountPlan(balances, account_mode=self.account_mode, auto_borrow=False)]

    def build(self, context: AgentContext) -> StablecoinArbitrageur:
        return StablecoinArbitrageur(context, self)


class StablecoinArbitrageur(Agent):
    """See `StablecoinArbitrageurParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: StablecoinArbitrageurParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.pair_id)
        instrument = self.market.instrument
        self._lot = float(instrument.units_per_lot)
        self._dear = self._cheap = None
        if p.coin:
            self._cheap = self.venue.market(f"{p.coin}-{instrument.base}")
            self._dear = self.venue.market(f"{p.coin}-{instrument.quote}")
        self._spent: deque[tuple[int, float]] = deque()
        self.available_usd = p.capital_usd / 2.0
        self._seen: deque[float] = deque(maxlen=round(p.delay_seconds / p.wake_seconds) + 1)
        self._pending: list[OwnOrder] = []

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.trade()

    def trade(self) -> None:
        """Take the better of the two arbitrages, if any pays, with what capital is free."""
        p = self.parameters
        self._redeem()
        self._seen.append(self.market.external_price())
        if self._settle_pending():
            return
        bid, ask = self.market.best_bid_ticks(), self.market.best_ask_ticks()
        if bid is None or ask is None or self.available_usd <= 0.0:
            return
        worth = self._seen[0]
        threshold = p.threshold_bp * 1e-4
        if worth > ask * self.market.tick * (1.0 + threshold):
            self._take(1, int(worth * (1.0 - threshold) / self.market.tick))
        elif worth < bid * self.market.tick * (1.0 - threshold):
            self._take(-1, int(worth * (1.0 + threshold) / self.market.tick) + 1)
        elif p.coin:
            self._triangle(bid, ask, threshold)

    def _redeem(self) -> None:
        now = self.now_ns
        while self._spent and self._spent[0][0] <= now:
            self.available_usd += self._spent.popleft()[1]

    def _settle_pending(self) -> bool:
        """Book done orders as spent capital; True while one is on its way."""
        if any(not own.is_done for own in self._pending):
            return True
        back = self.now_ns + int(self.parameters.redemption_hours * 3600e9)
        for own in self._pending:
            if own.tag:  # the stablecoin leg: the one that ties up capital
                usd = (own.request.size_lots - own.remaining_lots) * self._lot
                self.available_usd -= usd
                self._spent.append((back, usd))
        self._pending = []
        return False

    def _take(self, sign: int, limit_ticks: int) -> None:
        usd = min(self.available_usd, self.parameters.order_usd)
        lots = int(usd / self._lot)
        if lots < 1 or limit_ticks < 1:
            return
        side = Side.BUY if sign > 0 else Side.SELL
        limit = allowed_limit(self.market, side, limit_ticks)
        request = OrderRequest(self.parameters.pair_id, side, OrderType.IOC, lots, limit)
        self._pending.append(self.venue.submit(request, tag=1))

    def _triangle(self, bid: int, ask: int, threshold: float) -> None:
        """Compare the pair with the ratio of the coin's two prices; trade three legs at once."""
        cheap, dear = self._cheap, self._dear
        assert cheap is not None and dear is not None
        base_ask, base_bid = cheap.best_ask_ticks(), cheap.best_bid_ticks()
        quote_ask, quote_bid = dear.best_ask_ticks(), dear.best_bid_ticks()
        if base_ask is None or base_bid is None or quote_ask is None or quote_bid is None:
            return
        tick = self.market.tick
        sell_through = quote_bid * dear.tick / (base_ask * cheap.tick)
        buy_through = quote_ask * dear.tick / (base_bid * cheap.tick)
        if sell_through > ask * tick * (1.0 + threshold):
            sign, price = 1, base_ask * cheap.tick
        elif buy_through < bid * tick * (1.0 - threshold):
            sign, price = -1, base_bid * cheap.tick
        else:
            return
        self._take(sign, int((ask if sign > 0 else bid) * (1.0 + sign * threshold / 2)))
        if not self._pending:
            return
        coins = self._pending[0].request.size_lots * self._lot / price
        for market, direction in ((cheap, sign), (dear, -sign)):
            lots = round(coins / float(market.instrument.units_per_lot))
            own = self.take(market, direction * lots, threshold)
            if own is not None:
                self._pending.append(own)
