"""The recorder: what it writes is what was emitted, and its hash depends on that alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounts.events import Marks, PostingBatch, RiskAction
from exchange.events import Fill, OrderAccepted, OrderCancelled, OrderRejected
from scenarios.event_table import EventTable, LedgerTable
from scenarios.recorder import Recorder
from scenarios.run_directory import Run
from scenarios.table_writer import TableWriter
from scenarios.tables import LEDGER, WARNINGS, Columns, TableDigest, encoded
from tests.scenarios.fake_run import INSTRUMENTS, FakeRun, write_fake_run

STEPS, LONGS = 700, 12


def digest(**options: Any) -> str:
    recorder = Recorder(None, INSTRUMENTS, **options)
    FakeRun(recorder, steps=60, longs=LONGS).run()
    return recorder.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Run]:
    """All events as emitted, with what is mutable copied, and the run written from them."""
    events: list[Any] = []

    def keep(event: Any) -> None:
        if type(event) in (OrderAccepted, OrderCancelled):
            order = event.order
            remaining = getattr(event, "remaining_lots", order.remaining_lots)
            events.append(
                (type(event), order.order_id, order.price_ticks, remaining, order.cause_id)
            )
        else:
            events.append(event)

    FakeRun(keep, steps=STEPS, longs=LONGS).run()
    path = tmp_path_factory.mktemp("run") / "fake"
    return events, Run.load(write_fake_run(path, steps=STEPS, longs=LONGS))


def test_hash_does_not_depend_on_chunks_or_on_what_is_written(tmp_path: Path) -> None:
    expected = digest()
    assert {digest(chunk_rows=n) for n in (1, 7, 997)} == {expected}
    for record in ("all", "summary"):
        recorder = Recorder(tmp_path / record, INSTRUMENTS, record=record, chunk_rows=64)
        FakeRun(recorder, steps=60, longs=LONGS).run()
        assert recorder.close() == expected


def test_words_and_names_are_hashed_after_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["", "plain", "é", "Ω" * 200]
    plain = b"".join(len(w.encode()).to_bytes(8, "little") + w.encode() for w in words)
    assert encoded(words) == plain

    def closed() -> bytes:
        table = LedgerTable(lambda name, rows: None, 2)
        table.names, table.currencies = [], []
        for number, word in enumerate(words):  # accounts come while bookings are written
            table.names.append(f"cash/{word}")
            table.currencies.append("USDT")
            table.book(2 * number + 1, np.array([(7, 0, number, 0, 5, 0)]))
        return table.close()

    expected = TableDigest(LEDGER)
    rows = [(2 * number + 1, 7, 0, number, 0, 5, 0) for number in range(len(words))]
    expected.update(b"".join(LEDGER.packing.pack(*row) for row in rows), len(rows))
    names = encoded(f"cash/{word}:USDT" for word in words)
    assert closed() == expected.digest([names])
    monkeypatch.setattr("scenarios.event_table.NAMES_AT_ONCE", 1)
    assert closed() == expected.digest([names])


@pytest.mark.parametrize("chunk", [1, 2, 7, 10, 100])
def test_rows_in_bulk_are_rows_one_by_one(chunk: int) -> None:
    rows = np.zeros(40, WARNINGS.dtype)
    rows["seq"], rows["account"] = np.arange(40), np.arange(40) % 3
    rows["margin_ratio"] = np.linspace(-1.0, 5.0, 40)
    rows["margin_ratio"][8] = np.inf

    def closed(bulks: list[int]) -> tuple[bytes, list[Any]]:
        taken: list[Any] = []
        table = EventTable(WARNINGS, lambda _, some: taken.extend(some.tolist()), chunk)
        done = 0
        for bulk in bulks:
            table.extend(rows[done : done + bulk])
            done += bulk
            table.add(*rows[done].tolist())
            done += 1
        assert done == len(rows)
        return table.close(), taken

    expected = TableDigest(WARNINGS)
    expected.update(rows.tobytes(), len(rows))
    for bulks in ([0] * 40, [39], [6, 0, 2, 19, 8], [9, 9, 9, 9]):
        digest, taken = closed(bulks)
        assert digest == expected.digest([])
        assert str(taken) == str(rows.tolist())


def test_hash_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "from scenarios.recorder import Recorder;"
        "from tests.scenarios.fake_run import INSTRUMENTS, FakeRun;"
        "r = Recorder(None, INSTRUMENTS); FakeRun(r, steps=60, longs=12).run(); print(r.close())"
    )
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        ).stdout.strip()
        for seed in ("0", "4711")
    }
    assert found == {digest()}


def test_another_seed_or_one_changed_event_is_another_hash() -> None:
    def run(change: str | None, seed: int = 1) -> str:
        recorder = Recorder(None, INSTRUMENTS)

        def emit(event: Any) -> None:
            if change == "price" and type(event) is Marks:
                event.mark_ticks[1] += 1
            if change == "word" and type(event) is RiskAction:
                event.reason += "."
            if change == "atom" and type(event) is PostingBatch:
                event.rows = event.rows.copy()
                event.rows[-1, 4] += 1
            recorder(event)

        FakeRun(emit, seed=seed, steps=STEPS, longs=LONGS).run()
        return recorder.close()

    variants = [run(None), run("price"), run("word"), run("atom"), run(None, seed=2)]
    assert len(set(variants)) == len(variants)


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(KeyError):
        Recorder(None, INSTRUMENTS)(object())


def test_orders_and_fills_are_those_emitted(recorded: tuple[list[Any], Run]) -> None:
    events, run = recorded
    for kind, name in ((OrderAccepted, "accepted"), (OrderCancelled, "cancelled")):
        rows = run.orders.filter(event=name).select(
            "order_id", "price_ticks", "remaining_lots", "cause_id"
        )
        assert rows.rows() == [e[1:] for e in events if type(e) is tuple and e[0] is kind]
    fills = [e for e in events if type(e) is Fill]
    assert run.fills.select("fill_id", "price_ticks", "size_lots", "maker", "taker").rows() == [
        (f.fill_id, f.price_ticks, f.size_lots, f.maker.owner, f.taker.owner) for f in fills
    ]
    assert run.fills["price"].to_list() == [float(f.price_ticks * f.instrument.tick) for f in fills]


def test_order_over_all_tables(recorded: tuple[list[Any], Run]) -> None:
    _, run = recorded
    tables = [p.stem for p in run.path.glob("*.parquet")]
    seqs = sorted(s for t in tables for s in run.table(t)["seq"].to_list())
    assert seqs == list(range(1, len(seqs) + 1)), "every row has its own place"
    assert sum(run.manifest["rows"].values()) == len(seqs)
    for table in tables:
        assert run.table(table)["time_ns"].is_sorted()


def test_ledger_rows_and_balances(recorded: tuple[list[Any], Run]) -> None:
    events, run = recorded
    rows = [r for e in events if type(e) is PostingBatch for r in e.rows.tolist()]
    assert run.ledger["atoms"].to_list() == [r[4] for r in rows]
    names = next(e.names for e in events if type(e) is PostingBatch)
    assert run.ledger["credit"].to_list() == [names[r[3]] for r in rows]
    assert set(run.ledger["currency"].unique()) == {"USDT"}


def test_marks_show_an_empty_side_as_null(recorded: tuple[list[Any], Run]) -> None:
    _, run = recorded
    assert (run.marks["best_bid"].fill_null(1.0) > 0).all()
    depth = run.marks.select("bid_depth_5bps", "bid_depth_100bps", "bid_depth_500bps").to_numpy()
    assert (depth[:, 1:] >= depth[:, :-1]).all(), "bands are cumulative"


def test_summary_counts_what_the_tables_hold(recorded: tuple[list[Any], Run]) -> None:
    events, run = recorded
    summary = run.summary
    rejected = Counter(e.reason.name.lower() for e in events if type(e) is OrderRejected)
    assert summary["rejected_orders"] == dict(rejected)
    cancelled = run.orders.filter(event="cancelled")["reason"].value_counts()
    assert summary["cancelled_orders"] == dict(cancelled.rows())
    assert summary["fills"] == run.fills.height
    assert summary["traded_notional_usd"] == pytest.approx(run.fills["notional_usd"].sum())
    assert summary["warnings"] == run.warnings.height > 0
    assert summary["bankrupt_accounts"] == run.bankruptcies["account"].n_unique() > 0
    assert summary["bad_debt_usd"] == pytest.approx(run.bankruptcies["deficit_usd"].sum())
    fund = run.funds["atoms"] / 1e8 * run.funds["usd_rate_e8"] / 1e8
    assert summary["insurance_fund_usd"] == pytest.approx(
        {"start": fund[0], "minimum": fund.min(), "end": fund[-1]}
    )
    uncovered = float(run.ledger.filter(debit="uncovered_loss")["atoms"].sum()) / 1e8
    assert summary["uncovered_loss_usd"] == pytest.approx(uncovered, rel=0.01)
    assert uncovered > 0
    assert summary["conservation_error_atoms"] == {"USDT": 0}


def test_summary_recording_writes_the_small_tables_only(tmp_path: Path) -> None:
    path = write_fake_run(tmp_path / "run", steps=60, longs=LONGS, record="summary")
    run = Run.load(path)
    assert not run.has("orders") and not run.has("ledger")
    assert run.has("liquidations") and run.marks.height == 10


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6, 14, 5_000])
def test_rows_come_back_as_they_were_added(tmp_path: Path, rows: int) -> None:
    import polars as pl

    table = np.zeros(rows, WARNINGS.dtype)
    table["seq"], table["account"] = np.arange(rows), np.arange(rows) % 3
    table["margin_ratio"] = np.linspace(-1.0, 5.0, rows)
    table["time_ns"] = 2**62 - np.arange(rows)
    most = 5 if rows < 100 else 3_000
    writer = TableWriter(tmp_path, piece_rows=most)
    for start in range(0, max(1, rows), 4):
        writer.add("warnings", table[start : start + 4])
    assert not list(tmp_path.glob("*.parquet")), "nothing looks whole before the end"
    pieces: list[int] = []

    def decode(name: str, columns: Columns) -> pl.DataFrame:
        assert name == "warnings"
        pieces.append(len(columns["seq"]))
        return pl.DataFrame(columns)

    writer.finish(decode)
    assert pl.read_parquet(tmp_path / "warnings.parquet").equals(
        pl.DataFrame({name: table[name].copy() for name in WARNINGS.dtype.names or ()})
    )
    assert pieces == [min(most, rows - start) for start in range(0, max(1, rows), most)]
    assert [p.name for p in tmp_path.iterdir()] == ["warnings.parquet"]
