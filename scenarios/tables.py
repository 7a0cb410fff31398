"""The tables of a run: their columns, the buffers rows are packed into, and the event hash.

A row is packed into a preallocated buffer (`struct.pack_into`, little-endian int64 and float64
only), so recording costs a fraction of a microsecond and a full buffer is a numpy array without
conversion. Words (reasons, pools) are numbered per table in the order in which they first appear.
The bytes of all rows in order, and the words in order, are the canonical encoding that the event
hash is taken over: it depends on neither the size of the buffers nor on what is written to disk.

Source: design, sections 4 (determinism) and 8 (results).
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scenarios.market_sample import DEPTH_BANDS_BPS

Rows: TypeAlias = NDArray[Any]
"""Structured array of packed rows, one field per column."""
Columns: TypeAlias = dict[str, NDArray[Any]]
"""Rows turned into one contiguous array per column."""
Sink: TypeAlias = Callable[[str, Rows], None]
"""Takes a table's name and a chunk of its rows; must copy what it keeps."""

INTEGER, FLOAT = "q", "d"
NAMES_AT_ONCE = 10_000  # encoded together: as many short objects at a time


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Name and columns of one table; `columns` is (name, INTEGER | FLOAT) in row order.

    Columns in `words` hold numbers of words of this table. `small` tables are written in every run,
    the others only where everything is recorded.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    words: tuple[str, ...] = ()
    small: bool = False

    @property
    def packing(self) -> struct.Struct:
        """The packing of one row."""
        return struct.Struct("<" + "".join(code for _, code in self.columns))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of packed rows."""
        return np.dtype([(name, "<i8" if c == INTEGER else "<f8") for name, c in self.columns])


def _spec(
    name: str, columns: str, words: tuple[str, ...] = (), *, small: bool = False
) -> TableSpec:
    """A spec from a line of column names; a name that ends in ":" is a float."""
    parsed = tuple(
        (c[:-1], FLOAT) if c.endswith(":") else (c, INTEGER)
        for c in f"seq time_ns {columns}".split()
    )
    return TableSpec(name, parsed, words, small)


_MARGIN = (
    "equity_usd: adjusted_equity_usd: maintenance_margin_usd: initial_margin_usd: margin_ratio:"
)

ORDERS = _spec(
    "orders",
    "event order_id account instrument side order_type price_ticks size_lots remaining_lots reason"
    " cause_id",
)
FILLS = _spec(
    "fills",
    "fill_id instrument price_ticks size_lots taker_side maker taker maker_order_id"
    " taker_order_id cause_id usd_rate_e8",
)
ACCOUNTS = _spec("accounts", f"account state {_MARGIN}")
STATES = _spec("states", f"account old_state state action_id {_MARGIN}", small=True)
WARNINGS = _spec("warnings", "account margin_ratio:", small=True)
LIQUIDATIONS = _spec(
    "liquidations",
    "action_id trigger_id account stage unit instrument side wanted_lots filled_lots limit_ticks"
    " average_price: mark_price: bankruptcy_price: notional_usd: slippage_usd: fee_usd:"
    " ratio_before: ratio_after: reason",
    ("unit", "reason"),
    small=True,
)
BANKRUPTCIES = _spec(
    "bankruptcies",
    "action_id account equity_usd: deficit_usd: fund_usd: deleveraging_usd: socialised_usd:"
    " uncovered_usd: pools",
    ("pools",),
    small=True,
)
DELEVERAGINGS = _spec(
    "deleveragings",
    "action_id loser winner instrument lots price_ticks mark_ticks forgone_usd:",
    small=True,
)
FUNDS = _spec(
    "funds",
    "pool currency atoms change_atoms reference usd_rate_e8",
    ("pool", "currency"),
    small=True,
)
FUNDING = _spec("funding", "instrument rate_e8 mark_ticks long_lots paid_atoms", small=True)
DELIVERIES = _spec("deliveries", "instrument price_e8 long_lots paid_atoms fee_atoms", small=True)
MARKS = _spec(
    "marks",
    "instrument index_e8 mark_ticks last_ticks bid_ticks ask_ticks open_interest_lots "
    + " ".join(f"{side}_depth_{b}bps_lots" for side in ("bid", "ask") for b in DEPTH_BANDS_BPS),
    small=True,
)
POSITIONS = _spec("positions", "account instrument lots cost_atoms", small=True)
LEDGER = _spec("ledger", "kind debit credit atoms reference")

FIXED_TABLES = (
    ORDERS, FILLS, ACCOUNTS, STATES, WARNINGS, LIQUIDATIONS, BANKRUPTCIES, DELEVERAGINGS, FUNDS,
    FUNDING, DELIVERIES, MARKS, POSITIONS,
)  # fmt: skip


class Words:
    """Numbers for words, in the order in which they first appear. O(1) per word."""

    __slots__ = ("_numbers", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        """The number of `word`, given out at its first appearance."""
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self.words)
            self.words.append(word)
        return number


@dataclass(slots=True)
class TableDigest:
    """Streaming hash of one table's rows."""

    spec: TableSpec
    rows: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def update(self, chunk: bytes | memoryview, rows: int) -> None:
        """Add packed rows."""
        self._hash.update(chunk)
        self.rows += rows

    def digest(self, words: bytes | bytearray) -> bytes:
        """SHA-256 over the table's layout, row count, row bytes and `encoded` words."""
        total = hashlib.sha256()
        layout = ",".join(f"{name}:{code}" for name, code in self.spec.columns)
        total.update(f"{self.spec.name}({layout}){self.rows}\n".encode())
        total.update(self._hash.digest())
        total.update(words)
        return total.digest()


def encoded(words: Iterable[str]) -> bytes:
    """Words as the event hash takes them: each after its length in bytes, a little-endian int64."""
    pieces = map(str.encode, words)
    return b"".join([len(piece).to_bytes(8, "little") + piece for piece in pieces])


def skip(iterator: Iterator[Any], items: int) -> None:
    """Take the next `items` and drop them."""
    deque(islice(iterator, items), maxlen=0)


class EventTable:
    """A buffer of packed rows of one table that empties itself into a sink when it is full.

    A writer calls `pack(buffer, slot(), *row)`. `slot()` is the offset of the next free row; it
    flushes first where the buffer is full. O(1) per row. `extend` takes many rows at once.
    """

    __slots__ = ("_dtype", "_free", "_sink", "buffer", "digest", "pack", "slot", "spec", "words")

    def __init__(self, spec: TableSpec, sink: Sink, chunk_rows: int) -> None:
        assert chunk_rows > 0
        packing = spec.packing
        self.spec = spec
        self.words = Words()
        self.digest = TableDigest(spec)
        self.buffer = bytearray(packing.size * chunk_rows)
        self.pack = packing.pack_into
        self._free = self._slots(packing.size)
        self.slot: Callable[[], int] = self._free.__next__
        self._dtype = spec.dtype
        self._sink = sink

    def _slots(self, row_bytes: int) -> Iterator[int]:
        size = len(self.buffer)
        while True:
            yield from range(0, size, row_bytes)
            self._flush(size)

    def extend(self, rows: Rows) -> None:
        """Add rows of the table's dtype, sequence numbers included. O(rows), as one copy."""
        size = self._dtype.itemsize
        data = memoryview(rows.tobytes())
        while data:
            at = self.slot()
            piece = data[: len(self.buffer) - at]
            self.buffer[at : at + len(piece)] = piece
            skip(self._free, len(piece) // size - 1)
            data = data[len(piece) :]

    def _flush(self, used: int) -> None:
        # The sink has copied what it keeps, so the buffer is written over from its start.
        chunk = memoryview(self.buffer)[:used]
        rows = np.frombuffer(chunk, dtype=self._dtype)
        self.digest.update(chunk, len(rows))
        self._sink(self.spec.name, rows)

    def close(self) -> bytes:
        """Flush the rest and return the table's digest. Nothing may be written afterwards."""
        used = self.slot()
        if used:
            self._flush(used)
        return self.digest.digest(encoded(self.words.words))


class LedgerTable:
    """The ledger's bookings, which arrive as lists of tuples and are converted in bulk."""

    __slots__ = (
        "_chunk_rows",
        "_encoded",
        "_encoded_names",
        "_pending",
        "_sink",
        "_starts",
        "currencies",
        "digest",
        "names",
    )

    def __init__(self, sink: Sink, chunk_rows: int) -> None:
        self.digest = TableDigest(LEDGER)
        self.names: list[str] = []
        self.currencies: list[str] = []
        self._chunk_rows = chunk_rows
        self._encoded = bytearray()  # of the first names: accounts are only ever added
        self._encoded_names = 0
        self._pending: list[tuple[int, int, int, int, int, int]] = []
        self._starts: list[tuple[int, int]] = []  # first sequence number and rows of each batch
        self._sink = sink

    def add(self, first_seq: int, rows: list[tuple[int, int, int, int, int, int]]) -> None:
        """Add one batch, whose rows take the sequence numbers from `first_seq` on."""
        self._pending.extend(rows)
        self._starts.append((first_seq, len(rows)))
        if len(self._pending) >= self._chunk_rows:
            self._flush()

    def _flush(self) -> None:
        pending, starts = self._pending, np.array(self._starts, dtype=np.int64)
        self._pending, self._starts = [], []
        count = len(pending)
        flat = np.fromiter(chain.from_iterable(pending), dtype=np.int64, count=6 * count)
        table = np.empty((count, 7), dtype="<i8")
        table[:, 1:] = flat.reshape(count, 6)
        first_rows = np.cumsum(starts[:, 1]) - starts[:, 1]
        table[:, 0] = np.arange(count) + np.repeat(starts[:, 0] - first_rows, starts[:, 1])
        self.digest.update(table.data.cast("B"), count)
        self._encode_names()
        self._sink(LEDGER.name, table.view(LEDGER.dtype).reshape(count))

    def close(self) -> bytes:
        """Flush the rest and return the table's digest."""
        if self._pending:
            self._flush()
        self._encode_names()
        return self.digest.digest(self._encoded)

    def _encode_names(self) -> None:
        """Encode the names that are new, once each. O(new accounts)."""
        for start in range(self._encoded_names, len(self.names), NAMES_AT_ONCE):
            some = slice(start, start + NAMES_AT_ONCE)
            pairs = zip(self.names[some], self.currencies[some], strict=True)
            self._encoded += encoded(map(":".join, pairs))
        self._encoded_names = len(self.names)
