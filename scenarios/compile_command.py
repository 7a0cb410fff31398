"""`selloff compile`: the way of an order as machine code, by mypyc, once per state of the sources.

The sources are copied into a folder of their own and compiled there; only what is whole comes
beside them. See `exchange/compiled.py` for how it is found and when it is used.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from exchange.compiled import LIBRARY, MODULES, PACKAGES, ROOT, STAMP, folder, is_compiled, state
from scenarios.errors import UserError

NOT_INSTALLED = "compile: mypyc is not installed; pip install 'selloff[fast]' brings it"
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

files = {files!r}
setup(
    name="selloff-compiled",
    packages=[],
    ext_modules=mypycify(files, opt_level="3", debug_level="0", group_name={group!r}),
)
"""
_MYPY = "[mypy]\nignore_missing_imports = true\n"
_LONGEST = 200  # characters of what a failed compiler says


def compile_command(*, remove: bool) -> None:
    """Compile `MODULES` unless that has been done, or remove what has been compiled."""
    place = folder()
    if remove:
        shutil.rmtree(place, ignore_errors=True)
        print("removed; runs use the sources")
    elif is_compiled():
        print("compiled already; runs use it")
    else:
        print(f"compiling {len(MODULES)} modules, a minute or two ...", flush=True)
        compile_modules(ROOT, place)
        print("done; runs use it until a source file changes (SELLOFF_COMPILED=0: never)")


def compile_modules(root: Path, place: Path) -> None:
    """Compile the sources below `root` into the folder `place`, which appears whole or not at all.

    UserError where mypyc or a C compiler is missing or refuses.
    """
    if find_spec("mypyc") is None or find_spec("setuptools") is None:
        raise UserError(NOT_INSTALLED)
    before = state(root)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for package in PACKAGES:
            shutil.copytree(
                root / package, work / package, ignore=shutil.ignore_patterns("__pycache__", "data")
            )
        (work / "mypy.ini").write_text(_MYPY, encoding="utf-8")
        files = [module.replace(".", "/") + ".py" for module in MODULES]
        setup = _SETUP.format(files=files, group=LIBRARY.removesuffix("__mypyc"))
        (work / "setup.py").write_text(setup, encoding="utf-8")
        _run(work)
        _keep(work, place, before)


def _run(work: Path) -> None:
    """Let mypyc and the C compiler do their work in the folder."""
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()]
        said = " ".join((lines or ["no reason given"])[0].split())[:_LONGEST]
        raise UserError(f"compile: mypyc or the C compiler failed, runs use the sources: {said}", 1)


def _keep(work: Path, place: Path, state_before: str) -> None:
    """Move the compiled modules from `work` to `place`, with the state they belong to."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as name:
            fresh = Path(name) / "compiled"
            for module in (*MODULES, LIBRARY):
                built = work / (module.replace(".", "/") + EXTENSION_SUFFIXES[0])
                target = fresh / built.relative_to(work)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(built, target)
            (fresh / STAMP).write_text(state_before, encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
    except OSError as error:
        raise UserError(f"compile: {place.parent} cannot be written: {error.strerror}", 1) from None
