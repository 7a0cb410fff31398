"""The exchange as one trader sees it: implementation of the port `agents.base.Venue`.

Messages reach the clearing house after the trader's latency, reports reach him after it again.
Nothing here decides anything; it turns ticks and tables into what the port promises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import exp, nan
from typing import TYPE_CHECKING, Any

from accounts.events import AccountState
from agents.base import NOTHING, Agent, AgentEvent
from agents.desk import OrderDesk
from agents.outside import OutsideMarket, StressState
from agents.own_order import OwnOrder
from agents.setup import usd_per_lot
from exchange.events import OrderAccepted, OrderCancelled
from exchange.instrument import Instrument, InstrumentKind
from exchange.order import OrderRequest
from exchange.price_limits import PriceBand
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.listing import Listing
    from scenarios.simulation import Simulation


class VenueMarket:
    """`MarketView` of one listed instrument."""

    def __init__(
        self,
        simulation: Simulation,
        listing: Listing,
        outside: OutsideMarket,
        first_price: float,
        depth_usd_per_bp: float,
    ) -> None:
        self._simulation = simulation
        self._listing = listing
        self._outside = outside
        self.instrument: Instrument = listing.instrument
        self.tick = float(self.instrument.tick)
        usd = simulation.house.market.usd
        if self.instrument.kind == InstrumentKind.OPTION:
            lot_usd = float(self.instrument.units_per_lot) * usd[self.instrument.base]
        else:
            lot_usd = usd_per_lot(self.instrument, first_price, usd[self.instrument.quote])
        self.lots_per_bp = depth_usd_per_bp / lot_usd
        book = listing.engine.book
        self.best_bid_ticks = book.best_bid
        self.best_ask_ticks = book.best_ask
        self.level_lots = book.level_lots
        self.depth = book.depth
        self.volume_within = book.volume_within

    @property
    def stress(self) -> StressState:
        return self._outside.stress

    def price_limits(self) -> PriceBand:
        return PriceBand(self._listing.low_ticks, self._listing.high_ticks)

    def last_price(self) -> float:
        last = self._listing.last_ticks
        return last * self.tick if last else nan

    def mark_price(self) -> float:
        terms = self._simulation.house.market.terms
        return terms.item(self._listing.number, t.M_REFERENCE) * self.tick

    def index_price(self) -> float:
        return self._simulation.world.index_price(self.instrument.base, self.instrument.quote)

    def external_price(self) -> float:
        return exp(self._outside.log_price) * self._over_index()

    def fair_price(self) -> float:
        fair = exp(self._outside.fair_log_price(self.instrument.instrument_id))
        return fair * self._over_index()

    def _over_index(self) -> float:
        """From the coin's outside price to this instrument's: its quote currency, its carry."""
        world, instrument = self._simulation.world, self.instrument
        return world.carry(instrument) / world.quote_ratio(instrument)

    def funding_rate(self) -> float:
        if self.instrument.kind != InstrumentKind.PERPETUAL:
            return 0.0
        simulation = self._simulation
        return simulation.funding.estimate_e8(simulation.env.time_ns, self._listing) / 1e8

    def implied_volatility(self) -> float:
        if self.instrument.kind != InstrumentKind.OPTION:
            return nan
        return self._simulation.world.implied_vol(self.instrument)

    def forward_price(self) -> float:
        return self.index_price() * self._simulation.world.carry(self.instrument)


class VenueAccount:
    """`AccountView` of one account; margin figures as of the last time they were computed."""

    __slots__ = ("_account", "_house")

    def __init__(self, simulation: Simulation, account: Account) -> None:
        self._house = simulation.house
        self._account = account

    def _figures(self) -> Any:
        return self._house.exposures.figures(self._account.number)

    @property
    def equity_usd(self) -> float:
        return float(self._figures()[t.T_EQUITY])

    @property
    def margin_ratio(self) -> float:
        return float(self._figures()[t.T_RATIO])

    @property
    def initial_margin_usd(self) -> float:
        return float(self._figures()[t.T_IMR])

    @property
    def maintenance_margin_usd(self) -> float:
        return float(self._figures()[t.T_MMR])

    @property
    def can_trade(self) -> bool:
        return not self._account.blocked and self._account.state != AccountState.BANKRUPT

    def position_lots(self, instrument_id: str) -> int:
        position = self._account.positions.get(self._house.listings[instrument_id].number)
        return 0 if position is None else position.lots

    def balance(self, currency: str) -> float:
        balance = self._account.balances.get(currency)
        if balance is None:
            return 0.0
        atoms = self._house.ledger.balances[balance.cash] - balance.liability_atoms
        return atoms * self._house.market.scales[balance.number]


class VenueConnection:
    """`Venue` of one account."""

    __slots__ = (
        "_hears",
        "_on_event",
        "_simulation",
        "_view",
        "desk",
        "hedged_outside",
        "owner",
        "send",
    )

    def __init__(
        self, simulation: Simulation, account: Account, latency_ns: int, *, hedged_outside: bool
    ) -> None:
        self._simulation = simulation
        self._view = VenueAccount(simulation, account)
        self.send = simulation.wire(latency_ns).send
        self.owner = account.number
        self.hedged_outside = hedged_outside
        self.desk = OrderDesk(account.number)
        self._hears: frozenset[type[AgentEvent]] = NOTHING
        self._on_event: Callable[[AgentEvent], None]

    def serve(self, agent: Agent) -> None:
        """Bring the reports on this account to `agent` from now on."""
        self._on_event, self._hears = agent.on_event, agent.hears

    @property
    def now_ns(self) -> int:
        return self._simulation.env.time_ns

    def instrument_ids(self) -> Sequence[str]:
        return list(self._simulation.markets)

    def market(self, instrument_id: str) -> VenueMarket:
        return self._simulation.markets[instrument_id]

    def usd_price(self, currency: str) -> float:
        return self._simulation.house.market.usd[currency]

    def account(self) -> VenueAccount:
        return self._view

    def submit(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        own = self.desk.open(request, tag)
        self.send(self._arrive, own)
        return own

    def cancel(self, own: OwnOrder) -> None:
        self.send(self._arrive_cancel, own)

    def amend(
        self, own: OwnOrder, *, size_lots: int | None = None, price_ticks: int | None = None
    ) -> None:
        self.send(self._arrive_amend, (own, size_lots, price_ticks))

    def cancel_all(self, instrument_id: str) -> None:
        for own in list(self.live_orders(instrument_id)):
            self.cancel(own)

    def live_orders(self, instrument_id: str) -> Collection[OwnOrder]:
        return self.desk.live(instrument_id)

    # --- messages that have reached the exchange ------------------------------------------------

    def _arrive(self, own: OwnOrder) -> None:
        simulation, request = self._simulation, own.request
        events = simulation.house.submit(simulation.env.time_ns, self.owner, request)
        first = events[0]
        kind = type(first)
        if kind is OrderAccepted or kind is OrderCancelled:
            self.desk.bind(own, first.order)
        if len(events) > 1 and not self.hedged_outside:
            simulation.remember_taken(request, events)

    def _arrive_cancel(self, own: OwnOrder) -> None:
        if own.placed is not None:
            simulation = self._simulation
            simulation.house.cancel(simulation.env.time_ns, self.owner, own.placed.order_id)

    def _arrive_amend(self, message: tuple[OwnOrder, int | None, int | None]) -> None:
        own, size, price = message
        if own.placed is not None:
            simulation, order_id = self._simulation, own.placed.order_id
            simulation.house.amend(simulation.env.time_ns, self.owner, order_id, size, price)

    # --- reports to the trader ------------------------------------------------------------------

    def receive(self, events: list[AgentEvent]) -> None:
        """Reports have reached the trader."""
        report, hears = self.desk.report, self._hears
        for event in events:
            report(event)
            if type(event) in hears:
                self._on_event(event)
