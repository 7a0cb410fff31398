"""The line about compilation: said once, to a person, and only where kernels are cold."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from scenarios import warm

SOURCE = """
@njit(cache=True)
def price(x):
    return x


@njit(cache=True, forceinline=True)
def small(x):
    return x
"""
VERSION = f"py{sys.version_info.major}{sys.version_info.minor}"


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(warm, "RISK", tmp_path / "risk")
    (tmp_path / "risk" / "__pycache__").mkdir(parents=True)
    path = tmp_path / "risk" / "kernels.py"
    path.write_text(SOURCE)
    os.utime(path, (1000, 1000))
    return path


def _keep(folder: Path, function: str, time: int = 2000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / f"kernels.{function}-2.{VERSION}.nbi"
    index.write_bytes(b"")
    os.utime(index, (time, time))


def test_cold_until_a_function_is_kept(module: Path) -> None:
    assert not warm.is_warm(module)
    _keep(module.parent / "__pycache__", "small")
    assert not warm.is_warm(module), "an inlined function is never compiled by itself"
    _keep(module.parent / "__pycache__", "price")
    assert warm.is_warm(module)


def test_cold_again_when_the_module_changes(module: Path) -> None:
    _keep(module.parent / "__pycache__", "price", time=500)
    assert not warm.is_warm(module)


def test_the_folders_that_numba_uses_instead(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(tmp_path / "cache" / "numba" / "risk_0123abcd", "price")
    assert warm.is_warm(module)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "other"))
    assert not warm.is_warm(module)
    _keep(tmp_path / "other" / "risk_0123abcd", "price")
    assert warm.is_warm(module)


def test_one_line_for_a_terminal_and_none_for_a_file(module: Path) -> None:
    screen, file = Terminal(), io.StringIO()
    warm.announce_compilation(["kernels"], screen)
    warm.announce_compilation(["kernels"], file)
    assert screen.getvalue() == warm.MESSAGE + "\n"
    assert file.getvalue() == ""
    _keep(module.parent / "__pycache__", "price")
    screen = Terminal()
    warm.announce_compilation(["kernels"], screen)
    assert screen.getvalue() == ""


def test_a_program_without_sources_says_nothing(tmp_path: Path) -> None:
    assert warm.is_warm(tmp_path / "none.py")


def test_the_modules_named_are_there_and_compiled() -> None:
    for name in {*warm.KERNELS, *warm.ACCOUNT_KERNELS, *warm.ORDER_KERNELS}:
        text = (warm.RISK / f"{name}.py").read_text(encoding="utf-8")
        assert warm._COMPILED.search(text), name
