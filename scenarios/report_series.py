"""Time series of a run, thinned for the report: what is drawn, not how."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scenarios.contract_values import ContractValues
from scenarios.market_sample import DEPTH_BANDS_BPS
from scenarios.run_directory import Run, fund_accounts

POINTS = 1_200
MOST_INSTRUMENTS = 8
RATIO_CEILING = 20.0
"""Ratios above this are drawn at it: what matters happens below 3."""
RATIO_FLOOR = 0.05
FloatArray: TypeAlias = NDArray[np.float64]


def thinned(values: Sequence[float] | FloatArray, points: int = POINTS) -> NDArray[np.int64]:
    """Row numbers that keep the shape: first, last, and the extremes of equal buckets.

    A spike of one sample survives. NaN never counts as an extreme. O(rows).
    """
    array = np.asarray(values, dtype=float)
    rows = len(array)
    if rows <= points:
        return np.arange(rows)
    edges = np.linspace(0, rows, points // 2 + 1).astype(int)
    chosen = {0, rows - 1}
    for start, end in pairwise(edges.tolist()):
        bucket = array[start:end]
        if np.isnan(bucket).all():
            continue
        chosen.add(start + int(np.nanargmin(bucket)))
        chosen.add(start + int(np.nanargmax(bucket)))
    return np.array(sorted(chosen))


def milliseconds(times_ns: pl.Series) -> list[int]:
    """Unix milliseconds, which the drawing library takes as UTC dates."""
    return (times_ns // 1_000_000).to_list()


def rounded(values: pl.Series | FloatArray | Sequence[float], digits: int = 6) -> list[Any]:
    """Numbers to `digits` significant digits, None where there is none; keeps the page small."""
    return [None if v is None or v != v else float(f"{v:.{digits}g}") for v in values]


def drawn_instruments(run: Run, main: str) -> list[str]:
    """The instruments that get a price picture: the main one first, then by forced notional."""
    totals = run.liquidations.group_by("instrument").agg(pl.col("notional_usd").sum())
    forced = dict(totals.select(pl.col("instrument").cast(pl.String), "notional_usd").iter_rows())
    sampled = run.marks["instrument"].cast(pl.String).unique(maintain_order=True).to_list()
    rest = sorted((n for n in sampled if n != main), key=lambda n: (-forced.get(n, 0.0), n))
    return [main, *rest][:MOST_INSTRUMENTS]


def market_series(run: Run, instrument: str) -> dict[str, Any]:
    """Prices, spread and depth of one instrument.

    t: ms; index, mark, last, bid, ask; spread_bps; bid_usd, ask_usd: within 1 %.
    """
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    values = ContractValues(run)
    units = values.units_per_contract(instrument)
    inverse = values.entry(instrument)["inverse"]
    price = pl.lit(1.0) if inverse else pl.col("mark")
    mid = (pl.col("best_bid") + pl.col("best_ask")) / 2
    marks = marks.with_columns(
        spread=(pl.col("best_ask") - pl.col("best_bid")) / mid * 1e4,
        bid_usd=pl.col("bid_depth_100bps") * units * price,
        ask_usd=pl.col("ask_depth_100bps") * units * price,
    )
    at = np.union1d(thinned(marks["mark"].to_numpy()), thinned(marks["bid_usd"].to_numpy(), 400))
    shown = marks[at]
    return {
        "t": milliseconds(shown["time_ns"]),
        "index": rounded(shown["index"], 7),
        "mark": rounded(shown["mark"], 7),
        "last": rounded(shown["last"], 7),
        "spread_bps": rounded(shown["spread"], 3),
        "bid_usd": rounded(shown["bid_usd"], 4),
        "ask_usd": rounded(shown["ask_usd"], 4),
    }


def frame_times(run: Run, frames: int) -> NDArray[np.int64]:
    """Moments of the replay: a third spread over the run, the rest over where things happen.

    Picked from the times of market samples, so that every frame shows what was recorded.
    """
    # A run may begin with empty books: the film begins when somebody quotes.
    quoted = run.marks.filter(pl.col("bid_ticks") > 0)
    times = (quoted if quoted.height else run.marks)["time_ns"].unique().sort().to_numpy()
    if len(times) <= frames:
        return times
    events = np.sort(
        np.concatenate(
            [
                run.liquidations["time_ns"].to_numpy(),
                run.states["time_ns"].to_numpy(),
                run.bankruptcies["time_ns"].to_numpy(),
            ]
        )
    )
    even = times[np.linspace(0, len(times) - 1, frames // 3).astype(int)]
    if len(events):
        # Quantiles of the events: the more happens, the slower the replay runs.
        wanted = np.quantile(events, np.linspace(0, 1, frames - len(even)))
        near = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
        even = np.union1d(even, times[near])
    return np.asarray(even, dtype=np.int64)


def book_frames(run: Run, instrument: str, times: NDArray[np.int64]) -> dict[str, Any]:
    """The book at each frame: cumulative USD within each band, and the prices.

    bids, asks: (frames, bands) in USD; bands in per cent; usual_bids, usual_asks: medians before
    the first forced action.
    """
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    values = ContractValues(run)
    at = _last_at(marks["time_ns"].to_numpy(), times)
    shown = marks[at]
    factor = np.full(len(at), values.units_per_contract(instrument))
    if not values.entry(instrument)["inverse"]:
        factor = factor * shown["mark"].to_numpy()
    columns = {s: [f"{s}_depth_{b}bps" for b in DEPTH_BANDS_BPS] for s in ("bid", "ask")}
    sides = {
        side: np.stack([shown[c].to_numpy() * factor for c in names], axis=1)
        for side, names in columns.items()
    }
    calm = _calm_rows(run, marks["time_ns"].to_numpy())
    usual = {
        side: np.nanmedian(marks[calm].select(names).to_numpy() * factor[0], axis=0)
        for side, names in columns.items()
    }
    return {
        "bands": [b / 100 for b in DEPTH_BANDS_BPS],
        "bids": [rounded(row, 4) for row in sides["bid"]],
        "asks": [rounded(row, 4) for row in sides["ask"]],
        "usual_bids": rounded(usual["bid"], 4),
        "usual_asks": rounded(usual["ask"], 4),
        "mark": rounded(shown["mark"], 7),
        "index": rounded(shown["index"], 7),
        "last": rounded(shown["last"], 7),
        "best_bid": rounded(shown["best_bid"], 7),
        "best_ask": rounded(shown["best_ask"], 7),
    }


def _calm_rows(run: Run, times: NDArray[np.int64]) -> slice:
    """Samples before the first forced action, at least a twentieth of all."""
    forced = run.liquidations["time_ns"].to_numpy()
    end = int(np.searchsorted(times, forced.min())) if len(forced) else len(times)
    return slice(0, max(end, len(times) // 20, 1))


def _last_at(times: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row of the last time at or before each wanted one; the first row before that."""
    return np.maximum(np.searchsorted(times, wanted, side="right") - 1, 0)


def margin_history(run: Run) -> pl.DataFrame:
    """Every recorded margin figure: (seq, time_ns, account, state, maintenance, ratio)."""
    columns = [
        pl.col("seq"),
        pl.col("time_ns"),
        pl.col("account"),
        pl.col("state").cast(pl.String),
        pl.col("maintenance_margin_usd"),
        pl.col("margin_ratio"),
    ]
    tables = [run.states.select(columns)]
    if run.has("accounts"):
        tables.append(run.accounts.select(columns))
    return pl.concat(tables).sort("seq")


def account_matrix(
    history: pl.DataFrame, accounts: Sequence[int], times: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.object_]]:
    """Ratio (accounts, frames) and state per account and frame; NaN and "" before the first."""
    ratios = np.full((len(accounts), len(times)), np.nan)
    states = np.full((len(accounts), len(times)), "", dtype=object)
    parts = history.filter(pl.col("account").is_in(list(accounts))).partition_by(
        "account", as_dict=True
    )
    for row, account in enumerate(accounts):
        part = parts.get((account,))
        if part is None:
            continue
        at = np.searchsorted(part["time_ns"].to_numpy(), times, side="right") - 1
        known = at >= 0
        ratios[row, known] = part["margin_ratio"].to_numpy()[at[known]]
        states[row, known] = part["state"].to_numpy()[at[known]]
    return np.clip(ratios, RATIO_FLOOR, RATIO_CEILING), states


def ratio_bands(history: pl.DataFrame, times: NDArray[np.int64]) -> dict[str, Any]:
    """Quantiles of all accounts' margin ratios over time, of accounts that need margin at all."""
    accounts = history["account"].unique().sort().to_list()
    ratios, states = account_matrix(history, accounts, times)
    ratios[(ratios >= RATIO_CEILING) | (states == "bankrupt")] = np.nan
    bands: dict[str, list[Any]] = {"low": [], "quarter": [], "median": []}
    for column in ratios.T:
        known = column[~np.isnan(column)]
        quantiles = np.quantile(known, [0.05, 0.25, 0.5]) if len(known) else [np.nan] * 3
        for name, value in zip(bands, quantiles, strict=True):
            bands[name].append(None if value != value else float(f"{value:.4g}"))
    return bands


def state_counts(run: Run, times: NDArray[np.int64], states: Sequence[str]) -> dict[str, list[int]]:
    """Accounts in each state at each time; an account that never changed is healthy."""
    counts: dict[str, NDArray[Any]] = {s: np.zeros(len(times), dtype=int) for s in states}
    traders = len(run.account_names) - len(fund_accounts(run.account_names))
    for (_,), part in run.states.partition_by("account", as_dict=True).items():
        moments = part["time_ns"].to_numpy()
        names = part["state"].cast(pl.String).to_list()
        at = np.searchsorted(moments, times, side="right") - 1
        for number, name in enumerate(names):
            if name in counts and name != "healthy":
                counts[name] += at == number
    troubled = np.sum([c for s, c in counts.items() if s != "healthy"], axis=0)
    counts["healthy"] = traders - troubled
    return {state: column.tolist() for state, column in counts.items()}


def fund_series(run: Run) -> dict[str, Any]:
    """USD balance of each pool after each change, and of all together."""
    from exchange.units import atoms_per_unit

    pools: dict[str, float] = {}
    times, totals = [], []
    for row in run.funds.iter_rows(named=True):
        value = row["atoms"] / atoms_per_unit(row["currency"]) * row["usd_rate_e8"] / 1e8
        pools[f"{row['pool']} {row['currency']}"] = value
        times.append(row["time_ns"] // 1_000_000)
        totals.append(sum(pools.values()))
    at = thinned(totals) if totals else np.array([], dtype=int)
    return {
        "t": [times[i] for i in at],
        "usd": rounded([totals[i] for i in at]),
        "pools": {name: float(f"{value:.6g}") for name, value in sorted(pools.items())},
    }
