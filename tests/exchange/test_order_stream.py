"""The reference stream: fills, hash and book at every checkpoint, by both paths."""

from collections.abc import Callable, Sequence

import pytest

from benchmarks.book import Row, check_bare, check_objects
from benchmarks.order_stream import LIMIT, Checkpoint, generate

Check = Callable[[Sequence[Row], dict[int, Checkpoint]], bool]
OPERATIONS = 50_000
# operations: fills, volume, live orders, hash of the fills. The stream itself must not drift.
REFERENCE = {
    1_000: (0, 0, 1_000, "e4a6a0577479b2b4"),
    10_000: (3_116, 17_574, 1_960, "9ce3e9dd787c218a"),
    20_000: (6_869, 38_472, 1_925, "3546c88db51afb09"),
    50_000: (17_945, 99_769, 2_409, "1cfe16c5fcf3cc29"),
}


@pytest.fixture(scope="module")
def rows_and_marks() -> tuple[list[Row], dict[int, Checkpoint]]:
    stream, marks = generate(OPERATIONS, seed=7)
    return [tuple(row) for row in stream.tolist()], marks


def test_the_stream_is_the_reference_stream(
    rows_and_marks: tuple[list[Row], dict[int, Checkpoint]],
) -> None:
    marks = rows_and_marks[1]
    names = ("fills", "volume", "resting", "hash")
    assert {n: tuple(mark[name] for name in names) for n, mark in marks.items()} == REFERENCE


@pytest.mark.parametrize("check", [check_bare, check_objects])
def test_reference_fills_come_out(
    rows_and_marks: tuple[list[Row], dict[int, Checkpoint]], check: Check
) -> None:
    assert check(*rows_and_marks)


@pytest.mark.parametrize("check", [check_bare, check_objects])
def test_one_lot_more_in_one_order_is_noticed(
    rows_and_marks: tuple[list[Row], dict[int, Checkpoint]], check: Check
) -> None:
    rows, marks = rows_and_marks
    op, order_id, side, price, lots, target = rows[500]
    assert op == LIMIT
    tampered = [*rows[:500], (op, order_id, side, price, lots + 1, target), *rows[501:1_000]]
    assert not check(tampered, marks)
