"""Ctrl-C ends every command in one line, and a sweep says how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from scenarios import margin_command, sweep_command
from scenarios.cli import app


def _stop(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def test_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(margin_command, "margin_command", _stop)
    result = CliRunner().invoke(app, ["margin", "any.toml"])
    assert (result.exit_code, result.stderr.strip()) == (130, "error: stopped")


def test_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_command, "run_sweep", _stop)
    arguments = ["sweep", "calm-day", "--seeds", "0:3", "--jobs", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    line = "error: stopped after 0 of 3 runs; the same command goes on from there"
    assert (result.exit_code, result.stderr.strip()) == (130, line)
