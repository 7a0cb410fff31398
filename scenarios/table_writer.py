"""Tables on disk: chunks go to parts in a hidden folder, whole tables appear by one rename each.

Memory stays bounded: a table holds at most `PART_ROWS` rows before they become a part file, and
parts are merged by polars' streaming engine. A run that is killed leaves the hidden folder and no
table that looks whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import polars as pl

PARTS_FOLDER = ".parts"
PART_ROWS = 200_000


class TableWriter:
    """Writes the frames of named tables below `directory`; `finish` makes the tables visible."""

    def __init__(self, directory: Path, *, part_rows: int = PART_ROWS) -> None:
        self._directory = directory
        self._parts = directory / PARTS_FOLDER
        self._part_rows = part_rows
        self._held: dict[str, list[pl.DataFrame]] = {}
        self._held_rows: dict[str, int] = {}
        self._written: dict[str, int] = {}
        discard_parts(directory)
        self._parts.mkdir(parents=True)

    def add(self, name: str, frame: pl.DataFrame) -> None:
        """Append rows to a table."""
        self._held.setdefault(name, []).append(frame)
        rows = self._held_rows.get(name, 0) + frame.height
        self._held_rows[name] = rows
        if rows >= self._part_rows:
            self._write_part(name)

    def _write_part(self, name: str) -> None:
        folder = self._parts / name
        folder.mkdir(exist_ok=True)
        number = self._written.get(name, 0)
        frame = pl.concat(self._held.pop(name))
        frame.write_ipc(folder / f"{number:05d}.arrow")  # fast: it is read once, at the end
        self._written[name] = number + 1
        self._held_rows[name] = 0

    def finish(self) -> None:
        """Write what is held, merge the parts of each table and remove the hidden folder."""
        for name in sorted({*self._held, *self._written}):
            target = self._directory / f"{name}.parquet"
            unfinished = self._parts / f"{name}.merged"
            if name not in self._written:
                pl.concat(self._held.pop(name)).write_parquet(unfinished)
            else:
                if name in self._held:
                    self._write_part(name)
                parts = sorted((self._parts / name).glob("*.arrow"))
                pl.scan_ipc(parts).sink_parquet(unfinished)
            os.replace(unfinished, target)
        discard_parts(self._directory)


def discard_parts(directory: Path) -> None:
    """Remove what a killed run left in the hidden folder."""
    parts = directory / PARTS_FOLDER
    if parts.exists():
        shutil.rmtree(parts)
