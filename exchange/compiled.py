"""Compiled modules: the way of an order as machine code, where that has been made.

`selloff compile` hands the files of `MODULES`, unchanged, to mypyc and keeps what comes out beside
the sources (`scenarios/compile_command.py`). `use_compiled` lets imports find it. It belongs to one
state of all source files: when any of them has changed, and where the environment variable
SELLOFF_COMPILED is 0, the sources run. Results are the same in both forms; there is no second code.

Loads neither numpy nor numba. O(source files): a millisecond.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("exchange", "risk", "accounts", "agents", "scenarios")
MODULES: Final = (
    "exchange.units",
    "exchange.instrument",
    "exchange.order",
    "exchange.events",
    "exchange.price_levels",
    "exchange.book",
    "exchange.matching",
    "accounts.account",
    "accounts.admission",
    "accounts.clearing",
    "accounts.exposures",
    "accounts.isolated",
    "accounts.ledger",
    "accounts.listing",
    "accounts.loans",
    "accounts.market",
    "accounts.order_conditions",
    "accounts.protection",
    "accounts.settlement",
    "agents.desk",
    "agents.draws",
    "agents.outside",
    "agents.own_order",
    "scenarios.clock",
    "scenarios.event_table",
    "scenarios.recorder",
    "scenarios.simulation",
    "scenarios.venue",
    "scenarios.wire",
)
"""What an order passes on its way. A class that users derive from cannot be among them."""
LIBRARY: Final = "selloff__mypyc"
"""The one library that holds the code; a module of the list is an entrance to it."""
SWITCH: Final = "SELLOFF_COMPILED"
STAMP: Final = "state"


def folder(root: Path = ROOT) -> Path:
    """Where compiled modules are kept."""
    return root / "exchange" / "__pycache__" / "compiled"


def state(root: Path = ROOT) -> str:
    """Fingerprint of all sources (names, sizes, times) and of the interpreter."""
    total = sha256(EXTENSION_SUFFIXES[0].encode())
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            status = file.stat()
            line = f"{file.relative_to(root)} {status.st_size} {status.st_mtime_ns}\n"
            total.update(line.encode())
    return total.hexdigest()


def is_compiled(root: Path = ROOT) -> bool:
    """Whether the sources as they are have been compiled."""
    stamp = folder(root) / STAMP
    try:
        return stamp.is_file() and stamp.read_text("utf-8") == state(root)
    except OSError:
        return False


class CompiledFinder(MetaPathFinder):
    """Finds the compiled form of `MODULES` and their library in a folder."""

    def __init__(self, place: Path) -> None:
        suffix = EXTENSION_SUFFIXES[0]
        self._files = {
            name: place / (name.replace(".", os.sep) + suffix) for name in (*MODULES, LIBRARY)
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib` asks: the file of a compiled module, None for all others."""
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def use_compiled() -> None:
    """Let imports find compiled modules, if there are any of these sources. Called once, before
    any module of the list is imported."""
    if os.environ.get(SWITCH) != "0" and is_compiled():
        sys.meta_path.insert(0, CompiledFinder(folder()))
