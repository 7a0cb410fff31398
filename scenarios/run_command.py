"""`selloff run` and `selloff list`: run a scenario with a progress bar, and name what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from scenarios.book_opening import counterparty_words
from scenarios.config import load_scenario, shipped_scenarios
from scenarios.errors import UserError, show
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.show import print_summary
from scenarios.simulation import Simulation
from scenarios.twin import check_twin, run_twin
from scenarios.twin_figures import compare_with_twin, print_twin

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
    scenario: str,
    *,
    seed: str | None,
    overrides: Sequence[str],
    out: Path | None,
    quiet: bool,
    live: bool = False,
    twin: str | None = None,
) -> None:
    """Run a scenario, then print its summary and where the results are.

    live: draw the run as it goes on where stdout is a terminal; else the progress bar on stderr.
    twin: run the same seed again with one thing changed (`scenarios.twin`) and compare.
    """
    number = parse_seed(seed)
    if twin is not None:
        check_twin(scenario, twin, overrides)
    screen = Console(highlight=False)
    shown = _live if live and not quiet and can_draw(screen) else _bar
    with shown(screen, scenario, quiet) as display:
        try:
            summary = run_scenario(
                scenario,
                number,
                overrides,
                out,
                on_progress=display.on_progress,
                on_start=display.on_start,
            )
            folder = Path(summary["folder"])
            other = None
            if twin is not None:
                display.say(f"running the twin ({twin})")
                tick = None if shown is _live else display.on_progress
                other = run_twin(scenario, twin, number, overrides, folder, on_progress=tick)
            display.say("writing the report")
            report = write_run_report(folder, other)
        except KeyboardInterrupt:
            raise UserError(f"stopped at {display.clock()}; nothing was finished", 130) from None
    if not quiet:
        print_summary(screen, Run.load(folder))
        if "book" in summary:
            screen.print(Text(counterparty_words(summary["book"])))
    if twin is not None and other is not None:
        figures = compare_with_twin(Run.load(folder), other, twin)
        if not quiet:
            print_twin(screen, figures)
    print(f"results: {folder}" + (f"\nreport:  {report}" if report else ""))


def can_draw(screen: Console) -> bool:
    """Whether a live picture has somewhere to go."""
    return screen.is_terminal and not screen.is_dumb_terminal


@dataclass
class _Display:
    """What is shown while a run goes on: callbacks of the run, words for what comes after."""

    on_progress: Callable[[int, int, int], None]
    on_start: Callable[[Simulation], None] | None
    say: Callable[[str], None]
    clock: Callable[[], str]


@contextmanager
def _bar(_: Console, scenario: str, quiet: bool) -> Iterator[_Display]:
    """A progress bar on stderr where that is a terminal."""
    errors = Console(stderr=True, highlight=False)
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
        yield _Display(
            _showing(progress, task),
            None,
            lambda words: progress.update(task, clock=words),
            lambda: str(progress.tasks[0].fields["clock"]),
        )


@contextmanager
def _live(screen: Console, scenario: str, _: bool) -> Iterator[_Display]:
    """The whole terminal, as it was before when the run is over."""
    from rich.live import Live

    from scenarios.live import LiveRun

    with Live(Text("preparing"), console=screen, screen=True, auto_refresh=False) as live:
        run = LiveRun(scenario, screen, live)
        yield _Display(
            run.on_progress,
            run.watch,
            lambda words: live.update(Text(words), refresh=True),
            lambda: _when(run.now_ns) if run.now_ns else "preparing",
        )


def write_run_report(folder: Path, twin: Run | None = None) -> Path | None:
    """The run's report.html, with its twin beside it."""
    from scenarios.report import write_report

    return write_report(Run.load(folder), twin)


def _showing(progress: Progress, task: Any) -> Callable[[int, int, int], None]:
    """A callback that moves the bar about a hundred times a run, not at every mark."""
    last = -1

    def on_progress(now_ns: int, start_ns: int, end_ns: int) -> None:
        nonlocal last
        share = (now_ns - start_ns) * 200 // (end_ns - start_ns)
        if share != last:
            last = share
            done, span = now_ns - start_ns, end_ns - start_ns
            progress.update(task, total=span, completed=done, clock=_when(now_ns))

    return on_progress


def _when(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%d %b %H:%M:%S")
