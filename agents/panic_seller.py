"""Panic sellers: coin holders who sell after a fall, each at a pain of his own, minutes later.

Source: calibration.md (taker sells 55-65 % of a crash's volume); Sornette 2003 (herding). Figures
are ours.
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
class PanicSellerParameters(AgentParameters):
    """Many holders in one account; spot pair only."""

    kind: Literal["panic_seller"] = "panic_seller"
    instrument_id: Annotated[str, doc("a spot pair")] = "BTC-USDT"
    holdings_usd: Annotated[
        float, Interval(gt=0, le=1e12), Unit("USD"), doc("coins held at the start")
    ] = 50e6
    holders: Annotated[int, Interval(ge=1, le=10_000), doc("holders, equally large")] = 200
    mean_pain: Annotated[
        float,
        Interval(gt=0, lt=10),
        doc("mean of the exponential fall, beyond the smallest, at which a holder sells"),
    ] = 0.15
    smallest_pain: Annotated[
        float, Interval(gt=0, lt=1), doc("nobody sells after a smaller fall")
    ] = 0.07
    window_hours: Annotated[
        float, Interval(gt=0, le=1e4), Unit("h"), doc("the fall counts from the high of this time")
    ] = 24.0
    delay_minutes: Annotated[
        float, Interval(ge=0, le=1e5), Unit("min"), doc("mean time from pain to order")
    ] = 10.0
    look_seconds: Annotated[
        float, Interval(ge=1, le=3600), Unit("s"), doc("time between looks at the price")
    ] = 10.0
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("largest order")
    ] = 0.3
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("orders are IOC, limited this far beyond the best")
    ] = 0.02

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        market = setup.markets[self.instrument_id]
        if market.instrument.kind != InstrumentKind.SPOT:
            raise ValueError(f"instrument_id: {self.instrument_id} is not a spot pair")
        coins = self.holdings_usd / setup.usd_prices[market.instrument.base]
        return [AccountPlan({market.instrument.base: coins}, account_mode=self.account_mode)]

    def build(self, context: AgentContext) -> PanicSeller:
        return PanicSeller(context, self)


class PanicSeller(Agent):
    """See `PanicSellerParameters`."""

    hears = NOTHING

    HIGHS_PER_WINDOW = 48

    def __init__(self, context: AgentContext, parameters: PanicSellerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        instrument = self.market.instrument
        held = self.venue.account().balance(instrument.base) / float(instrument.units_per_lot)
        self._lots_each = max(1, int(held / p.holders))
        self._slice = max(1, int(p.slice_size * self.market.lots_per_bp))
        # The most easily frightened last, to be popped first.
        self.pains = sorted(
            (p.smallest_pain + self.draws.exponential(p.mean_pain) for _ in range(p.holders)),
            reverse=True,
        )
        self._due: list[int] = []
        self.to_sell_lots = 0
        self._pending: OwnOrder | None = None
        self._highs: list[float] = []
        self._looks = 0

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.look_seconds)
            self.look()

    def fall(self, price: float) -> float:
        """Fall from the high of the window, as a fraction; takes the price into the window.

        Highs are kept for 1/48 of the window each. O(48)."""
        p = self.parameters
        per_bucket = max(1, int(p.window_hours * 3600.0 / p.look_seconds / self.HIGHS_PER_WINDOW))
        if self._looks % per_bucket == 0:
            self._highs.append(price)
            del self._highs[: -self.HIGHS_PER_WINDOW]
        elif price > self._highs[-1]:
            self._highs[-1] = price
        self._looks += 1
        return 1.0 - price / max(self._highs)

    def look(self) -> None:
        """Frighten who is due, sell a slice of what they want to sell."""
        price = self.market.mark_price()
        if not price > 0.0:
            return
        fall = self.fall(price)
        now = self.now_ns
        while self.pains and self.pains[-1] <= fall:
            self.pains.pop()
            wait = self.draws.exponential_ns(self.parameters.delay_minutes * 60.0)
            heapq.heappush(self._due, now + wait)
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
            self.to_sell_lots += self._lots_each
        if self._pending is not None:
            if not self._pending.is_done:
                return
            self.to_sell_lots -= self._pending.request.size_lots - self._pending.remaining_lots
        size = min(self.to_sell_lots, self._slice)
        self._pending = self.take(self.market, -size, self.parameters.protection)
