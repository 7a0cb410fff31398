"""Metaorder executors: large orders cut into children. They make sign memory and volume.

Source: ecology.md section 3; Lillo, Mike and Farmer 2005; sizes from the measured tail index
1.05 of calibration.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import tanh
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import FILLS, Agent, AgentContext, AgentEvent, AgentProcess, allowed_limit
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, Setup, trading_balances
from exchange.events import Fill
from exchange.order import OrderRequest, OrderType, Side


@dataclass(frozen=True, kw_only=True)
class MetaorderTakerParameters(AgentParameters):
    """Several metaorders live in one account; each market event sends one child of one of them."""

    kind: Literal["metaorder_taker"] = "metaorder_taker"
    instrument_id: Annotated[str, doc("the book")] = "BTC-USDT-SWAP"
    metaorders: Annotated[
        int, Interval(ge=1, le=1000), doc("live at a time; more of them, less sign memory")
    ] = 5
    length_exponent: Annotated[
        float, Interval(gt=0.5, le=5), doc("tail index of the number of children")
    ] = 1.5
    maximum_children: Annotated[int, Interval(ge=1, le=1_000_000), doc("longest metaorder")] = 2000
    events_per_second: Annotated[
        float, Interval(gt=0, le=1000), Unit("1/s"), doc("children a second on a usual day")
    ] = 1.0
    activity_cap: Annotated[
        float,
        Interval(ge=1, le=1000),
        doc("the pace follows activity up to this factor; beyond it the children grow"),
    ] = 12.0
    growth_cap: Annotated[
        float, Interval(ge=1, le=1000), doc("children grow at most by this factor")
    ] = 8.0
    smallest: Annotated[
        float, Interval(gt=0, le=100), Unit("units of depth"), doc("smallest child")
    ] = 0.25 / 22.0
    size_exponent: Annotated[float, Interval(gt=0.2, le=5), doc("tail index of a child's size")] = (
        1.2
    )
    largest: Annotated[
        float, Interval(gt=0, le=1000), Unit("units of depth"), doc("largest child")
    ] = 25.0 / 22.0
    protection: Annotated[
        float, Interval(gt=0, le=0.5), doc("children are IOC, limited this far beyond the best")
    ] = 0.01
    position_limit: Annotated[
        float,
        Interval(gt=0, le=1e6),
        Unit("units of depth"),
        doc("net position at which a new metaorder is 88 % likely to reduce it"),
    ] = 400.0
    capital: Annotated[
        float, Interval(gt=0, le=1e6), Unit("units of depth"), doc("starting money")
    ] = 800.0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        usd = self.capital * setup.depth_unit_usd(self.instrument_id)
        return [trading_balances(setup, self.instrument_id, usd, self.account_mode)]

    def build(self, context: AgentContext) -> MetaorderTaker:
        return MetaorderTaker(context, self)


class Metaorder:
    """A sign and a number of children; `number` identifies it in its children's client ids.

    What became of it, as reported: traded_children, filled_lots, and the times of its first and
    last fill at the exchange (0: none).
    """

    __slots__ = (
        "_last_order_id",
        "children",
        "filled_lots",
        "first_ns",
        "last_ns",
        "number",
        "remaining",
        "sign",
        "traded_children",
    )

    def __init__(self, number: int, sign: int, children: int) -> None:
        self.number = number
        self.sign = sign
        self.children = children
        self.remaining = children
        self.traded_children = self.filled_lots = 0
        self.first_ns = self.last_ns = self._last_order_id = 0

    def note(self, fill: Fill) -> None:
        """Take a fill of one of its children."""
        self.first_ns = self.first_ns or fill.time_ns
        self.last_ns = fill.time_ns
        self.filled_lots += fill.size_lots
        if fill.taker.order_id != self._last_order_id:
            self._last_order_id = fill.taker.order_id
            self.traded_children += 1


class MetaorderTaker(Agent):
    """See `MetaorderTakerParameters`. Client ids of children are `number:child`; `history` holds
    every metaorder since the start, number n at place n - 1, for measuring their impact."""

    hears = FILLS

    def __init__(self, context: AgentContext, parameters: MetaorderTakerParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        unit = self.market.lots_per_bp
        self._smallest = p.smallest * unit
        self._largest = p.largest * unit
        self._position_limit = p.position_limit * unit
        self.history: list[Metaorder] = []
        self.live = [self._new_metaorder() for _ in range(p.metaorders)]

    def run(self) -> AgentProcess:
        p = self.parameters
        env = self.env
        draws = self.draws
        while True:
            pace = p.events_per_second * min(self.market.stress.activity, p.activity_cap)
            yield env.timeout(draws.exponential_ns(1.0 / pace))
            self.send_child()

    def on_event(self, event: AgentEvent) -> None:
        super().on_event(event)
        if type(event) is Fill and event.taker.owner == self.venue.owner:
            number = int(event.taker.client_order_id.partition(":")[0])
            self.history[number - 1].note(event)

    def send_child(self) -> None:
        """Send one child of one live metaorder; an empty opposite side costs the child."""
        p = self.parameters
        draws = self.draws
        slot = draws.below(len(self.live))
        metaorder = self.live[slot]
        growth = min(max(self.market.stress.activity / p.activity_cap, 1.0), p.growth_cap)
        size = draws.pareto(self._smallest, p.size_exponent, self._largest) * growth
        child = metaorder.children - metaorder.remaining
        metaorder.remaining -= 1
        if metaorder.remaining <= 0:
            self.live[slot] = self._new_metaorder()
        best = self.market.best_ask_ticks() if metaorder.sign > 0 else self.market.best_bid_ticks()
        if best is None:
            return
        side = Side.BUY if metaorder.sign > 0 else Side.SELL
        limit = max(1, int(best * (1.0 + metaorder.sign * p.protection)))
        self.venue.submit(
            OrderRequest(
                p.instrument_id,
                side,
                OrderType.IOC,
                max(1, int(size + 0.5)),
                allowed_limit(self.market, side, limit),
                f"{metaorder.number}:{child}",
            )
        )

    def _new_metaorder(self) -> Metaorder:
        p = self.parameters
        position = self.bought_lots.get(p.instrument_id, 0)
        to_buy = 0.5 - 0.5 * tanh(position / self._position_limit)
        length = int(self.draws.pareto(1.0, p.length_exponent, p.maximum_children))
        made = Metaorder(len(self.history) + 1, self.draws.sign(to_buy), length)
        self.history.append(made)
        return made
