"""Twin runs: the same scenario and seed with one thing changed, to see what that thing does.

Random streams are keyed by name, so that both runs share their randomness until the first event
that differs.

Source: liquidation-and-losses.md section 6; design, section 4.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scenarios.config import load_scenario
from scenarios.errors import UserError, show
from scenarios.report import write_report
from scenarios.run import prepare, run_scenario
from scenarios.run_directory import MANIFEST, Run, config_hash
from scenarios.twin_figures import compare_with_twin

TWIN_FOLDER = "twin"
NO_LIQUIDATION = "no-liquidation"
MODES = ("portfolio", "multi_currency")


def twin_overrides(twin: str, tables: Mapping[str, Any]) -> list[str]:
    """The settings that make the twin of a scenario with these tables.

    twin: `no-liquidation` (nothing is forced), `rules=NAME_OR_FILE`, `mode=multi_currency` (every
    agent's accounts in that margin mode), or any field, e.g. `venue.insurance_fund_usd=0`.
    Raises UserError for anything else.
    """
    if twin == NO_LIQUIDATION:
        return ["venue.forced_liquidation=false"]
    key, equals, value = twin.partition("=")
    if not equals or not key or not value:
        raise UserError(
            f"--twin: {show(twin)} is not {NO_LIQUIDATION}, rules=FILE, mode=multi_currency, or"
            " a field such as venue.insurance_fund_usd=0"
        )
    if key == "mode":
        if value not in MODES:
            raise UserError(f"--twin: mode: {show(value)} is not one of {', '.join(MODES)}")
        agents = [
            f"{entries}.{n}.account_mode={value}"
            for entries in ("agents", "book_seeds")
            for n in range(len(tables.get(entries, ())))
        ]
        return agents + ([f"book.mode={value}"] if "book" in tables else [])
    return [twin]


def run_with_twin(
    scenario: str | Path,
    twin: str,
    seed: int | None = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    out: Path | None = None,
    *,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Run a scenario and its twin, and write a report that sets them side by side.

    The twin's results are in the folder `twin` of the run's, with `comparison.json`. Returns the
    run's summary with the metrics that need a twin; raises UserError for anything wrong in either.
    """
    settings = (
        [f"{key}={value}" for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else list(overrides)
    )
    check_twin(scenario, twin, settings)
    summary = run_scenario(scenario, seed, settings, out, on_progress=on_progress)
    folder = Path(summary["folder"])
    other = run_twin(scenario, twin, seed, settings, folder, on_progress=on_progress)
    run = Run.load(folder)
    compare_with_twin(run, other, twin)
    write_report(run, other)
    return {**run.summary, "folder": str(folder)}


def check_twin(scenario: str | Path, twin: str, settings: Sequence[str]) -> None:
    """Say what is wrong with a twin before anything runs. Raises UserError."""
    _, tables, _ = load_scenario(scenario, settings)
    prepare(scenario, None, [*settings, *twin_overrides(twin, tables)])


def run_twin(
    scenario: str | Path,
    twin: str,
    seed: int | None,
    settings: Sequence[str],
    folder: Path,
    *,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> Run:
    """Run the twin of a finished run into the folder `twin` of its results.

    Raises UserError, also where the scenario's file is no longer the one that was run.
    """
    _, tables, _ = load_scenario(scenario, settings)
    if config_hash(tables) != Run.load(folder).manifest["config_hash"]:
        raise UserError(f"{scenario}: has changed since {folder} was run; run it again")
    changed = [*settings, *twin_overrides(twin, tables)]
    beside = folder / TWIN_FOLDER
    if (beside / MANIFEST).exists():  # an earlier twin of this run, perhaps another kind
        shutil.rmtree(beside)
    run_scenario(scenario, seed, changed, beside, on_progress=on_progress)
    return Run.load(beside)
