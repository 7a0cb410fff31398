"""The whole thing, run: repeatable, conserved at every event, and causes that can be read."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.events import RiskAction, StateChange
from accounts.portfolio import portfolio_of
from risk import order_tables as t
from risk.margin import margin_report
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation

SMALL = Path(__file__).parent / "small_crash.toml"

PROMISED = [
    "scenario",
    "seed",
    "event_hash",
    "simulated_seconds",
    "wall_seconds",
    "accounts",
    "orders",
    "rejected_orders",
    "fills",
    "traded_notional_usd",
    "warnings",
    "cancelled_orders",
    "liquidated_accounts",
    "liquidated_notional_usd",
    "bankrupt_accounts",
    "bad_debt_usd",
    "insurance_fund_usd",
    "uncovered_loss_usd",
    "conservation_error_atoms",
]


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Run]:
    folder = tmp_path_factory.mktemp("crash") / "run"
    summary = run_scenario(SMALL, out=folder)
    return summary, Run.load(folder)


def test_summary_has_the_promised_fields(crash: tuple[dict[str, Any], Run]) -> None:
    summary, run = crash
    assert set(PROMISED) <= set(run.summary)
    assert set(run.summary["insurance_fund_usd"]) == {"start", "minimum", "end"}
    assert summary["simulated_seconds"] == 360.0
    assert set(summary["conservation_error_atoms"].values()) == {0}


def test_same_seed_same_hash_other_seed_another(crash: tuple[dict[str, Any], Run]) -> None:
    again = run_scenario(SMALL, keep=False)
    assert again["event_hash"] == crash[0]["event_hash"]
    other = run_scenario(SMALL, seed=2, keep=False)
    assert other["event_hash"] != crash[0]["event_hash"]


def test_hash_does_not_depend_on_hash_randomisation(crash: tuple[dict[str, Any], Run]) -> None:
    code = (
        "from scenarios.run import run_scenario;"
        f"print(run_scenario({str(SMALL)!r}, keep=False)['event_hash'])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == crash[0]["event_hash"]


def test_crash_liquidates_longs_for_a_reason_that_can_be_read(
    crash: tuple[dict[str, Any], Run],
) -> None:
    summary, run = crash
    assert summary["liquidated_accounts"] > 0
    states = run.states.to_dicts()
    actions = run.liquidations.to_dicts()
    fell = {row["account"]: row for row in states if row["state"] == "liquidating"}
    known: set[int] = set()
    for action in actions:
        if action["stage"] in ("fund_unwind", "deleveraging"):
            continue
        cause = fell[action["account"]]
        assert cause["time_ns"] <= action["time_ns"]
        assert cause["margin_ratio"] <= 1.0
        assert action["trigger_id"] == 0 or action["trigger_id"] in known
        known.add(action["action_id"])
    sold = {a["side"] for a in actions if a["stage"] == "standard" and a["filled_lots"]}
    assert "sell" in sold


def test_open_interest_is_the_sum_of_all_long_positions() -> None:
    held: dict[str, int] = {}
    last: list[Simulation] = []
    run_scenario(SMALL, keep=False, on_start=last.append)
    simulation = last[0]
    instruments = simulation.instruments
    for account in simulation.house.accounts:
        for number, position in account.positions.items():
            name = instruments[number].instrument_id
            held[name] = held.get(name, 0) + max(0, position.lots)
    found = [listing.open_interest_lots for listing in simulation.house.by_number]
    assert found == [held.get(i.instrument_id, 0) for i in instruments]
    assert max(found) > 0


class Auditor:
    """Checks the law of money after every single event."""

    def __init__(self) -> None:
        self.simulation: Simulation | None = None
        self.events = 0
        self.seen: set[type] = set()

    def watch(self, simulation: Simulation) -> None:
        self.simulation = simulation
        inner = simulation.house.emit

        def emit(event: Any) -> None:
            inner(event)
            self.events += 1
            self.seen.add(type(event))
            self.check()

        simulation.house.emit = emit

    def check(self) -> None:
        assert self.simulation is not None
        house = self.simulation.house
        assert set(house.ledger.conservation_error().values()) == {0}
        for name, atoms in zip(house.ledger.names, house.ledger.balances, strict=True):
            if name.startswith("cash/"):
                assert atoms >= 0, name


def test_money_is_conserved_after_every_event() -> None:
    auditor = Auditor()
    short = {"market.end": "2020-03-12T10:36:00Z"}
    run_scenario(SMALL, overrides=short, keep=False, on_start=auditor.watch)
    assert auditor.events > 1000
    assert {RiskAction, StateChange} <= auditor.seen
    assert auditor.simulation is not None
    house = auditor.simulation.house
    for listing in house.by_number:
        held = [a.positions.get(listing.number) for a in house.accounts]
        assert sum(position.lots for position in held if position is not None) == 0
        if not listing.is_spot and not listing.is_option:
            for position in held:
                if position is not None:
                    assert house.ledger.balances[position.ledger] == position.cost_atoms


def test_margin_inside_equals_the_unrounded_report() -> None:
    """Within 1e-5, for every account at the end of the crash."""
    simulations: list[Simulation] = []
    run_scenario(SMALL, keep=False, on_start=simulations.append)
    house = simulations[0].house
    for account in house.accounts:
        figures = house.exposures.figures(account.number)
        report = margin_report(portfolio_of(house, account), house.rules)
        scale = max(1.0, abs(report.eq), report.total_imr)
        assert abs(figures[t.T_ADJUSTED] - report.eq) <= 1e-5 * scale
        assert abs(figures[t.T_MMR] - report.total_mmr) <= 1e-5 * scale
        assert abs(figures[t.T_IMR] - report.total_imr) <= 1e-5 * scale


def test_quiet_minutes_liquidate_nobody() -> None:
    summary = run_scenario("calm-day", overrides={"market.end": "2025-06-02T00:05:00Z"}, keep=False)
    assert summary["liquidated_accounts"] == summary["bankrupt_accounts"] == 0
    assert summary["fills"] > 100


def test_own_event_from_a_file(tmp_path: Path) -> None:
    """A user's bars: the path goes where they say, at another price level."""
    rows = ["time,series,step,open,high,low,close"]
    for minute in range(10):
        price = 100.0 - 3.0 * minute
        rows.append(
            f"2022-11-08T00:{minute:02d}:00Z,BTC-USDT,1m,{price},{price},{price - 3},{price - 3}"
        )
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows) + "\n")
    overrides = [
        f"market.path={path}",
        "market.start=2022-11-08T00:00:00Z",
        "market.end=2022-11-08T00:10:00Z",
        "market.own_index_share=0.0",
    ]
    folder = tmp_path / "run"
    summary = run_scenario(SMALL, overrides=overrides, out=folder)
    marks = Run.load(folder).marks
    assert summary["liquidated_accounts"] > 0
    assert marks["index"][0] == pytest.approx(100.0, rel=1e-3)
    assert marks["index"].min() == pytest.approx(70.0, rel=0.1)


def test_a_run_leaves_the_garbage_collector_as_it_was() -> None:
    short = {"market.end": "2020-03-12T10:34:05Z"}
    before = gc.get_threshold()
    gc.disable()
    try:
        run_scenario(SMALL, 1, short, keep=False)
        assert not gc.isenabled() and gc.get_threshold() == before
    finally:
        gc.enable()
    run_scenario(SMALL, 1, short, keep=False)
    assert gc.isenabled() and gc.get_threshold() == before
