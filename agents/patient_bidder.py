"""The patient bidder: wide orders that do not flee, the last depth of a crash.

It borrows nothing: what it bids for and what it holds together are worth no more than its money,
so after a long fall it is out.
Source: ecology.md section 3 (without it the depth reaches zero and more accounts are taken over);
that it does not borrow is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess
from agents.draws import Draws
from agents.ladder import Ladder
from agents.market_maker import half_gaps, smaller_gaps
from agents.parameters import AgentParameters, require_rising
from agents.setup import AccountPlan, Setup, trading_balances, usd_per_lot
from exchange.instrument import InstrumentKind
from exchange.order import Side

PATIENT_OFFSETS_BP = (
    30.0, 60.0, 100.0, 150.0, 220.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1000.0, 1250.0, 1600.0,
)  # fmt: skip

LARGEST_ORDER = 1.25
"""An order stands until it is this many times its target, as its money runs out."""


@dataclass(frozen=True, kw_only=True)
class PatientBidderParameters(AgentParameters):
    """Bids and offers around the outside price, whatever the volatility, while its money lasts."""

    kind: Literal["patient_bidder"] = "patient_bidder"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("mean time between looks")
    ] = 12.0
    depth: Annotated[
        float, Interval(gt=0, le=10), Unit("units of depth"), doc("depth per basis point and side")
    ] = 0.06
    offsets_bp: Annotated[
        tuple[Annotated[float, Interval(gt=0, lt=10_000)], ...],
        Len(2, 50),
        Unit("bp"),
        doc("distance of the levels from the outside price, rising"),
    ] = PATIENT_OFFSETS_BP
    tolerance: Annotated[
        float, Interval(ge=0, le=2), Unit("gaps"), doc("an order stays within this part of a gap")
    ] = 0.3
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money of all of them")
    ] = 800.0

    def __post_init__(self) -> None:
        require_rising("offsets_bp", self.offsets_bp)

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital / self.count * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> PatientBidder:
        return PatientBidder(context, self)


class PatientBidder(Agent):
    """See `PatientBidderParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: PatientBidderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        depth = p.depth / p.count * self.market.lots_per_bp
        self._offsets = [offset * 1e-4 for offset in p.offsets_bp]
        self._targets = [depth * width for width in half_gaps(p.offsets_bp)]
        self._full = sum(self._targets)
        gaps = smaller_gaps(p.offsets_bp)
        gaps[0] = p.offsets_bp[1] - p.offsets_bp[0]
        self._tolerances = [p.tolerance * gap * 1e-4 for gap in gaps]
        self.ladder = Ladder(self.venue, p.instrument_id, len(p.offsets_bp), high=LARGEST_ORDER)

    def run(self) -> AgentProcess:
        while True:
            self.quote()
            yield self.sleep_exponential(self.parameters.wake_seconds)

    def quote(self) -> None:
        """Move the ladder to the outside price."""
        market = self.market
        outside = market.external_price() / market.tick
        if not outside > 0.0:
            return
        bid = market.best_bid_ticks()
        ask = market.best_ask_ticks()
        tolerances = [tolerance * outside for tolerance in self._tolerances]
        top = ask - 1 if ask is not None else 1 << 60
        prices = [min(int(outside * (1.0 - offset)), top) for offset in self._offsets]
        self.ladder.move(Side.BUY, prices, self._affordable(Side.BUY), tolerances)
        bottom = bid + 1 if bid is not None else 1
        prices = [max(int(outside * (1.0 + offset)) + 1, bottom) for offset in self._offsets]
        self.ladder.move(Side.SELL, prices, self._affordable(Side.SELL), tolerances)

    def _affordable(self, side: Side) -> list[float]:
        """Lots per level: all of them, or the share of all that its own money pays for, whatever
        stands."""
        share = self._room_lots(side) / (LARGEST_ORDER * self._full)
        if share >= 1.0:
            return self._targets
        return [max(0.0, share) * target for target in self._targets]

    def _room_lots(self, side: Side) -> float:
        """Lots that it can still buy or sell without borrowing: of spot what its balance pays
        for or holds, of a derivative up to a position worth its equity."""
        market, account = self.market, self.venue.account()
        instrument = market.instrument
        price, usd = market.external_price(), self.venue.usd_price(instrument.quote)
        lot_usd = usd_per_lot(instrument, price, usd)
        if instrument.kind != InstrumentKind.SPOT:
            held = account.position_lots(instrument.instrument_id)
            return account.equity_usd / lot_usd - side * held
        if side > 0:
            return account.balance(instrument.quote) * usd / lot_usd
        return account.balance(instrument.base) / float(instrument.units_per_lot)
