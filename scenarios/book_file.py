"""A book: many accounts with their balances and positions, from a CSV or Parquet file.

One row for each balance and each position, in any order:

    account,mode,kind,name,size,entry_price
    desk-7,portfolio,balance,USDT,250000,
    desk-7,portfolio,position,BTC-USDT-SWAP,-120,96850.5

size: coins of a balance (negative: owed), contracts of a position with a sign. entry_price: of
positions only (quote currency; options in coin). A further column `price` is optional: the USD
price of a balance's currency, the mark of a position's contract.

Reading is strict: the first thing that is wrong ends in one line with file, row, column, value
and what is allowed. O(rows), about 1 us a row.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exchange.instrument import Instrument
from scenarios.book_checks import (
    COLUMNS,
    MODES,
    OPTIONAL,
    check_columns,
    checked,
    instruments_of,
)
from scenarios.errors import UserError, show
from scenarios.structured_file import file_bytes
from scenarios.whole_file import whole_file

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """A book as arrays; accounts are numbered in the order of their first rows.

    modes: int64 (accounts,), index in MODES. Balances and positions are sorted by account, then by
    currency or instrument; their `_account` columns hold account numbers. balance_amount: coins.
    position_lots: signed lots of the instrument. currencies, instruments: sorted, those held.
    prices: what a column `price` says, by currency (USD) and instrument id (mark). sha256: of the
    file, in hex.
    """

    path: str
    sha256: str
    accounts: tuple[str, ...]
    modes: Ints
    currencies: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    balance_account: Ints
    balance_currency: Ints
    balance_amount: Floats
    position_account: Ints
    position_instrument: Ints
    position_lots: Ints
    position_entry: Floats
    prices: dict[str, float]


def is_book(path: str | Path) -> bool:
    """Whether a file's name says that it is a book and not a portfolio file."""
    return Path(path).suffix.lower() in SUFFIXES


def read_book(path: str | Path) -> Book:
    """The book in a CSV or Parquet file, everything in it checked.

    Raises UserError: the first thing that is wrong, and how many more there are.
    """
    content = _content(Path(path))
    frame = checked(_with_types(_table(Path(path), content), str(path)), str(path))
    held = frame.filter(pl.col("kind") == "position")
    balances = frame.filter(pl.col("kind") == "balance")
    accounts = frame.unique("account", keep="first", maintain_order=True)
    names = accounts["account"].to_list()
    numbers = pl.DataFrame({"account": names, "number": np.arange(len(names))})
    instruments = instruments_of(held)
    currencies = sorted(set(balances["name"].to_list()))
    owned = _numbered(balances, numbers, currencies)
    listed = _numbered(held, numbers, list(instruments))
    lots = np.array([float(i.lot) for i in instruments.values()] or [1.0])
    which = listed["which"].to_numpy().astype(np.int64)
    return Book(
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        accounts=tuple(names),
        modes=np.array([MODES.index(mode) for mode in accounts["mode"].to_list()], np.int64),
        currencies=tuple(currencies),
        instruments=tuple(instruments.values()),
        balance_account=owned["number"].to_numpy().astype(np.int64),
        balance_currency=owned["which"].to_numpy().astype(np.int64),
        balance_amount=owned["size"].to_numpy().astype(np.float64),
        position_account=listed["number"].to_numpy().astype(np.int64),
        position_instrument=which,
        position_lots=np.rint(listed["size"].to_numpy() / lots[which]).astype(np.int64),
        position_entry=listed["entry_price"].to_numpy().astype(np.float64),
        prices=_prices(frame),
    )


def write_book(frame: pl.DataFrame, path: str | Path) -> None:
    """Write a frame with the columns of a book as CSV or Parquet, by the suffix of `path`.

    Raises UserError: another suffix, columns that no book has, a place that cannot be written.
    """
    check_columns(frame.columns, str(path))
    ordered = frame.select([name for name in (*COLUMNS, *OPTIONAL) if name in frame.columns])
    write_table(ordered, Path(path))


def write_table(frame: pl.DataFrame, path: Path, option: str = "") -> None:
    """Write a frame as CSV or Parquet, by suffix. Raises UserError, which names the option."""
    where = f"{option}: {path}" if option else f"{path}"
    try:
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise UserError(f"{where}: is written as .csv or .parquet")
        with whole_file(path) as place:
            if path.suffix.lower() == ".csv":
                frame.write_csv(place)
            else:
                frame.write_parquet(place)
    except OSError as error:
        raise UserError(f"{where}: cannot be written: {error.strerror or error}") from None


def _numbered(rows: pl.DataFrame, numbers: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows with `number` of their account and `which` of `names`, sorted by both."""
    which = pl.DataFrame(
        {"name": names, "which": np.arange(len(names))},
        schema={"name": pl.String, "which": pl.Int64},
    )
    joined = rows.join(numbers, on="account").join(which, on="name")
    return joined.sort("number", "which")


def _prices(frame: pl.DataFrame) -> dict[str, float]:
    if "price" not in frame.columns:
        return {}
    given = frame.filter(pl.col("price").is_not_null()).unique("name").sort("name")
    return dict(zip(given["name"].to_list(), given["price"].to_list(), strict=True))


def _content(path: Path) -> bytes:
    """The file's bytes. Raises UserError."""
    if not is_book(path):
        raise UserError(f"{path}: a book is a .csv or a .parquet file")
    content = file_bytes(path)
    if not content:
        raise UserError(f"{path}: empty; a book begins with {','.join(COLUMNS)}")
    return content


def _table(path: Path, content: bytes) -> pl.DataFrame:
    """The raw table. CSV: every column as text. Raises UserError."""
    if path.suffix.lower() == ".csv":
        return _read_csv(path, content)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a Parquet file: {_first_line(error)}") from None


def _read_csv(path: Path, content: bytes) -> pl.DataFrame:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: row {line}: byte 0x{content[error.start]:02x} is not UTF-8 text"
        ) from None
    try:
        return pl.read_csv(io.BytesIO(content), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        text = _first_line(error)
        if "more fields" in text:
            number, count, wanted = _long_row(content)
            raise UserError(
                f"{path}: row {number}: {count} fields are not the {wanted} of the header"
            ) from None
        if "could not parse" in text:
            raise UserError(f"{path}: a quotation mark that opens a field never closes") from None
        raise UserError(f"{path}: not a CSV file: {text}") from None


def _long_row(content: bytes) -> tuple[int, int, int]:
    """(row, its fields, fields of the header) of the first row that has more than the header."""
    lines = content.decode("utf-8").splitlines()
    wanted = lines[0].count(",") + 1
    for number, line in enumerate(lines[1:], 2):
        if line.count(",") + 1 > wanted:
            return number, line.count(",") + 1, wanted
    return len(lines), wanted + 1, wanted


def _first_line(error: Exception) -> str:
    return show(str(error).splitlines()[0] if str(error) else type(error).__name__, 100)


def _with_types(frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """The columns of a book with a row number; text trimmed, empty text as null.

    `size`, `entry_price` and `price` stay text in a CSV file, whose checks show what was written.
    """
    check_columns(frame.columns, path)
    # The first row of a CSV file is its header; blank lines are no rows.
    first = 2 if Path(path).suffix.lower() == ".csv" else 1
    frame = frame.with_row_index("row", first)
    for name, kind in zip(frame.columns[1:], frame.dtypes[1:], strict=True):
        textual = kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum))
        wanted = textual
        if name in ("size", "entry_price", "price"):
            wanted = textual or kind.is_numeric() or kind == pl.Null
        elif name == "account":
            wanted = textual or kind.is_integer()
        if not wanted:
            raise UserError(f"{path}: column {name}: {kind} is not text or number as it must be")
        if name in ("account", "mode", "kind", "name") or textual:
            text = pl.col(name).cast(pl.String).str.strip_chars()
            frame = frame.with_columns(pl.when(text != "").then(text).alias(name))
    return frame.filter(~pl.all_horizontal(pl.exclude("row").is_null()))
