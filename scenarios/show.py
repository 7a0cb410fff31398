"""`selloff show`: a run in one screen, or one account of it at a time.

Input that is wrong raises `UserError`; the figures come from `summary.json` and the tables.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from scenarios.account_view import AccountView, account_at, find_account
from scenarios.cascade import NOT_A_FALL
from scenarios.errors import UserError, show
from scenarios.formats import coins, plural, price, ratio, signed_usd, usd
from scenarios.run_directory import Run
from scenarios.seed_view import COLUMNS, seed_notes, seed_rows
from scenarios.story import STAGE_WORDS, Moment, StoryTeller, clock
from scenarios.terminal import console, table

_OFFSET = re.compile(r"\+?(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def show_command(path: Path, *, account: str | None, at: str | None) -> None:
    """Print the run, or one account at a time (the end, where none is given)."""
    run = Run.load(path)
    out = console()
    if account is None:
        if at is not None:
            raise UserError("--at: needs --account; a run is shown as a whole")
        print_summary(out, run)
        return
    number = find_account(run, account)
    time_ns = parse_time(run, at)
    out.print(account_view(run, account_at(run, number, time_ns)))


def run_span(run: Run) -> tuple[int, int]:
    """First moment with prices, and the end of the run, up to a whole sample after the last one."""
    times = run.marks["time_ns"]
    if not len(times):
        raise UserError(f"{run.path}: the run has no market samples, so no time to look at")
    first, last = times.min(), times.max()
    assert isinstance(first, int) and isinstance(last, int)
    return first, max(last, first + round(run.summary["simulated_seconds"] * 1e9))


def parse_time(run: Run, text: str | None) -> int:
    """A time in the run: ISO 8601 (UTC unless it says otherwise), time of day, or an offset.

    Raises UserError with the run's span where it is none, or outside.
    """
    first, last = run_span(run)
    if text is None:
        return last
    time_ns = _moment(text, first)
    allowed = f"{clock(first, date=True)} to {clock(last, date=True)} UTC"
    if time_ns is None:
        raise UserError(
            f"--at: {show(text)} is no time; give 2020-03-12T10:45:00Z, 10:45:00, or an offset from"
            f" the start such as 90m (the run lasts {allowed})"
        )
    # A time that names the last second includes what happened within it.
    if not first <= time_ns <= last + 10**9:
        raise UserError(f"--at: {show(text)} is outside the run, {allowed}")
    return time_ns


def _moment(text: str, first_ns: int) -> int | None:
    offset = _OFFSET.fullmatch(text)
    if offset:
        return first_ns + round(float(offset[1]) * _SECONDS[offset[2]] * 1e9)
    start = datetime.fromtimestamp(first_ns // 10**9, UTC)
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            time = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M")
            moment = start.replace(hour=time.hour, minute=time.minute, second=time.second)
            if moment < start.replace(microsecond=0):  # after midnight
                moment = moment.replace(day=start.day) + (datetime(1, 1, 2) - datetime(1, 1, 1))
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def print_summary(out: Console, run: Run) -> None:
    """The run in one screen; also what `selloff run` ends with."""
    from scenarios.digest import five_sentences

    out.print(Text(f"{run.summary['scenario']}, seed {run.summary['seed']}", style="bold"))
    for sentence in five_sentences(run):
        out.print(Text(f"  {sentence}"))
    out.print()
    out.print(_figures(run.summary))
    seeds = run.summary.get("book_seeds", {})
    if seeds:
        out.print(_seeded_books(seeds))
    out.print(_reasons("rejected", run.summary["rejected_orders"]))
    out.print(_reasons("cancelled", run.summary["cancelled_orders"]))
    worst = _worst_accounts(run)
    if worst is not None:
        out.print(worst)
    out.print(
        Text(
            f"event hash {run.summary['event_hash'][:16]}  {run.path}\n"
            f"selloff show {run.path} --account NAME [--at TIME], selloff explain {run.path} NAME",
            style="dim",
        )
    )


def _figures(s: dict[str, Any]) -> Table:
    built = table("", "", "", "", words=(0, 2))
    built.show_header = False
    fund = s["insurance_fund_usd"]
    errors = s["conservation_error_atoms"]
    conserved = "exact" if not any(errors.values()) else f"BROKEN {errors}"
    left = [
        ("simulated", _duration(s["simulated_seconds"])),
        ("wall clock", f"{s['wall_seconds']:.1f} s"),
        ("accounts", f"{s['accounts']:,}"),
        ("orders", f"{s['orders']:,}"),
        ("rejected", f"{sum(s['rejected_orders'].values()):,}"),
        ("cancelled", f"{sum(s['cancelled_orders'].values()):,}"),
        ("fills", f"{s['fills']:,}"),
        ("traded, USD", usd(s["traded_notional_usd"])),
        ("conservation", conserved),
    ]
    right = [
        ("warnings", f"{s['warnings']:,}"),
        ("liquidated accounts", f"{s['liquidated_accounts']:,}"),
        *(
            (f"  {STAGE_WORDS[stage]}, USD", usd(notional))
            for stage, notional in s["liquidated_notional_usd"].items()
        ),
        ("bankrupt accounts", f"{s['bankrupt_accounts']:,}"),
        ("bad debt, USD", usd(s["bad_debt_usd"])),
        ("uncovered loss, USD", usd(s["uncovered_loss_usd"])),
        *(
            (f"insurance fund {words}, USD", usd(fund[when]))
            for when, words in (("start", "first"), ("minimum", "lowest"), ("end", "last"))
        ),
    ]
    for one, other in zip_longest(left, right, fillvalue=("", "")):
        built.add_row(*one, *other)
    return built


def _seeded_books(seeds: dict[str, Any]) -> Group:
    """What books began with, and what is left of it."""
    built = table(*COLUMNS)
    for row in seed_rows(seeds):
        built.add_row(*row)
    return Group(built, *(Text(note, style="dim") for note in seed_notes(seeds)), Text())


def _reasons(title: str, counts: dict[str, int]) -> Text:
    """Counts by reason on one line, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in ordered)
    return Text(f"{title}: {listed or 'none'}", style="dim")


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


def _worst_accounts(run: Run) -> Table | None:
    """The ten accounts with the largest forced notional."""
    import polars as pl

    forced = run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
    if not forced.height:
        return None
    lost = run.bankruptcies.group_by("account").agg(deficit=pl.col("deficit_usd").sum())
    rows = (
        forced.group_by("account")
        .agg(
            first=pl.col("time_ns").min(),
            steps=pl.len(),
            notional=pl.col("notional_usd").sum(),
            slippage=pl.col("slippage_usd").sum(),
        )
        .join(lost, on="account", how="left")
        .sort(["notional", "account"], descending=[True, False])
    )
    built = table("liquidated", "broke at", "steps", "forced, USD", "slippage", "deficit")
    names = run.account_names
    for row in rows.head(10).iter_rows(named=True):
        built.add_row(
            names[row["account"]],
            clock(row["first"]),
            str(row["steps"]),
            usd(row["notional"]),
            usd(row["slippage"]),
            usd(row["deficit"] or 0.0),
        )
    if rows.height > 10:
        built.add_row(f"and {rows.height - 10} more", "", "", "", "", "")
    return built


def account_view(run: Run, view: AccountView) -> RenderableType:
    """An account at a time: state, balances, positions, margin, and why."""
    head = Text.assemble(
        (f"{view.name}", "bold"),
        f"  account {view.number}, {clock(view.time_ns, date=True)} UTC: ",
        (view.state.replace("_", " "), "bold"),
    )
    parts: list[RenderableType] = [head, _balance_table(view)]
    if view.positions:
        parts.append(_position_table(view))
    if view.open_orders.height:
        parts.append(_order_table(view))
    parts.append(_margin_part(run, view))
    moments = [m for m in StoryTeller(run).tell(view.number).moments if m.time_ns <= view.time_ns]
    if moments:
        parts.append(moments_view(moments[-8:], f"what happened to it ({len(moments)} in all)"))
    return Group(*parts)


def moments_view(moments: list[Moment], title: str) -> Table:
    """Moments of a story, one row each."""
    built = table("time", title, words=(0, 1))
    built.columns[0].no_wrap = True
    for moment in moments:
        built.add_row(clock(moment.time_ns), Text(moment.text))  # Text: names are no markup
    return built


def _balance_table(view: AccountView) -> Table:
    built = table("balances", "cash", "owed", "USD")
    for line in view.balances:
        built.add_row(line.currency, coins(line.cash), coins(line.owed), signed_usd(line.usd))
    built.add_row(Text("equity", style="bold"), "", "", Text(usd(view.equity_usd), style="bold"))
    return built


def _position_table(view: AccountView) -> Table:
    built = table("positions", "contracts", "size", "entry", "mark", "notional, USD", "P&L, USD")
    for p in view.positions:
        built.add_row(
            p.instrument,
            coins(p.contracts),
            f"{coins(p.units)} {p.unit_name}",
            "" if p.entry_price != p.entry_price else price(float(f"{p.entry_price:.8g}")),
            price(float(f"{p.mark_price:.8g}")),
            usd(p.notional_usd),
            signed_usd(p.profit_usd),
        )
    return built


def _order_table(view: AccountView) -> Table:
    built = table("open orders", "side", "remaining", "price", words=(0, 1))
    for row in view.open_orders.head(10).iter_rows(named=True):
        remaining = coins(round(row["remaining"], 8))
        built.add_row(row["instrument"], row["side"], remaining, price(row["price"]))
    if view.open_orders.height > 10:
        built.add_row(f"and {plural(view.open_orders.height - 10, 'order')} more", "", "", "")
    return built


def _margin_part(run: Run, view: AccountView) -> RenderableType:
    """The recorded figures that decided, and the components recomputed for this moment."""
    from scenarios.account_margin import recomputed_margin

    parts: list[RenderableType] = []
    if view.margin is not None:
        m = view.margin
        parts.append(
            Text(
                f"margin recorded at {clock(m['time_ns'])}: ratio {ratio(m['margin_ratio'])}"
                f" = adjusted equity {usd(m['adjusted_equity_usd'])} / maintenance margin"
                f" {usd(m['maintenance_margin_usd'])}; initial margin"
                f" {usd(m['initial_margin_usd'])} USD"
            )
        )
    report = recomputed_margin(run, view)
    if report is not None and report.risk_units:
        built = table("margin now", *(f"MR{n}" for n in (1, 4, 6, 7, 9)), "maintenance", "initial")
        for unit in report.risk_units:
            figures = (unit.mr1, unit.mr4, unit.mr6, unit.mr7, unit.mr9, unit.mmr, unit.imr)
            built.add_row(unit.risk_unit, *(usd(x) for x in figures))
        blank = [""] * 5
        if report.borrow_mmr:
            borrowed = (usd(report.borrow_mmr), usd(report.borrow_imr))
            built.add_row("borrowing", *blank, *borrowed)
        built.add_row("in all", *blank, usd(report.total_mmr), usd(report.total_imr))
        parts.append(built)
        parts.append(
            Text(
                f"recomputed: adjusted equity {usd(report.eq)} USD,"
                f" margin ratio {ratio(report.margin_ratio)}"
                + (f" (rules {report.rules})" if report.rules else "")
            )
        )
    return Group(*parts) if parts else Text("no margin figures were recorded for this account")
