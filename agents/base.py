"""What a trader sees and may do (`Venue`), and what a trader is (`Agent`).

A trader sees public market data and his own account and sends messages, which reach the exchange
after his latency. Nothing else: no other trader's account, no future of the price path. The
simulation implements `Venue`, one per account; `tests/agents/fake_venue.py` implements it without
a clearing side. `docs/custom-agent.md` shows an agent of 20 lines.

Time is integer nanoseconds everywhere (`env.now`, `env.timeout`); `env.now` is Unix time, because
futures and options expire at Unix times.
Source: design.md section 2, ecology.md sections 1-3.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import simpy
from numpy.random import Generator as RandomGenerator

from agents.draws import Draws
from agents.outside import StressState
from agents.own_order import OwnOrder as OwnOrder
from agents.setup import Setup
from exchange.events import Fill, OrderAccepted, OrderAmended, OrderCancelled, OrderRejected
from exchange.instrument import Instrument
from exchange.order import OrderRequest, OrderType, Side
from exchange.price_limits import PriceBand

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND

AgentEvent = OrderAccepted | OrderRejected | OrderAmended | OrderCancelled | Fill
"""What can reach `Agent.on_event`."""
EVERYTHING: Final[frozenset[type[AgentEvent]]] = frozenset(
    (OrderAccepted, OrderRejected, OrderAmended, OrderCancelled, Fill)
)
FILLS: Final[frozenset[type[AgentEvent]]] = frozenset((Fill,))
NOTHING: Final[frozenset[type[AgentEvent]]] = frozenset()
"""What an agent may hear: see `Agent.hears`."""

BUY: Final = Side.BUY
SELL: Final = Side.SELL
IOC: Final = OrderType.IOC
"""To look a member up in its enumeration takes longer than most of what an agent does with it."""

AgentProcess = Generator[simpy.Event, Any, None]
"""What `Agent.run` returns: a simpy process."""


class MarketView(Protocol):
    """Public data of one instrument. Keep the object: all methods are live and cheap.

    Prices as float are in the instrument's quote unit (options: coins), NaN while unknown.
    """

    @property
    def instrument(self) -> Instrument: ...

    @property
    def tick(self) -> float:
        """Price units per tick."""

    @property
    def lots_per_bp(self) -> float:
        """The market's size unit: usual depth within one basis point and side, in lots.

        Constant per scenario (`depth_usd_per_bp` over the first price). Agents size in it, so that
        the same parameters work at any price level and for any contract."""

    @property
    def stress(self) -> StressState:
        """Volatility and stress of the instrument's base coin, updated once a second."""

    def best_bid_ticks(self) -> int | None: ...

    def best_ask_ticks(self) -> int | None: ...

    def level_lots(self, side: Side, price_ticks: int) -> int:
        """Lots resting at one price."""

    def depth(self, side: Side, levels: int) -> list[tuple[int, int]]:
        """Best `levels` of one side as (price ticks, lots), best first."""

    def volume_within(self, side: Side, limit_ticks: int) -> int:
        """Lots resting at `limit_ticks` or better."""

    def price_limits(self) -> PriceBand:
        """Lowest sell and highest buy price that the venue accepts now, in ticks."""

    def last_price(self) -> float: ...

    def mark_price(self) -> float: ...

    def index_price(self) -> float:
        """Index of the instrument's pair, in quote currency."""

    def external_price(self) -> float:
        """Price of the same instrument outside this venue, E, on a 1 s grid; that of a future
        carries its forward over the index, as does `fair_price`."""

    def fair_price(self) -> float:
        """External price plus the part of this book's own impact that the outside has not
        followed: where a market maker without a view quotes (X + I of ecology section 3)."""

    def funding_rate(self) -> float:
        """Current estimate of the next funding rate, as a fraction; 0 where there is none."""

    def implied_volatility(self) -> float:
        """Annual volatility of the venue's mark surface for an option; NaN otherwise."""

    def forward_price(self) -> float:
        """Forward to the instrument's expiry, in quote currency; index for spot, perpetual."""


class AccountView(Protocol):
    """The trader's own account. Amounts in USD as the margin engine sees them."""

    @property
    def equity_usd(self) -> float: ...

    @property
    def margin_ratio(self) -> float:
        """Adjusted equity over maintenance margin; inf without risk."""

    @property
    def initial_margin_usd(self) -> float: ...

    @property
    def maintenance_margin_usd(self) -> float: ...

    @property
    def can_trade(self) -> bool:
        """False while the venue liquidates the account, and after its bankruptcy."""

    def position_lots(self, instrument_id: str) -> int:
        """Signed lots of a derivative; 0 for spot (see `balance`)."""

    def balance(self, currency: str) -> float:
        """Signed amount of a currency, negative = borrowed."""


class Venue(Protocol):
    """One account's connection to the exchange."""

    @property
    def now_ns(self) -> int:
        """Simulated Unix time."""

    @property
    def owner(self) -> int:
        """The account's number: `Order.owner` of own orders."""

    def instrument_ids(self) -> Sequence[str]:
        """Listed instruments, in listing order."""

    def market(self, instrument_id: str) -> MarketView:
        """Live market data. KeyError when the instrument is not listed."""

    def usd_price(self, currency: str) -> float:
        """USD value of one unit of a currency."""

    def account(self) -> AccountView: ...

    def submit(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        """Send an order; it arrives after the latency. O(1)."""

    def cancel(self, own: OwnOrder) -> None:
        """Send a cancellation; also before the acceptance is known. O(1)."""

    def amend(
        self, own: OwnOrder, *, size_lots: int | None = None, price_ticks: int | None = None
    ) -> None:
        """Send a change of size (total) or price of a resting order."""

    def cancel_all(self, instrument_id: str) -> None:
        """Cancel every live order of the account in one instrument."""

    def live_orders(self, instrument_id: str) -> Collection[OwnOrder]:
        """Own orders not known to be done, in order of submission."""


@dataclass(slots=True)
class AgentContext:
    """All that an agent is given. `venues` holds one connection per account of the agent (most
    agents have one); `name` is unique in a run and names the random stream, as in
    `market_maker/3`; `index` counts the agents of one entry of the scenario from 0."""

    name: str
    env: simpy.Environment
    venues: tuple[Venue, ...]
    rng: RandomGenerator
    setup: Setup
    index: int = 0

    @property
    def venue(self) -> Venue:
        return self.venues[0]


def allowed_limit(market: MarketView, side: Side, limit_ticks: int) -> int:
    """A limit price, or the nearest that the venue's price limits let an order of the side have."""
    band = market.price_limits()
    if side > 0:
        return min(limit_ticks, band.high_ticks)
    return max(limit_ticks, band.low_ticks)


class Agent:
    """A trader: a simpy process with one venue connection. Override `run`, maybe `on_event`.

    hears: the kinds of reports that reach `on_event`. His own orders are kept up to date without
    it. Where OrderAccepted is not among them, an order that rests costs no message back.
    """

    hears: ClassVar[frozenset[type[AgentEvent]]] = EVERYTHING

    def __init__(self, context: AgentContext) -> None:
        self.name = context.name
        self.env = context.env
        self.venue = context.venue
        self.draws = Draws(context.rng)
        self.bought_lots: dict[str, int] = {}
        """net lots bought since the start, by instrument, as far as fills have been reported"""

    @property
    def now_ns(self) -> int:
        """Simulated Unix time."""
        return int(self.env.now)

    def start(self) -> simpy.Process:
        """Begin to act; called once by the simulation, after the books are seeded."""
        return self.env.process(self.run())

    def run(self) -> AgentProcess:
        """The agent's life: yield timeouts, act in between."""
        raise NotImplementedError(f"{type(self).__name__} must define run()")

    def on_event(self, event: AgentEvent) -> None:
        """A report about an own order, after the latency. The default keeps `bought_lots`."""
        if type(event) is Fill:
            name = event.instrument.instrument_id
            self.bought_lots[name] = self.bought_lots.get(name, 0) + self.own_fill_lots(event)

    def sleep(self, seconds: float) -> simpy.Timeout:
        """Timeout of the given simulated seconds, to be yielded."""
        return self.env.timeout(int(seconds * SECOND))

    def sleep_exponential(self, mean_seconds: float) -> simpy.Timeout:
        """Timeout of an exponential time, to be yielded: a Poisson clock."""
        return self.env.timeout(self.draws.exponential_ns(mean_seconds))

    def take(
        self, market: MarketView, signed_lots: int, protection: float = 0.01, tag: int = 0
    ) -> OwnOrder | None:
        """Buy (+) or sell (-) at once: an IOC limited to `protection` beyond the opposite best.

        Returns None, and sends nothing, when the opposite side is empty or outside the venue's
        price limits, or the size is 0."""
        request = self.taking_request(market, signed_lots, protection)
        return None if request is None else self.venue.submit(request, tag)

    def taking_request(
        self, market: MarketView, signed_lots: int, protection: float = 0.01
    ) -> OrderRequest | None:
        """The request that `take` sends, or None. Its limit stays inside the venue's price limits,
        where it would be refused; an opposite best beyond them cannot be taken."""
        instrument, band = market.instrument, market.price_limits()
        if signed_lots > 0:
            best = market.best_ask_ticks()
            if best is None or best > band.high_ticks:
                return None
            side = BUY
            limit = allowed_limit(market, side, int(best * (1.0 + protection)) + 1)
            limit = instrument.floor_to_grid(limit)
        else:
            best = market.best_bid_ticks()
            if best is None or signed_lots == 0 or best < band.low_ticks:
                return None
            side = SELL
            limit = allowed_limit(market, side, max(1, int(best * (1.0 - protection))))
            limit = instrument.ceil_to_grid(limit)
        return OrderRequest(instrument.instrument_id, side, IOC, abs(signed_lots), limit)

    def own_fill_lots(self, fill: Fill) -> int:
        """Signed lots of a fill as seen by this agent (+ bought, - sold), 0 if not its own."""
        owner = self.venue.owner
        if fill.maker.owner == owner:
            return fill.size_lots if fill.maker.side > 0 else -fill.size_lots
        if fill.taker.owner == owner:
            return fill.size_lots if fill.taker.side > 0 else -fill.size_lots
        return 0
