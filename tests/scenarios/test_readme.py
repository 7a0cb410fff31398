"""The README is true: its scenario and its trader run, its commands and links exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer

from scenarios.cli import app
from scenarios.run import run_scenario

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def test_scenario_and_trader_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = block("toml")
    for old, new in (("12:30:00", "12:02:00"), ("300.0, ", "10.0, "), ("900.0, ", "60.0, ")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    Path("my-crash.toml").write_text(text, encoding="utf-8")
    alone = run_scenario("my-crash.toml", keep=False)
    assert alone["liquidated_accounts"] > 0
    code = block("python")
    assert code.count("run_scenario(") == 1
    file = tmp_path / "trader.py"
    file.write_text(code.replace("run_scenario(", "summary = run_scenario("), encoding="utf-8")
    names: dict[str, Any] = runpy.run_path(str(file), run_name="trader")
    assert names["summary"]["event_hash"] != alone["event_hash"]
    assert names["summary"]["accounts"] == alone["accounts"] + 1
    assert (tmp_path / "runs" / "with-dip-buyer" / "summary.json").exists()


def test_every_command_is_listed() -> None:
    listed = re.findall(r"^\| `selloff (\w+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_links_and_pictures_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_two_commands_at_the_top() -> None:
    head = README.splitlines()[:16]
    assert any(line.startswith("make demo") for line in head)
    assert any(line.startswith("make test") for line in head)
