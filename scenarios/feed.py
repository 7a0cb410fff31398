"""Raw exchange feeds, line by line: a receive time in ns, a space, one JSON message as it came.

Known messages: depth snapshots, depth differences (spot and perpetual form), best quotes
(`bookTicker`) and trades. Prices and sizes become integers of 1e-8, so that "equal" means equal.

Source: data README, section "Others" (replay).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

from scenarios.errors import UserError, show

SHIPPED_FEED = "binance_spot_btcusdt_2024-08-08T2354Z_raw_ws.txt.gz"
ATOMS = 100_000_000
_DECIMALS = 8

Levels = list[tuple[int, int]]
"""(price, size) in atoms; size 0 removes the level"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole visible book as of update `last_id`."""

    last_id: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Difference:
    """Levels that changed in updates `first_id` to `last_id`. `previous_id`: perpetual form, else
    None.
    """

    first_id: int
    last_id: int
    previous_id: int | None
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class BestQuote:
    """Best bid and ask after update `last_id`, atoms."""

    last_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class FeedTrade:
    """A trade, atoms. `is_sell`: the taker sold."""

    price: int
    size: int
    is_sell: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of another kind, such as `markPriceUpdate`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Defect:
    """A line that cannot be read, and why."""

    reason: str


Message = Snapshot | Difference | BestQuote | FeedTrade | Unknown | Defect


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One line: its number from 1, its receive time (unix ns; None if it has none), symbol ("" if
    none), message.
    """

    number: int
    time_ns: int | None
    symbol: str
    message: Message


def read_feed(file: Path | None) -> Iterator[FeedLine]:
    """The lines of a feed, plain or gzip (by content); None: the feed that ships with selloff.

    A line that cannot be read comes out as a `Defect`, and so does the early end of a gzip file.

    Raises:
        UserError: the file is missing, no file or not readable.
    """
    number = 0
    with _open(file) as stream:
        lines = _unpacked(stream, str(file))
        while True:
            try:
                line = next(lines, None)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                reason = f"the compressed file is damaged or ends here ({error})"
                yield FeedLine(number + 1, None, "", Defect(reason))
                return
            if line is None:
                return
            number += 1
            if line.strip():
                yield _parse_line(number, line)


def _open(file: Path | None) -> BinaryIO:
    if file is None:
        return resources.files("scenarios.data").joinpath(f"replay/{SHIPPED_FEED}").open("rb")  # type: ignore[return-value]
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{file}: a directory or device, not a feed")
        return file.open("rb")
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise UserError(f"{file}: not a file name: {error}") from None


def _unpacked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    magic = stream.read(2)
    if not magic:
        raise UserError(f"{name}: empty; lines of a receive time and a JSON message are needed")
    stream.seek(0)
    return iter(gzip.GzipFile(fileobj=stream)) if magic == b"\x1f\x8b" else iter(stream)


def _parse_line(number: int, line: bytes) -> FeedLine:
    time_ns: int | None = None
    try:
        text = line.decode("utf-8").strip()
        if not text.startswith("{"):
            time_text, _, text = text.partition(" ")
            if not (time_text.isascii() and time_text.isdigit()) or len(time_text) > 19:
                raise ValueError(f"{show(time_text)} is not a receive time in ns")
            time_ns = int(time_text)
        # Numbers keep their digits: prices are read as decimals, never as floats.
        document = json.loads(text, parse_float=str)
        symbol, message = _message(document)
    except UnicodeDecodeError:
        return FeedLine(number, None, "", Defect("not UTF-8 text"))
    except RecursionError:
        return FeedLine(number, time_ns, "", Defect("nested too deeply"))
    except json.JSONDecodeError as error:
        return FeedLine(number, time_ns, "", Defect(f"not JSON: {error.msg}"))
    except ValueError as error:
        return FeedLine(number, time_ns, "", Defect(str(error)))
    return FeedLine(number, time_ns, symbol, message)


def _message(document: Any) -> tuple[str, Message]:
    """Symbol and message. Errors: ValueError."""
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    stream = document.get("stream")
    fields = document.get("data") if stream is not None else document
    if not isinstance(fields, dict):
        raise ValueError("the field data is not an object")
    kind = fields.get("e")
    if kind is None and isinstance(stream, str):
        kind = stream.partition("@")[2]
    symbol = fields.get("s", "")
    if not isinstance(symbol, str):
        raise ValueError("the field s is not text")
    if stream is None and kind is None and "lastUpdateId" in fields:
        last_id = _id(fields, "lastUpdateId")
        return symbol, Snapshot(last_id, _levels(fields, "bids"), _levels(fields, "asks"))
    if kind == "depthUpdate":
        return symbol, _difference(fields)
    if kind == "bookTicker":
        prices = (_atoms(_field(fields, name), name) for name in ("b", "B", "a", "A"))
        return symbol, BestQuote(_id(fields, "u"), *prices)
    if kind in ("trade", "aggTrade"):
        sold = _field(fields, "m")
        if not isinstance(sold, bool):
            raise ValueError(f"the field m is {show(sold)}, not true or false")
        return symbol, FeedTrade(
            _atoms(_field(fields, "p"), "p"), _atoms(_field(fields, "q"), "q"), sold
        )
    if kind is None:
        return symbol, Unknown(f"object with {', '.join(list(fields)[:4]) or 'no field'}")
    return symbol, Unknown(show(kind).strip("'"))


def _difference(fields: dict[str, Any]) -> Difference:
    previous = _id(fields, "pu") if "pu" in fields else None
    first_id, last_id = _id(fields, "U"), _id(fields, "u")
    if last_id < first_id:
        raise ValueError(f"u {last_id} is below U {first_id}")
    return Difference(first_id, last_id, previous, _levels(fields, "b"), _levels(fields, "a"))


def _field(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise ValueError(f"the field {name} is missing")
    return fields[name]


def _id(fields: dict[str, Any], name: str) -> int:
    value = _field(fields, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"the field {name} is {show(value)}, not an update id")
    return value


def _levels(fields: dict[str, Any], name: str) -> Levels:
    levels = _field(fields, name)
    if not isinstance(levels, list):
        raise ValueError(f"the field {name} is {show(levels)}, not a list of levels")
    result = []
    for level in levels:
        if not isinstance(level, list) or len(level) < 2:
            raise ValueError(f"the field {name} holds {show(level)}, not a price and a size")
        price = _atoms(level[0], name)
        if price == 0:
            raise ValueError(f"the field {name} holds a price of 0")
        result.append((price, _atoms(level[1], name)))
    return result


def _atoms(value: Any, name: str) -> int:
    """A decimal such as "61737.63000000" in units of 1e-8. Errors: ValueError."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if not (
        text.isascii()
        and whole.isdigit()
        and (not fraction or fraction.isdigit())
        and len(fraction) <= _DECIMALS
        and len(whole) <= 15
    ):
        raise ValueError(
            f"the field {name} holds {show(value)}, not a decimal of at most {_DECIMALS} places"
        )
    return int(whole + fraction.ljust(_DECIMALS, "0"))
