"""The simulation: one clock, one clearing house, a path outside, and the traders.

At equal times prices come first, then the venue's own clocks (funding, interest, risk control),
then traders and their messages. One mark: path -> index -> marks -> stress table -> risk control ->
recorder.

Source: design.md sections 2 and 4; ecology.md section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from simpy.events import URGENT

from accounts.clearing import ClearingHouse
from accounts.events import AccountSnapshots, LiquidationStage, RiskAction
from accounts.expiry import Expiry
from accounts.funding import HOUR_NS, MINUTE_NS, Funding
from accounts.funding_schedule import RateSchedule
from accounts.insurance import InsuranceFunds
from accounts.interest import charge_interest
from accounts.repayment import force_repayments
from accounts.risk_control import RiskControl
from agents.base import Agent, AgentContext, AgentEvent, AgentProcess
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, MarketSetup, Setup
from exchange.events import Fill, OrderAccepted, OrderAmended, OrderCancelled, OrderRejected
from exchange.instrument import InstrumentKind, parse_instrument
from risk import order_tables as t
from risk.rules import RuleSet
from scenarios.book_file import Book
from scenarios.book_opening import open_book
from scenarios.book_seeding import BookSeed, SeededBook, place_seeds, withdrawals
from scenarios.clock import Clock
from scenarios.config import Scenario
from scenarios.market_sample import sample_market, sample_positions
from scenarios.opening import fill_funds, fund_venue, open_account, open_counterparty
from scenarios.paths import PricePath
from scenarios.streams import Streams
from scenarios.venue import VenueConnection, VenueMarket
from scenarios.wire import Wire
from scenarios.world import World

E8 = 10**8
SECOND_NS = 10**9
OPENING_BOOKINGS = 20_000
"""Bookings of new accounts that are handed on together: all of 100,000 accounts at once would take
80 MB, and leave as many holes all over the heap in which the run then makes its objects."""
_OFF_BOOK = (LiquidationStage.TAKE_OVER, LiquidationStage.DELEVERAGING)
ONE_PERCENT_UNITS = 100.0  # depth within 1 % in units of depth per basis point


class Simulation:
    """One run. `emit` gets every event; `run` plays the path to its end.

    extra_agents: (name, parameters) beside those of the scenario: a user's own traders. book: the
    accounts of the scenario's [book], book_seeds: the depth of its [[book_seeds]]; read and
    checked. funding_rates: by perpetual, in place of the premium's.
    """

    def __init__(
        self,
        scenario: Scenario,
        path: PricePath,
        rules: RuleSet,
        seed: int,
        emit: Callable[[Any], None],
        *,
        extra_agents: tuple[tuple[str, AgentParameters], ...] = (),
        book: Book | None = None,
        book_seeds: tuple[BookSeed, ...] = (),
        rule_changes: tuple[tuple[int, RuleSet], ...] = (),
        funding_rates: Mapping[str, RateSchedule] | None = None,
        folder: Path = Path(),
    ) -> None:
        self.scenario = scenario
        self.path = path
        self.streams = Streams(seed)
        self.env = Clock(path.start_ns)
        self._record = emit
        self.instruments = [parse_instrument(name) for name in scenario.market.instruments]
        self.house = ClearingHouse(
            self.instruments,
            rules,
            self._emit,
            currencies=(*scenario.market.currencies, *(book.currencies if book else ())),
            listed_ns=path.start_ns - 24 * HOUR_NS,
        )
        self.world = World(scenario.market, path, self.house, self.instruments, folder)
        self.funding = Funding(self.house, funding_rates)
        self.expiry = Expiry(self.house)
        self._rule_changes = list(rule_changes)
        self.funds = InsuranceFunds(self.house)
        self.risk = RiskControl(
            self.house, self.funds, forced_flow=scenario.venue.forced_liquidation
        )
        self.connections: list[VenueConnection | None] = []  # by account number, as far as needed
        self.wires: dict[int, Wire] = {}
        self._reporting: list[VenueConnection] = []  # those with reports, until `deliver`
        self.agents: list[Agent] = []
        self._open_market()
        self._open_accounts(extra_agents)
        self.seeded = self._seed_books(book_seeds)
        self.book = None if book is None else open_book(path.start_ns, self.house, book, scenario)
        for agent in self.agents:
            agent.start()
        self.house.flush()
        self._next_sample_ns = self._next_snapshot_ns = path.start_ns
        for snapshot in sample_positions(path.start_ns, self.house):
            self._record(snapshot)  # what stands at the start came by no fill
        self.sample()

    # --- before the first second -------------------------------------------------------------

    def _open_market(self) -> None:
        """First prices, the outside world of each coin, the pools and funds."""
        table, house = self.scenario.market, self.house
        self._record(self.world.publish(self.path.start_ns))
        now = self.env.time_ns
        fund_venue(now, house, self.scenario.venue)
        fill_funds(now, self.funds, self.scenario.venue)
        self.markets = {
            listing.instrument.instrument_id: VenueMarket(
                self,
                listing,
                self.world.outside[listing.instrument.base],
                self._first_price(listing.number),
                table.depth(listing.instrument.instrument_id),
            )
            for listing in house.by_number
        }
        self.world.markets = self.markets

    def _first_price(self, number: int) -> float:
        market = self.house.market
        return float(market.terms[number, t.M_REFERENCE]) * float(self.instruments[number].tick)

    def _open_accounts(self, extra: tuple[tuple[str, AgentParameters], ...]) -> None:
        """Draw the plans of all agents, open their accounts and build them."""
        setup = self._setup()
        entries: list[tuple[str, AgentParameters]] = []
        counts: dict[str, int] = {}
        for parameters in self.scenario.agents:
            number = counts.get(parameters.kind, 0)
            counts[parameters.kind] = number + 1
            suffix = f".{number}" if number else ""
            entries.append((f"{parameters.kind}{suffix}", parameters))
        planned: list[tuple[str, int, AgentParameters, list[AccountPlan], Any]] = []
        for name, parameters in (*entries, *extra):
            for index in range(parameters.count):
                rng = self.streams.generator(f"agents/{name}/{index}")
                plans = parameters.account_plans(setup, Draws(rng))
                planned.append((f"{name}/{index}", index, parameters, plans, rng))
        now = self.env.time_ns
        everyone = [plan for *_, plans, _ in planned for plan in plans]
        self.counterparty = open_counterparty(now, self.house, everyone)
        for name, index, parameters, plans, rng in planned:
            self._build(now, name, index, parameters, plans, rng, setup)

    def _build(
        self,
        now: int,
        name: str,
        index: int,
        parameters: AgentParameters,
        plans: list[AccountPlan],
        rng: Any,
        setup: Setup,
    ) -> None:
        venues = []
        latency = round(parameters.latency_ms * 1e6)
        for number, plan in enumerate(plans):
            own = name if len(plans) == 1 else f"{name}/{number}"
            account = open_account(now, self.house, own, plan, self.counterparty)
            venue = VenueConnection(
                self, account, latency, hedged_outside=parameters.hedged_outside
            )
            self.connections += [None] * (account.number - len(self.connections))
            self.connections.append(venue)
            venues.append(venue)
            if self.house.ledger.unflushed >= OPENING_BOOKINGS:
                self.house.flush()
        agent = parameters.build(AgentContext(name, self.env, tuple(venues), rng, setup, index))
        for venue in venues:
            venue.serve(agent)
        self.agents.append(agent)

    def _seed_books(self, seeds: tuple[BookSeed, ...]) -> list[SeededBook]:
        """Place the orders of books that start with recorded depth, around the first marks."""
        if not seeds:
            return []
        house = self.house
        mids = []
        for source in seeds:
            listing = house.listings[source.seed.instrument_id]
            mark = int(house.market.mark_ticks[listing.number])
            # a dated future is marked at the index until its book has shown a basis
            mids.append(round(mark * self.world.carry(listing.instrument)))
        seeded = place_seeds(
            self.path.start_ns, house, seeds, self._setup(), mids, self.counterparty
        )
        self.deliver()  # to nobody: the owners are no agents
        for one in seeded:
            if one.source.seed.half_life_s is not None:
                self.env.process(self._withdraw(one))
        return seeded

    def _withdraw(self, seeded: SeededBook) -> AgentProcess:
        """Take a seed's orders out of the book as their times come."""
        for after_ns, order in withdrawals(seeded, self.streams):
            due_ns = self.path.start_ns + after_ns
            if due_ns >= self.path.end_ns:
                return
            yield self.env.timeout(due_ns - self.env.time_ns)
            self.house.cancel(due_ns, order.owner, order.order_id)
            self.deliver()

    def _setup(self) -> Setup:
        market = self.house.market
        markets = {
            name: MarketSetup(
                view.instrument,
                self._first_price(number),
                view.lots_per_bp,
                market.usd[
                    view.instrument.base
                    if view.instrument.kind == InstrumentKind.OPTION
                    else view.instrument.quote
                ],
            )
            for number, (name, view) in enumerate(self.markets.items())
        }

        def maintenance_rate(instrument_id: str, notional_usd: float) -> float:
            number = self.house.listings[instrument_id].number
            return market.lone_maintenance_rate(number, max(1.0, abs(notional_usd)))

        return Setup(markets, dict(market.usd), maintenance_rate)

    # --- the clock ---------------------------------------------------------------------------

    def run(self, on_progress: Callable[[int], None] | None = None) -> None:
        """Play the whole path. `on_progress` is called with the time after each mark."""
        interval = self.scenario.market.mark_interval_s * SECOND_NS
        self._on_progress = on_progress
        self._tick(self.path.start_ns + interval, interval)
        self.env.play(self.path.end_ns)
        self.house.flush()

    def _tick(self, at_ns: int, interval: int) -> None:
        """Schedule the next mark ahead of all other events of its moment."""
        event = self.env.event()
        event._ok, event._value = True, None
        event.callbacks.append(lambda _: self._mark(at_ns, interval))
        self.env.schedule(event, URGENT, at_ns - self.env.time_ns)

    def _mark(self, now_ns: int, interval: int) -> None:
        self._tick(now_ns + interval, interval)
        self._record(self.world.publish(now_ns))
        for delivery in self.expiry.check(now_ns):
            self._record(delivery)
        self._change_rules(now_ns)
        if now_ns % MINUTE_NS < interval:
            self.funding.sample()
        if self.scenario.venue.funding and now_ns % self.funding.interval_ns < interval:
            self.funding.settle(now_ns)
        if self.scenario.venue.interest and now_ns % HOUR_NS < interval:
            force_repayments(self.house, now_ns)
            charge_interest(now_ns, self.house)
        self.risk.check(now_ns)
        self.deliver()
        self.house.flush()
        self.sample()
        if self._on_progress is not None:
            self._on_progress(now_ns)

    def _change_rules(self, now_ns: int) -> None:
        """Put the next rule set of the scenario into force when its time has come."""
        while self._rule_changes and self._rule_changes[0][0] <= now_ns:
            _, rules = self._rule_changes.pop(0)
            self.house.switch_rules(now_ns, rules)

    # --- messages ----------------------------------------------------------------------------

    def wire(self, latency_ns: int) -> Wire:
        """The wire that carries messages of one latency."""
        wire = self.wires.get(latency_ns)
        if wire is None:
            wire = self.wires[latency_ns] = Wire(self.env.events, latency_ns, self.deliver)
        return wire

    def deliver(self) -> None:
        """Send the reports of the messages or the mark just handled, one message per owner."""
        if not self._reporting:
            return
        reporting, self._reporting = self._reporting, []
        for venue in reporting:
            venue.send_reports()

    def _emit(self, event: Any) -> None:
        """Every event of the clearing house: to the recorder, and to the traders concerned."""
        self._record(event)
        # `type(event) is` tells the type checker what it is.
        if type(event) is OrderAccepted:
            venue = self._connection(event.order.owner)
            if venue is not None and venue.hears_acceptances:
                self._report(venue, event)
        elif type(event) is Fill:
            maker, taker = event.maker.owner, event.taker.owner
            self._report(self._connection(maker), event)
            if taker != maker:
                self._report(self._connection(taker), event)
        elif type(event) is OrderCancelled or type(event) is OrderAmended:
            self._report(self._connection(event.order.owner), event)
        elif type(event) is OrderRejected:
            self._report(self._connection(event.owner), event)
        elif type(event) is RiskAction and event.filled_lots:
            self._remember_forced(event)

    def _connection(self, owner: int) -> VenueConnection | None:
        """The trader behind an account; None for pools and others that nobody trades. O(1)."""
        return self.connections[owner] if owner < len(self.connections) else None

    def _report(self, venue: VenueConnection | None, event: AgentEvent) -> None:
        if venue is not None and venue.report(event):
            self._reporting.append(venue)

    def _remember_forced(self, action: RiskAction) -> None:
        """Forced flow moves the outside price like other flow, but linearly in its size."""
        view = self.markets[action.instrument_id]
        if action.stage in _OFF_BOOK:
            return
        view.remember(action.side, action.filled_lots, forced=True)

    # --- looking -----------------------------------------------------------------------------

    def sample(self) -> None:
        """Record the look of markets and accounts where their time has come."""
        now, recording = self.env.time_ns, self.scenario.recording
        if now >= self._next_sample_ns:
            self._next_sample_ns = now + round(recording.market_sample_s * SECOND_NS)
            for listing in self.house.by_number:
                instrument = listing.instrument
                index = self.world.index_price(instrument.base, instrument.quote)
                self._record(
                    sample_market(
                        now,
                        listing.number,
                        listing.engine.book,
                        index_e8=round(index * E8),
                        mark_ticks=int(self.house.market.mark_ticks[listing.number]),
                        last_ticks=listing.last_ticks,
                        open_interest_lots=listing.open_interest_lots,
                    )
                )
        if now >= self._next_snapshot_ns:
            self._next_snapshot_ns = now + round(recording.account_sample_s * SECOND_NS)
            self._snapshot(now)

    def _snapshot(self, now: int) -> None:
        accounts = self.house.accounts
        figures = self.house.exposures.all_figures().copy()
        self._record(
            AccountSnapshots(
                now,
                np.arange(len(accounts)),
                np.fromiter((account.state for account in accounts), np.int64, len(accounts)),
                figures[:, t.T_EQUITY],
                figures[:, t.T_ADJUSTED],
                figures[:, t.T_MMR],
                figures[:, t.T_IMR],
                figures[:, t.T_RATIO],
            )
        )
