"""Backstop liquidity: capital that steps in with large bids when the book is far below the outside.

It bids at a discount once the market is in stress and its own delay has passed, up to its capital,
and sells what it bought back into the recovered book. Bids only: it stands against falls.
Source: liquidation-and-losses.md (backstop liquidity providers before the insurance fund). Figures
are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len, Unit, doc

from agents.base import FILLS, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.ladder import Ladder
from agents.parameters import AgentParameters, require_rising
from agents.setup import AccountPlan, Setup, money, usd_per_lot
from exchange.order import Side


@dataclass(frozen=True, kw_only=True)
class BackstopParameters(AgentParameters):
    """Bids below the outside price while the market is in stress."""

    kind: Literal["backstop"] = "backstop"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    capital_usd: Annotated[
        float, Interval(gt=0, le=1e11), Unit("USD"), doc("largest position and own money")
    ] = 100e6
    stress: Annotated[float, Interval(gt=0, le=1000), doc("stress above which it gets ready")] = 3.0
    calm: Annotated[float, Interval(gt=0, le=1000), doc("stress below which it leaves")] = 1.5
    delay_minutes: Annotated[
        float, Interval(ge=0, le=1e4), Unit("min"), doc("time from stress to its first bid")
    ] = 3.0
    discounts_bp: Annotated[
        tuple[Annotated[float, Interval(gt=0, lt=10_000)], ...],
        Len(1, 20),
        Unit("bp"),
        doc("bids below the outside price, rising; the capital is spread evenly over them"),
    ] = (50.0, 100.0, 200.0, 300.0, 500.0)
    tolerance: Annotated[
        float, Interval(ge=0, le=1), doc("a bid stays within this part of its discount")
    ] = 0.2
    profit_bp: Annotated[
        float, Interval(ge=0, le=10_000), Unit("bp"), doc("above its mean entry it sells again")
    ] = 100.0
    slice_usd: Annotated[float, Interval(gt=0, le=1e10), Unit("USD"), doc("largest sale")] = 1e6
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("time between looks, fixed")
    ] = 5.0

    def __post_init__(self) -> None:
        if not self.calm < self.stress:
            raise ValueError("calm < stress must hold")
        require_rising("discounts_bp", self.discounts_bp)

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        settle = setup.markets[self.instrument_id].instrument.settle
        return [money(setup, settle, self.capital_usd, self.account_mode)]

    def build(self, context: AgentContext) -> Backstop:
        return Backstop(context, self)


class Backstop(Agent):
    """See `BackstopParameters`."""

    hears = FILLS

    def __init__(self, context: AgentContext, parameters: BackstopParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        self.ladder = Ladder(self.venue, p.instrument_id, len(p.discounts_bp))
        self._ready_ns: int | None = None
        self._sale: OwnOrder | None = None
        self._entry = 0.0
        self._held = 0

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.act()

    def act(self) -> None:
        """Enter, bid, leave or sell."""
        p = self.parameters
        outside = self.market.external_price()
        if not outside > 0.0:
            return
        self._mark_entry(outside)
        stress = self.market.stress.stress
        now = self.now_ns
        if self._ready_ns is None and stress > p.stress:
            self._ready_ns = now + int(p.delay_minutes * 60e9)
        elif self._ready_ns is not None and stress < p.calm:
            self._ready_ns = None
            self.ladder.withdraw(Side.BUY)
        if self._ready_ns is not None and now >= self._ready_ns:
            self._bid(outside)
        elif self._ready_ns is None:
            self._sell()

    def _mark_entry(self, outside: float) -> None:
        """Keep the mean entry price of what is held; fills since the last look at the outside."""
        held = self.bought_lots.get(self.parameters.instrument_id, 0)
        if held > self._held:
            last = self.market.last_price()
            price = last if last > 0.0 else outside
            self._entry = (self._entry * self._held + price * (held - self._held)) / held
        self._held = held

    def _bid(self, outside: float) -> None:
        p = self.parameters
        instrument = self.market.instrument
        lot_usd = usd_per_lot(instrument, outside, self.venue.usd_price(instrument.quote))
        left = max(0.0, p.capital_usd / lot_usd - self._held)
        each = left / len(p.discounts_bp)
        price = outside / self.market.tick
        ask = self.market.best_ask_ticks()
        top = ask - 1 if ask is not None else 1 << 60
        prices = [min(int(price * (1.0 - d * 1e-4)), top) for d in p.discounts_bp]
        tolerances = [p.tolerance * d * 1e-4 * price for d in p.discounts_bp]
        self.ladder.move(Side.BUY, prices, [each] * len(prices), tolerances)

    def _sell(self) -> None:
        """Sell a slice above the entry, once calm has returned."""
        p = self.parameters
        if self._held <= 0 or (self._sale is not None and not self._sale.is_done):
            return
        bid = self.market.best_bid_ticks()
        if bid is None or bid * self.market.tick < self._entry * (1.0 + p.profit_bp * 1e-4):
            return
        instrument = self.market.instrument
        lot_usd = usd_per_lot(
            instrument, bid * self.market.tick, self.venue.usd_price(instrument.quote)
        )
        size = min(self._held, max(1, int(p.slice_usd / lot_usd)))
        self._sale = self.take(self.market, -size, 0.001)
