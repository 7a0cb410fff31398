"""The cascade's tree and the stability parameter, against trees drawn by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from accounts.events import LiquidationStage
from scenarios.cascade import build_cascade, stability
from tests.scenarios.hand_run import action, falls, marks, sample, write_run


def test_the_tree_drawn_by_hand(tmp_path: Path) -> None:
    # Account 0 breaks of the path alone and sells twice (actions 1 and 2). Accounts 1 and 2 break
    # at later marks, after action 2. Account 3 after account 1's action 3. Account 4 by itself.
    #
    #     0 ---- 1 ---- 3        4
    #       \--- 2
    events = [
        marks(0, 7_000), sample(0, 7_000),
        falls(1, 0), action(1, 1, 0), action(2, 2, 0),
        falls(5, 1), action(5, 3, 1, trigger=2),
        falls(6, 2), action(6, 4, 2, trigger=2, notional_usd=20_000.0),
        falls(9, 3), action(9, 5, 3, trigger=3),
        falls(200, 4), action(200, 6, 4),
    ]  # fmt: skip
    cascade = build_cascade(write_run(tmp_path / "run", events))
    rows = cascade.cases.select("account", "parent", "generation", "root", "actions", "children")
    assert rows.rows() == [
        (0, -1, 0, 0, 2, 2),
        (1, 0, 1, 0, 1, 1),
        (2, 0, 1, 0, 1, 0),
        (3, 1, 2, 0, 1, 0),
        (4, -1, 0, 4, 1, 0),
    ]
    assert cascade.branching_ratio == 3 / 5
    assert cascade.generations == 3
    trees = cascade.trees.select("root", "cases", "depth", "notional_usd").rows()
    # 0 sold 2 x 7,010, 1 and 3 sold 7,010 each, 2 sold 20,000.
    assert trees == [(0, 4, 3, 2 * 7_010 + 2 * 7_010 + 20_000), (4, 1, 1, 7_010)]
    assert cascade.by_generation["cases"].to_list() == [2, 2, 1]


def test_accounts_that_break_at_one_mark_are_siblings(tmp_path: Path) -> None:
    # 1 and 2 break at the same mark. The venue sells 1 first, so that 2's trigger is 1's action 2
    # of the same moment: but both were pushed by action 1 of account 0.
    events = [
        marks(0, 7_000), sample(0, 7_000),
        falls(1, 0), action(1, 1, 0),
        falls(2, 1), falls(2, 2), action(2, 2, 1, trigger=1), action(2, 3, 2, trigger=2),
    ]  # fmt: skip
    cases = build_cascade(write_run(tmp_path / "run", events)).cases
    assert cases.select("account", "parent", "generation").rows() == [
        (0, -1, 0),
        (1, 0, 1),
        (2, 0, 1),
    ]


def test_an_account_that_falls_again_is_a_new_case(tmp_path: Path) -> None:
    events = [
        marks(0, 7_000), sample(0, 7_000),
        falls(1, 0), action(1, 1, 0), action(3, 2, 0),
        falls(100, 0), action(100, 3, 0), action(101, 4, 0, stage=LiquidationStage.TAKE_OVER),
    ]  # fmt: skip
    cases = build_cascade(write_run(tmp_path / "run", events)).cases
    assert cases.select("actions", "taken_over").rows() == [(2, False), (2, True)]


def test_the_fund_s_own_sales_are_no_fall(tmp_path: Path) -> None:
    events = [
        marks(0, 7_000), sample(0, 7_000),
        action(1, 1, 0, stage=LiquidationStage.FUND_UNWIND),
    ]  # fmt: skip
    cascade = build_cascade(write_run(tmp_path / "run", events))
    assert cascade.cases.height == 0 and cascade.generations == 0
    assert math.isnan(cascade.branching_ratio)


def test_r_by_hand(tmp_path: Path) -> None:
    # First minute: 7,000 -> 6,930, -1 %; bids within 1 %: 100,000 lots = 10 BTC = 70,000 USD at
    # the start; forced 2 x 7,010. R = 14,020 / (1 / 1 x 70,000) = 0.2003. Second minute: -1 %,
    # bids 20,000 lots = 2 BTC = 13,860 USD; forced 27,720: R = 27,720 / (1 x 13,860) = 2.
    # Third minute: no forced flow: 0. The take-over is not in the book and does not count.
    events = [
        marks(0, 7_000),
        sample(0, 7_000), action(10, 1, 0), action(20, 2, 0),
        action(21, 3, 0, stage=LiquidationStage.TAKE_OVER, notional_usd=1e9),
        sample(60, 6_930, 20_000), action(70, 4, 1, notional_usd=27_720.0),
        sample(120, 6_860.7), sample(180, 6_800),
    ]  # fmt: skip
    r = stability(write_run(tmp_path / "run", events), "BTC-USDT-SWAP")["r"].to_list()
    assert r == pytest.approx([14_020 / 70_000, 2.0, 0.0], rel=1e-9)
