"""`selloff sweep`: a grid of settings times seeds, on processes or a Dask cluster.

Each finished task is one JSON file that appears by a rename, so a sweep that is killed at any
moment has whole results or none, and the next start does only what is missing. A task that fails is
recorded with its reason and tried again at the next start. When all are done the results become one
Parquet data set.

    sweeps/<scenario>-<grid hash>/
        sweep.json         scenario, grid, seeds, digest of the scenario's content
        tasks/<key>.json   one result per task
        results.parquet    one row per task, in the order of the grid
        summary.json, heatmap.html
"""

from __future__ import annotations

import hashlib
import importlib
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from scenarios.errors import UserError
from scenarios.run_directory import finite, write_json
from scenarios.scenario_digest import scenario_digest
from scenarios.sweep_grid import Task, make_tasks
from scenarios.whole_file import whole_file

SWEEPS = Path("sweeps")
SWEEP_FILE, TASKS_FOLDER, RESULTS = "sweep.json", "tasks", "results.parquet"
RUN_FUNCTION = "scenarios.run:run_scenario"
CLUSTER_TIMEOUT_S = 10
Progress: TypeAlias = Callable[[int, int, int], None]
"""Called with (done, failed, total)."""


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk. `run_function` is `module:name` of what runs one task: it is called as
    `function(scenario, seed, overrides, None, keep=False)` and returns the run's summary."""

    directory: Path
    scenario: str
    grid: list[tuple[str, list[str]]]
    seeds: list[int]
    run_function: str = RUN_FUNCTION

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in order."""
        return make_tasks(self.grid, self.seeds)

    def result_path(self, task: Task) -> Path:
        """Where a task's result is or will be."""
        return self.directory / TASKS_FOLDER / f"{task.key}.json"


def open_sweep(
    scenario: str,
    grid: list[tuple[str, list[str]]],
    seeds: list[int],
    out: Path | None = None,
    *,
    run_function: str = RUN_FUNCTION,
) -> Sweep:
    """Create a sweep's folder, or return to it.

    UserError where it holds another sweep, or the same one of a scenario that has changed since:
    what is finished there would pass for results of what the files say now.
    """
    description: dict[str, Any] = {
        "scenario": scenario,
        "grid": [[k, v] for k, v in grid],
        "seeds": seeds,
    }
    if run_function == RUN_FUNCTION:
        description["content"] = scenario_digest(scenario)
    digest = hashlib.sha256(json.dumps(description).encode()).hexdigest()[:10]
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(scenario).stem)
    directory = out or SWEEPS / f"{name}-{digest}"
    try:
        (directory / TASKS_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory}: cannot be created: {error.strerror}") from error
    described = directory / SWEEP_FILE
    if described.exists():
        _check_same(directory, _read(described), description)
    else:
        write_json(described, description)
    return Sweep(directory, scenario, grid, seeds, run_function)


def _check_same(
    directory: Path, before: Mapping[str, Any] | None, description: dict[str, Any]
) -> None:
    """Raises UserError where a folder does not hold the sweep that is described."""
    if before is None:
        raise UserError(f"{directory / SWEEP_FILE}: is no JSON object; choose another --out")
    if before == description:
        return
    if {**before, "content": 0} == {**description, "content": 0}:
        raise UserError(
            f"{directory}: the scenario has changed since this sweep began; remove the folder or"
            " choose another --out"
        )
    raise UserError(f"{directory}: holds another sweep; choose another --out")


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def run_task(
    run_function: str, scenario: str, overrides: Sequence[str], seed: int, result: str
) -> None:
    """Run one task and write its result. Runs in a worker process; raises what the run raises."""
    module, _, name = run_function.partition(":")
    run = getattr(importlib.import_module(module), name)
    summary = run(scenario, seed, list(overrides), None, keep=False)
    write_json(Path(result), {"status": "done", "error": "", "summary": finite(summary)})


def record_failure(path: Path, error: BaseException) -> None:
    """Write why a task failed: one bad point of a grid must not cost the others."""
    known = isinstance(error, UserError)
    trace = "" if known else "".join(traceback.format_exception(error))
    words = str(error) if known else f"{type(error).__name__}: {error}"
    write_json(path, {"status": "failed", "error": words, "trace": trace, "summary": {}})


def finished(sweep: Sweep, task: Task) -> bool:
    """Whether a task has succeeded already; one whose file is damaged runs again."""
    path = sweep.result_path(task)
    outcome = _read(path) if path.exists() else None
    return outcome is not None and outcome.get("status") == "done"


def run_sweep(
    sweep: Sweep, executor: Executor, progress: Progress | None = None
) -> tuple[int, int]:
    """Run what is missing on `executor`. Returns (done, failed) of all tasks."""
    _remove_leftovers(sweep)
    tasks = sweep.tasks
    missing = [task for task in tasks if not finished(sweep, task)]
    done, failed = len(tasks) - len(missing), 0
    futures = {
        executor.submit(
            run_task,
            sweep.run_function,
            sweep.scenario,
            task.overrides,
            task.seed,
            str(sweep.result_path(task).absolute()),
        ): task
        for task in missing
    }
    if progress is not None:
        progress(done, failed, len(tasks))
    for future in as_completed(futures):
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            raise UserError(
                "a worker process died (out of memory?); start the sweep again with fewer --jobs:"
                " what is finished is kept",
                1,
            )
        if error is None:
            done += 1
        else:
            failed += 1
            record_failure(sweep.result_path(futures[future]), error)
        if progress is not None:
            progress(done, failed, len(tasks))
    return done, failed


def _remove_leftovers(sweep: Sweep) -> None:
    """Temporary files of writers that were killed."""
    for path in (sweep.directory / TASKS_FOLDER).glob(".*.tmp"):
        path.unlink(missing_ok=True)


def collect(sweep: Sweep) -> pl.DataFrame:
    """All results as one frame, one row per task in the order of the grid; also written.

    Columns: task, key, seed, status, error, one per grid key, then the summary's figures with
    dots for what is nested. What depends on the machine (wall clock) is left out, so that equal
    sweeps have equal data sets.
    """
    rows = []
    for task in sweep.tasks:
        path = sweep.result_path(task)
        outcome = _read(path) if path.exists() else None
        if outcome is None:
            continue
        row: dict[str, Any] = {
            "task": task.number,
            "key": task.key,
            "seed": task.seed,
            "status": outcome["status"],
            "error": outcome["error"],
            **{f"set.{key}": value for key, value in task.settings},
        }
        figures = dict(_flat(outcome["summary"]))
        rows.append(row | {k: v for k, v in figures.items() if k not in (*row, "wall_seconds")})
    frame = pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame()
    if frame.height:
        frame = _filled(frame)
        with whole_file(sweep.directory / RESULTS) as place:
            frame.write_parquet(place)
    return frame


def _flat(summary: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a summary with dotted names; lists are left out."""
    for key, value in summary.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value


def _filled(frame: pl.DataFrame) -> pl.DataFrame:
    """A count that a run's summary does not name is 0 there: nothing of that kind happened."""
    named = ("rejected_orders.", "cancelled_orders.", "liquidated_notional_usd.")
    counts = [c for c in frame.columns if c.startswith(named)]
    succeeded = pl.col("status") == "done"
    return frame.with_columns(
        pl.when(succeeded).then(pl.col(c).fill_null(0)).otherwise(pl.col(c)).alias(c)
        for c in counts
    )


@contextmanager
def open_executor(jobs: int | None, scheduler: str | None) -> Iterator[Executor]:
    """Processes on this machine, or the workers of a Dask cluster at `scheduler`."""
    if scheduler is None:
        pool = ProcessPoolExecutor(jobs)
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise UserError("--scheduler: needs the extra dask: pip install selloff[dask]") from None
    try:
        client = distributed.Client(scheduler, timeout=CLUSTER_TIMEOUT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"--scheduler: no cluster answers at {scheduler}: {error}") from error
    try:
        # Tasks write their own results: a task that is run twice writes the same file twice.
        yield client.get_executor(pure=False)
    finally:
        client.close()
