"""docs/twins.md names every figure of a comparison, and only those."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from scenarios.config import load_scenario
from scenarios.twin import twin_overrides
from scenarios.twin_figures import TwinFigures

TEXT = (Path(__file__).parents[2] / "docs" / "twins.md").read_text(encoding="utf-8")


def test_every_figure_is_on_the_page() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", TEXT, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(TwinFigures))


def test_the_twins_on_the_page_are_twins() -> None:
    _, tables, _ = load_scenario("black-thursday")
    shown = re.findall(r"^selloff run black-thursday --twin (\S+)", TEXT, re.MULTILINE)
    assert len(shown) == 3
    for twin in shown:
        load_scenario("black-thursday", twin_overrides(twin, tables))
