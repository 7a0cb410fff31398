"""The exchange as one trader sees it: implementation of the port `agents.base.Venue`.

Messages reach the clearing house after the trader's latency, reports reach him after it again.
Nothing here decides anything; it turns ticks and tables into what the port promises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import exp, nan
from typing import TYPE_CHECKING, Any, Final

from accounts.events import AccountState
from agents.base import NOTHING, Agent, AgentEvent
from agents.desk import OrderDesk
from agents.outside import OutsideMarket, StressState
from agents.own_order import OwnOrder
from agents.setup import usd_per_lot
from exchange.events import Fill, OrderAccepted, OrderCancelled
from exchange.instrument import Instrument, InstrumentKind
from exchange.order import OrderRequest
from exchange.price_limits import PriceBand
from risk import order_tables as t
from scenarios.wire import Receiver

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
        self._memory = outside.memories[listing.instrument.instrument_id]
        self._house = simulation.house
        self._mark_version = 0
        self._mark_price = nan
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
        # A number out of an array costs more than all else here, and a mark lasts for many orders.
        market = self._house.market
        if market.version != self._mark_version:
            self._mark_version = market.version
            reference = market.terms.item(self._listing.number, t.M_REFERENCE)
            self._mark_price = reference * self.tick
        return self._mark_price

    def index_price(self) -> float:
        return self._simulation.world.index_price(self.instrument.base, self.instrument.quote)

    def external_price(self) -> float:
        return exp(self._outside.log_price) * self._over_index()

    def fair_price(self) -> float:
        fair = exp(self._outside.fair_log_price(self.instrument.instrument_id))
        return fair * self._over_index()

    def remember(self, side: int, lots: int, *, forced: bool) -> None:
        """Let one order that took `lots` move the outside price. O(1)."""
        self._memory.on_taker_fill(side, lots / self.lots_per_bp, forced)

    def _over_index(self) -> float:
        """From the coin's outside price to this instrument's: its quote currency, its carry."""
        world, instrument = self._simulation.world, self.instrument
        return world.carry(instrument) / world.quote_ratio(instrument)

    def funding_rate(self) -> float:
        if self.instrument.kind != InstrumentKind.PERPETUAL:
            return 0.0
        simulation = self._simulation
        return simulation.funding.estimate_e8(simulation.env.events.now_ns, self._listing) / 1e8

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


ORDER: Final = 0
CANCELLATION: Final = 1
AMENDMENT: Final = 2
REPORTS: Final = 3
"""Kinds of messages: three to the exchange, and its answers."""


class VenueConnection(Receiver):
    """`Venue` of one account."""

    __slots__ = (
        "_events",
        "_hears",
        "_house",
        "_on_event",
        "_reports",
        "_simulation",
        "_view",
        "desk",
        "hears_acceptances",
        "hedged_outside",
        "owner",
        "wire",
    )

    def __init__(
        self, simulation: Simulation, account: Account, latency_ns: int, *, hedged_outside: bool
    ) -> None:
        self._simulation = simulation
        self._view = VenueAccount(simulation, account)
        self._house = simulation.house
        self._events = simulation.env.events
        self.wire = simulation.wire(latency_ns)
        self.owner = account.number
        self.hedged_outside = hedged_outside
        self.desk = OrderDesk(account.number)
        self._reports: list[AgentEvent] | None = None  # until they are sent
        self._hears: frozenset[type[AgentEvent]] = NOTHING
        self.hears_acceptances = False
        self._on_event: Callable[[AgentEvent], None]

    def serve(self, agent: Agent) -> None:
        """Bring the reports on this account to `agent` from now on."""
        self._on_event, self._hears = agent.on_event, agent.hears
        self.hears_acceptances = OrderAccepted in agent.hears

    @property
    def now_ns(self) -> int:
        return self._events.now_ns

    def instrument_ids(self) -> Sequence[str]:
        return list(self._simulation.markets)

    def market(self, instrument_id: str) -> VenueMarket:
        return self._simulation.markets[instrument_id]

    def usd_price(self, currency: str) -> float:
        return self._house.market.usd[currency]

    def account(self) -> VenueAccount:
        return self._view

    def submit(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        own = self.desk.open(request, tag)
        self.wire.send(self, ORDER, own)
        return own

    def cancel(self, own: OwnOrder) -> None:
        self.wire.send(self, CANCELLATION, own)

    def amend(
        self, own: OwnOrder, *, size_lots: int | None = None, price_ticks: int | None = None
    ) -> None:
        self.wire.send(self, AMENDMENT, (own, size_lots, price_ticks))

    def cancel_all(self, instrument_id: str) -> None:
        for own in list(self.live_orders(instrument_id)):
            self.cancel(own)

    def live_orders(self, instrument_id: str) -> Collection[OwnOrder]:
        return self.desk.live(instrument_id)

    def report(self, event: AgentEvent) -> bool:
        """Keep a report for the trader until `send_reports`; whether it is the first one."""
        if self._reports is None:
            self._reports = [event]
            return True
        self._reports.append(event)
        return False

    def send_reports(self) -> None:
        """Let the reports that wait leave for the trader, as one message."""
        reports, self._reports = self._reports, None
        self.wire.send(self, REPORTS, reports)

    # --- messages that have arrived ---------------------------------------------------------------

    def take(self, kind: int, content: Any) -> None:
        """A message to the exchange or a report to the trader has arrived."""
        if kind == ORDER:
            self._arrive(content)
        elif kind == REPORTS:
            self._receive(content)
        elif kind == CANCELLATION:
            own: OwnOrder = content
            if own.placed is not None:
                self._house.cancel(self._events.now_ns, self.owner, own.placed.order_id)
        else:
            self._arrive_amend(content)

    def _arrive(self, own: OwnOrder) -> None:
        request = own.request
        events = self._house.submit(self._events.now_ns, self.owner, request)
        first = events[0]
        if type(first) is OrderAccepted or type(first) is OrderCancelled:
            self.desk.bind(own, first.order)
        if len(events) > 1 and not self.hedged_outside:
            self._remember_taken(request, events)

    def _remember_taken(self, request: OrderRequest, events: list[Any]) -> None:
        """What an order takes moves the price outside."""
        taken = 0
        for event in events:
            if type(event) is Fill:
                taken += event.size_lots
        if taken:
            market = self._simulation.markets[request.instrument_id]
            market.remember(request.side, taken, forced=False)

    def _arrive_amend(self, message: tuple[OwnOrder, int | None, int | None]) -> None:
        own, size, price = message
        if own.placed is not None:
            order_id = own.placed.order_id
            self._house.amend(self._events.now_ns, self.owner, order_id, size, price)

    def _receive(self, events: list[AgentEvent]) -> None:
        desk, hears = self.desk, self._hears
        for event in events:
            desk.report(event)
            if hears and type(event) in hears:
                self._on_event(event)
