"""Files of price bars: one CSV per event with the columns `time, series, step, open, high, low,
close`.

Everything that can be wrong with such a file ends in one line that names the file, the line, the
column, the value and what is allowed. What is read is what the file says: nothing is resampled or
filled here; known misprints are corrected by `scenarios.bars`, not by the reader.

Source: data README, section "paths/".
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import UserError, show

COLUMNS = ("time", "series", "step", "open", "high", "low", "close")
SECOND_NS = 1_000_000_000
STEPS_NS: dict[str, int] = {
    **{f"{n}s": n * SECOND_NS for n in (1, 5, 10, 15, 30)},
    **{f"{n}m": n * 60 * SECOND_NS for n in (1, 3, 5, 10, 15, 30)},
    **{f"{n}h": n * 3600 * SECOND_NS for n in (1, 2, 4, 6, 8, 12)},
    "1d": 86400 * SECOND_NS,
}
SMALLEST_PRICE = 1e-12
LARGEST_PRICE = 1e12
LARGEST_FILE_BYTES = 256 * 1024 * 1024

_SERIES = re.compile(r"[A-Z0-9]{1,12}-[A-Z0-9]{1,12}(-SWAP|-[0-9]{6})?")
_TIME = "a UTC time as in 2020-03-12T10:30:00Z"
_PRICE = f"a price: a number from {SMALLEST_PRICE:g} to {LARGEST_PRICE:g}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars of one series and one step, ordered by time, without overlap; gaps are possible.

    Shapes: `open_ns` int64 (bars,), unix ns of each bar's open; `prices` float64 (bars, 4), columns
    open, high, low, close, in the quote currency; low <= open, close <= high holds in every row.
    """

    series: str
    step: str
    open_ns: NDArray[np.int64]
    prices: NDArray[np.float64]

    @property
    def step_ns(self) -> int:
        """Length of a bar, ns."""
        return STEPS_NS[self.step]


@dataclass(frozen=True, slots=True, eq=False)
class BarFile:
    """A bar file that was read: its bars by (series, step), and its SHA-256 for the manifest."""

    name: str
    sha256: str
    bars: dict[tuple[str, str], Bars]

    def series(self) -> tuple[str, ...]:
        """The names of the series, in the order of the file."""
        return tuple(dict.fromkeys(series for series, _ in self.bars))


def shipped_events() -> tuple[str, ...]:
    """The names of the events that ship with selloff, such as `2020-03-black-thursday`."""
    folder = resources.files("scenarios.data").joinpath("paths")
    return tuple(sorted(f.name[:-4] for f in folder.iterdir() if f.name.endswith(".csv")))


def read_bar_file(file: str | Path, directory: Path | None = None) -> BarFile:
    """Read a shipped event by its name, or any file by its path (relative to `directory`).

    Raises:
        UserError: the file is missing, unreadable or wrong; the message says where and what is
        allowed.
    """
    name = str(file)
    if name in shipped_events():
        content = resources.files("scenarios.data").joinpath(f"paths/{name}.csv").read_bytes()
    else:
        content = _read_bytes(name, Path(directory or "."))
    lines = _decode(content, name)
    return BarFile(name, hashlib.sha256(content).hexdigest(), _Reader(name).read(lines))


def parse_time_ns(text: str) -> int:
    """Unix ns of an ISO 8601 time with its zone. Errors: ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{show(text)} has no zone")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def format_time(time_ns: int) -> str:
    """The UTC time of unix ns as 2020-03-12T10:30:00Z (with decimals where there are any)."""
    seconds, rest = divmod(time_ns, SECOND_NS)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"


def is_series_name(name: str) -> bool:
    """Whether `name` is a pair or an instrument: BTC-USDT, USDT-USD, BTC-USDT-SWAP,
    BTC-USDT-200327.
    """
    return _SERIES.fullmatch(name) is not None


def _read_bytes(name: str, directory: Path) -> bytes:
    try:
        path = directory / name
        if path.is_dir():
            raise UserError(f"{name}: a directory, not a file of bars")
        if path.exists() and not path.is_file():
            raise UserError(f"{name}: not a regular file")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UserError(
            f"{name}: no such file, and no shipped event; shipped: {', '.join(shipped_events())}"
        ) from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise UserError(f"{name}: not a file name: {error}") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise UserError(f"{name}: larger than {LARGEST_FILE_BYTES // 2**20} MiB")
    return content


def _decode(content: bytes, name: str) -> list[str]:
    if not content.strip():
        raise UserError(f"{name}: empty; a first line {','.join(COLUMNS)} and bars are needed")
    if content.startswith(b"\x1f\x8b"):
        raise UserError(f"{name}: compressed with gzip; unpack it first")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{name}: encoded as UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise UserError(
            f"{name} line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{name} line {line}: a zero byte; this is not a text file")
    # Not splitlines(), which also splits at characters that no editor counts as a line's end.
    return list(io.StringIO(text, newline=""))


@dataclass(slots=True)
class _Rows:
    """The rows of one (series, step) while reading."""

    step_ns: int
    times: list[int] = field(default_factory=list)
    prices: list[tuple[float, float, float, float]] = field(default_factory=list)
    last_line: int = 0


class _Reader:
    """Reads the lines of one file; a class only to carry the file's name and the line into
    messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = 1
        self._times: dict[str, int] = {}

    def read(self, lines: list[str]) -> dict[tuple[str, str], Bars]:
        reader = csv.reader(lines, strict=True)
        table: dict[tuple[str, str], _Rows] = {}
        rows = self._rows(reader)
        header = next(rows)
        places = self._places(header)
        for row in rows:
            if len(row) != len(header):
                raise self._error(f"{len(row)} fields; the first line has {len(header)}")
            self._add(table, [row[place].strip() for place in places])
        if not table:
            raise UserError(f"{self._name}: no bars below the first line")
        return {
            key: Bars(*key, np.array(rows.times, np.int64), np.array(rows.prices, np.float64))
            for key, rows in table.items()
        }

    def _rows(self, reader: Iterator[list[str]]) -> Iterator[list[str]]:
        """The rows that are not blank, with `self._line` at the line each one ends in."""
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise self._error(f"not CSV: {error}", reader.line_num) from None  # type: ignore[attr-defined]
            if row is None:
                return
            self._line = reader.line_num  # type: ignore[attr-defined]
            if row and any(row):
                yield row

    def _places(self, header: list[str]) -> list[int]:
        names = [name.strip().lower() for name in header]
        missing = [column for column in COLUMNS if column not in names]
        if missing:
            hint = next((f"; is the separator {c!r}?" for c in ";\t|" if c in header[0]), "")
            columns = "column" if len(missing) == 1 else "columns"
            needed = f"the first line needs {','.join(COLUMNS)}{hint}"
            raise self._error(f"{columns} {', '.join(missing)} missing; {needed}")
        twice = [column for column in COLUMNS if names.count(column) > 1]
        if twice:
            raise self._error(f"column {twice[0]} appears twice")
        return [names.index(column) for column in COLUMNS]

    def _add(self, table: dict[tuple[str, str], _Rows], row: list[str]) -> None:
        time, series, step = row[0], row[1], row[2]
        rows = table.get((series, step))
        if rows is None:
            rows = table[series, step] = self._new_rows(series, step)
        time_ns = self._times.get(time)
        if time_ns is None:
            time_ns = self._times[time] = self._time_ns(time)
        if time_ns % rows.step_ns:
            raise self._column("time", time, f"the open of a bar of {step}: a multiple of {step}")
        if rows.times and time_ns <= rows.times[-1]:
            self._refuse_order(time, time_ns, rows, f"{series} {step}")
        rows.times.append(time_ns)
        rows.prices.append(self._prices(row))
        rows.last_line = self._line

    def _new_rows(self, series: str, step: str) -> _Rows:
        if not is_series_name(series):
            raise self._column("series", series, "a name as BTC-USDT, USDT-USD or BTC-USDT-SWAP")
        if step not in STEPS_NS:
            raise self._column("step", step, f"one of {', '.join(STEPS_NS)}")
        return _Rows(STEPS_NS[step])

    def _time_ns(self, text: str) -> int:
        try:
            time_ns = parse_time_ns(text)
        except (ValueError, OverflowError):
            raise self._column("time", text, _TIME) from None
        if time_ns < 0:
            raise self._column("time", text, "a time after 1970")
        return time_ns

    def _refuse_order(self, time: str, time_ns: int, rows: _Rows, what: str) -> None:
        place = f"line {rows.last_line} has {format_time(rows.times[-1])}"
        if time_ns in rows.times[-1000:]:
            raise self._error(f"time: {time} appears twice for {what} ({place})")
        raise self._error(f"time: {time} of {what} comes after a later bar ({place})")

    def _prices(self, row: list[str]) -> tuple[float, float, float, float]:
        try:
            prices = (float(row[3]), float(row[4]), float(row[5]), float(row[6]))
        except ValueError:
            raise self._bad_price(row) from None
        first, high, low, last = prices
        if not (SMALLEST_PRICE <= low <= first <= high <= LARGEST_PRICE and low <= last <= high):
            raise self._bad_price(row)
        return prices

    def _bad_price(self, row: list[str]) -> UserError:
        """The error of a row of prices that is known to be wrong."""
        prices: dict[str, float] = {}
        for column, text in zip(COLUMNS[3:], row[3:], strict=True):
            try:
                prices[column] = float(text)
            except ValueError:
                return self._column(column, text, _PRICE)
            price = prices[column]
            if not (math.isfinite(price) and SMALLEST_PRICE <= price <= LARGEST_PRICE):
                return self._column(column, text, _PRICE)
        high, low = prices["high"], prices["low"]
        if high < low:
            return self._error(f"column high: {row[4]} is below low, {row[5]}")
        column = "close" if low <= prices["open"] <= high else "open"
        return self._error(
            f"column {column}: {row[COLUMNS.index(column)]} is not within low and high, "
            f"{row[5]} to {row[4]}"
        )

    def _column(self, column: str, text: str, allowed: str) -> UserError:
        return self._error(f"column {column}: {show(text)} is not {allowed}")

    def _error(self, message: str, line: int | None = None) -> UserError:
        return UserError(f"{self._name} line {line or self._line}: {message}")
