"""The bands of a crash, on a small one and its twin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.acceptance import HEALS_WITHIN_S, NEWS, Part, _retrace, bands_held
from scenarios.cli import app
from scenarios.config import shipped_scenarios

SMALL = Path(__file__).parent / "small_crash.toml"


def test_a_small_crash_and_its_twin() -> None:
    arguments = ["validate", str(SMALL), "--crash", "--seeds", "1", "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    (run,) = record["runs"]
    parts = [Part(**part) for part in run["parts"]]
    assert [part.band for part in parts] == [1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6]
    assert (run["held"], run["applied"]) == bands_held(parts)
    found = {part.name: part for part in parts}
    assert run["summary"]["liquidated_accounts"] > 0
    assert found["forced within busiest 40 min"].value == pytest.approx(1.0)
    assert found["long share"].value is not None
    assert found["trough against the twin"].value is not None
    assert found["half of the fall back, min"].holds is None  # no real event to judge by


@pytest.mark.parametrize(
    ("name", "seconds", "holds"),
    [
        ("tariff-cascade", 1500.0, True),
        ("tariff-cascade", 7200.0, False),
        ("tariff-cascade", None, False),
        ("black-thursday", None, True),
        ("black-thursday", 40_000.0, True),
        ("black-thursday", 600.0, False),
        ("flash-crash", 600.0, None),
    ],
)
def test_the_way_back_is_judged_by_what_the_event_was(
    name: str, seconds: float | None, holds: bool | None
) -> None:
    assert _retrace(name, seconds).holds is holds


def test_events_that_are_judged_ship() -> None:
    assert set(HEALS_WITHIN_S) | set(NEWS) <= set(shipped_scenarios())
