"""Rows of one table on their way: packed, hashed, handed on in chunks.

A row is written column by column into a buffer that grows to one chunk of rows and is used again
(`librt.strings`: in compiled code a column is a few instructions and no object).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from librt.strings import BytesWriter
from numpy.typing import NDArray

from scenarios.tables import LEDGER, Rows, Sink, TableDigest, TableSpec, Words, encoded

NAMES_AT_ONCE = 10_000  # encoded together: as many short objects at a time


class EventTable:
    """A buffer of packed rows of one table that empties itself into a sink when it is full.

    The buffer that `row()` returns takes one row, all its columns in order; `add` packs a row of
    any columns, `extend` takes many rows at once. O(1) per row.
    """

    __slots__ = ("_chunk_bytes", "_pack", "_packed", "_sink", "digest", "spec", "words")

    def __init__(self, spec: TableSpec, sink: Sink, chunk_rows: int) -> None:
        assert chunk_rows > 0
        packing = spec.packing
        self.spec = spec
        self.words = Words()
        self.digest = TableDigest(spec)
        self._pack: Callable[..., bytes] = packing.pack
        self._packed = BytesWriter()
        self._chunk_bytes: int = packing.size * chunk_rows
        self._sink = sink

    def row(self) -> BytesWriter:
        """Where the next row goes, after a flush if a chunk is full."""
        if len(self._packed) >= self._chunk_bytes:
            self._flush()
        return self._packed

    def add(self, *row: float) -> None:
        """Add one row, sequence number included."""
        self.row().write(self._pack(*row))

    def extend(self, rows: Rows) -> None:
        """Add rows of the table's dtype, sequence numbers included. O(rows), as one copy."""
        start = 0
        while start < len(rows):
            packed = self.row()
            free = (self._chunk_bytes - len(packed)) // rows.dtype.itemsize
            piece = rows[start : start + free]
            packed.write(piece.tobytes())
            start += len(piece)

    def _flush(self) -> None:
        chunk = self._packed.getvalue()
        self._packed.truncate(0)
        rows = np.frombuffer(chunk, dtype=self.spec.dtype)
        self.digest.update(chunk, len(rows))
        self._sink(self.spec.name, rows)

    def _encoded(self) -> Iterable[bytes]:
        """The table's words, encoded, in pieces."""
        return [encoded(self.words.words)]

    def close(self) -> bytes:
        """Flush the rest and return the table's digest. Nothing may be written afterwards."""
        if len(self._packed):
            self._flush()
        return self.digest.digest(self._encoded())


class LedgerTable(EventTable):
    """The ledger's bookings, which arrive as arrays; its words are the names of its accounts."""

    __slots__ = ("_encoded_names", "_pieces", "currencies", "names")

    def __init__(self, sink: Sink, chunk_rows: int) -> None:
        super().__init__(LEDGER, sink, chunk_rows)
        self.names: list[str] = []
        self.currencies: list[str] = []
        self._pieces: list[bytes] = []  # names as the digest takes them: accounts are only added
        self._encoded_names = 0

    def book(self, first_seq: int, postings: NDArray[np.int64]) -> None:
        """Add one batch, whose rows take the sequence numbers from `first_seq` on."""
        count, columns = postings.shape
        rows = np.empty((count, 1 + columns), dtype="<i8")
        rows[:, 0] = np.arange(first_seq, first_seq + count)
        rows[:, 1:] = postings
        self.extend(rows.view(LEDGER.dtype).reshape(count))
        if len(self.names) - self._encoded_names >= NAMES_AT_ONCE:
            self._encode_names()

    def _encode_names(self) -> None:
        """Encode the names that are new, once each. O(new accounts)."""
        for start in range(self._encoded_names, len(self.names), NAMES_AT_ONCE):
            some = slice(start, start + NAMES_AT_ONCE)
            pairs = zip(self.names[some], self.currencies[some], strict=True)
            self._pieces.append(encoded(map(":".join, pairs)))
        self._encoded_names = len(self.names)

    def _encoded(self) -> Iterable[bytes]:
        self._encode_names()
        return self._pieces
