"""Parquet files of one schema, joined into one file without decoding a page.

A Parquet file is the bytes of its row groups and a footer that says where they lie. Joining copies
the row groups one behind the other and writes a footer with all of them, their offsets moved. The
footer is a struct in Thrift's compact encoding; structs are read here as dictionaries by the number
of the field, so fields that joining is not about are carried over as they are.

Source: Apache Parquet, parquet.thrift (FileMetaData, RowGroup, ColumnChunk, ColumnMetaData) and the
layout of the file; Apache Thrift, thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

MAGIC = b"PAR1"
TAIL = 8  # length of the footer in four bytes, and MAGIC
COPIED_AT_ONCE = 1 << 20

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

# Fields: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData.
NUM_ROWS, ROW_GROUPS = 3, 4
COLUMNS, GROUP_OFFSET, ORDINAL = 1, 5, 7
CHUNK_OFFSETS, META_DATA = (2, 4, 6), 3  # of the chunk, of its offset and its column index
META_OFFSETS = (9, 10, 11, 14)  # of data, index and dictionary pages, and of the bloom filter

Struct: TypeAlias = dict[int, tuple[int, Any]]
"""Type and value of each field, in the order of the file."""


def join(parts: Sequence[Path], target: Path) -> None:
    """Write the rows of all `parts`, in order, to `target`. Memory: the footers only.

    The parts must have one schema and must be whole. O(bytes) of copying. Raises ValueError for a
    file that is no Parquet file, or is one of another schema.
    """
    whole: Struct = {}
    groups: list[Struct] = []
    rows = 0
    with target.open("wb") as out:
        out.write(MAGIC)
        for part in parts:
            with part.open("rb") as file:
                footer, end = _footer(file, part)
                if not whole:
                    whole = footer
                elif _without_rows(footer) != _without_rows(whole):
                    raise ValueError(f"{part}: has another schema than {parts[0]}")
                moved = out.tell() - len(MAGIC)
                for _, group in footer[ROW_GROUPS][1][1]:
                    _move(group, moved)
                    if ORDINAL in group:
                        group[ORDINAL] = (I16, len(groups))
                    groups.append(group)
                rows += footer[NUM_ROWS][1]
                file.seek(len(MAGIC))
                _copy(file, out, end - len(MAGIC))
        whole[NUM_ROWS] = (I64, rows)
        whole[ROW_GROUPS] = (LIST, (STRUCT, [(STRUCT, group) for group in groups]))
        encoded = BytesIO()
        _write_struct(encoded, whole)
        footer_bytes = encoded.getvalue()
        out.write(footer_bytes + len(footer_bytes).to_bytes(4, "little") + MAGIC)


def _footer(file: BinaryIO, path: Path) -> tuple[Struct, int]:
    """The footer, and where it begins."""
    size = file.seek(0, 2)
    if size >= len(MAGIC) + TAIL:
        file.seek(size - TAIL)
        tail = file.read(TAIL)
        start = size - TAIL - int.from_bytes(tail[:4], "little")
        if tail[4:] == MAGIC and start >= len(MAGIC):
            file.seek(start)
            return _read_struct(BytesIO(file.read(size - TAIL - start))), start
    raise ValueError(f"{path}: is no whole Parquet file")


def _without_rows(footer: Struct) -> Struct:
    return {f: value for f, value in footer.items() if f not in (NUM_ROWS, ROW_GROUPS)}


def _move(group: Struct, by: int) -> None:
    """Add to all offsets of a row group; 0 stands for none."""
    _move_fields(group, (GROUP_OFFSET,), by)
    for _, chunk in group[COLUMNS][1][1]:
        _move_fields(chunk, CHUNK_OFFSETS, by)
        _move_fields(chunk[META_DATA][1], META_OFFSETS, by)


def _move_fields(struct: Struct, fields: Sequence[int], by: int) -> None:
    for field in fields:
        if field in struct and struct[field][1]:
            kind, offset = struct[field]
            struct[field] = (kind, offset + by)


def _copy(file: BinaryIO, out: BinaryIO, size: int) -> None:
    """Copy the next `size` bytes."""
    while size:
        block = file.read(min(size, COPIED_AT_ONCE))
        out.write(block)
        size -= len(block)


# --- Thrift's compact encoding -------------------------------------------------------------------


def _read_struct(data: BytesIO) -> Struct:
    fields: Struct = {}
    number = 0
    while header := data.read(1)[0]:
        step, kind = header >> 4, header & 15
        number = number + step if step else _read_signed(data)
        fields[number] = (kind, _read(data, kind) if kind > FALSE else None)
    return fields


def _read(data: BytesIO, kind: int) -> Any:
    """A value; booleans in a list and bytes stay the byte that they are."""
    if kind in (I16, I32, I64):
        return _read_signed(data)
    if kind == BINARY:
        return data.read(_read_varint(data))
    if kind == STRUCT:
        return _read_struct(data)
    if kind == LIST:
        header = data.read(1)[0]
        size, element = header >> 4, header & 15
        if size == 15:
            size = _read_varint(data)
        return element, [(element, _read(data, element)) for _ in range(size)]
    if kind in (TRUE, FALSE, BYTE, DOUBLE):
        return data.read(8 if kind == DOUBLE else 1)
    raise ValueError(f"no footer of Parquet holds a value of type {kind}")


def _read_varint(data: BytesIO) -> int:
    value = shift = 0
    while True:
        byte = data.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7


def _read_signed(data: BytesIO) -> int:
    value = _read_varint(data)
    return (value >> 1) ^ -(value & 1)


def _write_struct(out: BytesIO, fields: Struct) -> None:
    before = 0
    for number, (kind, value) in fields.items():
        step = number - before
        if 0 < step < 16:
            out.write(bytes((step << 4 | kind,)))
        else:
            out.write(bytes((kind,)))
            _write_signed(out, number)
        before = number
        if kind > FALSE:
            _write(out, kind, value)
    out.write(b"\0")


def _write(out: BytesIO, kind: int, value: Any) -> None:
    if kind in (I16, I32, I64):
        _write_signed(out, value)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out.write(value)
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind == LIST:
        element, items = value
        if len(items) < 15:
            out.write(bytes((len(items) << 4 | element,)))
        else:
            out.write(bytes((15 << 4 | element,)))
            _write_varint(out, len(items))
        for _, item in items:
            _write(out, element, item)
    else:
        out.write(value)


def _write_varint(out: BytesIO, value: int) -> None:
    while value > 127:
        out.write(bytes((value & 127 | 128,)))
        value >>= 7
    out.write(bytes((value,)))


def _write_signed(out: BytesIO, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)
