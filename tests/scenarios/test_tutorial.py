"""The tutorial runs: shortened in the ordinary suite, whole in the soak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.py"
END = "2020-03-12T10:48:00Z"


def play(end: str) -> dict[str, Any]:
    """Run the file with another end of its window; its names afterwards."""
    text = TUTORIAL.read_text(encoding="utf-8")
    assert text.count(f'"{END}"') == 1, "the window of the tutorial has moved"
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text.replace(END, end), str(TUTORIAL), "exec"), names)
    return names


def check(names: dict[str, Any]) -> None:
    assert (names["done"], names["failed"]) == (6, 0)
    assert names["summary"]["liquidated_accounts"] > 0
    assert names["leverage"].height == 3
    assert names["without"] and names["with_fund"]
    without, with_fund = (names["paid"](names["runs"][fund]) for fund in ("0", "2000000"))
    assert with_fund["uncovered"] <= without["uncovered"]
    assert with_fund["fund"] >= without["fund"]


def test_tutorial_in_a_short_window(capsys: pytest.CaptureFixture[str]) -> None:
    check(play("2020-03-12T10:45:30Z"))
    printed = capsys.readouterr().out
    assert "accounts liquidated" in printed and "median leverage 12.0" in printed


@pytest.mark.slow
def test_whole_tutorial() -> None:
    names = play(END)
    check(names)
    liquidated = names["leverage"]["liquidated_accounts.mean"].to_list()
    assert liquidated == sorted(liquidated)  # what the text says is plain
