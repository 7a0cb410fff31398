"""`selloff run`, `list`, `show` and `explain` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scenarios.cli import app

SMALL = Path(__file__).parent / "small_crash.toml"
SHORT = ["--set", "market.end=2020-03-12T10:36:30Z"]


def selloff(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    done = selloff("run", str(SMALL), *SHORT, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"results: {out}" in done.output
    assert f"report:  {out / 'report.html'}" in done.output
    assert "small-crash, seed 1" in done.output
    return out


def test_results_are_complete(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    wanted = [
        "orders",
        "fills",
        "marks",
        "accounts",
        "liquidations",
        "ledger",
        "funds",
        "states",
        "bankruptcies",
    ]
    assert {f"{name}.parquet" for name in wanted} <= names
    assert {"manifest.json", "summary.json", "report.html"} <= names
    manifest = json.loads((folder / "manifest.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert manifest["finished"] is True
    assert manifest["event_hash"] == summary["event_hash"]
    assert manifest["config"]["market"]["end"].startswith("2020-03-12T10:36:30")


def test_show_and_explain(folder: Path) -> None:
    whole = selloff("show", str(folder))
    assert whole.exit_code == 0 and "conservation" in whole.output
    one = selloff("show", str(folder), "--account", "market_maker/0", "--at", "10:35:00")
    assert one.exit_code == 0 and "market_maker/0" in one.output
    story = selloff("explain", str(folder), "market_maker/0")
    assert story.exit_code == 0 and "market_maker/0" in story.output


def test_a_finished_run_of_another_configuration_is_not_overwritten(folder: Path) -> None:
    again = selloff("run", str(SMALL), "--seed", "2", *SHORT, "--out", str(folder))
    assert again.exit_code == 2
    assert "holds a finished run" in again.output


def test_quiet_says_only_where(tmp_path: Path) -> None:
    end = ["--set", "market.end=2020-03-12T10:34:05Z"]
    done = selloff("run", str(SMALL), *end, "--out", str(tmp_path / "run"), "--quiet")
    assert done.exit_code == 0
    assert len(done.output.strip().splitlines()) == 2


def test_list_names_every_scenario() -> None:
    listed = selloff("list")
    assert listed.exit_code == 0
    for name in ("black-thursday", "calm-day", "tariff-cascade"):
        assert name in listed.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument"),
        (["run", "nothing"], "neither a file nor one of"),
        (["run", str(SMALL), "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["run", str(SMALL), "--seed", "-1"], "--seed: '-1' is not a whole number"),
        (["run", str(SMALL), "--set", "x"], "--set: 'x' is not key=value"),
        (["run", str(SMALL), "--set", "market.path=none.csv"], "none.csv: no such file"),
        (["run", str(SMALL), "--set", "rules=none.toml"], "rules: "),
        (["run", str(SMALL), "--out", str(SMALL)], "is a file; --out names a folder"),
        (["run", str(SMALL), "--colour"], "No such option"),
        (["show", "nowhere"], "no such folder"),
        (["explain", "nowhere", "x"], "no such folder"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = selloff(*arguments)
    assert done.exit_code == 2, done.output
    assert done.output.startswith("error: ")
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert "Traceback" not in done.output
