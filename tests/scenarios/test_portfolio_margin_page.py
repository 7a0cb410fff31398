"""docs/portfolio-margin.md says what the program does: every command, the doctest, the table."""

from __future__ import annotations

import doctest
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from risk.margin import Portfolio, margin_report
from risk.portfolio import MULTI_CURRENCY_MODE
from risk.rules import load_rules
from scenarios.cli import app
from scenarios.portfolio_file import load_portfolio
from tests.scenarios.margin_cases import example

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "portfolio-margin.md"
BLOCKS = re.findall(r"```console\n\$ selloff ([^\n]*)\n(.*?)```", PAGE.read_text(), re.DOTALL)
ROWS = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| (-?\d+) % \| ([\d.]+) \| (-?\d+) % \|$",
                  PAGE.read_text(), re.MULTILINE)  # fmt: skip


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's commands are typed in the repository's folder."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("command", "output"), BLOCKS, ids=[block[0] for block in BLOCKS])
def test_command_prints_what_the_page_shows(command: str, output: str) -> None:
    result = CliRunner().invoke(app, shlex.split(command))
    shown = "\n".join(line.rstrip() for line in result.output.splitlines()).strip("\n")
    assert shown == output.rstrip("\n")


def test_page_shows_commands() -> None:
    assert len(BLOCKS) >= 7
    assert len(ROWS) >= 10


def test_python_example() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False)
    assert outcome.attempted >= 6
    assert outcome.failed == 0


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_calendar_spread_table(row: tuple[str, ...]) -> None:
    leg = float(row[0]) * 1e6
    spread = load_portfolio(example("calendar-spread-small"))
    factor = leg / (abs(spread.positions[0].size) * 0.01 * spread.market.usd_index["BTC"])
    positions = tuple(replace(p, size=p.size * factor) for p in spread.positions)
    sized = replace(spread, positions=positions)

    def share(portfolio: Portfolio, rules: str) -> float:
        return margin_report(portfolio, load_rules(rules)).total_imr / leg

    plain = share(replace(sized, mode=MULTI_CURRENCY_MODE), "okx-2021")
    old, new = share(sized, "okx-2021"), share(sized, "okx-2025")
    expected = (plain, old, 1.0 - old / plain, new, 1.0 - new / plain)
    shown = [float(number) / 100.0 for number in row[1:]]
    tolerances = (6e-5, 6e-5, 6e-3, 6e-5, 6e-3)
    for number, (want, have, tolerance) in enumerate(zip(expected, shown, tolerances, strict=True)):
        assert have == pytest.approx(want, abs=tolerance), number
