"""Metrics against figures worked by hand, and their list against the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from accounts.events import (
    AccountSnapshots,
    AccountState,
    Deleveraging,
    FundBalance,
    LiquidationStage,
    MarginWarning,
    PostingBatch,
    PostingKind,
)
from scenarios.metrics import DEFINITIONS, compute_metrics, definitions_markdown, metrics_frame
from scenarios.run_directory import Run
from tests.scenarios.hand_run import E8, action, at, bankrupt, falls, marks, sample, write_run

POOL = "fund/swaps/BTC-USDT"


def fund(seconds: float, usdt: int) -> FundBalance:
    return FundBalance(at(seconds), POOL, "USDT", usdt * E8, 0, 0)


def snapshot(time_ns: int, account: int, *figures: float) -> AccountSnapshots:
    columns = [np.array([figure]) for figure in figures]
    return AccountSnapshots(
        time_ns, np.array([account]), np.array([AccountState.HEALTHY]), *columns
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    names = ["uncovered_loss", "cash/trader/0", "pool", "cash/trader/1", "outside", "interest"]
    uncovered, cash0, pool, cash1, outside, interest = range(6)
    borrow, repay = int(PostingKind.BORROW), int(PostingKind.REPAY)
    postings = [
        (at(1), int(PostingKind.DEPOSIT), outside, cash0, 1_000 * E8, 0),
        (at(2), borrow, pool, cash1, 300 * E8, 0),
        (at(3), borrow, pool, cash0, 200 * E8, 0),
        (at(4), repay, cash1, pool, 250 * E8, 0),
        (at(5), int(PostingKind.INTEREST), cash0, interest, 2 * E8, 0),
        (at(500), int(PostingKind.DEFICIT), uncovered, cash1, 40 * E8, 2),
        (at(600), int(PostingKind.DEFICIT), cash0, uncovered, 25 * E8, 2),
    ]
    events = [
        marks(0, 7_000), fund(0, 100), sample(0, 7_000),
        snapshot(at(0), 0, 1_000.0, 900.0, 100.0, 130.0, 9.0),
        MarginWarning(at(1), 3, 2.9),
        PostingBatch(np.array(postings[:5]), names, ["USDT"] * 6),
        sample(60, 6_900), falls(61, 0), action(61, 1, 0), fund(62, 70),
        sample(120, 6_300, 5_000), falls(121, 1),
        action(121, 2, 1, trigger=1, side=1, notional_usd=3_505.0, slippage_usd=7.0),
        action(122, 3, 1, trigger=1, stage=LiquidationStage.TAKE_OVER, notional_usd=7_010.0,
               slippage_usd=0.0, average_price=6_900.0),
        bankrupt(122, 3, 1), fund(122, 40),
        Deleveraging(at(123), 3, 1, 2, "BTC-USDT-SWAP", 5_000, 69_000, 63_000, 30.0),
        snapshot(at(130), 0, 800.0, 650.0, 100.0, 130.0, 6.5),
        sample(480, 6_650, 60_000), marks(500, 6_650, usdt=0.9),
        sample(540, 6_960, 100_000), fund(550, 90), fund(560, 100),
        PostingBatch(np.array(postings[5:]), names, ["USDT"] * 6),
    ]  # fmt: skip
    return write_run(tmp_path_factory.mktemp("metrics") / "run", events)


def test_figures_worked_by_hand(run: Run) -> None:
    m = compute_metrics(run)
    # Deficits: one of 100. The account of uncovered losses goes to 40 USDT at 0.9, then back to 15.
    assert m["bad_debt_usd"] == pytest.approx({"total": 100.0, "peak": 36.0, "end": 13.5})
    assert m["waterfall_usd"] == {
        "fund": 60.0, "deleveraging": 25.0, "socialised": 0.0, "uncovered": 15.0,
    }  # fmt: skip
    # The fund falls from 100 to 40 at 122 s and is back at 100 x 0.9 USD at 560 s: below 100.
    assert m["fund"]["drawdown_usd"] == 60.0 and m["fund"]["drawdown_share"] == 0.6
    assert m["fund"]["refill_seconds"] is None
    # 7,010 sold, 3,505 bought in the book, 7,010 taken over. Open interest 1,000,000 lots = 100
    # BTC at 7,000 = 700,000 USD.
    forced = m["forced"]
    assert forced["notional_usd"] == 17_525.0 and forced["book_usd"] == 10_515.0
    assert forced["by_product_usd"] == {"perpetual": 17_525.0}
    assert forced["share_of_open_interest"] == pytest.approx(17_525 / 700_000)
    assert forced["long_share"] == pytest.approx(7_010 / 10_515)
    assert forced["busiest_40min_share"] == 1.0
    assert forced["peak_minute_share"] == pytest.approx(10_515 / 17_525)  # minute 120-180 s
    # 10 + 7 USD lost on 10,515: 16.17 bps. Distances: sale (7,000 - 6,900) / 7,010, purchase the
    # opposite; weights 7,010 and 3,505.
    assert m["slippage_bps"] == pytest.approx({"standard": 17 / 10_515 * 1e4, "take_over": 0.0})
    distance = 100 / 7_010 * 1e4
    assert m["bankruptcy_distance_bps"] == pytest.approx(
        {"standard": distance * (7_010 - 3_505) / 10_515, "take_over": 0.0}
    )
    # Ten traders: 3 warned, 0 and 1 fell, 2 was a winner.
    accounts = m["accounts"]
    assert (accounts["warned_share"], accounts["liquidated_share"]) == (0.3, 0.2)
    assert (accounts["bankrupt_share"], accounts["deleveraged_share"]) == (0.1, 0.1)
    assert accounts["false_liquidations"] is None, "needs a twin"
    # 5,000 lots = 0.5 BTC at a mark of 6,300.
    assert m["deleveraging"] == pytest.approx(
        {"notional_usd": 3_150.0, "forgone_usd": 30.0, "overshoot_usd": 5.0}
    )
    assert m["cascade"]["falls"] == 2 and m["cascade"]["branching_ratio"] == 0.5


def test_price_liquidity_and_money_by_hand(run: Run) -> None:
    m = compute_metrics(run)
    # High 7,000 at 0 s, trough 6,300 at 120 s. Half (6,650) at 480 s; 90 % (6,930) at 540 s.
    assert m["price"]["drawdown"] == pytest.approx(-0.1)
    assert m["price"]["trough_ns"] == at(120)
    assert m["price"]["recovery_50_seconds"] == 360.0
    assert m["price"]["recovery_90_seconds"] == 420.0
    # Both sides: 2 x 10 BTC. Before the first action: samples at 0 and 60 s. At the trough 2 x 0.5
    # BTC. After: 540 s only (480 s is within five minutes and one of the trough... 360 s after).
    depth = m["liquidity"]["depth_usd"]
    assert depth["before"] == pytest.approx((140_000 + 138_000) / 2)
    assert depth["at"] == pytest.approx(6_300.0)
    assert depth["after"] == pytest.approx((12 * 6_650 + 20 * 6_960) / 2)
    # Thin (below 13,900) last at 120 s; 69,500 is back at 480 s.
    assert m["liquidity"]["depth_recovery_seconds"] == 360.0
    # Haircuts 100 at first, 150 at most. USDT falls by 0.1: held net of loans is 1,000 - 2 paid in
    # interest - 25 + 40 moved, of which only what was booked by 500 s counts: 998 + 40.
    assert m["collateral"]["haircut_usd"] == {"first": 100.0, "most": 150.0}
    assert m["collateral"]["peg_loss_usd"]["USDT"] == pytest.approx(0.1 * 1_038)
    # Loans 300, 500, then 250 outstanding at a price of 1; interest 2 USDT at 0.9.
    assert m["borrowing"] == pytest.approx({"peak_usd": 500.0, "interest_usd": 1.8})


def test_a_twin_gives_overshoot_and_false_liquidations(run: Run, tmp_path: Path) -> None:
    twin = write_run(
        tmp_path / "twin",
        [
            marks(0, 7_000), sample(0, 7_000), sample(60, 6_600),
            snapshot(at(60), 0, 500.0, 400.0, 100.0, 130.0, 4.0),
            snapshot(at(60), 1, -5.0, -5.0, 100.0, 130.0, -0.05),
        ],
    )  # fmt: skip
    m = compute_metrics(run, twin)
    assert m["price"]["overshoot"] == pytest.approx(6_300 / 6_600 - 1)
    # 0 and 1 were liquidated here; only 0 is solvent in the twin run.
    assert m["accounts"]["false_liquidations"] == 1


def test_every_metric_is_computed_defined_and_documented(run: Run) -> None:
    frame = metrics_frame(compute_metrics(run))
    assert set(frame["metric"]) == set(DEFINITIONS), "every figure defined, every definition met"

    def leaves(value: object, name: str = "") -> set[str]:
        if name in DEFINITIONS or not isinstance(value, dict):
            return {name}
        return {x for k, v in value.items() for x in leaves(v, f"{name}.{k}" if name else k)}

    assert leaves(compute_metrics(run)) == set(DEFINITIONS)
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert definitions_markdown() in page.read_text(encoding="utf-8")


def test_the_summary_holds_the_metrics(run: Run) -> None:
    held = json.loads((run.path / "summary.json").read_text())["metrics"]
    assert held["cascade"]["falls"] == 2
    row = run.metrics.filter(metric="fund.drawdown_usd").row(0, named=True)
    assert (row["value"], row["unit"]) == (60.0, "USD")


def test_a_run_where_nothing_happens_has_metrics(tmp_path: Path) -> None:
    quiet = write_run(tmp_path / "run", [marks(0, 7_000), sample(0, 7_000), sample(60, 7_000)])
    m = compute_metrics(quiet)
    assert m["forced"]["notional_usd"] == 0.0 and m["forced"]["long_share"] is None
    assert m["cascade"]["falls"] == 0 and m["price"]["recovery_50_seconds"] is None


def test_a_small_recording_leaves_out_what_needs_the_large_tables(tmp_path: Path) -> None:
    small = write_run(
        tmp_path / "run", [marks(0, 7_000), sample(0, 7_000), sample(60, 6_000)], record="summary"
    )
    m = compute_metrics(small)
    assert m["borrowing"]["peak_usd"] is None and m["accounts"]["cancelled_share"] is None
    assert m["price"]["drawdown"] == pytest.approx(-1 / 7)
