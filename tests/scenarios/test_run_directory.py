"""A run's folder: never half a run that looks whole, never another run overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scenarios.errors import UserError
from scenarios.run_directory import Run, RunDirectory, config_hash, finite, run_name, write_json
from tests.scenarios.fake_run import write_fake_run

SMALL = {"steps": 30, "longs": 3}


def test_name_and_hash_of_a_configuration() -> None:
    assert config_hash({"a": 1, "b": [1, 2]}) == config_hash({"b": [1, 2], "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert run_name("black-thursday", 3, {}).startswith("black-thursday-3-")
    assert "/" not in run_name("../evil/..", 0, {})


def test_a_run_of_the_same_configuration_may_be_run_over(tmp_path: Path) -> None:
    first = Run.load(write_fake_run(tmp_path / "run", **SMALL))
    hash_before = first.manifest["event_hash"]
    (tmp_path / "run" / "report.html").write_text("old")
    second = Run.load(write_fake_run(tmp_path / "run", **SMALL))
    assert second.manifest["event_hash"] == hash_before
    assert not (tmp_path / "run" / "report.html").exists(), "the old report is not the new run's"


def test_a_finished_run_of_another_configuration_is_refused(tmp_path: Path) -> None:
    write_fake_run(tmp_path / "run", **SMALL)
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    with pytest.raises(UserError, match="finished run of made-up-crash"):
        write_fake_run(tmp_path / "run", seed=2, **SMALL)
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(UserError, match="no run"):
        write_fake_run(tmp_path, **SMALL)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        write_fake_run(tmp_path / "file", **SMALL)


def test_the_manifest_of_another_program_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"short_name": "my web page"}')
    (tmp_path / "data.parquet").write_text("years of work")
    with pytest.raises(UserError, match="holds files that are no run"):
        write_fake_run(tmp_path, **SMALL)
    assert (tmp_path / "data.parquet").read_text() == "years of work"
    assert "web page" in (tmp_path / "manifest.json").read_text()


def _open(path: Path) -> RunDirectory:
    return RunDirectory.open(
        path, scenario="one", seed=1, config={"a": 1}, instruments=(), account_names=()
    )


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    first = _open(tmp_path / "run")
    for _ in range(2):
        with pytest.raises(UserError, match="another run is being written there"):
            write_fake_run(tmp_path / "run", **SMALL)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["scenario"] == "one"
    first.close()
    assert Run.load(write_fake_run(tmp_path / "run", **SMALL)).manifest["finished"]


def test_a_refused_scenario_leaves_no_folder(tmp_path: Path) -> None:
    refused = _open(tmp_path / "run")
    refused.discard()
    assert not (tmp_path / "run").exists()
    _open(tmp_path / "run").close()


def test_a_killed_run_is_clearly_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "run"
    code = (
        "import sys; from pathlib import Path;"
        "from tests.scenarios.fake_run import write_fake_run;"
        "write_fake_run(Path(sys.argv[1]), steps=1_000_000, chunk_rows=500)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 60
    while not (path / "manifest.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert json.loads((path / "manifest.json").read_text())["finished"] is False
    assert not list(path.glob("*.parquet"))
    with pytest.raises(UserError, match="not finished"):
        Run.load(path)
    again = Run.load(write_fake_run(path, **SMALL))
    assert again.manifest["finished"] and not (path / ".parts").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no such folder"),
        (lambda p: p.mkdir(), "is no run"),
        (lambda p: (p.mkdir(), (p / "manifest.json").write_text("{")), "is no JSON"),
        (lambda p: (p.mkdir(), (p / "manifest.json").write_text("[]")), "is no JSON object"),
        (lambda p: (p.mkdir(), (p / "manifest.json").write_text('{"format": 9}')), "format 9"),
    ],
)
def test_what_is_no_run_is_said_in_one_line(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "run"
    make(path)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        Run.load(path)


def test_a_table_that_was_not_recorded(tmp_path: Path) -> None:
    run = Run.load(write_fake_run(tmp_path / "run", record="summary", **SMALL))
    with pytest.raises(UserError, match="orders was not recorded"):
        _ = run.orders


def test_a_damaged_folder_is_said_in_one_line(tmp_path: Path) -> None:
    """As a copy leaves it that broke off."""
    path = write_fake_run(tmp_path / "run", **SMALL)
    table = (path / "fills.parquet").read_bytes()
    for left in (b"", table[:3], table[:-1], table[: len(table) // 2]):
        (path / "fills.parquet").write_bytes(left)
        with pytest.raises(UserError, match=r"fills\.parquet: is no whole Parquet file"):
            _ = Run.load(path).fills
    for name, read in (("summary.json", lambda: Run.load(path).summary), ("manifest.json", None)):
        content = json.loads((path / name).read_text())
        del content["accounts"]
        (path / name).write_text(json.dumps(content))
        with pytest.raises(UserError, match=rf"{name}: has no accounts"):
            Run.load(path) if read is None else read()


def test_json_holds_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": float("inf"), "b": [float("nan"), 1.5]})
    found = json.loads((tmp_path / "x.json").read_text())
    assert found == {"a": None, "b": [None, 1.5]}
    assert finite({3: (1, 2)}) == {"3": [1, 2]}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"], "no temporary file is left"
