"""Joined Parquet files read like the frames they were written from, one below the other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from scenarios.parquet_join import join


def frame(first: int, rows: int) -> pl.DataFrame:
    numbers = range(first, first + rows)
    return pl.DataFrame(
        {
            "number": list(numbers),
            "float": [None if n % 5 == 0 else n / 3 for n in numbers],
            "name": [None if n % 7 == 0 else f"account/é/{n}" for n in numbers],
            "side": ["buy" if n % 2 else "sell" for n in numbers],
            "flag": [n % 3 == 0 for n in numbers],
            "list": [[n, -n] if n % 4 else [] for n in numbers],
        },
        schema={
            "number": pl.Int64,
            "float": pl.Float64,
            "name": pl.String,
            "side": pl.Enum(["buy", "sell", ""]),
            "flag": pl.Boolean,
            "list": pl.List(pl.Int64),
        },
    )


def written(folder: Path, sizes: list[int], group: int) -> tuple[list[Path], pl.DataFrame]:
    frames, paths, first = [], [], 0
    for number, size in enumerate(sizes):
        frames.append(frame(first, size))
        paths.append(folder / f"{number}.parquet")
        frames[-1].write_parquet(paths[-1], row_group_size=group)
        first += size
    return paths, pl.concat(frames)


@pytest.mark.parametrize(
    ("sizes", "group"),
    [
        ([3], 10),
        ([40, 1, 250], 1000),
        ([100, 0, 50], 1000),
        ([0, 0], 10),
        ([200] * 3, 10),  # 60 groups: long lists have another header
        ([30_000, 70_000], 20_000),
    ],
)
def test_joined_files_are_the_frames_in_order(tmp_path: Path, sizes: list[int], group: int) -> None:
    parts, whole = written(tmp_path, sizes, group)
    joined = tmp_path / "joined.parquet"
    join(parts, joined)
    found = pl.read_parquet(joined)
    assert found.schema == whole.schema
    assert found.equals(whole)
    # what a reader skips by the statistics of a group, and what it projects
    for bound in (0, whole.height // 3, whole.height - 1, whole.height):
        lazy = pl.scan_parquet(joined).filter(pl.col("number") >= bound).select("name", "number")
        kept = whole.filter(pl.col("number") >= bound).select("name", "number")
        assert lazy.collect().equals(kept)
    assert pl.scan_parquet(joined).select(pl.len()).collect().item() == whole.height


def test_joined_files_can_be_joined_again(tmp_path: Path) -> None:
    parts, whole = written(tmp_path, [50, 60, 70, 80], 25)
    join(parts[:2], tmp_path / "left.parquet")
    join(parts[2:], tmp_path / "right.parquet")
    join([tmp_path / "left.parquet", tmp_path / "right.parquet"], tmp_path / "all.parquet")
    assert pl.read_parquet(tmp_path / "all.parquet").equals(whole)
    join(parts, tmp_path / "once.parquet")
    assert (tmp_path / "once.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()


def test_one_part_is_copied_byte_by_byte(tmp_path: Path) -> None:
    parts, _ = written(tmp_path, [500], 100)
    join(parts, tmp_path / "joined.parquet")
    assert (tmp_path / "joined.parquet").read_bytes() == parts[0].read_bytes()


def test_other_columns_are_refused(tmp_path: Path) -> None:
    parts, _ = written(tmp_path, [5, 5], 10)
    frame(5, 5).rename({"flag": "other"}).write_parquet(parts[1])
    with pytest.raises(ValueError, match=r"1\.parquet: has another schema than .*0\.parquet"):
        join(parts, tmp_path / "joined.parquet")
    frame(5, 5).with_columns(pl.col("number").cast(pl.Int32)).write_parquet(parts[1])
    with pytest.raises(ValueError, match="has another schema"):
        join(parts, tmp_path / "joined.parquet")


@pytest.mark.parametrize("kept", [0, 3, 11, 12, 400, -1])
def test_a_part_that_is_not_whole_is_refused(tmp_path: Path, kept: int) -> None:
    parts, _ = written(tmp_path, [50, 50], 10)
    parts[1].write_bytes(parts[1].read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"1\.parquet: is no whole Parquet file"):
        join(parts, tmp_path / "joined.parquet")
