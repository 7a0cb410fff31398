"""Compiled modules: found when they are of these sources, never when they are not, equal always."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exchange import compiled
from exchange.compiled import LIBRARY, MODULES, PACKAGES, ROOT, CompiledFinder, folder, is_compiled
from scenarios import compile_command
from scenarios.compile_command import compile_modules
from scenarios.errors import UserError

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None and shutil.which("gcc") is None, reason="no C compiler here"
)
REAL = ("exchange/__init__.py", "exchange/compiled.py")
MODULE = "def twice(value: int) -> int:\n    return 2 * value\n"
ASK = "import scenarios.wire as w; print(w.twice(21), w.__file__.rsplit('.', 1)[-1])"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A tree with the packages and modules of the real one, each module one function."""
    root = tmp_path / "toy"
    for package in PACKAGES:
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text("import exchange\n", encoding="utf-8")
    for file in REAL:
        shutil.copy(ROOT / file, root / file)
    for name in MODULES:
        (root / (name.replace(".", "/") + ".py")).write_text(MODULE, encoding="utf-8")
    return root


def ask(root: Path, switch: str = "1") -> str:
    """What a fresh process says that imports a module of the tree."""
    environment = {**os.environ, compiled.SWITCH: switch, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment,
        cwd=root,  # a command looks there first
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_list_names_sources_that_nobody_derives_from() -> None:
    for name in MODULES:
        assert (ROOT / (name.replace(".", "/") + ".py")).is_file(), name
    assert "agents.base" not in MODULES  # `Agent` is there for users to derive from


def test_only_the_list_is_found_compiled(tmp_path: Path) -> None:
    finder = CompiledFinder(tmp_path)
    for name in (*MODULES, LIBRARY):
        spec = finder.find_spec(name, None)
        assert spec is not None and spec.origin is not None
        assert Path(spec.origin).is_relative_to(tmp_path)
    assert finder.find_spec("agents.base", None) is None
    assert finder.find_spec("json", None) is None


def test_compiled_modules_belong_to_one_state_of_the_sources(toy: Path) -> None:
    assert not is_compiled(toy)
    place = folder(toy)
    place.mkdir(parents=True)
    (place / compiled.STAMP).write_text(compiled.state(toy), encoding="utf-8")
    assert is_compiled(toy)
    source = toy / "risk" / "more.py"  # a source that is not compiled itself, but may be inlined
    source.write_text("LIMIT = 1\n", encoding="utf-8")
    assert not is_compiled(toy)
    source.unlink()
    assert is_compiled(toy)
    (toy / "exchange" / "book.py").write_text(MODULE + "\n", encoding="utf-8")
    assert not is_compiled(toy)


@needs_compiler
def test_compiled_and_then_changed(toy: Path) -> None:
    assert ask(toy) == "42 py"
    compile_modules(toy, folder(toy))
    assert ask(toy) == "42 so"
    assert ask(toy, switch="0") == "42 py"
    (toy / "scenarios" / "wire.py").write_text(MODULE.replace("2 *", "3 *"), encoding="utf-8")
    assert ask(toy) == "63 py"  # never the old code


def test_what_cannot_be_compiled_leaves_what_was_there(toy: Path) -> None:
    place = folder(toy)
    place.mkdir(parents=True)
    (place / compiled.STAMP).write_text("an older state", encoding="utf-8")
    (toy / "scenarios" / "wire.py").write_text("def twice(value: int) -> int:\n    return 'a'\n")
    with pytest.raises(UserError, match=r"mypyc or the C compiler failed.*wire.py:2: error"):
        compile_modules(toy, place)
    assert [file.name for file in place.iterdir()] == [compiled.STAMP]


def test_without_mypyc_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, toy: Path) -> None:
    monkeypatch.setattr(compile_command, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install"):
        compile_modules(toy, folder(toy))


HASHES = """
from scenarios.bar_file import format_time
from scenarios.config import load_scenario
from scenarios.run import run_scenario
import accounts.clearing
print(accounts.clearing.__file__.rsplit(".", 1)[-1])
for name in ("black-thursday", "calm-day", "tariff-cascade", "usdc-depeg", "vol-shock"):
    end = format_time(load_scenario(name)[0].market.start + 300 * 10**9)
    print(name, run_scenario(name, 1, {"market.end": end}, keep=False)["event_hash"])
print(run_scenario("tests/scenarios/small_crash.toml", keep=False)["event_hash"])
"""


@pytest.mark.slow
@needs_compiler
def test_runs_are_the_same_in_both_forms(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    shutil.copy(ROOT / "pyproject.toml", root / "pyproject.toml")
    for package in (*PACKAGES, "tests", "benchmarks", "docs"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    compile_modules(root, folder(root))
    said = []
    for switch in ("0", "1"):
        environment = {**os.environ, compiled.SWITCH: switch, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", HASHES], env=environment, cwd=root, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        said.append(done.stdout.split("\n"))
    assert [lines[0] for lines in said] == ["py", "so"]
    assert said[0][1:] == said[1][1:]
    assert len(said[0]) >= 7
    # and the tests of what is compiled, on the compiled form
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", "tests/exchange",
         "tests/accounts", "tests/properties"],
        env={**os.environ, compiled.SWITCH: "1", "PYTHONPATH": str(root)}, cwd=root,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
