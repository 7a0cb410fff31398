"""What researchers measure, computed from a run's tables: every figure is named and defined here.

`DEFINITIONS` is the list; `docs/metrics.md` prints it, and a test compares the two. `None` stands
where a figure has no value: nothing was liquidated, a price never came back, a table was not
recorded, no twin was given.

Source: liquidation-and-losses.md section 6; calibration.md.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from scenarios.cascade import build_cascade
from scenarios.digest import main_instrument
from scenarios.metrics_forced import cascade_metrics, deleveraging_metrics, forced_metrics
from scenarios.metrics_market import dislocation_metrics, liquidity_metrics, price_metrics
from scenarios.metrics_money import (
    account_metrics,
    borrowing_metrics,
    collateral_metrics,
    fund_metrics,
    loss_metrics,
    procyclicality_metrics,
)
from scenarios.run_directory import Run

DEFINITIONS: dict[str, tuple[str, str]] = {
    "bad_debt_usd.total": ("USD", "sum of the deficits of all bankrupt accounts"),
    "bad_debt_usd.peak": (
        "USD",
        "largest balance of the account of uncovered losses, at the prices of that moment",
    ),
    "bad_debt_usd.end": ("USD", "that balance at the end"),
    "waterfall_usd.fund": ("USD", "part of the deficits that insurance funds paid"),
    "waterfall_usd.deleveraging": ("USD", "part that deleveraged winners paid"),
    "waterfall_usd.socialised": ("USD", "part that all of the day's winners shared"),
    "waterfall_usd.uncovered": ("USD", "part that nobody paid"),
    "fund.drawdown_usd": (
        "USD",
        "largest fall of all insurance funds together from an earlier high",
    ),
    "fund.drawdown_share": ("1", "that fall / the high before it"),
    "fund.refill_seconds": (
        "s",
        "time from the low after that fall until the funds are back at the high; none if never",
    ),
    "forced.notional_usd": (
        "USD",
        (
            "forced trades and take-overs of traders, at the mark: all stages but the funds' "
            "unwinding and deleveraging"
        ),
    ),
    "forced.book_usd": ("USD", "the part that went through the book"),
    "forced.by_product_usd": ("USD", "forced.notional_usd by kind of instrument"),
    "forced.share_of_open_interest": (
        "1",
        (
            "forced.notional_usd of derivatives / open interest of all instruments when the "
            "run began"
        ),
    ),
    "forced.long_share": ("1", "sales / all, of forced.book_usd"),
    "forced.busiest_40min_share": ("1", "largest part of forced.notional_usd within 40 minutes"),
    "forced.peak_minute_share": (
        "1",
        (
            "largest part of forced.notional_usd within a calendar minute / that of the "
            "busiest 40 minutes"
        ),
    ),
    "slippage_bps": (
        "bps",
        (
            "by stage: sum of the loss against the mark / sum of the notional x 10,000; "
            "positive is worse"
        ),
    ),
    "bankruptcy_distance_bps": (
        "bps",
        (
            "by stage: notional-weighted mean of (price - bankruptcy price) / mark x 10,000 "
            "for sales, the opposite for purchases; positive is better than the bankruptcy "
            "price"
        ),
    ),
    "accounts.warned_share": (
        "1",
        "accounts that were ever warned or worse / all accounts of traders",
    ),
    "accounts.cancelled_share": ("1", "accounts with an order cancelled by the venue / all"),
    "accounts.liquidated_share": ("1", "accounts with a forced action / all"),
    "accounts.bankrupt_share": ("1", "accounts that went bankrupt / all"),
    "accounts.deleveraged_share": ("1", "accounts that were deleveraged / all"),
    "accounts.repeat_liquidations": ("accounts", "accounts that fell more than once"),
    "accounts.false_liquidations": (
        "accounts",
        "accounts liquidated here that end the twin run with equity above 0 and no bankruptcy",
    ),
    "deleveraging.notional_usd": ("USD", "positions of winners closed off the book, at the mark"),
    "deleveraging.forgone_usd": ("USD", "profit that the winners would have had at the mark"),
    "deleveraging.overshoot_usd": ("USD", "forgone_usd less what it paid of deficits, at least 0"),
    "cascade.falls": ("falls", "liquidations, an account's from breaking to safety being one"),
    "cascade.branching_ratio": ("1", "falls pushed by another fall / all falls"),
    "cascade.depth": ("generations", "length of the longest chain of falls that pushed each other"),
    "cascade.largest": ("falls", "falls in the largest tree"),
    "cascade.largest_usd": ("USD", "forced notional in the largest tree"),
    "cascade.peak_r": (
        "1",
        (
            "largest R in a minute: forced notional in the book / (move of the mark / 1 % x "
            "depth within 1 % of the hit side at the minute's start)"
        ),
    ),
    "price.drawdown": (
        "1",
        "lowest mark after / highest mark before it - 1, of the main instrument",
    ),
    "price.trough_ns": ("ns", "time of that lowest mark"),
    "price.recovery_50_seconds": (
        "s",
        "time from the trough until half of that fall is made good; none if never",
    ),
    "price.recovery_90_seconds": ("s", "the same for 90 %"),
    "price.overshoot": (
        "1",
        "lowest mark / lowest mark of the twin run - 1; negative: the forced flow made it deeper",
    ),
    "liquidity.depth_usd": (
        "USD",
        (
            "depth within 1 %, both sides: median before the first forced action, lowest "
            "within 5 minutes of the trough, median of the hour after those"
        ),
    ),
    "liquidity.spread_bps": ("bps", "spread at the same times: median, largest, median"),
    "liquidity.depth_recovery_seconds": (
        "s",
        "time from the last sample below 10 % of the depth before until half of it is back",
    ),
    "dislocation.basis_bps": (
        "bps",
        "mark / index - 1 at hourly closes of the main instrument: lowest and highest",
    ),
    "dislocation.last_to_mark_bps": (
        "bps",
        "largest distance of a sampled last price from the mark",
    ),
    "collateral.haircut_usd": (
        "USD",
        "sum over accounts of equity - adjusted equity: at the first snapshot, and at most",
    ),
    "collateral.peg_loss_usd": (
        "USD",
        (
            "by stablecoin: (first USD price - lowest) x what traders held net of loans at "
            "the lowest"
        ),
    ),
    "procyclicality.margin_per_unit": (
        "1",
        "highest / lowest ratio of all maintenance margin to open interest at the first marks",
    ),
    "borrowing.peak_usd": (
        "USD",
        "largest sum of all loans outstanding, at the prices of the moment",
    ),
    "borrowing.interest_usd": ("USD", "interest booked, at the last prices"),
}


def compute_metrics(run: Run, twin: Run | None = None) -> dict[str, Any]:
    """All metrics of a run, nested by the parts of their names. `twin`: the same seed with one
    thing changed; without it the figures that need one are None. O(rows of the tables)."""
    instrument = main_instrument(run)
    cascade = build_cascade(run)
    return {
        **loss_metrics(run),
        "fund": fund_metrics(run),
        "forced": forced_metrics(run),
        **_by_stage(run),
        "accounts": account_metrics(run, cascade, twin),
        "deleveraging": deleveraging_metrics(run),
        "cascade": cascade_metrics(run, cascade, instrument),
        "price": price_metrics(run, instrument, twin),
        "liquidity": liquidity_metrics(run, instrument),
        "dislocation": dislocation_metrics(run, instrument),
        "collateral": collateral_metrics(run),
        "procyclicality": procyclicality_metrics(run),
        "borrowing": borrowing_metrics(run),
    }


def _by_stage(run: Run) -> dict[str, dict[str, float | None]]:
    """Slippage and distance to the bankruptcy price by stage."""
    signed = pl.when(pl.col("side") == "sell").then(1.0).otherwise(-1.0)
    filled = run.liquidations.filter(pl.col("filled_lots") > 0, pl.col("notional_usd") > 0)
    known = pl.col("bankruptcy_price") > 0
    weight = pl.when(known).then(pl.col("notional_usd")).otherwise(0.0)
    distance = (
        (pl.col("average_price") - pl.col("bankruptcy_price")) / pl.col("mark_price") * signed
    )
    rows = (
        filled.group_by(pl.col("stage").cast(pl.String))
        .agg(
            slippage=pl.col("slippage_usd").sum() / pl.col("notional_usd").sum() * 1e4,
            weighted=(distance * weight).sum() * 1e4,
            weight=weight.sum(),
        )
        .sort("stage")
    )
    return {
        "slippage_bps": {r["stage"]: r["slippage"] for r in rows.iter_rows(named=True)},
        "bankruptcy_distance_bps": {
            r["stage"]: r["weighted"] / r["weight"] if r["weight"] else None
            for r in rows.iter_rows(named=True)
        },
    }


def metrics_frame(metrics: dict[str, Any]) -> pl.DataFrame:
    """One row per figure: (metric, part, value, unit, definition); part names the stage, product,
    currency or moment where a metric has several."""
    rows = [
        (name, part, None if value is None else float(value), *DEFINITIONS[name])
        for name in DEFINITIONS
        for part, value in _parts(metrics, name)
    ]
    columns = ["metric", "part", "value", "unit", "definition"]
    schema = {c: pl.Float64 if c == "value" else pl.String for c in columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _parts(metrics: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    value: Any = metrics
    for key in name.split("."):
        value = value[key]
    return list(value.items()) if isinstance(value, dict) else [("", value)]


def definitions_markdown() -> str:
    """The table of `docs/metrics.md`."""
    lines = ["| metric | unit | definition |", "|---|---|---|"]
    lines += [f"| `{name}` | {unit} | {words} |" for name, (unit, words) in DEFINITIONS.items()]
    return "\n".join(lines) + "\n"
