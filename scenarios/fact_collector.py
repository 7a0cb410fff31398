"""What the stylised facts of one simulated day are computed from, kept in memory while it runs.

`FactCollector` takes the simulation's events in place of a recorder: a day has two million messages
and its facts need a few arrays. One book is watched.

Source: calibration.md (the twelve bands); ecology.md section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, log, nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from accounts.events import Marks, RiskAction
from exchange.events import Fill, OrderAccepted, OrderCancelled
from exchange.order import Order, OrderType, Side
from scenarios.facts import Floats, Metaorder, log_returns

if TYPE_CHECKING:
    from scenarios.simulation import Simulation

MINUTE_NS = 60 * 10**9
DAY_S = 86_400.0
DEPTH_BPS = (1, 2, 3, 5, 7, 10)
"""Distances from the mid at which cumulative depth is looked at."""
_RESTING = frozenset(
    (OrderType.LIMIT, OrderType.POST_ONLY, OrderType.MMP, OrderType.MMP_AND_POST_ONLY)
)


@dataclass(slots=True)
class DayFacts:
    """One simulated day of one book.

    returns: float64 (minutes,), log mid; volumes: lots traded in each of these minutes; signs: one
    +1 or -1 per taker order that traded; depth: coins or contracts within `DEPTH_BPS`, mean of both
    sides and of all looks, in units of the usual depth; one_tick_share: of the looks, one a second;
    limit_orders, cancelled: orders that rest, and those of them that were cancelled.
    liquidated: accounts with forced orders.
    """

    seed: int
    seconds: float
    returns: Floats
    volumes: Floats
    signs: Floats
    metaorders: list[Metaorder]
    depth: Floats
    one_tick_share: float
    limit_orders: int
    cancelled: int
    liquidated: int
    messages: int
    prices: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(slots=True)
class _Working:
    """A metaorder while it runs."""

    sign: int
    first_log: float
    last_log: float = nan
    lots: int = 0
    children: int = 0
    last_order: int = 0


class FactCollector:
    """Emits nothing, remembers what `DayFacts` needs. O(1) an event, O(levels within 10 bps) a
    minute."""

    def __init__(self, instrument_id: str) -> None:
        self.instrument_id = instrument_id
        self.limit_orders = self.cancelled = self.messages = 0
        self._liquidated: set[int] = set()
        self._signs: list[int] = []
        self._last_taker = 0
        self._metaorders: dict[tuple[int, str], _Working] = {}
        self._last_log = nan
        self._minute_lots = 0
        self._mids: list[float] = []
        self._lots: list[int] = []
        self._looks = self._one_tick = 0
        self._depth = np.zeros(len(DEPTH_BPS))
        self._depth_looks = 0
        self._next_minute_ns = 0
        self._simulation: Simulation | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            OrderAccepted: self._accepted,
            OrderCancelled: self._cancelled,
            Fill: self._filled,
            Marks: self._marked,
            RiskAction: self._forced,
        }

    def watch(self, simulation: Simulation) -> None:
        """Start: before this the book stands still."""
        self._simulation = simulation
        listing = simulation.house.listings[self.instrument_id]
        self._book = listing.engine.book
        self._unit = simulation.markets[self.instrument_id].lots_per_bp
        self._next_minute_ns = simulation.path.start_ns + MINUTE_NS

    def __call__(self, event: object) -> None:
        """Take one event."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _mine(self, order: Order) -> bool:
        return self._simulation is not None and (
            order.instrument.instrument_id == self.instrument_id
        )

    def _accepted(self, event: OrderAccepted) -> None:
        self.messages += 1
        order = event.order
        if order.order_type in _RESTING and self._mine(order):
            self.limit_orders += 1

    def _cancelled(self, event: OrderCancelled) -> None:
        order = event.order
        if order.order_type in _RESTING:
            self.messages += 1
            if self._mine(order):
                self.cancelled += 1

    def _filled(self, event: Fill) -> None:
        taker = event.taker
        if not self._mine(taker):
            return
        sign = 1 if taker.side > 0 else -1
        self._minute_lots += event.size_lots
        if taker.order_id != self._last_taker:
            self._last_taker = taker.order_id
            self._signs.append(sign)
        if ":" in taker.client_order_id:
            self._child(taker, sign, event.size_lots)

    def _child(self, taker: Order, sign: int, lots: int) -> None:
        """A metaorder's child has traded: the mid before the first, the mid after the last."""
        key = (taker.owner, taker.client_order_id.partition(":")[0])
        working = self._metaorders.get(key)
        if working is None:
            working = self._metaorders[key] = _Working(sign, self._last_log)
        working.lots += lots
        if taker.order_id != working.last_order:
            working.last_order = taker.order_id
            working.children += 1
        working.last_log = self._log_mid()

    def _log_mid(self) -> float:
        bid, ask = self._book.best_bid(), self._book.best_ask()
        return nan if bid is None or ask is None else log(0.5 * (bid + ask))

    def _marked(self, event: Marks) -> None:
        if self._simulation is None:
            return
        book = self._book
        bid, ask = book.best_bid(), book.best_ask()
        self._looks += 1
        if bid is None or ask is None:
            self._last_log = nan
        else:
            self._last_log = log(0.5 * (bid + ask))
            self._one_tick += ask - bid == 1
        if event.time_ns >= self._next_minute_ns:
            self._next_minute_ns += MINUTE_NS
            self._mids.append(self._last_log)
            self._lots.append(self._minute_lots)
            self._minute_lots = 0
            if bid is not None and ask is not None:
                self._look_deep(0.5 * (bid + ask))

    def _look_deep(self, mid: float) -> None:
        self._depth_looks += 1
        for i, bps in enumerate(DEPTH_BPS):
            low, high = int(mid * (1 - bps * 1e-4)), int(mid * (1 + bps * 1e-4))
            lots = self._book.volume_within(Side.BUY, low) + self._book.volume_within(
                Side.SELL, high
            )
            self._depth[i] += lots / (2.0 * self._unit)

    def _forced(self, event: RiskAction) -> None:
        if event.filled_lots:
            self._liquidated.add(event.account)

    def facts(self, seed: int) -> DayFacts:
        """The day's facts once it has run. O(minutes + orders)."""
        assert self._simulation is not None
        path = self._simulation.path
        seconds = (path.end_ns - path.start_ns) / 1e9
        prices = np.exp(np.array(self._mids))
        returns = log_returns(prices)
        volumes = np.array(self._lots[1:], dtype=np.float64)
        volumes = volumes[np.isfinite(np.diff(np.log(prices)))]
        volatility = float(returns.std()) * sqrt(DAY_S / 60.0) if returns.size else 0.0
        daily_lots = sum(self._lots) * DAY_S / seconds
        tick = self._simulation.markets[self.instrument_id].tick
        return DayFacts(
            seed,
            seconds,
            returns,
            volumes,
            np.array(self._signs, dtype=np.float64),
            _scaled(self._metaorders, volatility, daily_lots),
            self._depth / max(1, self._depth_looks),
            self._one_tick / max(1, self._looks),
            self.limit_orders,
            self.cancelled,
            len(self._liquidated),
            self.messages,
            prices * tick,
        )


def _scaled(
    metaorders: dict[tuple[int, str], _Working], volatility: float, daily_lots: float
) -> list[Metaorder]:
    """Sizes as shares of a day's volume, moves in days' volatilities."""
    if not (volatility > 0.0 and daily_lots > 0.0):
        return []
    return [
        Metaorder(m.sign, m.lots / daily_lots, (m.last_log - m.first_log) / volatility, m.children)
        for m in metaorders.values()
        if isfinite(m.first_log) and isfinite(m.last_log)
    ]
