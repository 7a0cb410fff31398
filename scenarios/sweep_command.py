"""`selloff sweep` at the command line: progress, then the summary and where it is."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import polars as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from scenarios.errors import UserError
from scenarios.run_directory import write_json
from scenarios.sweep import (
    RESULTS,
    Sweep,
    collect,
    finished,
    open_executor,
    open_sweep,
    run_sweep,
)
from scenarios.sweep_grid import Task, make_tasks, parse_grid, parse_seeds
from scenarios.sweep_summary import (
    FIGURES,
    heat_maps,
    interval_words,
    summarise,
    write_pictures,
)
from scenarios.terminal import console, table

SHOWN = {
    "liquidated_accounts": "liquidated",
    "bankrupt_accounts": "bankrupt",
    "bad_debt_usd": "bad debt, USD",
    "uncovered_loss_usd": "uncovered, USD",
}
FAILURES_SHOWN = 5
HEAD_WIDTH = 10


def sweep_command(
    scenario: str,
    *,
    grid: list[str],
    seeds: str,
    jobs: int | None,
    scheduler: str | None,
    out: Path | None,
) -> int:
    """Run a sweep; the exit code is 1 where a task failed."""
    if jobs is not None and scheduler is not None:
        raise UserError("--jobs, --scheduler: one of them; a cluster has its own workers")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs: {jobs} is not at least 1")
    if Path(scenario).is_file():
        scenario = str(Path(scenario).resolve())  # workers may run in other folders
    points, numbers = parse_grid(grid), parse_seeds(seeds)
    check_loads(scenario, make_tasks(points, numbers[:1]))
    sweep = open_sweep(scenario, points, numbers, out)
    screen = console()
    with (
        Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
        ) as bar,
        open_executor(jobs, scheduler) as executor,
    ):
        shown = bar.add_task(scenario, total=None, failed="")

        def progress(done: int, failed: int, total: int) -> None:
            words = f"{failed} failed" if failed else ""
            bar.update(shown, completed=done + failed, total=total, failed=words)

        try:
            done, failed = run_sweep(sweep, executor, progress)
        except KeyboardInterrupt:
            raise UserError(_stopped(sweep), 130) from None
    results = collect(sweep)
    keys = [key for key, _ in sweep.grid]
    summary = summarise(results, keys)
    write_json(sweep.directory / "summary.json", {"points": summary.to_dicts()})
    pictures = heat_maps(summary, keys)
    if pictures:
        write_pictures(pictures, sweep.directory / "heatmap.html")
    _print(summary, keys, results)
    screen.print(Text(f"{done} runs, {failed} failed: {sweep.directory / RESULTS}", style="dim"))
    return 1 if failed else 0


def _stopped(sweep: Sweep) -> str:
    tasks = sweep.tasks
    done = sum(finished(sweep, task) for task in tasks)
    return f"stopped after {done} of {len(tasks)} runs; the same command goes on from there"


def check_loads(scenario: str, tasks: list[Task]) -> None:
    """Refuse a sweep of which no point is a valid scenario, with what is wrong at the first.

    Where some points are wrong, they are recorded as failures and the others run.
    """
    from scenarios.config import load_scenario

    first: UserError | None = None
    for task in tasks:
        try:
            load_scenario(scenario, task.overrides)
            return
        except UserError as error:
            first = first or error
    assert first is not None, "a sweep has at least one task"
    raise first


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print(summary: pl.DataFrame, keys: list[str], results: pl.DataFrame) -> None:
    screen = console()
    figures = [f for f in SHOWN if f in FIGURES and f"{f}.mean" in summary.columns]
    # what is nought everywhere needs no column
    figures = [f for f in figures if summary[f"{f}.mean"].abs().max()] or figures[:1]
    titles = [SHOWN[f] for f in figures]
    keys = [key for key in keys if summary[f"set.{key}"].n_unique() > 1]
    # heads fold, so that they take no room from values
    heads = [fill(key.rsplit(".", 1)[-1].replace("_", " "), HEAD_WIDTH) for key in keys]
    heads = heads or ["all runs"]
    built = table(*heads, "runs", *titles, words=tuple(range(len(heads))))
    for row in summary.iter_rows(named=True):
        names = [_short(row[f"set.{key}"]) for key in keys] or [""]
        built.add_row(*names, str(row["runs"]), *(interval_words(row, f) for f in figures))
    screen.print(built)
    screen.print(Text("means, ± half of the 95 % confidence interval", style="dim"))
    failures = results.filter(pl.col("status") != "done")
    for row in failures.head(FAILURES_SHOWN).iter_rows(named=True):
        screen.print(Text(f"failed: task {row['task']}, seed {row['seed']}: {row['error']}"))
