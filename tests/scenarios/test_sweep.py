"""Sweeps: every task once, whatever happens to the process that runs them."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from scenarios.errors import UserError
from scenarios.sweep import Sweep, collect, finished, open_executor, open_sweep, run_sweep
from scenarios.sweep_grid import make_tasks, parse_grid, parse_seeds
from scenarios.sweep_summary import heat_maps, summarise, t_quantile, write_pictures

FAKE = "tests.scenarios.fake_task:run_fake"
ROOT = Path(__file__).parents[2]
KILLS = 20


def fake_sweep(out: Path, grid: list[str], seeds: str = "0:3") -> Sweep:
    return open_sweep("fake", parse_grid(grid), parse_seeds(seeds), out, run_function=FAKE)


def run_here(sweep: Sweep) -> tuple[int, int]:
    with ThreadPoolExecutor(2) as executor:
        return run_sweep(sweep, executor)


def test_grid_and_seeds() -> None:
    assert parse_grid(["a.b=1,2", "c=[1,2],'x,y'"]) == [
        ("a.b", ["1", "2"]),
        ("c", ["[1,2]", "'x,y'"]),
    ]
    assert parse_seeds("0:3") == [0, 1, 2]
    assert parse_seeds("7") == [7]
    assert parse_seeds("1,5:7") == [1, 5, 6]
    tasks = make_tasks(parse_grid(["a=1,2", "b=x,y"]), [0, 1])
    assert [(t.settings, t.seed) for t in tasks[:3]] == [
        ((("a", "1"), ("b", "x")), 0),
        ((("a", "1"), ("b", "x")), 1),
        ((("a", "1"), ("b", "y")), 0),
    ]
    assert len({t.key for t in tasks}) == 8


def test_a_task_s_key_does_not_depend_on_the_grid_s_order() -> None:
    one = make_tasks(parse_grid(["a=1", "b=2"]), [0])[0]
    other = make_tasks(parse_grid(["b=2", "a=1"]), [0])[0]
    assert one.key == other.key


@pytest.mark.parametrize(
    "option", ["a", "=1", "a=", "a=1,,2", "a=1,1", "a=1,2 a=3"], ids=lambda o: o or "empty"
)
def test_a_wrong_grid_is_refused(option: str) -> None:
    with pytest.raises(UserError, match="--grid"):
        parse_grid(option.split(" "))


@pytest.mark.parametrize("seeds", ["", "x", "3:3", "5:2", "-1", "0:3,1", "1.5", "0:99999999999"])
def test_wrong_seeds_are_refused(seeds: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(seeds)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("crash.toml", "seed = 1", "seed = 2"), ("rates.csv", "0.0001", "0.0002")],
)
def test_results_of_an_edited_scenario_are_not_taken_for_new_ones(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    text = (ROOT / "tests" / "scenarios" / "small_crash.toml").read_text()
    scenario = tmp_path / "crash.toml"
    scenario.write_text(text + '[venue]\nfunding_rates = "rates.csv"\n')
    (tmp_path / "rates.csv").write_text("2020-03-12T16:00:00Z,BTC-USDT-SWAP,0.0001\n")
    first = open_sweep(str(scenario), [], [1], tmp_path / "out")
    scenario.write_text(scenario.read_text() + "# a remark changes no result\n")
    assert open_sweep(str(scenario), [], [1], tmp_path / "out") == first

    changed = (tmp_path / file).read_text()
    assert old in changed
    (tmp_path / file).write_text(changed.replace(old, new))
    with pytest.raises(UserError, match="the scenario has changed since this sweep began"):
        open_sweep(str(scenario), [], [1], tmp_path / "out")
    with pytest.raises(UserError, match="holds another sweep"):
        open_sweep(str(scenario), [], [2], tmp_path / "out")
    (tmp_path / "out" / "sweep.json").write_text('{"scen')
    with pytest.raises(UserError, match="is no JSON object"):
        open_sweep(str(scenario), [], [1], tmp_path / "out")


def test_a_damaged_result_runs_again(tmp_path: Path) -> None:
    sweep = fake_sweep(tmp_path, ["a=1"], "0:2")
    assert run_here(sweep) == (2, 0)
    sweep.result_path(sweep.tasks[0]).write_text('{"status": "do')
    assert not finished(sweep, sweep.tasks[0]) and collect(sweep).height == 1
    assert run_here(sweep) == (2, 0) and collect(sweep).height == 2


def test_a_grid_too_large_is_refused() -> None:
    with pytest.raises(UserError, match="runs, more than"):
        make_tasks([("a", [str(i) for i in range(2_000)])], list(range(1_000)))


def test_one_row_per_task(tmp_path: Path) -> None:
    sweep = fake_sweep(tmp_path / "s", ["depth=1,2", "leverage=5,10"])
    assert run_here(sweep) == (12, 0)
    frame = collect(sweep)
    assert frame["task"].to_list() == list(range(12))
    assert frame["seed"].to_list() == [0, 1, 2] * 4
    assert frame["set.depth"].to_list() == ["1"] * 6 + ["2"] * 6
    assert frame["rejected_orders.insufficient_margin"].null_count() == 0
    assert "wall_seconds" not in frame.columns
    assert_frame_equal(pl.read_parquet(sweep.directory / "results.parquet"), frame)


def test_failures_are_recorded_and_not_fatal(tmp_path: Path) -> None:
    sweep = fake_sweep(tmp_path / "s", ["fail=no,user,crash"], "0:2")
    assert run_here(sweep) == (2, 4)
    frame = collect(sweep)
    assert frame["status"].to_list() == ["done"] * 2 + ["failed"] * 4
    assert frame["error"][2] == "agents.2.leverage: 0 is not in 1..100"
    assert frame["error"][4] == "ZeroDivisionError: a defect"
    failed = json.loads(sweep.result_path(sweep.tasks[-1]).read_text())
    assert "run_fake" in failed["trace"], "a defect keeps its trace"
    assert summarise(frame, ["fail"])["failed"].to_list() == [0, 2, 2]


def test_what_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = tmp_path / "flag"
    monkeypatch.setenv("FAKE_TASK_FLAG", str(flag))
    sweep = fake_sweep(tmp_path / "s", ["fail=once"], "0:2")
    assert run_here(sweep) == (0, 2)
    flag.touch()
    assert run_here(sweep) == (2, 0)
    assert collect(sweep)["status"].to_list() == ["done"] * 2


def test_another_sweep_s_folder_is_refused(tmp_path: Path) -> None:
    fake_sweep(tmp_path / "s", ["depth=1"])
    fake_sweep(tmp_path / "s", ["depth=1"])
    with pytest.raises(UserError, match="another sweep"):
        fake_sweep(tmp_path / "s", ["depth=2"])


def test_killed_twenty_times_it_ends_like_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TASK_SECONDS", "0.05")
    grid, seeds = ["depth=1,2,3"], "0:40"
    code = (
        "import sys; from pathlib import Path;"
        "from tests.scenarios.test_sweep import fake_sweep;"
        "from scenarios.sweep import open_executor, run_sweep\n"
        "sweep = fake_sweep(Path(sys.argv[1]), ['depth=1,2,3'], '0:40')\n"
        "with open_executor(2, None) as executor: run_sweep(sweep, executor)"
    )
    clock = random.Random(7)
    killed = tmp_path / "killed"
    progress = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(killed)], cwd=ROOT, start_new_session=True
        )
        time.sleep(clock.uniform(0.2, 1.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (killed / "sweep.json").exists():
            sweep = fake_sweep(killed, grid, seeds)
            # Whatever the moment, a result on disk is whole.
            progress.append(sum(finished(sweep, task) for task in sweep.tasks))
    assert progress == sorted(progress), "nothing that was finished is lost"
    assert progress and progress[0] < 120, "it was killed before its end"
    sweep = fake_sweep(killed, grid, seeds)
    assert run_here(sweep) == (120, 0)
    files = sorted(p.name for p in (killed / "tasks").iterdir())
    assert files == sorted(f"{task.key}.json" for task in sweep.tasks), "no leftovers, no doubles"
    whole = fake_sweep(tmp_path / "whole", grid, seeds)
    monkeypatch.setenv("FAKE_TASK_SECONDS", "0")
    assert run_here(whole) == (120, 0)
    assert_frame_equal(collect(sweep), collect(whole))
    assert (killed / "results.parquet").read_bytes() == (
        tmp_path / "whole" / "results.parquet"
    ).read_bytes()


def test_a_dask_cluster_gives_the_same_rows(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    local = fake_sweep(tmp_path / "local", ["depth=1,2", "fail=no,user"])
    with open_executor(2, None) as executor:
        assert run_sweep(local, executor) == (6, 6)
    remote = fake_sweep(tmp_path / "remote", ["depth=1,2", "fail=no,user"])
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        open_executor(None, cluster.scheduler_address) as executor,
    ):
        assert run_sweep(remote, executor) == (6, 6)
    assert_frame_equal(collect(local), collect(remote))


def test_no_cluster_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.sweep.CLUSTER_TIMEOUT_S", 1)
    with (
        pytest.raises(UserError, match="no cluster answers"),
        open_executor(None, "tcp://127.0.0.1:1"),
    ):
        pass


def test_intervals() -> None:
    values = [3.0, 5.0, 4.0, 8.0]
    frame = pl.DataFrame({"set.a": ["x"] * 4, "status": ["done"] * 4, "bad_debt_usd": values})
    row = summarise(frame, ["a"]).row(0, named=True)
    half = 3.182 * statistics.stdev(values) / 2  # t of three degrees of freedom
    assert row["bad_debt_usd.mean"] == 5.0
    assert row["bad_debt_usd.high"] == pytest.approx(5.0 + half)
    assert row["bad_debt_usd.low"] == pytest.approx(5.0 - half)
    assert t_quantile(1_000) == pytest.approx(1.96, abs=0.001)


def test_heat_maps_are_drawn(tmp_path: Path) -> None:
    sweep = fake_sweep(tmp_path / "s", ["depth=1,2", "leverage=5,10"])
    run_here(sweep)
    summary = summarise(collect(sweep), ["depth", "leverage"])
    figures = heat_maps(summary, ["depth", "leverage"])
    debt = next(f for f in figures if f["layout"]["title"]["text"] == "bad debt usd")
    cells = debt["data"][0]
    assert cells["y"] == ["1", "2"] and cells["x"] == ["5", "10"]
    expected = summary.filter(pl.col("set.depth") == "2", pl.col("set.leverage") == "5")
    assert cells["z"][1][0] == expected["bad_debt_usd.mean"][0]
    write_pictures(figures, tmp_path / "heat.html")
    assert "heatmap" in (tmp_path / "heat.html").read_text(encoding="utf-8")
    assert heat_maps(summarise(collect(sweep), ["depth"]), ["depth"])[0]["data"][0]["error_y"]
