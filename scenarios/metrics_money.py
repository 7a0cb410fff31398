"""Metrics of losses, funds, accounts, collateral and borrowing. Defined in `scenarios.metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from exchange.instrument import STABLECOINS
from exchange.units import atoms_per_unit
from scenarios.cascade import Cascade
from scenarios.contract_values import ContractValues
from scenarios.metrics_forced import forced_rows
from scenarios.run_directory import Run, fund_accounts
from scenarios.story import FORCED_CANCELS

SECOND_NS = 10**9
UNCOVERED = "uncovered_loss"
CASH, FUND_CASH = "cash/", "cash/fund/"


def loss_metrics(run: Run) -> dict[str, Any]:
    """Bad debt and who paid it."""
    rows = run.bankruptcies
    peak, end = _uncovered(run)
    return {
        "bad_debt_usd": {"total": float(rows["deficit_usd"].sum()), "peak": peak, "end": end},
        "waterfall_usd": {
            name: float(rows[f"{name}_usd"].sum())
            for name in ("fund", "deleveraging", "socialised", "uncovered")
        },
    }


def _uncovered(run: Run) -> tuple[float | None, float | None]:
    """Largest and last USD balance of the account of uncovered losses."""
    if not run.has("ledger"):
        return None, None
    sign = pl.when(pl.col("debit") == UNCOVERED).then(1).otherwise(-1)
    touched = (pl.col("debit") == UNCOVERED) | (pl.col("credit") == UNCOVERED)
    rows = (
        run.scan("ledger")
        .filter(touched)
        .select("time_ns", "currency", atoms=pl.col("atoms") * sign)
        .collect()
    )
    values = _summed_usd(run, rows)
    return (max(0.0, float(values.max())), float(values[-1])) if len(values) else (0.0, 0.0)


def _summed_usd(run: Run, rows: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Running USD sum of signed bookings (time_ns, currency, atoms), each currency at its price
    of the moment; one value per booking."""
    held: dict[str, int] = {}
    prices = ContractValues(run)
    out = np.empty(rows.height)
    for number, (time_ns, currency, atoms) in enumerate(
        rows.select("time_ns", "currency", "atoms").iter_rows()
    ):
        held[currency] = held.get(currency, 0) + atoms
        out[number] = sum(
            total / atoms_per_unit(name) * prices.usd(name, time_ns) for name, total in held.items()
        )
    return out


def fund_metrics(run: Run) -> dict[str, float | None]:
    """Drawdown of all insurance funds together, and the way back."""
    pools: dict[tuple[str, str], float] = {}
    times: list[int] = []
    totals: list[float] = []
    for row in run.funds.iter_rows(named=True):
        value = row["atoms"] / atoms_per_unit(row["currency"]) * row["usd_rate_e8"] / 1e8
        pools[row["pool"], row["currency"]] = value
        if times and times[-1] == row["time_ns"]:
            totals[-1] = sum(pools.values())
        else:
            times.append(row["time_ns"])
            totals.append(sum(pools.values()))
    if not totals:
        return {"drawdown_usd": None, "drawdown_share": None, "refill_seconds": None}
    series = np.array(totals)
    highs = np.maximum.accumulate(series)
    low = int(np.argmax(highs - series))
    fall = float(highs[low] - series[low])
    back = np.flatnonzero(series[low:] >= highs[low]) if fall else np.array([], dtype=int)
    return {
        "drawdown_usd": fall,
        "drawdown_share": fall / float(highs[low]) if highs[low] else None,
        "refill_seconds": (times[low + back[0]] - times[low]) / SECOND_NS if len(back) else None,
    }


def account_metrics(run: Run, cascade: Cascade, twin: Run | None) -> dict[str, Any]:
    """Shares of the traders' accounts by what happened to them."""
    funds = fund_accounts(run.account_names)
    traders = len(run.account_names) - len(funds)
    state = run.states["state"].cast(pl.String)
    warned = {*run.warnings["account"], *run.states.filter(state != "healthy")["account"]}
    cancelled: set[int] | None = None
    if run.has("orders"):
        forced = pl.col("reason").cast(pl.String).is_in(FORCED_CANCELS)
        cancelled = set(run.scan("orders").filter(forced).select("account").collect()["account"])
    liquidated = set(forced_rows(run)["account"])
    bankrupt = set(run.bankruptcies["account"])

    def share(accounts: set[int] | None) -> float | None:
        return None if accounts is None else len(accounts - funds) / traders

    falls = cascade.cases.group_by("account").len() if cascade.cases.height else None
    return {
        "warned_share": share(warned),
        "cancelled_share": share(cancelled),
        "liquidated_share": share(liquidated),
        "bankrupt_share": share(bankrupt),
        "deleveraged_share": share(set(run.deleveragings["winner"])),
        "repeat_liquidations": 0 if falls is None else falls.filter(pl.col("len") > 1).height,
        "false_liquidations": None if twin is None else _false_liquidations(run, liquidated, twin),
    }


def _false_liquidations(run: Run, liquidated: set[int], twin: Run) -> int | None:
    """Accounts, by name, that were liquidated here and end the twin run solvent."""
    if not twin.has("accounts"):
        return None
    last = twin.accounts.group_by("account").agg(pl.col("equity_usd").last())
    solvent = {
        twin.account_names[account]
        for account, equity in last.iter_rows()
        if equity > 0.0 and account not in set(twin.bankruptcies["account"])
    }
    return sum(1 for account in liquidated if run.account_names[account] in solvent)


def collateral_metrics(run: Run) -> dict[str, Any]:
    """What haircuts took from collateral, and what a broken peg cost."""
    haircut: dict[str, float | None] = {"first": None, "most": None}
    if run.has("accounts"):
        gap = pl.col("equity_usd") - pl.col("adjusted_equity_usd")
        sums = run.accounts.group_by("time_ns").agg(gap.sum().alias("gap")).sort("time_ns")
        if sums.height:
            gaps = sums["gap"].to_list()
            haircut = {"first": gaps[0], "most": max(gaps)}
    return {"haircut_usd": haircut, "peg_loss_usd": _peg_losses(run)}


def _peg_losses(run: Run) -> dict[str, float]:
    """By stablecoin: its fall to the lowest price x the traders' net holdings then."""
    if not (run.has("ledger") and run.has("prices")):
        return {}
    prices = run.prices
    losses = {}
    for currency in STABLECOINS:
        column = f"usd:{currency}"
        if column not in prices.columns:
            continue
        series = prices[column].to_numpy()
        low = int(np.argmin(series))
        fall = float(series[0] - series[low]) / 1e8
        # the ledger is read only where there is a loss
        held = _net_holdings(run, currency, int(prices["time_ns"][low])) if fall > 0.0 else 0.0
        losses[currency] = max(0.0, fall) * held
    return losses


def _net_holdings(run: Run, currency: str, time_ns: int) -> float:
    """Units of a currency on traders' accounts, less their loans, at a time."""
    own = {
        side: pl.col(side).str.starts_with(CASH) & ~pl.col(side).str.starts_with(FUND_CASH)
        for side in ("debit", "credit")
    }
    # A loan raises cash and debt alike: leaving loans out gives cash less debt.
    loans = pl.col("kind").cast(pl.String).is_in(["borrow", "repay"])
    net = own["credit"].cast(pl.Int64) - own["debit"].cast(pl.Int64)
    atoms = (
        run.scan("ledger")
        .filter(pl.col("currency") == currency, pl.col("time_ns") <= time_ns, ~loans)
        .select((pl.col("atoms") * net).sum())
        .collect()
        .item()
    )
    return float(atoms or 0) / atoms_per_unit(currency)


def procyclicality_metrics(run: Run) -> dict[str, float | None]:
    """How much margin per unit of position rose from its lowest to its highest."""
    none: dict[str, float | None] = {"margin_per_unit": None}
    known = run.marks.filter(pl.col("open_interest").is_not_null())
    if not run.has("accounts") or not known.height:
        return none
    values = ContractValues(run)
    first = dict(
        known.group_by(pl.col("instrument").cast(pl.String)).agg(pl.col("mark").first()).iter_rows()
    )
    weights = {
        name: values.notional_usd(name, 1.0, mark)
        for name, mark in first.items()
        if values.entry(name)["kind"] in ("perpetual", "future")
    }
    weight = pl.col("instrument").cast(pl.String).replace_strict(weights, default=0.0)
    interest = (
        known.group_by("time_ns").agg(size=(pl.col("open_interest") * weight).sum()).sort("time_ns")
    )
    margin = (
        run.accounts.group_by("time_ns")
        .agg(margin=pl.col("maintenance_margin_usd").sum())
        .sort("time_ns")
    )
    joined = margin.join_asof(interest, on="time_ns").filter(
        pl.col("size") > 0, pl.col("margin") > 0
    )
    if not joined.height:
        return none
    per_unit = (joined["margin"] / joined["size"]).to_numpy()
    return {"margin_per_unit": float(per_unit.max() / per_unit.min())}


def borrowing_metrics(run: Run) -> dict[str, float | None]:
    """Loans outstanding at most, and the interest on them."""
    if not run.has("ledger"):
        return {"peak_usd": None, "interest_usd": None}
    kind = pl.col("kind").cast(pl.String)
    rows = (
        run.scan("ledger")
        .filter(kind.is_in(["borrow", "repay"]))
        .select(
            "time_ns",
            "currency",
            atoms=pl.when(kind == "borrow").then(pl.col("atoms")).otherwise(-pl.col("atoms")),
        )
        .group_by(["time_ns", "currency"], maintain_order=True)
        .agg(pl.col("atoms").sum())
        .collect()
    )
    outstanding = _summed_usd(run, rows)
    interest = (
        run.scan("ledger")
        .filter(kind == "interest")
        .group_by("currency")
        .agg(pl.col("atoms").sum())
        .collect()
    )
    prices = ContractValues(run)
    end = int(run.marks["time_ns"][-1])
    return {
        "peak_usd": float(outstanding.max()) if len(outstanding) else 0.0,
        "interest_usd": sum(
            (
                atoms / atoms_per_unit(name) * prices.usd(name, end)
                for name, atoms in interest.iter_rows()
            ),
            0.0,
        ),
    }
