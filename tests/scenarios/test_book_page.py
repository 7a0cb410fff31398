"""docs/book.md says what the program does: every command, the table of columns, the scenario."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.book_checks import COLUMNS, OPTIONAL
from scenarios.book_file import read_book
from scenarios.cli import app
from scenarios.run import run_scenario

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "book.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ selloff ([^\n]*)\n(.*?)```", TEXT, re.DOTALL)
DAY = ROOT / "scenarios" / "library" / "books" / "example-day.toml"


@pytest.mark.parametrize(("command", "output"), BLOCKS, ids=range(len(BLOCKS)))
def test_command_prints_what_the_page_shows(
    monkeypatch: pytest.MonkeyPatch, command: str, output: str
) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, shlex.split(command))
    shown = "\n".join(line.rstrip() for line in result.output.splitlines()).strip("\n")
    assert shown == output.rstrip("\n")


def test_the_page_shows_commands_and_links_that_exist() -> None:
    assert len(BLOCKS) == 3
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target


def test_the_columns_are_all_there() -> None:
    named = re.findall(r"^\| `(\w+)` \|", TEXT.split("**Prices**")[0], re.MULTILINE)
    assert tuple(named) == (*COLUMNS, *OPTIONAL)


def test_the_csv_on_the_page_is_a_book(tmp_path: Path) -> None:
    (block,) = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "book.csv"
    path.write_text(block)
    assert read_book(path).accounts == ("desk-7", "desk-8")


def test_the_example_day_runs_with_the_book() -> None:
    summary = run_scenario(DAY, overrides={"market.end": "2025-01-15T10:27:20Z"}, keep=False)
    assert summary["book"]["accounts"] == 60
    assert summary["book"]["counterparty"]["account"] == "street"
    assert not any(summary["conservation_error_atoms"].values())
    # three accounts of the example are below the liquidation ratio from the start
    assert summary["liquidated_accounts"] == 3
