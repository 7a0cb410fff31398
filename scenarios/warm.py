"""One line while the margin kernels are compiled: once per machine, for 20 to 40 seconds.

numba keeps an index file (`.nbi`) for every compiled function beside its module, or in a folder
of the user's where that cannot be written. Looking for these files loads neither numba nor numpy.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

RISK = Path(__file__).resolve().parent.parent / "risk"
KERNELS = ("kernels", "stress_kernels")
ACCOUNT_KERNELS = (*KERNELS, "account_kernels")
ORDER_KERNELS = (*KERNELS, "order_kernels")
"""Modules that commands compile: of a portfolio file, of a book, of a run."""

MESSAGE = "compiling the margin kernels, once on this machine: half a minute ..."
_COMPILED = re.compile(r"^@njit\(cache=True(?![^)]*inline)[^)]*\)\ndef (\w+)", re.MULTILINE)


def announce_compilation(modules: Iterable[str], stream: TextIO | None = None) -> None:
    """Tell a person at a terminal (stderr) that kernels will be compiled, if they will."""
    out = sys.stderr if stream is None else stream
    if out.isatty() and not all(is_warm(RISK / f"{name}.py") for name in modules):
        print(MESSAGE, file=out, flush=True)


def is_warm(module: Path) -> bool:
    """Whether numba has kept a compiled function of a module since the module last changed.

    One function is enough: which of them a command calls depends on its input.
    """
    try:
        changed = module.stat().st_mtime
        functions = _COMPILED.findall(module.read_text(encoding="utf-8"))
    except OSError:
        return True  # no source beside the program: nothing can be said
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    kept = {
        file.name.split(".")[1].rsplit("-", 1)[0]
        for folder in _folders(module)
        for file in folder.glob(f"{module.stem}.*{version}*.nbi")
        if file.stat().st_mtime >= changed
    }
    return not functions or not kept.isdisjoint(functions)


def _folders(module: Path) -> Iterator[Path]:
    """Where numba may keep what it compiled of a module, as its own cache locators look."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    roots = [Path(given)] if given else [module.parent / "__pycache__", *_user_caches()]
    for root in roots:
        if root.is_dir():
            yield root
            # one folder for each source folder, named after it
            yield from root.glob(f"{module.parent.name}_*")


def _user_caches() -> Iterator[Path]:
    base = os.environ.get("XDG_CACHE_HOME")
    yield (Path(base) if base else Path.home() / ".cache") / "numba"
    yield Path.home() / "Library" / "Caches" / "numba"
    local = os.environ.get("LOCALAPPDATA")
    if local:
        yield Path(local) / "numba" / "Cache"
