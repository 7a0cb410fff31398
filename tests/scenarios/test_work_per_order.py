"""What one order costs, counted and not timed: simpy events and kernel calls.

The counts are the same whatever the number of accounts, and a ladder of orders is one event on the
wire. A loop over accounts or a lost batch on the way of an order would show here at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts import exposures
from agents.base import Agent, AgentContext, AgentProcess
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, InitialPosition, Setup
from exchange.order import OrderRequest, OrderType, Side
from risk.order_calls import OrderCalls, order_calls
from scenarios.clock import Clock
from scenarios.run import run_scenario
from scenarios.simulation import Simulation
from scenarios.wire import Receiver, Wire

BOOK = "BTC-USDT-SWAP"
LEVELS = 10
LOOKS = 20
SCENARIO = """
name = "quiet"
title = "Twenty ladders in a quiet market"

[market]
start = 2025-06-02T06:00:00Z
end = 2025-06-02T06:00:25Z
instruments = ["BTC-USDT-SWAP"]
path = { kind = "calm", initial_prices = { "BTC-USDT" = 100_000.0 } }

[[agents]]
kind = "patient_bidder"
instrument_id = "BTC-USDT-SWAP"
"""


@dataclass(frozen=True, kw_only=True)
class LadderParameters(AgentParameters):
    """Two accounts that trade with each other, and `sleepers` that hold a position."""

    sleepers: int = 0

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        price = setup.markets[BOOK].price
        held = [InitialPosition(BOOK, 3 if n % 2 else -3, price) for n in range(self.sleepers)]
        plans = [AccountPlan({"USDT": 1e6}, (position,)) for position in held]
        return [AccountPlan({"USDT": 1e7}), AccountPlan({"USDT": 1e7}), *plans]

    def build(self, context: AgentContext) -> LadderAgent:
        return LadderAgent(context)


class LadderAgent(Agent):
    """Once a second: a ladder of bids from one account, a sale into it from the other."""

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context)
        self.venues = context.venues

    def run(self) -> AgentProcess:
        making, taking = self.venues[:2]
        for _ in range(LOOKS):
            yield self.sleep(1.0)
            making.cancel_all(BOOK)
            best = int(making.market(BOOK).mark_price() / making.market(BOOK).tick) - 10
            for level in range(LEVELS):
                making.submit(OrderRequest(BOOK, Side.BUY, OrderType.LIMIT, 5, best - level))
            taking.submit(OrderRequest(BOOK, Side.SELL, OrderType.IOC, 12, best - LEVELS))


class Counted:
    """Stands in for the kernels that an exchange calls and counts its calls by name."""

    def __init__(self, kernels: OrderCalls) -> None:
        self.kernels = kernels
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kernel = getattr(self.kernels, name)

        def counting(*arguments: Any) -> Any:
            self.calls[name] += 1
            return kernel(*arguments)

        return counting


def work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleepers: int
) -> tuple[Counter[str], int, int]:
    """(kernel calls, simpy events, fills) of the same orders beside so many other accounts."""
    file = tmp_path / "quiet.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    counted = Counted(order_calls())
    monkeypatch.setattr(exposures, "order_calls", lambda: counted)
    simulations: list[Simulation] = []

    def started(simulation: Simulation) -> None:
        simulations.append(simulation)
        counted.calls.clear()

    summary = run_scenario(
        file,
        extra_agents=(("ladder", LadderParameters(sleepers=sleepers)),),
        keep=False,
        on_start=started,
    )
    monkeypatch.undo()
    events = sum(wire.events for wire in simulations[0].wires.values())
    return counted.calls, events, summary["fills"]


def test_an_order_costs_the_same_among_many_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = work(tmp_path, monkeypatch, 2)
    many = work(tmp_path, monkeypatch, 300)
    assert few == many
    calls, _, fills = few
    assert fills >= 2 * LOOKS
    orders = LOOKS * (LEVELS + 1)
    assert calls["place"] >= orders
    assert sum(calls.values()) < 4 * calls["place"]


def test_a_ladder_is_one_event_each_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, events, _ = work(tmp_path, monkeypatch, 0)
    # the ladder, its cancellations and the sale go together, and so do their reports; the patient
    # bidder's few messages come on top
    assert 2 * LOOKS <= events < 4 * LOOKS


@pytest.mark.parametrize("latency_ns", [0, 5])
def test_the_wire_keeps_the_order_of_sending_and_loses_nothing(latency_ns: int) -> None:
    env = Clock(0)
    seen: list[tuple[int, str]] = []
    taken: list[int] = []  # what has arrived when the wire says that a moment's messages have
    wire = Wire(env.events, latency_ns, lambda: taken.append(len(seen)))

    class Ear(Receiver):
        def take(self, kind: int, content: str) -> None:
            assert kind == 7
            seen.append((env.time_ns, content))
            if content == "b":
                wire.send(ear, 7, "echo")

    ear = Ear()

    def sender() -> AgentProcess:
        wire.send(ear, 7, "a")
        wire.send(ear, 7, "b")
        yield env.timeout(0)
        wire.send(ear, 7, "c")  # the same moment, after other events of it
        yield env.timeout(1)
        wire.send(ear, 7, "d")

    env.process(sender())
    env.play(100)
    names = [name for _, name in seen]
    assert [name for name in names if name != "echo"] == ["a", "b", "c", "d"]
    assert names.count("echo") == 1
    times = {name: at for at, name in seen}
    assert times == {
        "a": latency_ns, "b": latency_ns, "c": latency_ns, "d": 1 + latency_ns,
        "echo": 2 * latency_ns,
    }  # fmt: skip
    assert wire.events == (5 if latency_ns == 0 else 3)
    assert taken == ([1, 2, 3, 4, 5] if latency_ns == 0 else [3, 4, 5])
