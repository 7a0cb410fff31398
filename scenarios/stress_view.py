"""The stress grid as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from risk.rules import RuleSet
from scenarios.formats import price, ratio, signed_percent, usd
from scenarios.margin_view import print_view, table
from scenarios.stress import Axes, Cell, slice_of


def print_grid(axes: Axes, cells: list[Cell], rules: RuleSet) -> None:
    """Print what each axis does by itself, then the margin ratio over each pair of axes."""
    parts: list[Table] = []
    now = slice_of(cells, vol=0.0, price=axes.price_now)
    if len(axes.index_moves) > 1:
        parts.append(
            _axis_table("All coins", now, lambda cell: signed_percent(cell.index_move), rules)
        )
    at_rest = [cell for cell in cells if cell.index_move == 0.0]
    if len(axes.stablecoin_prices) > 1:
        title = f"{axes.stablecoin} at"
        shown = slice_of(at_rest, vol=0.0)
        parts.append(_axis_table(title, shown, lambda cell: price(cell.stablecoin_price), rules))
    if len(axes.vol_moves) > 1:
        shown = slice_of(at_rest, price=axes.price_now)
        parts.append(_axis_table("Volatility", shown, lambda c: signed_percent(c.vol_move), rules))
        rows = [
            (signed_percent(v), slice_of(cells, vol=v, price=axes.price_now))
            for v in axes.vol_moves
        ]
        parts.append(
            _ratio_table("Margin ratio in %: volatility down, index move in % across", rows, rules)
        )
    if len(axes.stablecoin_prices) > 1 and len(axes.index_moves) > 1:
        rows = [(price(p), slice_of(cells, vol=0.0, price=p)) for p in axes.stablecoin_prices]
        name = f"Margin ratio in %: {axes.stablecoin} down, index move in % across"
        parts.append(_ratio_table(name, rows, rules))
    print_view(Group(*parts))


def _axis_table(
    title: str, cells: list[Cell], label: Callable[[Cell], str], rules: RuleSet
) -> Table:
    built = table(title, "equity", "maintenance", "of it MR9", "initial", "margin ratio")
    for cell in cells:
        built.add_row(
            label(cell),
            usd(cell.equity),
            usd(cell.maintenance_margin),
            usd(cell.depeg_charge),
            usd(cell.initial_margin),
            _ratio_text(cell, rules),
        )
    return built


def _ratio_table(title: str, rows: list[tuple[str, list[Cell]]], rules: RuleSet) -> Table:
    moves = [f"{cell.index_move * 100.0:+.3g}" for cell in rows[0][1]]
    built = table("", *moves, title=title, gap=1)
    for name, cells in rows:
        built.add_row(name, *[_ratio_text(cell, rules, short=True) for cell in cells])
    return built


def _ratio_text(cell: Cell, rules: RuleSet, *, short: bool = False) -> Text:
    """The ratio, coloured by the state that it means; `short` leaves out the per cent sign."""
    value = cell.margin_ratio
    limits = rules.liquidation
    style = "green"
    if value <= limits.start_ratio:
        style = "bold red"
    elif value <= limits.warning_ratio:
        style = "yellow"
    if not short:
        return Text(ratio(value), style=style)
    return Text("-" if value == float("inf") else f"{value * 100.0:,.0f}", style=style)
