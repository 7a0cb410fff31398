"""Market makers: depth, spread, cancellations; liquidity that answers to volatility, inventory and
losses, withdraws in stress and comes back.

Source: ecology.md section 3 (figures); Avellaneda and Stoikov 2008 (inventory skew), Bouchaud et
al. 2018 (depth against volatility), Kirilenko et al. 2017 (withdrawal).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, log
from typing import Annotated, Literal

from annotated_types import Interval, Len, Unit, doc

from agents.base import BUY, SECOND, SELL, Agent, AgentContext, AgentEvent, AgentProcess, MarketView
from agents.draws import Draws
from agents.ladder import Ladder
from agents.parameters import AgentParameters, require_rising
from agents.setup import AccountPlan, Setup, trading_balances
from exchange.events import Fill, OrderRejected, RejectReason
from exchange.order import Side

OFFSETS_BP = (0.0, 0.4, 1.0, 2.0, 3.5, 5.5, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0, 160.0)
PRICE_LIMITS = (RejectReason.PRICE_LIMIT_BUY, RejectReason.PRICE_LIMIT_SELL)
FIRST_GAP_BP = 0.2
LAST_GAP_BP = 60.0


@dataclass(frozen=True, kw_only=True)
class MarketMakerParameters(AgentParameters):
    """A group of `count` makers of one book; maker k is slower and wider than maker k-1."""

    kind: Literal["market_maker"] = "market_maker"
    count: Annotated[int, Interval(ge=1, le=50), doc("makers who share the depth")] = 4
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    wake_seconds: Annotated[
        float, Interval(ge=0.05, le=600), Unit("s"), doc("mean time between looks of maker 0")
    ] = 1.0
    wake_ratio: Annotated[
        float, Interval(ge=1, le=10), doc("how much slower each next maker looks")
    ] = 2.2
    speed_up_limit: Annotated[
        float, Interval(ge=1, le=20), doc("looks come faster with stress, at most this factor")
    ] = 5.0
    depth: Annotated[
        float,
        Interval(gt=0, le=100),
        Unit("units of depth"),
        doc("depth per basis point and side of the group on a calm day"),
    ] = 1.0
    offsets_bp: Annotated[
        tuple[Annotated[float, Interval(ge=0, le=5000)], ...],
        Len(2, 50),
        Unit("bp"),
        doc("distance of the levels from the half-spread, rising"),
    ] = OFFSETS_BP
    offset_stress_power: Annotated[
        float, Interval(ge=0, le=2), doc("levels move out as max(1, stress) to this power")
    ] = 0.3
    outside_weight: Annotated[
        float,
        Interval(ge=0, le=1),
        doc("weight of the outside price in the fair price; the rest is the book's microprice"),
    ] = 0.7
    skew: Annotated[
        float, Interval(ge=0, le=100), doc("shift of quotes at full inventory, in volatilities")
    ] = 3.0
    inventory_limit: Annotated[
        float,
        Interval(gt=0, le=10_000),
        Unit("bp of own depth"),
        doc("Q: inventory beyond which the side that adds to it is not quoted"),
    ] = 40.0
    inventory_fade_seconds: Annotated[
        float,
        Interval(gt=0, le=1e6),
        Unit("s"),
        doc("inventory counts less as it is hedged elsewhere; maker k fades k+1 times slower"),
    ] = 60.0
    half_spread: Annotated[
        float,
        Interval(ge=0, le=10),
        Unit("volatilities"),
        doc("half-spread per excess of volatility over 1.5 times its norm; 0 on a calm day"),
    ] = 0.21
    half_spread_ratio: Annotated[
        float, Interval(ge=1, le=5), doc("how much wider each next maker is")
    ] = 1.35
    size_log_sd: Annotated[float, Interval(ge=0, le=2), doc("sd of the log of an order's size")] = (
        0.4
    )
    tolerance: Annotated[
        float,
        Interval(ge=0, le=2),
        Unit("gaps"),
        doc("an order stays within this part of the smaller gap to its neighbours (not the touch)"),
    ] = 0.3
    loss_limit: Annotated[
        float,
        Interval(gt=0, le=1),
        Unit("Q"),
        doc("marked loss over two minutes, relative to full inventory, that makes it withdraw"),
    ] = 0.012
    withdrawn_depth: Annotated[
        float, Interval(ge=0, le=1), doc("share of its depth that a withdrawn maker shows")
    ] = 0.05
    withdrawal_seconds: Annotated[
        float, Interval(gt=0, le=1e6), Unit("s"), doc("mean time of withdrawal")
    ] = 420.0
    return_seconds: Annotated[
        float, Interval(gt=0, le=1e6), Unit("s"), doc("time constant of the return after it")
    ] = 1200.0
    capital: Annotated[
        float,
        Interval(gt=0, le=1e6),
        Unit("units of depth"),
        doc("starting money of one maker; ample, so that the venue never liquidates a maker"),
    ] = 400.0

    refusal_seconds: Annotated[
        float,
        Interval(ge=0, le=1e6),
        Unit("s"),
        doc(
            "it takes a side away after an order refused there for margin or a limit of its account"
        ),
    ] = 600.0

    def __post_init__(self) -> None:
        require_rising("offsets_bp", self.offsets_bp)

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> MarketMaker:
        return MarketMaker(context, self)


def half_gaps(offsets: tuple[float, ...]) -> list[float]:
    """Width of book, bp, that each level stands for: half of its two gaps to its neighbours."""
    edges = [
        FIRST_GAP_BP,
        *(b - a for a, b in pairwise(offsets)),
        LAST_GAP_BP,
    ]
    return [(edges[i] + edges[i + 1]) / 2 for i in range(len(offsets))]


def smaller_gaps(offsets: tuple[float, ...]) -> list[float]:
    """Smaller gap of each level, bp; 0 for the touch, which knows no tolerance."""
    edges = [0.0, *(b - a for a, b in pairwise(offsets)), LAST_GAP_BP]
    return [min(edges[i], edges[i + 1]) for i in range(len(offsets))]


def microprice(market: MarketView, bid_ticks: int, ask_ticks: int) -> float:
    """Mid in ticks, weighted towards the side with less size at the touch."""
    bid_lots = market.level_lots(BUY, bid_ticks)
    ask_lots = market.level_lots(SELL, ask_ticks)
    total = bid_lots + ask_lots
    if total <= 0:
        return 0.5 * (bid_ticks + ask_ticks)
    return (bid_ticks * ask_lots + ask_ticks * bid_lots) / total


class MarketMaker(Agent):
    """Quotes a ladder around its fair price; see `MarketMakerParameters`."""

    hears = frozenset((Fill, OrderRejected))

    def __init__(self, context: AgentContext, parameters: MarketMakerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        k = context.index
        self.market = self.venue.market(p.instrument_id)
        self.depth = p.depth / p.count * self.market.lots_per_bp
        self.inventory_limit = p.inventory_limit * self.depth
        self.wake_seconds = p.wake_seconds * p.wake_ratio**k
        self.half_spread = p.half_spread * p.half_spread_ratio**k
        self.fade_seconds = p.inventory_fade_seconds * (k + 1)
        self.inventory = 0.0
        self.losses = 0.0
        self.showing = 1.0
        self.withdrawn_until_ns = -1
        self._refused_until_ns = {BUY: -1, SELL: -1}
        self._last_ns = 0
        self._last_mid = float("nan")
        self._last_fair = 0.0
        self._levels = len(p.offsets_bp)
        self._offsets = [offset * 1e-4 for offset in p.offsets_bp]
        self._widths = half_gaps(p.offsets_bp)
        self._tolerances = [p.tolerance * gap * 1e-4 for gap in smaller_gaps(p.offsets_bp)]
        self.ladder = Ladder(self.venue, p.instrument_id, self._levels, log_sd=p.size_log_sd)

    def run(self) -> AgentProcess:
        limit = self.parameters.speed_up_limit
        env = self.env
        draws = self.draws
        self._last_ns = self.now_ns
        # All makers quote at the start, so that the book opens with its usual depth.
        self.quote()
        while True:
            speed = min(max(self.market.stress.stress, 1.0), limit)
            yield env.timeout(draws.exponential_ns(self.wake_seconds / speed))
            self.quote()

    def on_event(self, event: AgentEvent) -> None:
        if type(event) is Fill:
            self.inventory += self.own_fill_lots(event)
        elif type(event) is OrderRejected and event.reason not in PRICE_LIMITS:
            until = self.now_ns + int(self.parameters.refusal_seconds * SECOND)
            self._refused_until_ns[event.request.side] = until

    def quote(self) -> None:
        """Look at the market once and bring the ladder to its targets."""
        market = self.market
        outside = market.fair_price() / market.tick
        if not outside > 0.0:
            return
        bid = market.best_bid_ticks()
        ask = market.best_ask_ticks()
        centre = outside if bid is None or ask is None else microprice(market, bid, ask)
        self._age(0.5 * (bid + ask) if bid is not None and ask is not None else centre)
        p = self.parameters
        stress = market.stress
        fair = p.outside_weight * outside + (1.0 - p.outside_weight) * centre
        fair *= 1.0 - p.skew * stress.volatility * self.inventory / self.inventory_limit
        excess = stress.volatility - stress.STRESS_MULTIPLE * stress.reference_volatility
        half_spread = self.half_spread * excess if excess > 0.0 else 0.0
        stretch = stress.stress**p.offset_stress_power if stress.stress > 1.0 else 1.0
        depth = self.depth * stress.depth_factor * self.showing
        targets = [depth * width for width in self._widths]
        tolerances = [tolerance * fair for tolerance in self._tolerances]
        top, bottom = self._others_best(SELL), self._others_best(BUY)
        bids = [
            min(int(fair * (1.0 - half_spread - offset * stretch)), top - 1)
            for offset in self._offsets
        ]
        # A fair price on a tick would put bid and offer on that tick.
        bottom = max(bottom, bids[0] if self.inventory <= self.inventory_limit else 0)
        asks = [
            max(ceil(fair * (1.0 + half_spread + offset * stretch)), bottom + 1)
            for offset in self._offsets
        ]
        # The side that steps back goes first, or the other would run into it.
        if fair > self._last_fair:
            self._move(SELL, asks, targets, tolerances)
            self._move(BUY, bids, targets, tolerances)
        else:
            self._move(BUY, bids, targets, tolerances)
            self._move(SELL, asks, targets, tolerances)
        self._last_fair = fair

    def _move(
        self, side: Side, prices: list[int], targets: list[float], tolerances: list[float]
    ) -> None:
        refused = self.now_ns < self._refused_until_ns[side]
        if refused or side * self.inventory > self.inventory_limit:
            self.ladder.withdraw(side)
        else:
            self.ladder.move(side, prices, targets, tolerances, self.draws.normal)

    def _others_best(self, side: Side) -> int:
        """Best price of a side without the maker's own orders, which are about to move: 0 or a
        very high price where nobody else quotes. It looks at three levels."""
        price = 0 if side > 0 else 1 << 60
        for price, lots in self.market.depth(side, 3):
            if lots > self.ladder.lots_at(side, price):
                break
        return price

    def _age(self, mid: float) -> None:
        """Let inventory fade, mark it to the mid, and withdraw or return."""
        p = self.parameters
        now = self.now_ns
        elapsed = (now - self._last_ns) * 1e-9
        self._last_ns = now
        if self._last_mid > 0.0:
            marked = self.inventory / self.inventory_limit * log(mid / self._last_mid)
            self.losses = self.losses * exp(-elapsed / 120.0) + marked
        self._last_mid = mid
        self.inventory *= exp(-elapsed / self.fade_seconds)
        if now < self.withdrawn_until_ns:
            return
        if self.losses < -p.loss_limit:
            self.showing = p.withdrawn_depth
            self.withdrawn_until_ns = now + self.draws.exponential_ns(p.withdrawal_seconds)
        elif self.showing < 1.0:
            self.showing = 1.0 - (1.0 - self.showing) * exp(-elapsed / p.return_seconds)
