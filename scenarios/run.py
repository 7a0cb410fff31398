"""Running a scenario from its file to its results: what `selloff run` and a sweep's task call."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.parameters import AgentParameters
from exchange.instrument import Instrument, parse_instrument
from risk.rules import RulesError, RuleSet, load_rules
from scenarios.book_file import Book
from scenarios.book_opening import load_book
from scenarios.book_seeding import BookSeed, load_book_seeds
from scenarios.config import Scenario, load_scenario
from scenarios.errors import UserError
from scenarios.funding_record import FundingPlan, load_funding
from scenarios.paths import PricePath, build_path
from scenarios.recorder import Recorder
from scenarios.run_directory import RunDirectory, run_name
from scenarios.sampling import Window
from scenarios.simulation import Simulation
from scenarios.streams import Streams
from scenarios.validation_errors import with_rest
from scenarios.venue_limits import check_mark_interval, check_prices

RUNS = Path("runs")


def scenario_path(scenario: Scenario, seed: int, folder: Path) -> PricePath:
    """The scenario's price path at its mark interval."""
    market = scenario.market
    step = round(market.mark_interval_s * 1e9)
    return build_path(
        market.path, Window(market.start, market.end, step), Streams(seed), directory=folder
    )


def run_scenario(
    scenario: str | Path,
    seed: int | None = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    out: Path | str | None = None,
    *,
    on_progress: Callable[[int, int, int], None] | None = None,
    on_start: Callable[[Simulation], None] | None = None,
    extra_agents: tuple[tuple[str, AgentParameters], ...] = (),
    keep: bool = True,
) -> dict[str, Any]:
    """Run a scenario and return its summary; `summary["folder"]` says where the results are.

    out: results folder, by default `runs/<scenario>-<seed>-<config hash>`; `keep=False` writes
    none. on_progress(now_ns, start_ns, end_ns) after each mark; on_start gets the simulation before
    it runs. Raises UserError for anything wrong in the scenario.

    >>> short = {"market.end": "2020-03-12T09:00:10Z"}
    >>> run_scenario("black-thursday", overrides=short, keep=False)["liquidated_accounts"]
    0
    """
    started = time.perf_counter()
    job = prepare(scenario, seed, overrides)
    place = None
    if keep:
        name = run_name(job.scenario.name, job.seed, job.tables)
        place = Path(out) if out is not None else RUNS / name
    start_ns, end_ns = job.path.start_ns, job.path.end_ns
    progress = None
    if on_progress is not None:

        def progress(now_ns: int) -> None:
            on_progress(now_ns, start_ns, end_ns)

    with _results_folder(job, place) as directory:
        recorder = Recorder(place, job.instruments, record=job.scenario.recording.tables)
        with _quiet_collector():
            gc.disable()  # accounts and books stand to the end: there is nothing to find in them
            simulation = _opened(job, recorder, extra_agents, directory)
            gc.freeze()
            gc.enable()
            if on_start is not None:
                on_start(simulation)
            simulation.run(progress)
        event_hash = recorder.close()
        summary = _summary(job, simulation, recorder, event_hash)
        summary["wall_seconds"] = round(time.perf_counter() - started, 3)
        if directory is not None:  # pools and isolated positions have opened accounts meanwhile
            directory.manifest["accounts"] = [a.name for a in simulation.house.accounts]
            directory.finish(summary, event_hash, recorder.rows)
            summary["folder"] = str(place)
    return summary


@contextmanager
def _results_folder(job: Job, place: Path | None) -> Iterator[RunDirectory | None]:
    """The results folder, locked for other runs until the end; None where nothing is kept."""
    if place is None:
        yield None
        return
    directory = _open_directory(job, place)
    try:
        yield directory
    finally:
        directory.close()


def _opened(
    job: Job,
    emit: Callable[[Any], None],
    extra_agents: tuple[tuple[str, AgentParameters], ...],
    directory: RunDirectory | None,
) -> Simulation:
    """The simulation, before its first second. What is refused here leaves no folder behind."""
    try:
        return job.simulation(emit, extra_agents)
    except UserError:
        if directory is not None:
            directory.discard()
        raise


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario with everything that its files say."""

    scenario: Scenario
    tables: dict[str, Any]
    folder: Path
    seed: int
    rules: RuleSet
    rule_changes: tuple[tuple[int, RuleSet], ...]
    path: PricePath
    book: Book | None
    funding: FundingPlan
    book_seeds: tuple[BookSeed, ...]
    instruments: tuple[Instrument, ...]

    def simulation(
        self,
        emit: Callable[[Any], None],
        extra_agents: tuple[tuple[str, AgentParameters], ...] = (),
    ) -> Simulation:
        """The simulation, before its first second. Raises UserError."""
        return Simulation(
            self.scenario,
            self.path,
            self.rules,
            self.seed,
            emit,
            extra_agents=extra_agents,
            book=self.book,
            book_seeds=self.book_seeds,
            rule_changes=self.rule_changes,
            funding_rates=self.funding.schedules,
            folder=self.folder,
        )


def prepare(
    scenario: str | Path, seed: int | None, overrides: Iterable[str] | Mapping[str, Any]
) -> Job:
    """Read and check all files before anything runs or is written. Raises UserError."""
    loaded, tables, folder = load_scenario(scenario, overrides)
    seed = loaded.seed if seed is None else seed
    changes = tuple(
        (change.at, _rules(f"rule_changes.{number}.rules", change.rules))
        for number, change in enumerate(loaded.rule_changes)
    )
    rules = _rules("rules", loaded.rules)
    instruments = tuple(parse_instrument(name) for name in loaded.market.instruments)
    path = scenario_path(loaded, seed, folder)
    check_prices(path, instruments)
    check_mark_interval(loaded.market.mark_interval_s, (rules, *(new for _, new in changes)))
    return Job(
        loaded,
        tables,
        folder,
        seed,
        rules,
        changes,
        path,
        load_book(loaded, folder),
        load_funding(loaded, rules, folder),
        load_book_seeds(loaded, folder),
        instruments,
    )


def _open_directory(job: Job, place: Path) -> RunDirectory:
    """The results folder, with what a reader must know of the path."""
    directory = RunDirectory.open(
        place,
        scenario=job.scenario.name,
        seed=job.seed,
        config=job.tables,
        instruments=job.instruments,
        account_names=[],
        paths={s.series: s.file or s.kind for s in job.path.sources},
        funding=job.funding.sources,
    )
    bases = {instrument.base for instrument in job.instruments}
    for note in (*job.path.notes, *job.path.index_notes(bases), *job.funding.notes()):
        directory.warn(note)
    return directory


def _summary(
    job: Job, simulation: Simulation, recorder: Recorder, event_hash: str
) -> dict[str, Any]:
    """The counted part of summary.json."""
    house = simulation.house
    summary = {
        "scenario": job.scenario.name,
        "seed": job.seed,
        "event_hash": event_hash,
        "simulated_seconds": (job.path.end_ns - job.path.start_ns) / 1e9,
        "wall_seconds": 0.0,
        "accounts": len(house.accounts),
        **recorder.summary.figures(),
        "conservation_error_atoms": house.ledger.conservation_error(),
    }
    if simulation.book is not None:
        summary["book"] = simulation.book.figures(house)
    if simulation.seeded:
        summary["book_seeds"] = {
            seeded.source.seed.instrument_id: seeded.figures(house) for seeded in simulation.seeded
        }
    return summary


def _rules(field: str, name: str) -> RuleSet:
    """A rule set by name or path. Raises UserError naming the field."""
    try:
        return load_rules(name)
    except RulesError as error:
        first, *others = str(error).splitlines()
        raise UserError(with_rest(f"{field}: {first}", len(others))) from None


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Let the garbage collector leave the standing objects of a run alone.

    Books and accounts are large and live to the end; scanning them again and again costs half a
    microsecond an order, and two fifths of the time of opening many accounts. Reference counting
    frees everything that the hot path drops.
    """
    before, enabled = gc.get_threshold(), gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        (gc.enable if enabled else gc.disable)()
