"""One account at a moment, rebuilt from what the run recorded: ledger, fills, orders, prices.

Balances are sums of bookings, positions sums of fills and take-overs: nothing is read from a stored
state, so what is shown is what happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from accounts.insurance import FUND_PREFIX
from scenarios.contract_values import ContractValues
from scenarios.errors import UserError, show
from scenarios.run_directory import Run


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One currency: cash and debt in units, and the USD value of their difference."""

    currency: str
    cash: float
    owed: float
    usd: float


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One derivative: signed contracts and units (coins, or USD where inverse), prices, profit."""

    instrument: str
    contracts: float
    units: float
    unit_name: str
    entry_price: float
    mark_price: float
    notional_usd: float
    profit_usd: float


@dataclass(frozen=True, slots=True)
class AccountView:
    """What an account had at `time_ns`. `margin` is the last recorded figures, or None.

    open_orders: frame of (order_id, instrument, side, price, remaining).
    """

    number: int
    name: str
    time_ns: int
    state: str
    balances: list[BalanceLine]
    positions: list[PositionLine]
    margin: dict[str, Any] | None
    open_orders: pl.DataFrame

    @property
    def equity_usd(self) -> float:
        """Balances and unrealised profit, undiscounted."""
        return sum(b.usd for b in self.balances) + sum(p.profit_usd for p in self.positions)


def find_account(run: Run, text: str) -> int:
    """The number of the account that `text` names or numbers. UserError where there is none."""
    names = run.account_names
    if text in names:
        return names.index(text)
    if text.isdecimal() and text.isascii() and int(text) < len(names):
        return int(text)
    near = get_close_matches(text, names, 3, 0.4)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UserError(
        f"account: {show(text)} is neither a name nor a number from 0 to {len(names) - 1}{hint}"
    )


def account_at(run: Run, number: int, time_ns: int) -> AccountView:
    """Rebuild an account. O(rows of the ledger, fills and orders)."""
    values = ContractValues(run)
    name = run.account_names[number]
    return AccountView(
        number,
        name,
        time_ns,
        state_at(run, number, time_ns),
        _balances(run, values, name, time_ns),
        _positions(run, values, number, time_ns),
        margin_at(run, number, time_ns),
        _open_orders(run, number, time_ns),
    )


def state_at(run: Run, number: int, time_ns: int) -> str:
    """The account's state after everything up to a time."""
    last = run.states.filter(pl.col("account") == number, pl.col("time_ns") <= time_ns).tail(1)
    if last.height:
        return str(last["state"][0])
    return "healthy"


def margin_at(run: Run, number: int, time_ns: int) -> dict[str, Any] | None:
    """The last margin figures recorded at or before a time, with their `time_ns`."""
    columns = [
        "seq",
        "time_ns",
        "equity_usd",
        "adjusted_equity_usd",
        "maintenance_margin_usd",
        "initial_margin_usd",
        "margin_ratio",
    ]
    wanted = (pl.col("account") == number) & (pl.col("time_ns") <= time_ns)
    found = [run.states.filter(wanted).select(columns).tail(1)]
    if run.has("accounts"):
        found.append(run.accounts.filter(wanted).select(columns).tail(1))
    rows = pl.concat(found).sort("seq")
    return rows.row(-1, named=True) if rows.height else None


def _booked(run: Run, account: str, time_ns: int) -> pl.DataFrame:
    """Bookings of the ledger account `account`: kind, currency, atoms in (+) or out (-)."""
    touched = (pl.col("debit") == account) | (pl.col("credit") == account)
    return (
        run.scan("ledger")
        .filter(touched, pl.col("time_ns") <= time_ns)
        .select(
            "kind",
            "currency",
            pl.when(pl.col("credit") == account)
            .then(pl.col("atoms"))
            .otherwise(-pl.col("atoms"))
            .alias("atoms"),
        )
        .collect()
    )


def _balances(run: Run, values: ContractValues, name: str, time_ns: int) -> list[BalanceLine]:
    booked = _booked(run, f"cash/{name}", time_ns)
    lines = []
    for currency in sorted(booked["currency"].unique()):
        rows = booked.filter(currency=currency)
        cash = int(rows["atoms"].sum())
        loans = rows.filter(pl.col("kind").is_in(["borrow", "repay"]))
        owed = int(loans["atoms"].sum())
        if cash or owed:
            net = values.amount(currency, cash - owed)
            lines.append(
                BalanceLine(
                    currency,
                    values.amount(currency, cash),
                    values.amount(currency, owed),
                    net * values.usd(currency, time_ns),
                )
            )
    return lines


def position_lots(run: Run, number: int, time_ns: int) -> dict[str, int]:
    """Signed lots per derivative: the last snapshot, and what was traded or taken over since."""
    before = pl.col("time_ns") <= time_ns
    instrument = pl.col("instrument").cast(pl.String)
    sign = pl.when(pl.col("taker_side") == "buy").then(1).otherwise(-1)
    involved = (pl.col("maker") == number) | (pl.col("taker") == number)
    # An account may be maker and taker of one fill only where self-trades are allowed: both count.
    mine = (pl.col("taker") == number).cast(pl.Int64) - (pl.col("maker") == number).cast(pl.Int64)
    fills = (
        run.scan("fills")
        .filter(before, involved)
        .select("seq", instrument, lots=pl.col("size_lots") * sign * mine)
        .collect()
    )
    won = run.deleveragings.filter(before, winner=number).select("seq", instrument, "lots")
    moved = pl.concat([fills, _taken_over(run, number, time_ns), won])
    held = (
        run.positions.filter(before, account=number)
        .group_by(instrument)
        .agg(since=pl.col("seq").last(), held=pl.col("lots").last())
    )
    lots = (
        moved.join(held, on="instrument", how="full", coalesce=True)
        .filter((pl.col("seq") > pl.col("since").fill_null(0)) | pl.col("seq").is_null())
        .group_by("instrument")
        .agg(pl.col("lots").sum())
    )
    total = {str(i): int(n) for i, _, n in held.iter_rows()}
    for name, change in lots.iter_rows():
        total[str(name)] = total.get(str(name), 0) + int(change or 0)
    entries = run.instruments
    return {i: n for i, n in sorted(total.items()) if n and _is_open(entries[i], time_ns)}


def _taken_over(run: Run, number: int, time_ns: int) -> pl.DataFrame:
    """(seq, instrument, lots) of positions that a pool took from the account, or took itself."""
    name = run.account_names[number]
    taken = run.liquidations.filter(pl.col("time_ns") <= time_ns, stage="take_over")
    if name.startswith(FUND_PREFIX):  # behind an instrument: it took what others lost
        own = [i for i in run.instruments if _has_ledger(run, f"cost/{name}/{i}")]
        taken = taken.filter(pl.col("instrument").cast(pl.String).is_in(own))
        bought = -1
    else:
        taken = taken.filter(account=number)
        bought = 1
    return taken.select(
        "seq",
        pl.col("instrument").cast(pl.String),
        lots=pl.col("filled_lots")
        * pl.when(pl.col("side") == "buy").then(bought).otherwise(-bought),
    )


def _has_ledger(run: Run, account: str) -> bool:
    touched = (pl.col("debit") == account) | (pl.col("credit") == account)
    return run.scan("ledger").filter(touched).head(1).collect().height > 0


def _is_open(entry: dict[str, Any], time_ns: int) -> bool:
    """Whether an instrument can be held as a position at a time: no spot, nothing expired."""
    expiry = entry.get("expiry_ns")
    return entry["kind"] != "spot" and (expiry is None or time_ns < expiry)


def _positions(run: Run, values: ContractValues, number: int, time_ns: int) -> list[PositionLine]:
    name = run.account_names[number]
    lines = []
    for instrument, lots in position_lots(run, number, time_ns).items():
        entry = values.entry(instrument)
        mark = values.mark(instrument, time_ns)
        units = values.units(instrument, lots)
        settle_usd = values.usd(entry["settle"], time_ns)
        booked = _booked(run, f"cost/{name}/{instrument}", time_ns)
        cost = values.amount(entry["settle"], int(booked["atoms"].sum()))
        if entry["kind"] == "option":  # the premium was paid in cash: its value is all equity
            entry_price, profit = float("nan"), units * mark * settle_usd
        elif entry["inverse"]:
            entry_price = abs(units / cost) if cost else 0.0
            profit = (cost - units / mark) * settle_usd
        else:
            entry_price = abs(cost / units)
            profit = (units * mark + cost) * settle_usd
        contracts = values.size(instrument, lots)
        usd = values.usd(entry["base" if entry["kind"] == "option" else "quote"], time_ns)
        price = 1.0 if entry["kind"] == "option" else mark
        lines.append(
            PositionLine(
                instrument,
                contracts,
                units,
                values.unit_name(instrument),
                entry_price,
                mark,
                abs(values.notional_usd(instrument, contracts, price, usd)),
                profit,
            )
        )
    return lines


def _open_orders(run: Run, number: int, time_ns: int) -> pl.DataFrame:
    """Orders of the account that rest at a time, oldest first."""
    before = pl.col("time_ns") <= time_ns
    mine = (
        run.scan("orders")
        .filter(before, pl.col("account") == number, pl.col("event") != "rejected")
        .collect()
    )
    last = mine.group_by("order_id", maintain_order=True).agg(
        pl.all().last(), pl.col("seq").last().alias("since")
    )
    last = last.filter(pl.col("event") != "cancelled", pl.col("remaining_lots") > 0)
    filled = (
        run.scan("fills")
        .filter(before, pl.col("maker") == number)
        .select(pl.col("seq").alias("fill_seq"), "maker_order_id", "size_lots", filled="size")
        .collect()
    )
    # What an order row says of the remaining size is true at that row: only later fills count.
    used = (
        last.select("order_id", "since")
        .join(filled, left_on="order_id", right_on="maker_order_id")
        .filter(pl.col("fill_seq") > pl.col("since"))
        .group_by("order_id")
        .agg(pl.col("size_lots").sum().alias("used_lots"), pl.col("filled").sum().alias("used"))
    )
    return (
        last.join(used, on="order_id", how="left")
        .with_columns(pl.col("used_lots").fill_null(0), pl.col("used").fill_null(0.0))
        .filter(pl.col("remaining_lots") > pl.col("used_lots"))
        .select(
            "order_id",
            "instrument",
            "side",
            "price",
            remaining=pl.col("remaining") - pl.col("used"),
        )
        .sort("order_id")
    )
