"""Tables on disk: packed rows go to a hidden folder, whole tables appear by one rename each.

While a run goes on, rows are bytes at the end of a file, one file per table. At the end they are
decoded and written as Parquet piece by piece, so memory stays bounded and the run is not disturbed.
A run that is killed leaves the hidden folder and no table that looks whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from scenarios.tables import Columns, Rows
from scenarios.whole_file import disk_errors

PARTS_FOLDER = ".parts"
PIECE_ROWS = 100_000
_BLOCK_ROWS = 2_048  # turned into columns together: they fit into a cache

Decode: TypeAlias = Callable[[str, Columns], pl.DataFrame]
"""Makes the frame of a piece of the named table."""


class TableWriter:
    """Keeps the rows of named tables below `directory`; `finish` makes them visible tables."""

    def __init__(self, directory: Path, *, piece_rows: int = PIECE_ROWS) -> None:
        self._directory = directory
        self._parts = directory / PARTS_FOLDER
        self._piece_rows = piece_rows
        self._types: dict[str, np.dtype[np.void]] = {}
        discard_parts(directory)
        self._parts.mkdir(parents=True)

    def add(self, name: str, rows: Rows) -> None:
        """Append packed rows to a table, all columns of 8 bytes. One write of a file."""
        self._types[name] = rows.dtype
        with (self._parts / name).open("ab") as file:
            file.write(rows.view(np.uint8).data)

    def finish(self, decode: Decode) -> None:
        """Write each table as Parquet and remove the hidden folder. O(rows)."""
        for name in sorted(self._types):
            unfinished = self._parts / f"{name}.parquet"
            pieces = (decode(name, columns) for columns in self._pieces(name))
            first = next(pieces)

            source = partial(_frames, chain((first,), pieces))
            with disk_errors():
                register_io_source(source, schema=first.schema).sink_parquet(unfinished)
            os.replace(unfinished, self._directory / unfinished.name)
        discard_parts(self._directory)

    def _pieces(self, name: str) -> Iterator[Columns]:
        """The rows of a table, at most `piece_rows` at a time; at least one piece."""
        dtype = self._types[name]
        path = self._parts / name
        left = path.stat().st_size // dtype.itemsize
        with path.open("rb") as file:
            while True:
                rows = min(left, self._piece_rows)
                yield _read(file, rows, dtype)
                left -= rows
                if not left:
                    return


def _frames(frames: Iterator[pl.DataFrame], *pushed_down: object) -> Iterator[pl.DataFrame]:
    """What polars asks for when it scans: here all columns and rows, so nothing is pushed down."""
    assert not any(pushed_down[:3]), "columns, predicate, number of rows"
    return frames


def _read(file: BufferedReader, rows: int, dtype: np.dtype[np.void]) -> Columns:
    """The next `rows` rows of a file, turned into contiguous columns."""
    names = dtype.names or ()
    turned = np.empty((len(names), rows), dtype="<i8")
    block = np.empty((min(rows, _BLOCK_ROWS), len(names)), dtype="<i8")
    for start in range(0, rows, _BLOCK_ROWS):
        some = block[: rows - start]
        got = file.readinto(some.data.cast("B"))
        assert got == some.nbytes, "rows are written whole"
        turned[:, start : start + len(some)] = some.T
    return {name: turned[i].view(dtype[name]) for i, name in enumerate(names)}


def discard_parts(directory: Path) -> None:
    """Remove what a killed run left in the hidden folder."""
    parts = directory / PARTS_FOLDER
    if parts.exists():
        shutil.rmtree(parts)
