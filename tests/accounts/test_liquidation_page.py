"""The page's worked example is what the code does."""

from __future__ import annotations

from pathlib import Path

from tests.accounts.liquidation_page import example

PAGE = Path(__file__).parents[2] / "docs" / "liquidation.md"


def test_worked_example() -> None:
    _, rest = PAGE.read_text(encoding="utf-8").split("```text\n")
    assert rest.split("\n```")[0].splitlines() == example()
