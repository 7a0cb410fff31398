"""Files that appear whole: a reader sees the old content or the new one, never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write to; it becomes `path` at the end, and is gone after an error.

    A pipe or a device is written to as it is.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()  # says what is wrong with the place in the words of the system
        with disk_errors():
            yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with whole_file(path) as place:
        place.write_text(text, encoding="utf-8")


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk as the OSError that it is: polars tells of it in errors of its own."""
    try:
        yield
    except Exception as error:
        full = os.strerror(errno.ENOSPC)
        if isinstance(error, OSError) or full not in str(error):
            raise
        raise OSError(errno.ENOSPC, full) from error
