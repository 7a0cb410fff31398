"""The tables of a run: their columns, the words they refer to, and the event hash.

A row is packed as little-endian int64 and float64 only, so rows are a numpy array without
conversion. Words (reasons, pools) are numbered per table in the order in which they first appear.
The bytes of all rows in order, and the words in order, are the canonical encoding that the event
hash is taken over: it depends on neither the size of the buffers nor on what is written to disk.

Source: design, sections 4 (determinism) and 8 (results).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scenarios.market_sample import DEPTH_BANDS_BPS

Rows: TypeAlias = NDArray[Any]
"""Structured array of packed rows, one field per column."""
Columns: TypeAlias = dict[str, NDArray[Any]]
"""Rows turned into one contiguous array per column."""
Sink: TypeAlias = Callable[[str, Rows], None]
"""Takes a table's name and a chunk of its rows, which nobody changes afterwards."""

INTEGER, FLOAT = "q", "d"


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

    def update(self, chunk: bytes, rows: int) -> None:
        """Add packed rows."""
        self._hash.update(chunk)
        self.rows += rows

    def digest(self, words: Iterable[bytes]) -> bytes:
        """SHA-256 over the table's layout, row count, row bytes and `encoded` words, in pieces."""
        total = hashlib.sha256()
        layout = ",".join(f"{name}:{code}" for name, code in self.spec.columns)
        total.update(f"{self.spec.name}({layout}){self.rows}\n".encode())
        total.update(self._hash.digest())
        for piece in words:
            total.update(piece)
        return total.digest()


def encoded(words: Iterable[str]) -> bytes:
    """Words as the event hash takes them: each after its length in bytes, a little-endian int64."""
    pieces = map(str.encode, words)
    return b"".join([len(piece).to_bytes(8, "little") + piece for piece in pieces])
