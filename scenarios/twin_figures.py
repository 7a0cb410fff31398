"""A run against its twin in figures: overshoot, false liquidations, recovery.

Prices are compared moment by moment, and not only at the two troughs.

Source: liquidation-and-losses.md section 6.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from scenarios.digest import main_instrument
from scenarios.errors import UserError
from scenarios.formats import signed_percent
from scenarios.metrics_market import price_metrics
from scenarios.run_directory import Run, write_json
from scenarios.terminal import table

FIGURES = "comparison.json"
GAP = 0.001
"""A price that is lower than the twin's by this share counts as below it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TwinFigures:
    """A run against its twin. Shares are fractions, of the main instrument's mark.

    overshoot: own trough / the twin's trough - 1, each at its own time. largest_gap: the lowest of
    mark / twin's mark - 1 at one and the same time, and when. below_seconds: time for which the
    mark was more than 0.1 % below the twin's. only_here, only_in_twin: accounts liquidated in one
    of the two. false_liquidations: accounts liquidated here whose equity in the twin is above zero
    at every look; untouched: those among them that never fell to the liquidation ratio in the twin;
    None where the twin kept no snapshots. recovery: seconds from the trough until half, and 90 %,
    of the fall is made good; None if never.
    """

    twin: str
    instrument: str
    trough: float
    twin_trough: float
    overshoot: float
    largest_gap: float
    largest_gap_ns: int
    mean_gap: float
    below_seconds: float
    liquidated: int
    twin_liquidated: int
    only_here: int
    only_in_twin: int
    false_liquidations: int | None
    untouched: int | None
    recovery_50_seconds: float | None
    recovery_90_seconds: float | None
    twin_recovery_50_seconds: float | None
    twin_recovery_90_seconds: float | None


def compare_with_twin(run: Run, other: Run, twin: str) -> TwinFigures:
    """What the change did; written beside the twin as `comparison.json`. O(rows of the tables)."""
    instrument = main_instrument(run)
    times, own, others = aligned_marks(run, other, instrument)
    gap = own / others - 1.0
    lowest = int(np.argmin(gap))
    steps = np.diff(times, append=times[-1:]) / 1e9
    liquidated, fallen = _forced(run), _forced(other)
    solvent = _always_solvent(other) if other.has("accounts") else None
    false = None if solvent is None else liquidated & solvent
    mine, theirs = (price_metrics(one, instrument, None) for one in (run, other))
    figures = TwinFigures(
        twin=twin,
        instrument=instrument,
        trough=float(own.min()),
        twin_trough=float(others.min()),
        overshoot=float(own.min() / others.min() - 1.0),
        largest_gap=float(gap[lowest]),
        largest_gap_ns=int(times[lowest]),
        mean_gap=float(gap.mean()),
        below_seconds=float(steps[gap < -GAP].sum()),
        liquidated=len(liquidated),
        twin_liquidated=len(fallen),
        only_here=len(liquidated - fallen),
        only_in_twin=len(fallen - liquidated),
        false_liquidations=None if false is None else len(false),
        untouched=None if false is None else len(false - _at_liquidation(other)),
        recovery_50_seconds=mine["recovery_50_seconds"],
        recovery_90_seconds=mine["recovery_90_seconds"],
        twin_recovery_50_seconds=theirs["recovery_50_seconds"],
        twin_recovery_90_seconds=theirs["recovery_90_seconds"],
    )
    write_json(other.path / FIGURES, asdict(figures))
    return figures


def aligned_marks(
    run: Run, other: Run, instrument: str
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """(times, own marks, the other's marks) of an instrument at the samples that both have."""
    left, right = (
        one.marks.filter(pl.col("instrument").cast(pl.String) == instrument).select(
            "time_ns", "mark"
        )
        for one in (run, other)
    )
    both = left.join(right, on="time_ns", suffix="_other").sort("time_ns")
    if both.is_empty():
        raise UserError(f"{other.path}: has no price of {instrument} at a time that the run has")
    return (
        both["time_ns"].to_numpy(),
        both["mark"].to_numpy().astype(np.float64),
        both["mark_other"].to_numpy().astype(np.float64),
    )


def _forced(run: Run) -> set[str]:
    """Names of accounts that were liquidated or taken over."""
    stage = pl.col("stage").cast(pl.String)
    rows = run.liquidations.filter(
        ~stage.is_in(["fund_unwind", "deleveraging"]),
        (pl.col("filled_lots") > 0) | (stage == "take_over"),
    )
    return {run.account_names[account] for account in set(rows["account"].to_list())}


def _always_solvent(run: Run) -> set[str]:
    """Names of accounts whose equity is above zero in every snapshot and that never go bankrupt."""
    lowest = run.accounts.group_by("account").agg(pl.col("equity_usd").min())
    solvent = set(lowest.filter(pl.col("equity_usd") > 0.0)["account"].to_list())
    solvent -= set(run.bankruptcies["account"].to_list())
    solvent -= set(run.states.filter(pl.col("equity_usd") <= 0.0)["account"].to_list())
    return {run.account_names[account] for account in solvent}


def _at_liquidation(run: Run) -> set[str]:
    """Names of accounts that fell to the liquidation ratio."""
    words = ["pre_liquidation", "liquidating", "bankrupt"]
    rows = run.states.filter(pl.col("state").cast(pl.String).is_in(words))
    return {run.account_names[account] for account in set(rows["account"].to_list())}


def print_twin(out: Console, figures: TwinFigures) -> None:
    """The figures as a short table."""
    from scenarios.story import clock

    f = figures
    built = table(f"against the twin ({f.twin})", "run", "twin")
    built.add_row(f"lowest mark of {f.instrument}", f"{f.trough:,.6g}", f"{f.twin_trough:,.6g}")
    built.add_row("liquidated accounts", f"{f.liquidated:,}", f"{f.twin_liquidated:,}")
    for share, mine, theirs in (
        (50, f.recovery_50_seconds, f.twin_recovery_50_seconds),
        (90, f.recovery_90_seconds, f.twin_recovery_90_seconds),
    ):
        built.add_row(f"{share} % of the fall made good after", _minutes(mine), _minutes(theirs))
    out.print(built)
    out.print(
        f"Overshoot: the trough is {signed_percent(f.overshoot)} from the twin's; at the same time"
        f" the mark was at most {signed_percent(f.largest_gap)} away"
        f" ({clock(f.largest_gap_ns)}), {signed_percent(f.mean_gap)} on average, and"
        f" {f.below_seconds / 60.0:,.0f} minutes more than 0.1 % below."
    )
    if f.twin_liquidated:
        out.print(
            f"Liquidated only here: {f.only_here:,} accounts; only in the twin: {f.only_in_twin:,}."
        )
    if f.false_liquidations is None or f.untouched is None:
        return
    out.print(
        f"False liquidations: {f.false_liquidations:,} of {f.liquidated:,} accounts stay solvent"
        f" in the twin; {f.untouched:,} of them never fall to the liquidation ratio there."
    )


def _minutes(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds / 60.0:,.1f} min"
