"""A trader who isolates, in a crash: his margin is gone, the rest of his account is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from agents.base import Agent, AgentContext, AgentProcess
from agents.parameters import CapitalParameters
from exchange.order import OrderRequest, OrderType, Side
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation

SMALL = Path(__file__).parent / "small_crash.toml"
SWAP = "BTC-USDT-SWAP"


class Isolating(Agent):
    """Buys 2 BTC with isolated margin after a second and holds."""

    def run(self) -> AgentProcess:
        yield self.sleep(1)
        best = self.venue.market(SWAP).best_ask_ticks()
        assert best is not None
        limit = best + best // 200
        self.venue.submit(OrderRequest(SWAP, Side.BUY, OrderType.IOC, 20_000, limit, isolated=True))


@dataclass(frozen=True, kw_only=True)
class IsolatingParameters(CapitalParameters):
    kind: str = "isolating"

    def build(self, context: AgentContext) -> Agent:
        return Isolating(context)


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Run, Simulation]:
    started: list[Simulation] = []
    folder = tmp_path_factory.mktemp("isolated") / "run"
    trader = IsolatingParameters(balances_usd={"USDT": 50_000.0})

    def on_start(simulation: Simulation) -> None:
        started.append(simulation)
        house = simulation.house
        (own,) = [account for account in house.accounts if "isolating" in account.name]
        assert house.isolated.set_leverage(own, house.listings[SWAP], 80.0) is None

    summary = run_scenario(
        SMALL, out=folder, extra_agents=(("isolating", trader),), on_start=on_start
    )
    return summary, Run.load(folder), started[0]


def test_the_position_falls_alone(crash: tuple[dict[str, Any], Run, Simulation]) -> None:
    summary, run, simulation = crash
    assert set(summary["conservation_error_atoms"].values()) == {0}
    (holder,) = [a for a in simulation.house.accounts if a.parent is not None]
    trader = holder.parent
    assert trader is not None
    steps = run.liquidations.filter(pl.col("account") == holder.number)
    assert "ISOLATED" in {stage.upper() for stage in steps["stage"].to_list()}
    assert holder.positions[simulation.house.listings[SWAP].number].lots == 0
    cash = simulation.house.ledger.balances[trader.balances["USDT"].cash]
    assert 30_000 * 10**8 < cash < 50_000 * 10**8
    states = run.states.filter(pl.col("account") == trader.number)
    assert states.is_empty()
    assert run.account_names[holder.number] == f"{trader.name}/isolated/{SWAP}"
    bought = run.fills.filter(pl.col("taker") == holder.number)
    assert bought["size_lots"].sum() > 0
    assert run.fills.filter(pl.col("taker") == trader.number).is_empty()
