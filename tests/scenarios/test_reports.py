"""What a trader hears of his own orders: the kinds he names, a latency later, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.base import (
    EVERYTHING,
    FILLS,
    NOTHING,
    Agent,
    AgentContext,
    AgentEvent,
    AgentProcess,
    OwnOrder,
)
from agents.parameters import CapitalParameters
from exchange.events import Fill, OrderAccepted, OrderAmended, OrderCancelled, OrderRejected
from exchange.order import OrderRequest, OrderType, Side
from scenarios.run import run_scenario

SMALL = Path(__file__).parent / "small_crash.toml"
SWAP = "BTC-USDT-SWAP"
Kinds = frozenset[type[AgentEvent]]


class Listener(Agent):
    """Rests a bid, amends it, cancels it; buys; asks for too much. Then notes what it knows."""

    def __init__(self, context: AgentContext, parameters: ListenerParameters) -> None:
        super().__init__(context)
        self.parameters = parameters
        self.hears = parameters.hears  # type: ignore[misc]  # per agent, for the test

    def run(self) -> AgentProcess:
        yield self.sleep(1)
        market, venue = self.venue.market(SWAP), self.venue
        best = market.best_ask_ticks()
        assert best is not None
        low = best - best // 100
        bid = venue.submit(OrderRequest(SWAP, Side.BUY, OrderType.LIMIT, 10, low))
        yield self.sleep(1)
        self.parameters.acceptance_known.append(bid.order is not None)
        venue.amend(bid, price_ticks=low - 1)
        yield self.sleep(1)
        venue.cancel(bid)
        bought = self.take(market, 10)
        assert bought is not None
        refused = venue.submit(OrderRequest(SWAP, Side.BUY, OrderType.LIMIT, 10**7, low))
        yield self.sleep(1)
        self.parameters.orders.extend((bid, bought, refused))

    def on_event(self, event: AgentEvent) -> None:
        super().on_event(event)
        self.parameters.heard.append(type(event))


@dataclass(frozen=True, kw_only=True)
class ListenerParameters(CapitalParameters):
    kind: str = "listener"
    hears: Kinds = EVERYTHING
    heard: list[type] = field(default_factory=list)
    orders: list[OwnOrder] = field(default_factory=list)
    acceptance_known: list[bool] = field(default_factory=list)

    def build(self, context: AgentContext) -> Agent:
        return Listener(context, self)


def listened(hears: Kinds) -> tuple[ListenerParameters, str]:
    """What an agent that hears these kinds has heard, and the event hash of the run."""
    listener = ListenerParameters(balances_usd={"USDT": 20_000.0}, hears=hears)
    overrides = {"market.end": "2020-03-12T10:34:10Z"}
    summary = run_scenario(SMALL, 1, overrides, keep=False, extra_agents=(("listener", listener),))
    return listener, summary["event_hash"]


@pytest.mark.parametrize("hears", [EVERYTHING, FILLS, NOTHING, frozenset((OrderRejected,))])
def test_it_hears_what_it_names(hears: Kinds) -> None:
    listener, _ = listened(hears)
    story = [OrderAccepted, OrderAmended, OrderCancelled, OrderAccepted, Fill, OrderRejected]
    assert listener.heard == [kind for kind in story if kind in hears]


def test_its_orders_are_kept_up_to_date_whatever_it_hears() -> None:
    hashes = set()
    for hears in (EVERYTHING, NOTHING):
        listener, event_hash = listened(hears)
        hashes.add(event_hash)
        bid, bought, refused = listener.orders
        assert listener.acceptance_known == [OrderAccepted in hears]
        assert [own.is_done for own in (bid, bought, refused)] == [True, True, True]
        assert [own.remaining_lots for own in (bid, bought)] == [10, 0]
        assert bought.order is not None and refused.order is None
    assert len(hashes) == 1  # what is not reported changes nothing for the exchange
