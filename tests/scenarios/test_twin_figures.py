"""A real crash against its twin: every figure recomputed from the tables in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.run_directory import Run
from scenarios.twin_figures import FIGURES, TwinFigures, aligned_marks, compare_with_twin
from tests.scenarios.margin_cases import error_line, run

SCENARIO = Path(__file__).parent / "small_crash.toml"
SHORT = ["--set", "market.end=2020-03-12T10:36:20Z"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("twins") / "run"
    shown = run("run", SCENARIO, *SHORT, "--out", place, "--twin", "no-liquidation")
    assert shown.exit_code == 0, shown.output
    assert "against the twin (no-liquidation)" in shown.stdout
    assert "False liquidations:" in shown.stdout
    return place


def _pair(folder: Path) -> tuple[Run, Run]:
    return Run.load(folder), Run.load(folder / "twin")


def test_the_command_leaves_twin_figures_and_report(folder: Path) -> None:
    here, twin = _pair(folder)
    assert twin.manifest["config"]["venue"]["forced_liquidation"] is False
    assert twin.summary["liquidated_accounts"] == 0
    assert here.summary["liquidated_accounts"] > 0
    assert here.summary["metrics"]["price"]["overshoot"] is not None
    assert "Against its" in (folder / "report.html").read_text(encoding="utf-8")
    kept = json.loads((folder / "twin" / FIGURES).read_text())
    assert TwinFigures(**kept) == compare_with_twin(here, twin, "no-liquidation")


def test_prices_are_compared_in_time(folder: Path) -> None:
    here, twin = _pair(folder)
    figures = compare_with_twin(here, twin, "no-liquidation")
    marks: list[dict[int, float]] = []
    for one in (here, twin):
        rows = one.marks.filter(one.marks["instrument"].cast(str) == figures.instrument)
        marks.append(dict(zip(rows["time_ns"].to_list(), rows["mark"].to_list(), strict=True)))
    own, other = marks
    gaps = {time: own[time] / other[time] - 1.0 for time in own if time in other}
    assert figures.largest_gap == pytest.approx(min(gaps.values()))
    assert gaps[figures.largest_gap_ns] == min(gaps.values())
    assert figures.mean_gap == pytest.approx(sum(gaps.values()) / len(gaps))
    assert figures.overshoot == pytest.approx(min(own.values()) / min(other.values()) - 1.0)
    # until the first forced order both runs are one
    first = int(here.liquidations["time_ns"].min())  # type: ignore[arg-type]
    assert all(gap == 0.0 for time, gap in gaps.items() if time < first)


def test_false_liquidations_are_those_that_the_twin_spares(folder: Path) -> None:
    here, twin = _pair(folder)
    figures = compare_with_twin(here, twin, "no-liquidation")
    forced = set(here.liquidations.filter(here.liquidations["filled_lots"] > 0)["account"])
    lowest: dict[int, float] = {}
    for account, equity in twin.accounts.select("account", "equity_usd").iter_rows():
        lowest[account] = min(equity, lowest.get(account, equity))
    spared = {account for account in forced if lowest[account] > 0.0}
    assert figures.liquidated == len(forced)
    assert figures.false_liquidations == len(spared)
    assert (figures.only_here, figures.only_in_twin) == (len(forced), 0)
    assert figures.untouched is not None and figures.untouched <= len(spared)


def test_a_run_is_no_different_from_itself(folder: Path) -> None:
    here, _ = _pair(folder)
    times, own, other = aligned_marks(here, here, "BTC-USDT-SWAP")
    assert len(times) == len(own) and (own == other).all()


def test_compare_reads_real_runs(folder: Path) -> None:
    shown = run("compare", folder, folder / "twin")
    assert shown.exit_code == 0, shown.output
    assert "forced_liquidation" in shown.stdout
    assert "liquidated accounts" in shown.stdout
    page = folder / "compare.html"
    assert run("compare", folder, folder / "twin", "--html", page).exit_code == 0
    assert page.stat().st_size > 10_000


def test_a_wrong_twin_ends_before_the_run(tmp_path: Path) -> None:
    for twin, expected in (
        ("rules=none", "rule set 'none': neither one of"),
        ("nonsense", "--twin: 'nonsense' is not no-liquidation"),
        ("venue.nothing=1", "venue.nothing: not a field of this table"),
    ):
        line = error_line("run", SCENARIO, "--out", tmp_path / "run", "--twin", twin)
        assert expected in line
        assert not (tmp_path / "run").exists()


def test_a_twin_without_snapshots_has_no_false_liquidations(tmp_path: Path) -> None:
    place = tmp_path / "run"
    less = ["--set", "recording.tables=summary", "--set", "market.end=2020-03-12T10:34:20Z"]
    shown = run("run", SCENARIO, *less, "--out", place, "--twin", "mode=multi_currency")
    assert shown.exit_code == 0, shown.output
    assert "False liquidations" not in shown.stdout
    kept = json.loads((place / "twin" / FIGURES).read_text())
    assert kept["false_liquidations"] is None
    modes = {
        agent["account_mode"] for agent in Run.load(place / "twin").manifest["config"]["agents"]
    }
    assert modes == {"multi_currency"}
