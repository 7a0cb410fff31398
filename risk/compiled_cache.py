"""Compiled kernels on disk are dropped when any source file of `risk` has changed.

numba keeps what it compiles beside the module and looks only at the file that a kernel is in. A
kernel also holds the code of what it inlines from other files: after an update of those it would go
on with the old formulas, without a word. So the state of all files is kept beside the kernels, and
when it differs all of them are compiled again. Loads neither numba nor numpy.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

STAMP = "kernels.stamp"
COMPILED = ("*.nbi", "*.nbc")


def drop_stale(package: Path) -> None:
    """Delete the compiled kernels in `package`/__pycache__ unless they are of these sources.

    O(files): a millisecond. Does nothing where the folder cannot be written: then numba keeps
    kernels elsewhere, in a folder of the user's.
    """
    folder = package / "__pycache__"
    try:
        now = _state(package)
        stamp = folder / STAMP
        if stamp.is_file() and stamp.read_text("utf-8") == now:
            return
        folder.mkdir(exist_ok=True)
        for pattern in COMPILED:
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
        fresh = folder / f"{STAMP}.{os.getpid()}"
        fresh.write_text(now, encoding="utf-8")
        fresh.replace(stamp)  # in one step: others may be looking
    except OSError:
        return


def _state(package: Path) -> str:
    """Names, sizes and times of all source files."""
    total = sha256()
    for file in sorted(package.glob("*.py")):
        status = file.stat()
        total.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return total.hexdigest()
