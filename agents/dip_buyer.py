"""Dip buyers: money that waits for a fall, buys in steps, and sells some after the recovery.

Source: calibration.md (half of the 2025 fall recovered in 20-25 minutes). Figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, money, usd_per_lot


@dataclass(frozen=True, kw_only=True)
class DipBuyerParameters(AgentParameters):
    """Buys one book when it is far below its slow average."""

    kind: Literal["dip_buyer"] = "dip_buyer"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT"
    capital_usd: Annotated[
        float,
        Interval(gt=0, le=1e11),
        Unit("USD"),
        doc("quote currency at the start"),
    ] = 20e6
    average_hours: Annotated[
        float, Interval(gt=0, le=1e4), Unit("h"), doc("time constant of the slow average")
    ] = 6.0
    first_fall: Annotated[
        float, Interval(gt=0, lt=1), doc("fall below the average at which it starts to buy")
    ] = 0.06
    last_fall: Annotated[
        float, Interval(gt=0, lt=1), doc("fall at which all its money is spent")
    ] = 0.25
    profit: Annotated[
        float, Interval(gt=0, le=10), doc("rise above its mean entry at which it sells again")
    ] = 0.08
    slice_usd: Annotated[float, Interval(gt=0, le=1e9), Unit("USD"), doc("largest order")] = (
        200_000.0
    )
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("mean time between looks")
    ] = 10.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("orders are IOC, limited this far beyond the best")
    ] = 0.002

    def __post_init__(self) -> None:
        if not self.first_fall < self.last_fall:
            raise ValueError("first_fall < last_fall must hold")

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        quote = setup.markets[self.instrument_id].instrument.quote
        return [money(setup, quote, self.capital_usd, self.account_mode)]

    def build(self, context: AgentContext) -> DipBuyer:
        return DipBuyer(context, self)


class DipBuyer(Agent):
    """See `DipBuyerParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: DipBuyerParameters) -> None:
        super().__init__(context)
        self.parameters = parameters
        self.market = self.venue.market(parameters.instrument_id)
        self.average = float("nan")
        self.held_lots = 0
        self.spent_usd = 0.0
        self._last_ns = self.now_ns
        self._pending: OwnOrder | None = None

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep_exponential(self.parameters.wake_seconds)
            self.look()

    def wanted_usd(self, price: float) -> float:
        """Money that should be invested at a price: none above the first fall, then linear."""
        p = self.parameters
        fall = 1.0 - price / self.average
        share = (fall - p.first_fall) / (p.last_fall - p.first_fall)
        return p.capital_usd * max(0.0, min(1.0, share))

    def look(self) -> None:
        """Buy a slice in a dip, sell a slice with a profit."""
        p = self.parameters
        price = self.market.mark_price()
        if not price > 0.0:
            return
        now = self.now_ns
        if self.average != self.average:
            self.average = price
        weight = 1.0 - exp(-(now - self._last_ns) / (p.average_hours * 3600e9))
        self._last_ns = now
        self.average += weight * (price - self.average)
        usd = self.venue.usd_price(self.market.instrument.quote)
        lot_usd = usd_per_lot(self.market.instrument, price, usd)
        if self._is_busy(lot_usd):
            return
        missing = self.wanted_usd(price) - self.spent_usd
        mean_entry = self.spent_usd / self.held_lots if self.held_lots else float("inf")
        if missing > 0.0:
            lots = int(min(missing, p.slice_usd) / lot_usd)
            self._pending = self.take(self.market, lots, p.protection)
        elif self.held_lots > 0 and lot_usd > mean_entry * (1.0 + p.profit):
            lots = min(self.held_lots, max(1, int(p.slice_usd / lot_usd)))
            self._pending = self.take(self.market, -lots, p.protection)

    def _is_busy(self, lot_usd: float) -> bool:
        """Book the order that has come back; True while one is on its way."""
        own = self._pending
        if own is None:
            return False
        if not own.is_done:
            return True
        self._pending = None
        filled = own.request.size_lots - own.remaining_lots
        if own.request.side > 0:
            self.held_lots += filled
            self.spent_usd += filled * lot_usd
        elif filled:
            self.spent_usd *= 1.0 - filled / self.held_lots
            self.held_lots -= filled
        return False
