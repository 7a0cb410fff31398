"""The anatomy of a cascade: who pushed whom.

A *case* is one account's fall: its forced actions from the moment it breaks to the moment it is
safe or gone. Every action carries the action that moved the price before its account broke; the
case that action belongs to is the parent. Cases without a parent were broken by the path of prices
alone: they are generation 0.

Source: liquidation-and-losses.md section 6; calibration.md (stability parameter).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from scenarios.contract_values import ContractValues
from scenarios.market_sample import DEPTH_BANDS_BPS, ONE_PERCENT
from scenarios.run_directory import Run

NOT_A_FALL = ("fund_unwind", "deleveraging")
"""Stages of those who come after: they neither open a case nor belong to one."""
BOOK_STAGES_EXCLUDED = ("take_over", *NOT_A_FALL)
DEPTH_BAND = f"{DEPTH_BANDS_BPS[ONE_PERCENT]}bps"
SMALLEST_MOVE = 1e-4
"""Moves below one basis point are taken as one: R is not to explode where the price stands
still.
"""


@dataclass(frozen=True)
class Cascade:
    """All cases of a run.

    cases: frame (case, account, parent, generation, root, start_ns, end_ns, actions, notional_usd,
    taken_over, children), in order of start; parent is -1 for generation 0.
    """

    cases: pl.DataFrame

    @cached_property
    def branching_ratio(self) -> float:
        """Cases broken by another case, per case: mean number of children. NaN without cases."""
        if not self.cases.height:
            return float("nan")
        return self.cases.filter(pl.col("parent") >= 0).height / self.cases.height

    @property
    def generations(self) -> int:
        """Length of the longest chain: 0 without cases, 1 where nobody pushed anybody."""
        return max(self.cases["generation"].to_list(), default=-1) + 1

    @cached_property
    def trees(self) -> pl.DataFrame:
        """Per tree: root, cases, depth, notional_usd, start_ns, end_ns; the largest first."""
        return (
            self.cases.group_by("root")
            .agg(
                cases=pl.len(),
                depth=pl.col("generation").max() + 1,
                notional_usd=pl.col("notional_usd").sum(),
                start_ns=pl.col("start_ns").min(),
                end_ns=pl.col("end_ns").max(),
            )
            .sort(["cases", "notional_usd", "root"], descending=[True, True, False])
        )

    @cached_property
    def by_generation(self) -> pl.DataFrame:
        """Per generation: cases, notional_usd."""
        return (
            self.cases.group_by("generation")
            .agg(cases=pl.len(), notional_usd=pl.col("notional_usd").sum())
            .sort("generation")
        )


def build_cascade(run: Run) -> Cascade:
    """Read the tree from the trigger ids. O(actions)."""
    falls = run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
    opened: dict[int, list[int]] = {}
    for account, time_ns in (
        run.states.filter(pl.col("state").cast(pl.String) == "liquidating")
        .select("account", "time_ns")
        .iter_rows()
    ):
        opened.setdefault(account, []).append(time_ns)
    cases: list[dict[str, object]] = []
    case_of_action: dict[int, int] = {}
    when: dict[int, tuple[int, int]] = {}  # action -> its time and its trigger
    current: dict[int, tuple[int, int, int]] = {}  # account -> case, its openings so far, trigger
    for row in falls.sort("seq").iter_rows(named=True):
        account, trigger = row["account"], row["trigger_id"]
        openings = sum(1 for t in opened.get(account, ()) if t <= row["time_ns"])
        case, before, old_trigger = current.get(account, (-1, -1, -1))
        if case < 0 or openings != before or trigger != old_trigger:
            case = len(cases)
            current[account] = (case, openings, trigger)
            parent = case_of_action.get(_earlier(trigger, row["time_ns"], when), -1)
            cases.append(_new_case(case, row, parent, cases))
        entry = cases[case]
        case_of_action[row["action_id"]] = case
        when.setdefault(row["action_id"], (row["time_ns"], trigger))
        entry["end_ns"] = row["time_ns"]
        entry["actions"] += 1  # type: ignore[operator]
        entry["notional_usd"] += row["notional_usd"]
        entry["taken_over"] = entry["taken_over"] or row["stage"] == "take_over"
    return Cascade(_case_frame(cases))


def _earlier(trigger: int, time_ns: int, when: dict[int, tuple[int, int]]) -> int:
    """The trigger, or its own trigger and so on, up to one that acted before `time_ns`.

    Accounts that break at one mark broke of what came before it: the first of them to be sold
    has not pushed the others, though its order stands just before theirs.
    """
    while trigger in when and when[trigger][0] >= time_ns:
        trigger = when[trigger][1]
    return trigger


def _new_case(
    case: int, row: dict[str, int], parent: int, cases: list[dict[str, object]]
) -> dict[str, object]:
    above = cases[parent] if parent >= 0 else None
    return {
        "case": case,
        "account": row["account"],
        "parent": parent,
        "generation": 0 if above is None else above["generation"] + 1,  # type: ignore[operator]
        "root": case if above is None else above["root"],
        "start_ns": row["time_ns"],
        "end_ns": row["time_ns"],
        "actions": 0,
        "notional_usd": 0.0,
        "taken_over": False,
    }


def _case_frame(cases: list[dict[str, object]]) -> pl.DataFrame:
    integers = ("case", "account", "parent", "generation", "root", "start_ns", "end_ns", "actions")
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(integers, pl.Int64)
    frame = pl.DataFrame(
        cases, schema=schema | {"notional_usd": pl.Float64, "taken_over": pl.Boolean}
    )
    children = (
        frame.filter(pl.col("parent") >= 0).group_by("parent").agg(children=pl.len().cast(pl.Int64))
    )
    return frame.join(children, left_on="case", right_on="parent", how="left").with_columns(
        pl.col("children").fill_null(0)
    )


def stability(run: Run, instrument: str, window_s: float = 60.0) -> pl.DataFrame:
    """The stability parameter R over time, from market samples in windows of `window_s` seconds.

    R = (forced notional per unit of price move) / (depth per unit of price move) = forced notional
    in the book during the window / (|move of the mark| / 1 % x depth within 1 % of the hit side at
    the window's start). Above 1 the forced flow alone explains more than the whole move.

    Returns (time_ns, forced_usd, move, depth_usd, r); windows without two samples are left out.
    """
    values = ContractValues(run)
    window_ns = round(window_s * 1e9)
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    window = (pl.col("time_ns") // window_ns * window_ns).alias("window")
    samples = (
        marks.sort("time_ns")
        .group_by(window, maintain_order=True)
        .agg(
            pl.col("mark").first(),
            bid=pl.col(f"bid_depth_{DEPTH_BAND}").first(),
            ask=pl.col(f"ask_depth_{DEPTH_BAND}").first(),
        )
        .with_columns(move=pl.col("mark").shift(-1) / pl.col("mark") - 1)
        .drop_nulls("move")
    )
    forced = (
        run.liquidations.filter(
            pl.col("instrument").cast(pl.String) == instrument,
            ~pl.col("stage").cast(pl.String).is_in(BOOK_STAGES_EXCLUDED),
        )
        .group_by(window)
        .agg(forced_usd=pl.col("notional_usd").sum())
    )
    joined = samples.join(forced, on="window", how="left").with_columns(
        pl.col("forced_usd").fill_null(0.0)
    )
    hit = np.where(joined["move"].to_numpy() < 0, joined["bid"], joined["ask"])
    depth = np.array(
        [
            values.notional_usd(instrument, size, price)
            for size, price in zip(hit, joined["mark"], strict=True)
        ]
    )
    move = np.maximum(np.abs(joined["move"].to_numpy()), SMALLEST_MOVE)
    consumed = depth * move / 0.01
    forced_usd = joined["forced_usd"].to_numpy()
    # Where nothing rests R has no value: NaN here, null in the frame.
    r = np.divide(forced_usd, consumed, out=np.full(len(move), np.nan), where=consumed > 0)
    return pl.DataFrame(
        {
            "time_ns": joined["window"],
            "forced_usd": forced_usd,
            "move": joined["move"],
            "depth_usd": depth,
            "r": np.where(forced_usd == 0.0, 0.0, r),
        }
    ).with_columns(pl.col("r").fill_nan(None))
