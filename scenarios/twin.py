"""Twin runs: the same scenario and seed with one thing changed, to see what that thing does.

Random streams are keyed by name, so that both runs share their randomness until the first event
that differs.

Source: liquidation-and-losses.md section 6; design, section 4.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from scenarios.config import Scenario, load_scenario
from scenarios.errors import UserError, show
from scenarios.report import write_report
from scenarios.run import run_scenario
from scenarios.run_directory import MANIFEST, Run

TWIN_FOLDER = "twin"
NO_LIQUIDATION = "no-liquidation"
MODES = ("portfolio", "multi_currency")


def twin_overrides(twin: str, scenario: Scenario) -> list[str]:
    """The settings that make the twin.

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
        return [f"agents.{n}.account_mode={value}" for n in range(len(scenario.agents))]
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

    The twin's results are in the folder `twin` of the run's. Returns the run's summary with the
    metrics that need a twin; raises UserError for anything wrong in either.
    """
    settings = (
        [f"{key}={value}" for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else list(overrides)
    )
    loaded, _, _ = load_scenario(scenario, settings)
    changed = [*settings, *twin_overrides(twin, loaded)]
    load_scenario(scenario, changed)  # what is wrong with the twin is said before the first run
    seed = loaded.seed if seed is None else seed
    summary = run_scenario(scenario, seed, settings, out, on_progress=on_progress)
    folder = Path(summary["folder"])
    beside = folder / TWIN_FOLDER
    if (beside / MANIFEST).exists():  # an earlier twin of this run, perhaps another kind
        shutil.rmtree(beside)
    run_scenario(scenario, seed, changed, beside, on_progress=on_progress)
    run = Run.load(folder)
    write_report(run, Run.load(beside))
    return {**run.summary, "folder": str(folder)}
