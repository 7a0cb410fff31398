"""Metrics of forced flow, deleveraging and the cascade. Defined in `scenarios.metrics`."""

from __future__ import annotations

from typing import Any

import polars as pl

from scenarios.cascade import NOT_A_FALL, Cascade, stability
from scenarios.contract_values import ContractValues
from scenarios.digest import busiest_share
from scenarios.run_directory import Run

MINUTE_NS = 60 * 10**9


def forced_rows(run: Run) -> pl.DataFrame:
    """Forced actions on traders' accounts."""
    return run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))


def forced_metrics(run: Run) -> dict[str, Any]:
    """How much was forced, in what, when, and in which direction."""
    rows = forced_rows(run)
    total = float(rows["notional_usd"].sum())
    book = rows.filter(pl.col("stage").cast(pl.String) != "take_over")
    in_book = float(book["notional_usd"].sum())
    sold = float(book.filter(side="sell")["notional_usd"].sum())
    kinds = {name: entry["kind"] for name, entry in run.instruments.items()}
    by_product: dict[str, float] = {}
    for name, notional in (
        rows.group_by(pl.col("instrument").cast(pl.String))
        .agg(pl.col("notional_usd").sum())
        .sort("instrument")
        .iter_rows()
    ):
        kind = kinds.get(name, "none")
        by_product[kind] = by_product.get(kind, 0.0) + notional
    derivatives = total - by_product.get("spot", 0.0) - by_product.get("none", 0.0)
    interest = open_interest_usd(run)
    busiest = busiest_share(run)
    minute = rows.group_by(pl.col("time_ns") // MINUTE_NS).agg(pl.col("notional_usd").sum())
    peak = max(minute["notional_usd"].to_list(), default=0.0)
    return {
        "notional_usd": total,
        "book_usd": in_book,
        "by_product_usd": by_product,
        "share_of_open_interest": derivatives / interest if interest else None,
        "long_share": sold / in_book if in_book else None,
        "busiest_40min_share": busiest if total else None,
        "peak_minute_share": peak / (total * busiest) if total and busiest else None,
    }


def open_interest_usd(run: Run) -> float:
    """USD value of the long positions of all instruments at their first known sample."""
    values = ContractValues(run)
    known = run.marks.filter(pl.col("open_interest").is_not_null())
    first = known.group_by(pl.col("instrument").cast(pl.String)).agg(
        pl.col("open_interest").first(), pl.col("mark").first(), pl.col("index").first()
    )
    total = 0.0
    for row in first.iter_rows(named=True):
        kind = values.entry(row["instrument"])["kind"]
        if kind == "spot":
            continue
        price = row["index"] if kind == "option" else row["mark"]
        total += values.notional_usd(row["instrument"], row["open_interest"], price)
    return total


def deleveraging_metrics(run: Run) -> dict[str, float]:
    """What deleveraging closed and cost."""
    rows = run.deleveragings
    values = ContractValues(run)
    notional = sum(
        abs(values.notional_usd(str(instrument), size, mark))
        for instrument, size, mark in rows.select("instrument", "size", "mark").iter_rows()
    )
    forgone = float(rows["forgone_usd"].sum())
    paid = float(run.bankruptcies["deleveraging_usd"].sum())
    return {
        "notional_usd": float(notional),
        "forgone_usd": forgone,
        "overshoot_usd": max(0.0, forgone - paid),
    }


def cascade_metrics(run: Run, cascade: Cascade, instrument: str) -> dict[str, Any]:
    """Size and shape of the cascade."""
    if not cascade.cases.height:
        empty = dict.fromkeys(("branching_ratio", "largest_usd", "peak_r"))
        return {"falls": 0, "depth": 0, "largest": 0, **empty}
    largest = cascade.trees.row(0, named=True)
    r = stability(run, instrument)["r"].drop_nulls()
    return {
        "falls": cascade.cases.height,
        "branching_ratio": cascade.branching_ratio,
        "depth": cascade.generations,
        "largest": largest["cases"],
        "largest_usd": largest["notional_usd"],
        "peak_r": float(r.max()) if len(r) else None,  # type: ignore[arg-type]
    }
