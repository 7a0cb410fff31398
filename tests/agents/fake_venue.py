"""A minimal venue for agents: real books and matching, a path outside, no clearing side.

`FakeExchange` runs a whole ecology without margin, so that the agents' own behaviour can be tested
and measured. Messages arrive after the agent's latency and reports come back after it, as in the
simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from math import exp, inf, log, nan

import numpy as np
import simpy

from agents.base import SECOND, Agent, AgentContext, AgentEvent, AgentProcess, OwnOrder
from agents.desk import OrderDesk
from agents.draws import Draws
from agents.outside import OutsideMarket, StressState
from agents.outside_parameters import OutsideParameters
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, MarketSetup, Setup, usd_per_lot
from exchange.events import Fill, OrderAccepted, OrderCancelled, OrderRejected, RejectReason
from exchange.instrument import Instrument, InstrumentKind, parse_instrument
from exchange.matching import Ids, MatchingEngine
from exchange.order import OrderRequest, OrderType, Side
from exchange.price_limits import PriceBand


class FakeMarket:
    """MarketView over one matching engine and one outside market."""

    def __init__(self, exchange: FakeExchange, instrument_id: str, depth_usd_per_bp: float) -> None:
        self.instrument: Instrument = parse_instrument(instrument_id)
        self.engine = MatchingEngine(
            self.instrument, order_ids=exchange.order_ids, fill_ids=exchange.fill_ids
        )
        self.tick = float(self.instrument.tick)
        self.exchange = exchange
        price = exchange.first_prices[self.instrument.base]
        self.lots_per_bp = depth_usd_per_bp / usd_per_lot(self.instrument, price, 1.0)
        self.last = nan
        self.band = PriceBand(1, 1 << 60)
        self.smoothed_basis = 0.0
        self.funding = 0.0
        self.volatility = nan
        self.fixed_mark = nan
        self.outside: OutsideMarket = exchange.outside[self.instrument.base]
        book = self.engine.book
        self.best_bid_ticks = book.best_bid
        self.best_ask_ticks = book.best_ask
        self.level_lots = book.level_lots
        self.depth = book.depth
        self.volume_within = book.volume_within

    @property
    def stress(self) -> StressState:
        return self.outside.stress

    def mid(self) -> float:
        bid, ask = self.best_bid_ticks(), self.best_ask_ticks()
        return nan if bid is None or ask is None else 0.5 * (bid + ask) * self.tick

    def price_limits(self) -> PriceBand:
        return self.band

    def last_price(self) -> float:
        return self.last

    def mark_price(self) -> float:
        if self.fixed_mark == self.fixed_mark:
            return self.fixed_mark
        return self.index_price() * exp(self.smoothed_basis)

    def index_price(self) -> float:
        return exp(self.outside.log_price)

    def external_price(self) -> float:
        return exp(self.outside.log_price)

    def fair_price(self) -> float:
        return exp(self.outside.fair_log_price(self.instrument.instrument_id))

    def funding_rate(self) -> float:
        return self.funding

    def implied_volatility(self) -> float:
        return self.volatility

    def forward_price(self) -> float:
        return self.index_price()


class FakeAccount:
    """Balances and positions without margin: equity at the mark, infinite margin ratio."""

    def __init__(self, exchange: FakeExchange, plan: AccountPlan) -> None:
        self.exchange = exchange
        self.balances = dict(plan.balances)
        self.positions = {p.instrument_id: p.lots for p in plan.positions}
        self.margin_ratio = inf
        self.initial_margin_usd = 0.0
        self.maintenance_margin_usd = 0.0
        self.can_trade = True

    @property
    def equity_usd(self) -> float:
        usd = self.exchange.usd_price
        return sum(amount * usd(currency) for currency, amount in self.balances.items())

    def position_lots(self, instrument_id: str) -> int:
        return self.positions.get(instrument_id, 0)

    def balance(self, currency: str) -> float:
        return self.balances.get(currency, 0.0)

    def book(self, fill: Fill, signed_lots: int) -> None:
        """Spot moves balances; a derivative moves the position and, at once, its value in cash."""
        instrument = fill.instrument
        price = fill.price_ticks * float(instrument.tick)
        value = signed_lots * usd_per_lot(instrument, price, 1.0)
        quote = instrument.quote
        if instrument.kind == InstrumentKind.SPOT:
            coins = signed_lots * float(instrument.lot)
            self.balances[instrument.base] = self.balance(instrument.base) + coins
            self.balances[quote] = self.balance(quote) - value
        else:
            name = instrument.instrument_id
            self.positions[name] = self.position_lots(name) + signed_lots


class FakeVenue:
    """Venue of one account."""

    def __init__(
        self, exchange: FakeExchange, owner: int, latency_ns: int, plan: AccountPlan, hedged: bool
    ) -> None:
        self.exchange = exchange
        self.owner = owner
        self.latency_ns = latency_ns
        self.hedged = hedged
        self.desk = OrderDesk(owner)
        self.view = FakeAccount(exchange, plan)
        self.agent: Agent | None = None
        self.sent: list[OrderRequest] = []

    @property
    def now_ns(self) -> int:
        return int(self.exchange.env.now)

    def instrument_ids(self) -> Sequence[str]:
        return list(self.exchange.markets)

    def market(self, instrument_id: str) -> FakeMarket:
        return self.exchange.markets[instrument_id]

    def usd_price(self, currency: str) -> float:
        return self.exchange.usd_price(currency)

    def account(self) -> FakeAccount:
        return self.view

    def submit(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        own = self.desk.open(request, tag)
        if self.exchange.keep_requests:
            self.sent.append(request)
        self.later(partial(self.exchange.arrive, self, own))
        return own

    def cancel(self, own: OwnOrder) -> None:
        self.later(partial(self.exchange.arrive_cancel, self, own))

    def amend(
        self, own: OwnOrder, *, size_lots: int | None = None, price_ticks: int | None = None
    ) -> None:
        self.later(lambda: self.exchange.arrive_amend(self, own, size_lots, price_ticks))

    def cancel_all(self, instrument_id: str) -> None:
        for own in list(self.live_orders(instrument_id)):
            self.cancel(own)

    def live_orders(self, instrument_id: str) -> Collection[OwnOrder]:
        return self.desk.live(instrument_id)

    def later(self, action: Callable[[], None]) -> None:
        timeout = self.exchange.env.timeout(self.latency_ns)
        timeout.callbacks.append(lambda _: action())

    def deliver_all(self, events: list[AgentEvent]) -> None:
        for event in events:
            self.desk.report(event)
            if self.agent is not None and type(event) in self.agent.hears:
                self.agent.on_event(event)


class FakeExchange:
    """Books, accounts and the outside world on one simpy clock.

    log_paths: per base coin the log price at each second (callable: second -> log price).
    start_ns: Unix time of second 0, default 1 January 2025.
    """

    def __init__(
        self,
        instrument_ids: Iterable[str],
        *,
        price: float | dict[str, float] = 50_000.0,
        depth_usd_per_bp: float = 1_100_000.0,
        log_paths: dict[str, Callable[[int], float]] | None = None,
        outside: OutsideParameters | None = None,
        seed: int = 1,
        depth_every_seconds: int = 1,
        start_ns: int = 1_735_689_600 * SECOND,
    ) -> None:
        names = list(instrument_ids)
        self.env = simpy.Environment(initial_time=start_ns)
        self.order_ids = Ids()
        self.fill_ids = Ids()
        self.seed = seed
        bases = {name: name.split("-")[0] for name in names}
        self.first_prices = {
            base: price[base] if isinstance(price, dict) else price for base in bases.values()
        }
        self.log_paths = log_paths or {}
        parameters = outside or OutsideParameters()
        self.outside = {
            base: OutsideMarket(parameters, log(first), [n for n in names if bases[n] == base])
            for base, first in self.first_prices.items()
        }
        self.markets = {name: FakeMarket(self, name, depth_usd_per_bp) for name in names}
        self.venues: list[FakeVenue] = []
        self.agents: list[Agent] = []
        self.stranger: FakeVenue | None = None
        self.keep_requests = False
        self.refused: set[str] = set()  # instruments whose orders are refused, as for margin
        self.messages = 0
        self.on_trade: list[Callable[[Fill, float], None]] = []
        self.on_taker: list[Callable[[FakeVenue, OrderRequest, int, float], None]] = []
        self.on_second: list[Callable[[int], None]] = []
        self.depth_every_seconds = depth_every_seconds
        self.limit_orders = 0
        self.cancelled_limit_orders = 0
        self.filled_limit_orders = 0
        self.env.process(self._clock())

    def usd_price(self, currency: str) -> float:
        market = self.outside.get(currency)
        return 1.0 if market is None else exp(market.log_price)

    def setup(self) -> Setup:
        prices = {"USDT": 1.0, "USDC": 1.0, "USD": 1.0, **self.first_prices}
        markets = {
            name: MarketSetup(m.instrument, self.first_prices[m.instrument.base], m.lots_per_bp)
            for name, m in self.markets.items()
        }
        return Setup(markets, prices, lambda name, usd: 0.122)

    def add(
        self, parameters: AgentParameters, name: str | None = None, start: bool = True
    ) -> list[Agent]:
        """Open the accounts of one entry and build its agents; without `start` a test calls the
        agent's rule by hand."""
        made = []
        for index in range(parameters.count):
            path = f"{name or parameters.kind}/{index}"
            key = [self.seed, *path.encode()]
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
            plans = parameters.account_plans(self.setup(), Draws(rng))
            venues = []
            for plan in plans:
                latency = int(parameters.latency_ms * 1e6)
                venue = FakeVenue(
                    self, len(self.venues) + 1, latency, plan, parameters.hedged_outside
                )
                self.venues.append(venue)
                venues.append(venue)
            agent = parameters.build(
                AgentContext(path, self.env, tuple(venues), rng, self.setup(), index)
            )
            for venue in venues:
                venue.agent = agent
            if start:
                agent.start()
            self.agents.append(agent)
            made.append(agent)
        return made

    def rest(self, instrument_id: str, side: Side, price_ticks: int, lots: int) -> None:
        """Rest an order of a stranger, at once: hand-made books for tests."""
        if self.stranger is None:
            plan = AccountPlan({})
            self.stranger = FakeVenue(self, len(self.venues) + 1, 0, plan, hedged=False)
            self.venues.append(self.stranger)
        request = OrderRequest(instrument_id, side, OrderType.LIMIT, lots, price_ticks)
        own = self.stranger.desk.open(request)
        self.arrive(self.stranger, own)
        self.messages -= 1

    def run(self, seconds: float) -> None:
        self.env.run(until=self.env.now + int(seconds * SECOND))

    # messages at the exchange

    def arrive(self, venue: FakeVenue, own: OwnOrder) -> None:
        self.messages += 1
        request = own.request
        market = self.markets[request.instrument_id]
        now = int(self.env.now)
        if request.instrument_id in self.refused:
            reason = RejectReason.INSUFFICIENT_MARGIN
            self._report([OrderRejected(now, request, venue.owner, reason)])
            return
        events = market.engine.place(venue.owner, request, now)
        first = events[0]
        if isinstance(first, OrderAccepted | OrderCancelled):
            venue.desk.bind(own, first.order)
            if request.order_type in (OrderType.LIMIT, OrderType.POST_ONLY):
                self.limit_orders += 1
        taken = 0
        for event in events:
            if isinstance(event, Fill):
                taken += event.size_lots
                self._settle(event, market)
        if taken:
            sign = 1 if request.side > 0 else -1
            if not venue.hedged:
                memory = market.outside.memories[request.instrument_id]
                memory.on_taker_fill(sign, taken / market.lots_per_bp, False)
            for listener in self.on_taker:
                listener(venue, request, taken, market.last)
        self._report(events)

    def arrive_cancel(self, venue: FakeVenue, own: OwnOrder) -> None:
        self.messages += 1
        order = own.placed
        if order is None:
            return
        engine = self.markets[own.request.instrument_id].engine
        self._report(engine.cancel(order.order_id, int(self.env.now)))

    def arrive_amend(
        self, venue: FakeVenue, own: OwnOrder, size_lots: int | None, price_ticks: int | None
    ) -> None:
        self.messages += 1
        if own.placed is None:
            return
        engine = self.markets[own.request.instrument_id].engine
        self._report(
            engine.amend(
                own.placed.order_id,
                int(self.env.now),
                new_size_lots=size_lots,
                new_price_ticks=price_ticks,
            )
        )

    def _settle(self, fill: Fill, market: FakeMarket) -> None:
        market.last = fill.price_ticks * market.tick
        for order in (fill.maker, fill.taker):
            lots = fill.size_lots if order.side > 0 else -fill.size_lots
            self.venues[order.owner - 1].view.book(fill, lots)
        if fill.maker.remaining_lots == 0:
            self.filled_limit_orders += 1
        for listener in self.on_trade:
            listener(fill, market.last)

    def _report(self, events: Sequence[object]) -> None:
        per_owner: dict[int, list[AgentEvent]] = {}
        for event in events:
            if isinstance(event, Fill):
                per_owner.setdefault(event.maker.owner, []).append(event)
                per_owner.setdefault(event.taker.owner, []).append(event)
            elif isinstance(event, OrderRejected):
                per_owner.setdefault(event.owner, []).append(event)
            elif isinstance(event, OrderAccepted | OrderCancelled):
                if isinstance(event, OrderCancelled) and event.order.order_type in (
                    OrderType.LIMIT,
                    OrderType.POST_ONLY,
                ):
                    self.cancelled_limit_orders += 1
                per_owner.setdefault(event.order.owner, []).append(event)
        for owner, batch in per_owner.items():
            venue = self.venues[owner - 1]
            venue.later(partial(venue.deliver_all, batch))

    # the clock of the outside world

    def _clock(self) -> AgentProcess:
        second = 0
        while True:
            yield self.env.timeout(SECOND)
            second += 1
            ratios = None
            if self.depth_every_seconds and second % self.depth_every_seconds == 0:
                ratios = {name: self.depth_ratio(m) for name, m in self.markets.items()}
            for base, outside in self.outside.items():
                path = self.log_paths.get(base)
                log_price = path(second) if path else outside.log_path
                mine = None
                if ratios is not None:
                    mine = {name: ratios[name] for name in outside.memories}
                outside.on_second(log_price, mine)
            for market in self.markets.values():
                mid = market.mid()
                if mid == mid:
                    basis = log(mid) - market.outside.log_price
                    market.smoothed_basis += (basis - market.smoothed_basis) / 30.0
            for listener in self.on_second:
                listener(second)

    def depth_ratio(self, market: FakeMarket) -> float:
        """Mean depth of both sides within 1 % over the usual 100 units."""
        bid, ask = market.best_bid_ticks(), market.best_ask_ticks()
        if bid is None or ask is None:
            return 0.01
        bids = market.volume_within(Side.BUY, int(bid * 0.99))
        asks = market.volume_within(Side.SELL, int(ask * 1.01))
        return (bids + asks) / 2.0 / (100.0 * market.lots_per_bp)
