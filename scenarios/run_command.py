"""`selloff run` and `selloff list`: run a scenario with a progress bar, and name what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scenarios.config import load_scenario, shipped_scenarios
from scenarios.errors import UserError, show
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.show import print_summary

LARGEST_SEED = 2**63 - 1


def list_command() -> None:
    """Print the shipped scenarios: name, title, window, instruments."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("scenario", "what happens", "hours", "instruments"):
        table.add_column(column)
    for name in shipped_scenarios():
        scenario, _, _ = load_scenario(name)
        hours = (scenario.market.end - scenario.market.start) / 3.6e12
        count = len(scenario.market.instruments)
        few = ", ".join(scenario.market.instruments[:3]) + (" ..." if count > 3 else "")
        table.add_row(name, scenario.title, f"{hours:g}", few)
    Console(highlight=False).print(table)
    print("\nRun one: selloff run NAME    Your own: selloff run FILE.toml (docs/scenarios.md)")


def parse_seed(text: str | None) -> int | None:
    """A seed of the command line. Raises UserError."""
    if text is None:
        return None
    if not text.isdigit() or int(text) > LARGEST_SEED:
        raise UserError(f"--seed: {show(text)} is not a whole number in 0..{LARGEST_SEED}")
    return int(text)


def run_command(
    scenario: str, *, seed: str | None, overrides: Sequence[str], out: Path | None, quiet: bool
) -> None:
    """Run a scenario, then print its summary and where the results are."""
    errors = Console(stderr=True, highlight=False)
    number = parse_seed(seed)
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[clock]}"),
        TimeRemainingColumn(compact=True),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    ) as progress:
        task = progress.add_task(scenario, total=None, clock="preparing")
        summary = run_scenario(
            scenario, number, overrides, out, on_progress=_showing(progress, task)
        )
        progress.update(task, clock="writing the report")
        folder = Path(summary["folder"])
        report = write_run_report(folder)
    if not quiet:
        print_summary(Console(highlight=False), Run.load(folder))
    print(f"results: {folder}" + (f"\nreport:  {report}" if report else ""))


def write_run_report(folder: Path) -> Path | None:
    """The run's report.html."""
    from scenarios.report import write_report

    return write_report(Run.load(folder))


def _showing(progress: Progress, task: Any) -> Callable[[int, int, int], None]:
    """A callback that moves the bar about a hundred times a run, not at every mark."""
    last = -1

    def on_progress(now_ns: int, start_ns: int, end_ns: int) -> None:
        nonlocal last
        share = (now_ns - start_ns) * 200 // (end_ns - start_ns)
        if share != last:
            last = share
            when = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%d %b %H:%M:%S")
            progress.update(task, total=end_ns - start_ns, completed=now_ns - start_ns, clock=when)

    return on_progress
