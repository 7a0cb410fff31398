"""What the tests of the portfolio simulator share: the command, the examples, small files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from scenarios.cli import app

GOLDEN = Path(__file__).parents[1] / "golden"
LIBRARY = Path(__file__).parents[2] / "scenarios" / "library" / "portfolios"
G1 = GOLDEN / "g1_portfolio.toml"


def run(*words: object) -> Result:
    """Run `selloff` with these words, in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run_json(*words: object) -> dict[str, Any]:
    """The JSON object that the command prints; it must succeed and print nothing else."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def example(name: str) -> Path:
    """The path of an example portfolio."""
    return LIBRARY / f"{name}.toml"


def error_line(*words: object) -> str:
    """The one line on stderr of a command that must fail as bad input does."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
