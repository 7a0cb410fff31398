"""Bar files: shipped ones are read as they are; what is wrong with a file is said in one line."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from scenarios.bar_file import (
    COLUMNS,
    STEPS_NS,
    format_time,
    parse_time_ns,
    read_bar_file,
    shipped_events,
)
from scenarios.errors import UserError

HEAD = "time,series,step,open,high,low,close\n"
ROW = "2020-03-12T00:00:00Z,BTC-USDT,5m,100,110,90,105\n"
ROW2 = "2020-03-12T00:05:00Z,BTC-USDT,5m,105,106,104,105\n"
PRICE = "is not a price: a number from 1e-12 to 1e+12"
TIME = "is not a UTC time as in 2020-03-12T10:30:00Z"
SERIES = "is not a name as BTC-USDT, USDT-USD or BTC-USDT-SWAP"
NEEDED = "the first line needs time,series,step,open,high,low,close"
STEPS = ", ".join(STEPS_NS)


def row(**changes: str) -> str:
    """A good row with some columns changed."""
    good = dict(zip(COLUMNS, ROW.strip().split(","), strict=True))
    return ",".join({**good, **changes}.values()) + "\n"


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", f"empty; a first line {','.join(COLUMNS)} and bars are needed"),
    "only blanks": (" \n\n", f"empty; a first line {','.join(COLUMNS)} and bars are needed"),
    "no bars": (HEAD, "no bars below the first line"),
    "no first line": (
        ROW,
        f"line 1: columns time, series, step, open, high, low, close missing; {NEEDED}",
    ),
    "one column missing": (
        HEAD.replace(",step", "") + ROW,
        f"line 1: column step missing; {NEEDED}",
    ),
    "two columns missing": (
        "time,series,step,open,close\n",
        f"line 1: columns high, low missing; {NEEDED}",
    ),
    "semicolons": (
        (HEAD + ROW).replace(",", ";"),
        f"line 1: columns time, series, step, open, high, low, close missing; {NEEDED}; "
        "is the separator ';'?",
    ),
    "column twice": (HEAD.replace("\n", ",low\n") + ROW, "line 1: column low appears twice"),
    "too few fields": (
        HEAD + ROW + "2020-03-12T00:05:00Z,BTC-USDT,5m\n",
        "line 3: 3 fields; the first line has 7",
    ),
    "too many fields": (
        HEAD + ROW.replace("105\n", "105,7\n"),
        "line 2: 8 fields; the first line has 7",
    ),
    "NaN": (HEAD + row(high="nan"), f"line 2: column high: 'nan' {PRICE}"),
    "infinite": (HEAD + row(high="inf"), f"line 2: column high: 'inf' {PRICE}"),
    "zero": (HEAD + row(low="0"), f"line 2: column low: '0' {PRICE}"),
    "negative": (HEAD + row(open="-100"), f"line 2: column open: '-100' {PRICE}"),
    "huge": (HEAD + row(high="1e13"), f"line 2: column high: '1e13' {PRICE}"),
    "tiny": (HEAD + row(low="1e-13"), f"line 2: column low: '1e-13' {PRICE}"),
    "no number": (HEAD + row(close="n/a"), f"line 2: column close: 'n/a' {PRICE}"),
    "empty field": (HEAD + row(close=""), f"line 2: column close: '' {PRICE}"),
    "high below low": (
        HEAD + row(high="80"),
        "line 2: column high: 80 is below low, 90",
    ),
    "open above high": (
        HEAD + row(open="111"),
        "line 2: column open: 111 is not within low and high, 90 to 110",
    ),
    "close below low": (
        HEAD + row(close="89.5"),
        "line 2: column close: 89.5 is not within low and high, 90 to 110",
    ),
    "out of order": (
        HEAD + ROW2 + ROW,
        "line 3: time: 2020-03-12T00:00:00Z of BTC-USDT 5m comes after a later bar "
        "(line 2 has 2020-03-12T00:05:00Z)",
    ),
    "twice": (
        HEAD + ROW + ROW2 + ROW2,
        "line 4: time: 2020-03-12T00:05:00Z appears twice for BTC-USDT 5m "
        "(line 3 has 2020-03-12T00:05:00Z)",
    ),
    "twice, not in a row": (
        HEAD + ROW + ROW2 + ROW,
        "line 4: time: 2020-03-12T00:00:00Z appears twice for BTC-USDT 5m "
        "(line 3 has 2020-03-12T00:05:00Z)",
    ),
    "unknown step": (HEAD + row(step="7m"), f"line 2: column step: '7m' is not one of {STEPS}"),
    "step in seconds": (
        HEAD + row(step="300"),
        f"line 2: column step: '300' is not one of {STEPS}",
    ),
    "no date": (HEAD + row(time="yesterday"), f"line 2: column time: 'yesterday' {TIME}"),
    "no zone": (
        HEAD + row(time="2020-03-12T00:00:00"),
        f"line 2: column time: '2020-03-12T00:00:00' {TIME}",
    ),
    "unix seconds": (HEAD + row(time="1583971200"), f"line 2: column time: '1583971200' {TIME}"),
    "day 32": (
        HEAD + row(time="2020-03-32T00:00:00Z"),
        f"line 2: column time: '2020-03-32T00:00:00Z' {TIME}",
    ),
    "before 1970": (
        HEAD + row(time="1969-01-01T00:00:00Z"),
        "line 2: column time: '1969-01-01T00:00:00Z' is not a time after 1970",
    ),
    "no multiple of the step": (
        HEAD + row(time="2020-03-12T00:03:00Z"),
        "line 2: column time: '2020-03-12T00:03:00Z' is not the open of a bar of 5m: "
        "a multiple of 5m",
    ),
    "small letters": (HEAD + row(series="btc-usdt"), f"line 2: column series: 'btc-usdt' {SERIES}"),
    "no pair": (HEAD + row(series="BTC"), f"line 2: column series: 'BTC' {SERIES}"),
    "first line again": (HEAD + HEAD, f"line 2: column series: 'series' {SERIES}"),
    "control character": (
        HEAD + row(series="BTC-\x1b[31m"),
        f"line 2: column series: 'BTC-\\x1b[31m' {SERIES}",
    ),
    "long value": (
        HEAD + row(series="A" * 60),
        f"line 2: column series: '{'A' * 36}... {SERIES}",
    ),
    "open quote": (
        HEAD + '"2020-03-12T00:00:00Z,BTC-USDT\n',
        "line 2: not CSV: unexpected end of data",
    ),
    "Latin-1": (
        HEAD.encode() + ROW.encode() + b"2020-03-12T00:05:00Z,B\xe4R-USDT,5m,1,1,1,1\n",
        "line 3: byte 0xe4 is not UTF-8; save the file as UTF-8",
    ),
    "UTF-16": ((HEAD + ROW).encode("utf-16"), "encoded as UTF-16; save it as UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00abc", "compressed with gzip; unpack it first"),
    "zero byte": (HEAD + ROW + "\0\n", "line 3: a zero byte; this is not a text file"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    path = tmp_path / "event.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        read_bar_file("event.csv", tmp_path)
    text = str(caught.value)
    assert text.startswith("event.csv")
    assert text.removeprefix("event.csv").removeprefix(":").strip() == message
    assert "\n" not in text


def test_there_are_enough_bad_files() -> None:
    assert len(BAD_FILES) >= 30


def test_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    cases = {
        "folder": "folder: a directory, not a file of bars",
        "gone.csv": "gone.csv: no such file, and no shipped event; "
        f"shipped: {', '.join(shipped_events())}",
        "a\0b": "a\\x00b: not a file name: embedded null byte",
        "x" * 300: "x" * 300 + ": cannot be read: File name too long",
        "/dev/null": "/dev/null: not a regular file",
    }
    for name, message in cases.items():
        with pytest.raises(UserError) as caught:
            read_bar_file(name, tmp_path)
        assert str(caught.value) == message


def test_good_file_in_odd_dress(tmp_path: Path) -> None:
    """BOM, CRLF, blank lines, another order, more columns, quotes, spaces, offsets from UTC."""
    (tmp_path / "odd.csv").write_bytes(
        b"\xef\xbb\xbfVolume,Close,low,high,open,step,series,time\r\n\r\n"
        b'9, 105 ,90,110,100,5m,"BTC-USDT",2020-03-12T02:00:00+02:00\r\n'
        b"9,106,1e2,107,105,5m,BTC-USDT,2020-03-12T00:05Z\r\n\r\n"
    )
    file = read_bar_file(tmp_path / "odd.csv")
    bars = file.bars["BTC-USDT", "5m"]
    assert [format_time(t) for t in bars.open_ns.tolist()] == [
        "2020-03-12T00:00:00Z",
        "2020-03-12T00:05:00Z",
    ]
    assert bars.prices.tolist() == [[100, 110, 90, 105], [105, 107, 100, 106]]


def test_shipped_events_have_the_extremes_of_record() -> None:
    lowest = {
        ("2020-03-black-thursday", "BTC-USDT", "30m"): (3782.13, "2020-03-13T02:00:00Z"),
        ("2020-03-black-thursday", "BTC-USDT-SWAP", "1m"): (3621.81, "2020-03-13T02:16:00Z"),
        ("2020-03-black-thursday", "ETH-USDT", "5m"): (86.0, "2020-03-13T02:15:00Z"),
        ("2021-05-leverage-flush", "ETH-USDT", "1m"): (1888.0, "2021-05-19T13:10:00Z"),
        ("2022-05-ust-depeg", "UST-USDT", "15m"): (0.225, "2022-05-11T07:30:00Z"),
        ("2022-05-ust-depeg", "BTC-USDT", "5m"): (26700.0, "2022-05-12T05:15:00Z"),
        ("2023-03-usdc-depeg", "USDC-USD", "1m"): (0.874, "2023-03-11T07:15:00Z"),
        ("2025-10-tariff-cascade", "SUI-USDT-SWAP", "5m"): (0.5669, "2025-10-10T21:20:00Z"),
        ("2025-10-tariff-cascade", "BTC-USDT-SWAP", "5m"): (101516.5, "2025-10-10T21:20:00Z"),
    }
    for (event, series, step), (price, time) in lowest.items():
        bars = read_bar_file(event).bars[series, step]
        at = int(np.argmin(bars.prices[:, 2]))
        assert (bars.prices[at, 2], format_time(int(bars.open_ns[at]))) == (price, time)


def test_shipped_files_are_whole() -> None:
    counts = {
        e: sum(len(b.open_ns) for b in read_bar_file(e).bars.values()) for e in shipped_events()
    }
    assert counts == {
        "2020-03-black-thursday": 2442,
        "2021-05-leverage-flush": 8648,
        "2022-05-ust-depeg": 5500,
        "2023-03-usdc-depeg": 24220,
        "2025-10-tariff-cascade": 6315,
    }


def test_times() -> None:
    moment = datetime(2020, 3, 12, 10, 30, tzinfo=UTC)
    assert parse_time_ns("2020-03-12T10:30:00Z") == int(moment.timestamp()) * 10**9
    assert parse_time_ns("2020-03-12T10:30:00.25Z") == int(moment.timestamp()) * 10**9 + 250_000_000
    assert format_time(1_584_009_000_250_000_000) == "2020-03-12T10:30:00.25Z"
    with pytest.raises(ValueError, match="has no zone"):
        parse_time_ns("2020-03-12T10:30:00")
