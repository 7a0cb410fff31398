"""Metrics of price, liquidity and dislocation. Defined in `scenarios.metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scenarios.contract_values import ContractValues
from scenarios.run_directory import Run

SECOND_NS = 10**9
NEAR_TROUGH_NS = 5 * 60 * SECOND_NS
HOUR_NS = 3_600 * SECOND_NS


def _marks(run: Run, instrument: str) -> pl.DataFrame:
    return run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)


def drawdown_rows(prices: NDArray[np.float64]) -> tuple[int, int]:
    """Rows of the high and of the low of the largest relative fall."""
    highs = np.maximum.accumulate(prices)
    low = int(np.argmin(prices / highs))
    return int(np.argmax(prices[: low + 1])), low


def price_metrics(run: Run, instrument: str, twin: Run | None) -> dict[str, Any]:
    """The fall, the way back, and how much deeper it went than in the twin run."""
    marks = _marks(run, instrument)
    prices, times = marks["mark"].to_numpy(), marks["time_ns"].to_numpy()
    high, low = drawdown_rows(prices)
    fall = prices[high] - prices[low]

    def recovery(share: float) -> float | None:
        after = np.flatnonzero(prices[low:] >= prices[low] + share * fall)
        if not fall or not len(after):
            return None
        return float(times[low + after[0]] - times[low]) / SECOND_NS

    overshoot = None
    if twin is not None and instrument in twin.instruments:
        other = _marks(twin, instrument)["mark"].to_numpy()
        overshoot = float(prices.min() / other.min() - 1.0)
    return {
        "drawdown": float(prices[low] / prices[high] - 1.0),
        "trough_ns": int(times[low]),
        "recovery_50_seconds": recovery(0.5),
        "recovery_90_seconds": recovery(0.9),
        "overshoot": overshoot,
    }


def liquidity_metrics(run: Run, instrument: str) -> dict[str, Any]:
    """Depth and spread before, at and after the trough."""
    marks = _marks(run, instrument)
    values = ContractValues(run)
    units = values.units_per_contract(instrument)
    price = 1.0 if values.entry(instrument)["inverse"] else marks["mark"].to_numpy()
    depth = (marks["bid_depth_100bps"] + marks["ask_depth_100bps"]).to_numpy() * units * price
    mid = (marks["best_bid"] + marks["best_ask"]) / 2
    spread = ((marks["best_ask"] - marks["best_bid"]) / mid * 1e4).to_numpy()
    times = marks["time_ns"].to_numpy()
    _, low = drawdown_rows(marks["mark"].to_numpy())
    forced = run.liquidations["time_ns"].to_numpy()
    first = forced.min() if len(forced) else times[low]
    before = (times < first) & (depth > 0)
    at = np.abs(times - times[low]) <= NEAR_TROUGH_NS
    after = (times > times[low] + NEAR_TROUGH_NS) & (times <= times[low] + NEAR_TROUGH_NS + HOUR_NS)
    usual = _median(depth[before])
    return {
        "depth_usd": {
            "before": usual,
            "at": float(depth[at].min()),
            "after": _median(depth[after]),
        },
        "spread_bps": {
            "before": _median(spread[before]),
            "at": _largest(spread[at]),
            "after": _median(spread[after]),
        },
        "depth_recovery_seconds": _depth_recovery(times, depth, usual),
    }


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def _largest(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None


def _depth_recovery(
    times: NDArray[np.int64], depth: NDArray[np.float64], usual: float | None
) -> float | None:
    """Seconds from the last sample below a tenth of the usual depth until half of it is back."""
    if not usual:
        return None
    filled = np.flatnonzero(depth > 0)
    thin = np.flatnonzero(depth < 0.1 * usual)
    thin = thin[thin > filled[0]]  # a book that has not been filled yet is not a thin one
    if not len(thin):
        return None
    last = thin[-1]
    back = np.flatnonzero(depth[last:] >= 0.5 * usual)
    return float(times[last + back[0]] - times[last]) / SECOND_NS if len(back) else None


def dislocation_metrics(run: Run, instrument: str) -> dict[str, Any]:
    """How far the mark stood from the index, and trades from the mark."""
    marks = _marks(run, instrument)
    hour = (pl.col("time_ns") // HOUR_NS).alias("hour")
    closes = marks.group_by(hour, maintain_order=True).agg(
        pl.col("mark").last(), pl.col("index").last()
    )
    basis = (closes["mark"] / closes["index"] - 1.0).to_numpy() * 1e4
    last = (marks["last"] / marks["mark"] - 1.0).abs().drop_nulls().to_numpy() * 1e4
    return {
        "basis_bps": {"lowest": float(basis.min()), "highest": float(basis.max())},
        "last_to_mark_bps": float(last.max()) if len(last) else None,
    }
