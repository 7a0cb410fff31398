"""TOML and JSON files read into plain dictionaries, every number kept as written.

Numbers come out as `int` or `Decimal`, never as `float`: whether a size is a whole number of
lots is a question about the digits in the file. Every way in which a file can be unreadable ends
in a `UserError` of one line.
"""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from scenarios.errors import UserError, show

LARGEST_FILE_BYTES = 16 * 1024 * 1024


def read_structured_file(path: str | Path) -> dict[str, Any]:
    """The content of a TOML or JSON file (by suffix; else JSON if it starts with a brace).

    Raises:
        UserError: the file is missing, no file, too large, not text, or not TOML or JSON.
    """
    text = _read_text(path)
    is_json = str(path).lower().endswith(".json") or (
        not str(path).lower().endswith(".toml") and text.lstrip().startswith("{")
    )
    try:
        document = _parse_json(text) if is_json else tomllib.loads(text, parse_float=_decimal)
    except RecursionError:
        raise UserError(f"{path}: nested too deeply") from None
    except ValueError as error:
        # tomllib and json both raise subclasses of ValueError; int() refuses endless digits.
        kind = "JSON" if is_json else "TOML"
        raise UserError(f"{path}: not valid {kind}: {error}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: {show(document)} at the top; a table with fields is needed")
    return document


def file_bytes(path: str | Path, most: int = -1) -> bytes:
    """The first `most` bytes of a file, all if negative. Raises UserError."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a directory, not a file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the name
        raise UserError(f"{path}: not a file name: {error}") from None


def _read_text(path: str | Path) -> str:
    content = file_bytes(path, LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise UserError(f"{path}: larger than {LARGEST_FILE_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not a text file: byte 0x{content[error.start]:02x} at position"
            f" {error.start} is not UTF-8"
        ) from None


def _parse_json(text: str) -> Any:
    return json.loads(
        text,
        parse_float=_decimal,
        parse_constant=_decimal,
        object_pairs_hook=_object_without_duplicates,
    )


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {show(key)} appears twice in one object")
        fields[key] = value
    return fields


def _decimal(text: str) -> Decimal:
    """A number of the file; an exponent beyond all bounds counts as infinite, to be refused."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
