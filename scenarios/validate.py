"""`selloff validate`: does a calm scenario look like a real market?

Several simulated days (the scenario's window with seeds n, n+1, ...) are pooled, the twelve
stylised facts are measured on them, and each is set beside its band and the real figure.

Source: issue "Scenarios, agents and reports that people believe"; calibration.md.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from exchange.instrument import InstrumentKind, parse_instrument
from scenarios.acceptance import acceptance_command
from scenarios.bands import BANDS, Measured, measure
from scenarios.config import Scenario, load_scenario
from scenarios.errors import UserError
from scenarios.fact_collector import DayFacts, FactCollector
from scenarios.run import prepare
from scenarios.run_command import parse_seed
from scenarios.run_directory import finite, write_json
from scenarios.sweep import open_executor
from scenarios.terminal import console, table
from scenarios.validate_page import render_page
from scenarios.whole_file import write_text

VALIDATIONS = Path("validations")
LARGEST_DAYS = 1000


def watched_instrument(scenario: Scenario) -> str:
    """The book whose facts are measured: that of the first metaorders, else the first perpetual,
    else the first instrument."""
    for agent in scenario.agents:
        if agent.kind == "metaorder_taker":
            return str(agent.instrument_id)
    for name in scenario.market.instruments:
        if parse_instrument(name).kind == InstrumentKind.PERPETUAL:
            return name
    return scenario.market.instruments[0]


def simulate_day(scenario: str, overrides: Sequence[str], seed: int) -> DayFacts:
    """Run the scenario once, in memory, and keep its facts. Raises UserError."""
    job = prepare(scenario, seed, overrides)
    collector = FactCollector(watched_instrument(job.scenario))
    simulation = job.simulation(collector)
    collector.watch(simulation)
    simulation.run()
    return collector.facts(seed)


def simulate_days(
    scenario: str,
    overrides: Sequence[str],
    seeds: Sequence[int],
    jobs: int,
    on_day: Callable[[], None] | None = None,
) -> list[DayFacts]:
    """One day per seed, in the order of the seeds, on `jobs` processes."""
    if jobs == 1:
        days = []
        for seed in seeds:
            days.append(simulate_day(scenario, overrides, seed))
            if on_day is not None:
                on_day()
        return days
    with open_executor(jobs, None) as executor:
        futures = [executor.submit(simulate_day, scenario, overrides, seed) for seed in seeds]
        for future in as_completed(futures):
            future.result()
            if on_day is not None:
                on_day()
        return [future.result() for future in futures]


def validate_command(
    scenario: str,
    *,
    seeds: int,
    seed: str | None,
    jobs: int,
    as_json: bool,
    overrides: Sequence[str],
    out: Path | None,
    crash: bool = False,
) -> None:
    """Measure, print every quantity beside its band, and draw the page.

    crash: the acceptance bands of a crash instead, on one run per seed and its twin."""
    if not 1 <= seeds <= LARGEST_DAYS:
        raise UserError(f"--seeds: {seeds} is not within 1..{LARGEST_DAYS} days")
    if jobs < 1:
        raise UserError(f"--jobs: {jobs} is not at least 1")
    loaded, _, _ = load_scenario(scenario, overrides)
    first = parse_seed(seed)
    first = loaded.seed if first is None else first
    numbers = list(range(first, first + seeds))
    if crash:
        acceptance_command(scenario, numbers, jobs, as_json, overrides)
        return
    screen = console()
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen,
        transient=True,
        disable=as_json or not screen.is_terminal,
    ) as progress:
        task = progress.add_task(f"days of {loaded.name}", total=len(numbers))
        days = simulate_days(scenario, overrides, numbers, jobs, lambda: progress.advance(task))
    results = measure(days)
    folder = out if out is not None else VALIDATIONS / f"{loaded.name}-{first}-{seeds}"
    record = as_record(loaded, days, results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: {folder}: cannot be created: {error.strerror}") from error
    write_json(folder / "validation.json", record)
    page = folder / "validation.html"
    write_text(page, render_page(loaded.title, days, results, verdict(results)))
    if as_json:
        print(jsonlib.dumps(record, allow_nan=False))
        return
    _print(loaded, days, results, page)


def verdict(results: Sequence[Measured]) -> str:
    """The last line."""
    return f"{sum(one.holds for one in results)} of {len(BANDS)} bands hold"


def as_record(
    scenario: Scenario, days: Sequence[DayFacts], results: Sequence[Measured]
) -> dict[str, Any]:
    """What `--json` prints; NaN becomes null."""
    record: dict[str, Any] = finite(
        {
            "scenario": scenario.name,
            "instrument": watched_instrument(scenario),
            "seeds": [day.seed for day in days],
            "simulated_seconds": sum(day.seconds for day in days),
            "messages": sum(day.messages for day in days),
            "liquidated_accounts": [day.liquidated for day in days],
            "bands": [
                {
                    "number": one.band.number,
                    "key": one.band.key,
                    "name": one.band.name,
                    "value": one.value,
                    "standard_error": one.error,
                    "low": one.band.low,
                    "high": one.band.high,
                    "real": one.band.real,
                    "holds": one.holds,
                    "why": one.why,
                }
                for one in results
            ],
            "holding": sum(one.holds for one in results),
        }
    )
    return record


def _print(
    scenario: Scenario, days: Sequence[DayFacts], results: Sequence[Measured], page: Path
) -> None:
    screen = console()
    hours = sum(day.seconds for day in days) / 3600.0
    screen.print(
        f"{scenario.name}: {watched_instrument(scenario)}, {len(days)} runs, {hours:,.1f} hours,"
        f" {sum(day.messages for day in days):,} messages"
    )
    shown = table("#", "quantity", "measured", "+-", "band", "real BTC", "holds", words=(1, 4, 5))
    for one in results:
        error = "" if one.error != one.error else f"{one.error:.3f}"
        shown.add_row(
            str(one.band.number), one.band.name, f"{one.value:.3f}", error, one.band.words,
            one.band.real, "yes" if one.holds else "NO",
        )  # fmt: skip
    screen.print(shown)
    for one in results:
        if not one.holds:
            screen.print(f"band {one.band.number}, {one.band.name}: {one.why}")
    liquidated = sum(day.liquidated for day in days)
    screen.print(
        "nobody was liquidated"
        if not liquidated
        else f"{liquidated} accounts were liquidated: not a calm day"
    )
    screen.print(f"pictures: {page}")
    print(verdict(results))
