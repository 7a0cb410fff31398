"""Twin runs: one thing changed, everything else the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.config import load_scenario
from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.twin import check_twin, run_twin, run_with_twin, twin_overrides

WINDOW = ["market.start=2020-03-12T10:36:00Z", "market.end=2020-03-12T10:36:20Z"]


def test_what_makes_a_twin() -> None:
    scenario, tables, _ = load_scenario("black-thursday")
    assert twin_overrides("no-liquidation", tables) == ["venue.forced_liquidation=false"]
    assert twin_overrides("rules=okx-2021", tables) == ["rules=okx-2021"]
    modes = twin_overrides("mode=multi_currency", tables)
    assert len(modes) == len(tables["agents"]) <= len(scenario.agents)
    held = twin_overrides("mode=multi_currency", {"agents": [{}], "book": {"file": "x.csv"}})
    assert held == ["agents.0.account_mode=multi_currency", "book.mode=multi_currency"]
    changed, _, _ = load_scenario("black-thursday", modes)
    assert {agent.account_mode for agent in changed.agents} == {"multi_currency"}


@pytest.mark.parametrize("twin", ["", "liquidation", "mode=", "mode=isolated", "=1"])
def test_what_makes_none(twin: str) -> None:
    _, tables, _ = load_scenario("black-thursday")
    with pytest.raises(UserError, match="--twin"):
        twin_overrides(twin, tables)


def test_a_field_that_does_not_exist_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        run_with_twin("black-thursday", "venue.nothing=1", overrides=WINDOW, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_and_its_twin(tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = run_with_twin("black-thursday", "no-liquidation", overrides=WINDOW, out=out)
    run, twin = Run.load(out), Run.load(out / "twin")
    assert summary["metrics"] == run.summary["metrics"]
    assert run.summary["metrics"]["price"]["overshoot"] is not None
    assert twin.manifest["config"]["venue"]["forced_liquidation"] is False
    assert twin.manifest["seed"] == run.manifest["seed"]
    assert twin.liquidations.height == 0
    # The same path and the same opening positions: the runs are equal until something is forced.
    assert run.prices.head(1).drop("seq").equals(twin.prices.head(1).drop("seq"))
    assert "Against its" in (out / "report.html").read_text(encoding="utf-8")
    # Again, with another kind of twin in its place.
    run_with_twin("black-thursday", "venue.funding=false", overrides=WINDOW, out=out)
    assert Run.load(out / "twin").manifest["config"]["venue"] != twin.manifest["config"]["venue"]


def test_a_scenario_that_changed_after_the_run_has_no_twin(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    text = (Path(__file__).parent / "small_crash.toml").read_text()
    scenario.write_text(text)
    settings = ["market.end=2020-03-12T10:34:05Z"]
    run_scenario(scenario, 1, settings, tmp_path / "run")
    scenario.write_text(text.replace("wake_seconds = 4.0", "wake_seconds = 5.0"))
    with pytest.raises(UserError, match="has changed since"):
        run_twin(scenario, "no-liquidation", 1, settings, tmp_path / "run")
    assert not (tmp_path / "run" / "twin").exists()


@pytest.mark.parametrize(
    "twin", ["market.mark_interval_s=60", "venue.funding_rates=no.csv", "rules=no.toml"]
)
def test_a_twin_that_cannot_run_is_refused_before_the_run(twin: str) -> None:
    with pytest.raises(UserError, match=twin.partition("=")[0]):
        check_twin("black-thursday", twin, WINDOW)
