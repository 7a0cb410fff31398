"""Files appear whole, and a full disk ends a command in one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from scenarios.book_file import write_table
from scenarios.cli import app
from scenarios.errors import UserError
from scenarios.run_directory import write_json
from scenarios.whole_file import whole_file, write_text

HEDGED = Path(__file__).parents[2] / "scenarios" / "library" / "portfolios" / "hedged-spot.toml"


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "x.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert "1" in (tmp_path / "x.json").read_text()


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    with whole_file(Path("/dev/null")) as place:
        assert place == Path("/dev/null")


def test_a_place_that_is_not_there_is_named_as_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_text(tmp_path / "no" / "x.txt", "")
    assert caught.value.filename == str(tmp_path / "no" / "x.txt")
    with pytest.raises(UserError, match=r"x\.csv: cannot be written: No such file or directory$"):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "no" / "x.csv")


def test_polars_words_for_a_full_disk_are_understood(tmp_path: Path) -> None:
    words = "parquet: underlying IO error: No space left on device (os error 28)"
    with pytest.raises(OSError, match="No space left"), whole_file(tmp_path / "x") as place:
        place.write_text("half")
        raise pl.exceptions.ComputeError(words)
    with pytest.raises(pl.exceptions.ComputeError), whole_file(tmp_path / "x"):
        raise pl.exceptions.ComputeError("something else")
    assert not list(tmp_path.iterdir())


def test_no_half_page_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    monkeypatch.setattr(os, "fsync", _full)
    result = CliRunner().invoke(app, ["stress", str(HEDGED), "--html", str(page)])
    assert result.exit_code == 2
    assert result.stderr == f"error: --html: {page}: cannot be written: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_a_run_on_a_full_disk_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    arguments = ["run", "calm-day", "--quiet", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stderr == "error: cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_to_a_full_disk_ends_in_one_line(options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scenarios.cli", "margin", str(HEDGED), *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot be written: No space left on device\n"
