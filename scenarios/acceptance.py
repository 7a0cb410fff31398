"""`selloff validate EVENT --crash`: does a simulated crash look like the real ones?

Each seed runs twice: as the scenario says, and with forced liquidation switched off (the twin). The
six acceptance bands are measured on both. What a real event did is named here to judge by; no
scenario reads it.

Source: calibration.md, "Events" and "Acceptance bands for a simulated crash".
"""

from __future__ import annotations

import json as jsonlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scenarios.config import load_scenario
from scenarios.digest import main_instrument
from scenarios.metrics_forced import deleveraging_metrics, forced_metrics
from scenarios.metrics_market import dislocation_metrics, liquidity_metrics, price_metrics
from scenarios.run import run_scenario
from scenarios.run_directory import Run, finite
from scenarios.sweep import open_executor
from scenarios.terminal import console, table

TWIN = "venue.forced_liquidation=false"
LOOK = ("recording.tables=summary", "recording.market_sample_s=2.0")
MINUTE_S, HOUR_S = 60.0, 3600.0
HEALS_WITHIN_S = {"leverage-flush": HOUR_S, "tariff-cascade": HOUR_S}
"""Events after which half of the fall was made good within the hour: nothing was new but the forced
flow. After all others the news was real."""
NEWS = ("black-thursday", "ust-depeg")


@dataclass(frozen=True, slots=True)
class Part:
    """One condition of a band. holds None: it does not apply to this run."""

    band: int
    name: str
    value: float | None
    wanted: str
    holds: bool | None


def _within(value: float | None, low: float, high: float) -> bool | None:
    return None if value is None else low <= value <= high


def acceptance_parts(run: Run, twin: Run) -> list[Part]:
    """All conditions of the six bands, measured on a run and its twin."""
    name = str(run.summary["scenario"])
    instrument = main_instrument(run)
    forced = forced_metrics(run)
    price = price_metrics(run, instrument, twin)
    market = liquidity_metrics(run, instrument)
    away = dislocation_metrics(run, instrument)
    share, peak = forced["busiest_40min_share"], forced["peak_minute_share"]
    depth, spread = market["depth_usd"], market["spread_bps"]
    thinner = 1.0 - depth["at"] / depth["before"] if depth["before"] else None
    wider = spread["at"] / spread["before"] if spread["before"] and spread["at"] else None
    back = market["depth_recovery_seconds"]
    basis, wick = away["basis_bps"]["lowest"], away["last_to_mark_bps"]
    delay = deleveraging_delay(run)
    deeper = price["overshoot"]
    if not forced["notional_usd"]:
        share = peak = deeper = None
    return [
        Part(1, "forced within busiest 40 min", share, "1/3 or more", _within(share, 1 / 3, 1.0)),
        Part(1, "peak minute of those", peak, "0.30 to 0.60", _within(peak, 0.3, 0.6)),
        Part(1, "long share", forced["long_share"], "0.80 to 0.92",
             _within(forced["long_share"], 0.8, 0.92)),
        _retrace(name, price["recovery_50_seconds"]),
        Part(3, "lowest hourly basis, bps", basis, "-260 to -10", _within(basis, -260.0, -10.0)),
        Part(3, "wick beyond the mark, bps", wick, "40 to 2000", _within(wick, 40.0, 2000.0)),
        Part(4, "depth within 1 %, fall", thinner, "0.90 or more", _within(thinner, 0.9, 1.0)),
        Part(4, "spread, times", wider, "10 or more", _within(wider, 10.0, 1e9)),
        Part(4, "depth back after, min", None if back is None else back / MINUTE_S, "10 to 90",
             None if thinner is not None and thinner < 0.9 and back is None
             else back is not None and 10.0 <= back / MINUTE_S <= 90.0),
        Part(5, "ADL after the fund failed, min", delay, "2 or less",
             None if delay is None else delay <= 2.0),
        Part(6, "trough against the twin", deeper, "below 0",
             None if deeper is None else deeper < 0.0),
    ]  # fmt: skip


def _retrace(name: str, seconds: float | None) -> Part:
    minutes = None if seconds is None else seconds / MINUTE_S
    title = "half of the fall back, min"
    limit = HEALS_WITHIN_S.get(name)
    if limit is not None:
        held = seconds is not None and seconds <= limit
        return Part(2, title, minutes, "60 or less: it healed", held)
    if name in NEWS:
        held = seconds is None or seconds > HOUR_S
        return Part(2, title, minutes, "over 60 or never: real news", held)
    return Part(2, title, minutes, "as the news was", None)


def deleveraging_delay(run: Run) -> float | None:
    """Minutes from the first deficit that a fund could not pay to the first deleveraging; None
    where no fund failed, infinite where none followed."""
    failed = [
        (row["time_ns"])
        for row in run.bankruptcies.iter_rows(named=True)
        if row["deficit_usd"] > row["fund_usd"] + 1e-6
    ]
    if not failed:
        return None
    if not deleveraging_metrics(run)["notional_usd"]:
        return float("inf")
    return float(int(run.deleveragings["time_ns"].min()) - min(failed)) / 6e10  # type: ignore[arg-type]


def bands_held(parts: Sequence[Part]) -> tuple[int, int]:
    """(bands of which every condition that applies holds, bands that apply)."""
    held = applied = 0
    for band in sorted({part.band for part in parts}):
        judged = [part.holds for part in parts if part.band == band and part.holds is not None]
        applied += bool(judged)
        held += bool(judged) and all(judged)
    return held, applied


def crash_and_twin(scenario: str, overrides: Sequence[str], seed: int) -> dict[str, Any]:
    """Run a seed and its twin in a temporary folder; the parts and the run's summary."""
    with tempfile.TemporaryDirectory(prefix="selloff-") as folder:
        runs = []
        for name, extra in (("run", ()), ("twin", (TWIN,))):
            place = Path(folder) / name
            run_scenario(scenario, seed, [*LOOK, *overrides, *extra], place)
            runs.append(Run.load(place))
        parts = acceptance_parts(*runs)
        summary: dict[str, Any] = dict(runs[0].summary)
        drawdown = price_metrics(runs[0], main_instrument(runs[0]), None)["drawdown"]
    held, applied = bands_held(parts)
    return {
        "seed": seed,
        "instrument": main_instrument(runs[0]),
        "parts": parts,
        "held": held,
        "applied": applied,
        "drawdown": drawdown,
        "summary": summary,
    }


def acceptance_command(
    scenario: str, seeds: Sequence[int], jobs: int, as_json: bool, overrides: Sequence[str]
) -> None:
    """Measure the bands of a crash for each seed and print them side by side."""
    loaded, _, _ = load_scenario(scenario, overrides)
    if jobs == 1:
        results = [crash_and_twin(scenario, overrides, seed) for seed in seeds]
    else:
        with open_executor(jobs, None) as executor:
            futures = [executor.submit(crash_and_twin, scenario, overrides, s) for s in seeds]
            for future in as_completed(futures):
                future.result()
            results = [future.result() for future in futures]
    if as_json:
        record = [{**one, "parts": [asdict(part) for part in one["parts"]]} for one in results]
        print(jsonlib.dumps(finite({"scenario": loaded.name, "runs": record}), allow_nan=False))
        return
    screen = console()
    shown = table("band", "condition", "wanted", *(f"seed {s}" for s in seeds), words=(1, 2))
    for number, part in enumerate(results[0]["parts"]):
        cells = [_cell(one["parts"][number]) for one in results]
        shown.add_row(str(part.band), part.name, part.wanted, *cells)
    screen.print(f"{loaded.name}: {results[0]['instrument']} against a twin without forced orders")
    screen.print(shown)
    for one in results:
        print(f"seed {one['seed']}: {one['held']} of {one['applied']} bands hold")


def _cell(part: Part) -> str:
    value = "none" if part.value is None else f"{part.value:.3g}"
    mark = {True: "yes", False: "NO", None: "-"}[part.holds]
    return f"{value} {mark}"
