"""The margin report as tables that explain themselves, for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from risk.margin import MarginReport, PositionLine, RiskUnitReport
from risk.rules import RuleSet
from scenarios.formats import coins, percent, price, ratio, signed_usd, usd, whole
from scenarios.margin_words import (
    COMPONENT_NAMES,
    binding_words,
    component_words,
    has_options,
    hedge_words,
    position_words,
    state_words,
    worst_case_words,
)

WIDTH = 100
_CUT = "…"  # what rich puts where a cell is too narrow
_STATE_STYLES = {
    "HEALTHY": "bold green",
    "WARNED": "bold yellow",
    "ORDER CONTROL": "bold red",
    "LIQUIDATION": "bold white on red",
}
Losers = Mapping[str, list[tuple[PositionLine, float]]]


def print_view(view: RenderableType) -> None:
    """Print `view` at the terminal's width, but never so narrow that a number would be cut."""
    out = Console(highlight=False)
    width = max(WIDTH, out.width) if out.is_terminal else WIDTH
    for wider in (width, 120, 150, 200, 300):
        out.width = max(width, wider)
        with out.capture() as capture:
            out.print(view)
        if _CUT not in capture.get():
            break
    out.print(view)


def table(first: str, *columns: str, note: bool = False, title: str = "", gap: int = 2) -> Table:
    """An empty table: a column of names, then numbers, then (`note`) a column of words."""
    built = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="bold",
        padding=(0, gap - 1, 0, 0),  # the box itself puts one blank between columns
        pad_edge=False,
        header_style="dim",
    )
    built.add_column(first, no_wrap=True, header_style="bold")
    for name in columns:
        built.add_column(name, justify="right", no_wrap=True)
    if note:
        built.add_column("", overflow="fold")
    return built


def report_view(
    report: MarginReport, rules: RuleSet, losers: Losers, distances: RenderableType | None
) -> Group:
    """The whole report.

    losers: risk unit -> its positions that lose in the unit's worst case, largest loss first.
    distances: the table of `scenarios.distance_view`, if wanted.
    """
    parts: list[RenderableType] = [heading(report, rules), equity_table(report)]
    parts += [unit_view(unit, losers.get(unit.risk_unit, [])) for unit in report.risk_units]
    if report.positions:
        parts.append(multi_currency_table(report.positions))
    if report.borrow_imr > 0.0 or report.borrow_mmr > 0.0:
        parts.append(borrowing_table(report))
    parts.append(requirement_table(report, rules))
    if distances is not None:
        parts.append(distances)
    if report.isolated:
        parts.append(isolated_table(report))
    return Group(*parts)


def heading(report: MarginReport, rules: RuleSet) -> Group:
    """State of the account and where the figures come from."""
    state, why = state_words(report, rules)
    time = datetime.fromtimestamp(report.time_ns / 1e9, UTC)
    mode = report.mode.replace("_", "-")
    source = f"{mode} mode, rules {report.rules}, {time:%Y-%m-%d %H:%M:%S} UTC, figures in USD"
    line = Text.assemble((f" {state} ", _STATE_STYLES[state]), f" {why}")
    return Group(line, Text(source, style="dim"))


def equity_table(report: MarginReport) -> Table:
    """From cash to adjusted equity."""
    built = table(
        "Equity", "cash", "P&L", "options", "equity", "x USD", "worth", "haircut", "counts",
        gap=1,
    )  # fmt: skip
    for asset in report.assets:
        if asset.avail_eq == 0.0 and asset.cash == 0.0:
            continue
        built.add_row(
            asset.ccy,
            coins(asset.cash),
            coins(asset.upl),
            coins(asset.option_value),
            coins(asset.avail_eq),
            price(asset.usd_index),
            usd(asset.eq_usd),
            usd(-asset.haircut),
            usd(asset.dis_eq),
        )
    haircut = sum(asset.haircut for asset in report.assets)
    worth = sum(asset.eq_usd for asset in report.assets)
    blank = [""] * 5
    if report.pending_order_loss > 0.0:
        built.add_row("open orders: loss", *blank, "", "", usd(-report.pending_order_loss))
    if report.estimated_fees > 0.0:
        built.add_row("open orders: fees", *blank, "", "", usd(-report.estimated_fees))
    built.add_section()
    built.add_row(
        Text("adjusted equity", style="bold"), *blank, usd(worth), usd(-haircut),
        Text(usd(report.eq), style="bold"),
    )  # fmt: skip
    return built


def unit_view(unit: RiskUnitReport, losers: list[tuple[PositionLine, float]]) -> Group:
    """One risk unit: positions, components, what binds, the worst case, the hedge."""
    parts: list[RenderableType] = [Rule(f"[bold]risk unit {unit.risk_unit}", style="dim")]
    if unit.portfolios:
        parts.append(positions_table(unit))
    parts.append(components_table(unit))
    notes = [("Worst case", worst_case_words(unit, losers)), ("Binds", binding_words(unit))]
    hedge = hedge_words(unit)
    if hedge:
        notes.append(("Hedge", hedge))
    orders = orders_words(unit)
    if orders:
        notes.append(("Orders", orders))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, text in notes:
        grid.add_row(name, text)
    return Group(*parts, Padding(grid, (0, 0, 1, 2)))


def orders_words(unit: RiskUnitReport) -> str:
    """What the unit's open orders add to its initial margin."""
    if len(unit.fill_sets) < 2 or unit.binding_set == "none":
        return ""
    largest = max(fill_set.mmr for fill_set in unit.fill_sets)
    if largest <= unit.mmr:
        return ""
    words = {
        "buys": "all orders that add delta",
        "sells": "all orders that lower delta",
        "all": "all orders",
    }
    return (
        f"initial margin is set by {words[unit.binding_set]} being filled: maintenance margin"
        f" {usd(largest)} then, {usd(largest - unit.mmr)} more than now"
    )


def positions_table(unit: RiskUnitReport) -> Table:
    """The unit's positions with their cash greeks."""
    with_options = has_options(unit)
    greeks = ("gamma", "theta", "vega") if with_options else ()
    built = table("Position", "size", "entry", "mark", "P&L", "delta", *greeks)
    for line in unit.portfolios:
        cells = [
            line.inst_id, coins(line.amt), price(line.avg_px), price(line.mark_px),
            coins(line.float_pnl), whole(line.delta),
        ]  # fmt: skip
        if with_options:
            cells += [whole(line.gamma), whole(line.theta), whole(line.vega)]
        built.add_row(*cells)
    built.add_section()
    total = ["in all, USD", "", "", "", whole(unit.upl), whole(unit.delta)]
    if with_options:
        total += [whole(unit.gamma), whole(unit.theta), whole(unit.vega)]
    built.add_row(*total)
    return built


def components_table(unit: RiskUnitReport) -> Table:
    """MR1 to MR9 with what is behind each, then the unit's margins."""
    built = table("Charge", "USD", note=True)
    binding = {unit.binding}
    if unit.binding and unit.binding != "mr7":
        binding |= {c for c in ("mr3", "mr4", "mr5", "mr9") if getattr(unit, c) > 0.0}
    for name, words in COMPONENT_NAMES.items():
        amount = getattr(unit, name)
        mark = "binds  " if name in binding else ""
        detail = component_words(name, unit)
        built.add_row(
            f"{name.upper()} {words}",
            Text(usd(amount), style="bold" if mark else ""),
            Text.assemble((mark, "bold red"), detail) if amount or detail else "",
            style="" if amount else "dim",
        )
    built.add_section()
    built.add_row(Text("maintenance margin", style="bold"), Text(usd(unit.mmr), style="bold"), "")
    largest = max((fill_set.mmr for fill_set in unit.fill_sets), default=unit.mmr)
    note = ""
    if largest > 0.0:
        after = " after the orders below" if largest > unit.mmr else ""
        note = f"{unit.imr / largest:.4g} x maintenance margin{after}"
    built.add_row("initial margin", usd(unit.imr), note)
    return built


def multi_currency_table(lines: Sequence[PositionLine]) -> Table:
    """Positions margined one by one (multi-currency mode)."""
    built = table("Positions", "mark", "notional", "leverage", "maintenance", "initial")
    for line in lines:
        built.add_row(
            position_words(line),
            price(line.mark_px),
            usd(line.notional_usd),
            f"{line.lever:g}x" if line.lever else "",
            usd(line.mmr),
            usd(line.imr),
        )
    return built


def borrowing_table(report: MarginReport) -> Table:
    """What is borrowed or would be when orders fill (MR8)."""
    built = table(
        "Borrowing (MR8)", "now", "with orders", "maintenance", "", "initial", "",
    )  # fmt: skip
    for asset in report.assets:
        if asset.potential_liability <= 0.0:
            continue
        built.add_row(
            asset.ccy,
            coins(asset.liability),
            coins(asset.potential_liability),
            _tier(asset.mmr_rate, asset.mmr_tier),
            usd(asset.borrow_mmr),
            _tier(asset.imr_rate, asset.imr_tier),
            usd(asset.borrow_imr),
        )
    return built


def _tier(rate: float, tier: int) -> str:
    return f"{percent(rate)} (tier {tier})" if tier else ""


def requirement_table(report: MarginReport, rules: RuleSet) -> Table:
    """Account level: requirement, what is free, the ratio."""
    built = table("Account", "maintenance", "initial", note=True)
    noun = "risk units" if report.risk_units else "positions"
    built.add_row(noun, usd(report.deriv_mmr), usd(report.deriv_imr), "")
    built.add_row("borrowing", usd(report.borrow_mmr), usd(report.borrow_imr), "")
    if report.liquidation_fee > 0.0:
        built.add_row("fee of closing the borrowing", usd(report.liquidation_fee), "", "")
    built.add_section()
    needed = report.total_mmr + report.liquidation_fee
    built.add_row(Text("required", style="bold"), usd(needed), usd(report.total_imr), "")
    built.add_row("adjusted equity", usd(report.eq), usd(report.eq), "")
    built.add_row(
        "free", signed_usd(report.eq - needed), signed_usd(report.eq - report.total_imr), ""
    )
    share = percent(report.eq / report.total_imr, 1) if report.total_imr else "no requirement"
    built.add_row(
        Text("equity / required", style="bold"),
        Text(ratio(report.margin_ratio), style="bold"),
        share,
        f"order control below {percent(rules.liquidation.order_control)} of initial",
    )
    return built


def isolated_table(report: MarginReport) -> Table:
    """Isolated positions, each with its own margin."""
    built = table("Isolated", "margin", "P&L", "equity", "maintenance", "initial", "ratio", gap=1)
    for entry in report.isolated:
        side = "long" if entry.amt > 0 else "short"
        built.add_row(
            f"{side} {coins(abs(entry.amt))} {entry.inst_id}",
            coins(entry.margin),
            coins(entry.upl),
            coins(entry.equity),
            usd(entry.mmr),
            usd(entry.imr),
            ratio(entry.margin_ratio),
        )
    return built
