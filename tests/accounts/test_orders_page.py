"""The example of docs/orders.md runs and prints what the page says; the page names what exists."""

import re
import runpy
from pathlib import Path

import pytest

from exchange.events import CancelReason
from risk.rules import load_rules

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(DOCS / "orders.py"))
    page = (DOCS / "orders.md").read_text(encoding="utf-8")
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", page, re.DOTALL)
    assert code == (DOCS / "orders.py").read_text(encoding="utf-8")
    assert printed == capsys.readouterr().out


def test_the_page_names_real_parameters_and_sources() -> None:
    text = (DOCS / "orders.md").read_text(encoding="utf-8").partition("## An example")[0]
    parameters = type(load_rules("okx-2025").orders).model_fields
    for name in ("quote_reserve", "batch", "price_gap", "most_matches"):
        assert name in parameters
        assert f"`{name}`" in text
    sources = {
        int(n) for group in re.findall(r"\(((?:\d+(?:, )?)+)", text) for n in group.split(", ")
    }
    assert sources <= {int(reason) for reason in CancelReason}
    assert {15, 17, 20, 22, 23, 27, 33, 38, 9} <= sources
