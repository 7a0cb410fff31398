"""Every example in docs/paths.md works, and every kind of path has one."""

import re
import tomllib
import typing
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from scenarios.bar_file import parse_time_ns, read_bar_file, shipped_events
from scenarios.path_kinds import AnyPath, PathParameters
from scenarios.paths import build_path
from scenarios.sampling import Window
from scenarios.streams import Streams
from tests.scenarios.path_tools import hours

PAGE = (Path(__file__).parents[2] / "docs" / "paths.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", PAGE, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


EXAMPLES = [tomllib.loads(text)["market"]["path"] for text in blocks("toml")]
STARTS = {
    "2020-03-black-thursday": "2020-03-12T10:00:00Z",
    "2022-05-ust-depeg": "2022-05-12T23:30:00Z",
    "2025-10-tariff-cascade": "2025-10-10T21:00:00Z",
}


@pytest.mark.parametrize("table", EXAMPLES, ids=lambda table: table["kind"])
def test_example(table: dict[str, typing.Any]) -> None:
    parameters: AnyPath = TypeAdapter(PathParameters).validate_python(table)
    window = hours(2)
    name = table.get("file", table.get("parts", [{}])[0].get("file"))
    if name in STARTS and table["kind"] != "scaled_event":
        start = parse_time_ns(STARTS[name])
        window = Window(start, start + 7200 * 10**9)
    path = build_path(parameters, window, Streams(1))
    assert len(path) == 7200
    assert (path.prices > 0).all()


def test_every_kind_has_an_example() -> None:
    kinds = {k.__dataclass_fields__["kind"].default for k in typing.get_args(AnyPath)}
    assert {table["kind"] for table in EXAMPLES} == kinds
    assert len(kinds) == 11


def test_every_shipped_event_is_named() -> None:
    assert all(f"`{event}`" in PAGE for event in shipped_events())


def test_python_example(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "docs/paths.md", "exec"), {})
    assert "3782.13" in capsys.readouterr().out


def test_csv_example(tmp_path: Path) -> None:
    (text,) = blocks("csv")
    (tmp_path / "ftx.csv").write_text(text)
    assert read_bar_file("ftx.csv", tmp_path).series() == ("BTC-USDT", "USDT-USD")
