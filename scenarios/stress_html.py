"""The stress grid as heat maps: one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from risk.rules import RuleSet
from scenarios.charts_html import charts_html
from scenarios.errors import UserError
from scenarios.formats import price, ratio, signed_percent, usd
from scenarios.stress import Axes, Cell, slice_of
from scenarios.whole_file import write_text

# Ratios above this have the same colour: all is well there.
_CALM_RATIO = 5.0
_ROW_HEIGHT, _TOP, _BOTTOM = 42, 100, 80  # pixels
_METRICS = ("margin ratio", "equity", "maintenance margin", "depeg charge (MR9)")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}}
p{{color:#555}}</style></head><body>
<h1>Stress of {title}</h1>
<p>{note}</p>
{figures}
</body></html>
"""


def write_html(path: Path, title: str, axes: Axes, cells: list[Cell], rules: RuleSet) -> None:
    """Write the heat maps to `path`.

    Raises:
        UserError: the file cannot be written.
    """
    figures = [_map_over_volatility(axes, cells, rules)] if len(axes.vol_moves) > 1 else []
    if axes.stablecoin:
        figures += [_map_over_stablecoin(axes, cells, rules), _depeg_bars(axes, cells)]
    if not figures:
        figures = [_map_over_volatility(axes, cells, rules)]
    parts = charts_html(figures)
    limits = rules.liquidation
    note = (
        f"Warning at {ratio(limits.warning_ratio)}, liquidation at {ratio(limits.start_ratio)}."
        " Moves happen at once, with time standing still; contracts keep their basis."
        f" Ratios above {ratio(_CALM_RATIO)} have one colour."
    )
    page = _PAGE.format(title=escape(title), note=escape(note), figures="\n".join(parts))
    try:
        write_text(path, page)
    except OSError as error:
        raise UserError(f"--html: {path}: cannot be written: {error.strerror or error}") from None


def _map_over_volatility(axes: Axes, cells: list[Cell], rules: RuleSet) -> go.Figure:
    rows = [slice_of(cells, vol=vol, price=axes.price_now) for vol in axes.vol_moves]
    labels = [signed_percent(vol) for vol in axes.vol_moves]
    return _heat_map("Index and volatility", "volatility", labels, rows, rules)


def _map_over_stablecoin(axes: Axes, cells: list[Cell], rules: RuleSet) -> go.Figure:
    prices = list(reversed(axes.stablecoin_prices))
    rows = [slice_of(cells, vol=0.0, price=one) for one in prices]
    title = f"Index and price of {axes.stablecoin}"
    return _heat_map(title, axes.stablecoin, [price(one) for one in prices], rows, rules)


def _heat_map(
    title: str, axis: str, labels: list[str], rows: list[list[Cell]], rules: RuleSet
) -> go.Figure:
    """One heat map with a menu of figures; x: index moves, y: `labels`."""
    columns = [signed_percent(cell.index_move) for cell in rows[0]]
    figure = go.Figure()
    for number, metric in enumerate(_METRICS):
        figure.add_trace(_trace(metric, columns, labels, rows, rules, visible=number == 0))
    buttons = [
        {
            "label": metric,
            "method": "update",
            "args": [{"visible": [other == metric for other in _METRICS]}],
        }
        for metric in _METRICS
    ]
    rows_height = _ROW_HEIGHT * len(rows)
    menu = {
        "buttons": buttons,
        "x": 1.0,
        "xanchor": "right",
        "y": 1.0 + 12.0 / rows_height,
        "yanchor": "bottom",
    }
    figure.update_layout(
        title=title,
        updatemenus=[menu],
        height=_TOP + rows_height + _BOTTOM,
        margin={"t": _TOP, "b": _BOTTOM},
        xaxis={"title": "move of all coins", "type": "category"},
        yaxis={"title": axis, "type": "category"},
    )
    return figure


def _trace(
    metric: str,
    columns: list[str],
    labels: list[str],
    rows: list[list[Cell]],
    rules: RuleSet,
    *,
    visible: bool,
) -> go.Heatmap:
    options: dict[str, Any] = {"colorscale": "Blues"}
    if metric == "margin ratio":
        start = rules.liquidation.start_ratio / _CALM_RATIO
        warning = rules.liquidation.warning_ratio / _CALM_RATIO
        options = {
            "zmin": 0.0,
            "zmax": _CALM_RATIO,
            "colorscale": [
                [0.0, "#7f0000"], [start, "#e34a33"], [start, "#fdbb84"], [warning, "#fff7bc"],
                [warning, "#d9f0a3"], [1.0, "#31a354"],
            ],
        }  # fmt: skip
    elif metric == "equity":
        options = {"colorscale": "RdYlGn", "zmid": 0.0}
    elif metric == "depeg charge (MR9)":
        options = {"colorscale": "Reds"}
    return go.Heatmap(
        x=columns,
        y=labels,
        z=[[_shade(cell, metric) for cell in row] for row in rows],
        text=[[_label(cell, metric) for cell in row] for row in rows],
        texttemplate="%{text}",
        hovertext=[[_hover(cell) for cell in row] for row in rows],
        hoverinfo="text",
        visible=visible,
        showscale=False,
        xgap=1,
        ygap=1,
        **options,
    )


def _shade(cell: Cell, metric: str) -> float:
    if metric == "margin ratio":
        return min(max(cell.margin_ratio, 0.0), _CALM_RATIO)
    if metric == "equity":
        return cell.equity
    return cell.maintenance_margin if metric == "maintenance margin" else cell.depeg_charge


def _label(cell: Cell, metric: str) -> str:
    if metric != "margin ratio":
        return _short(_shade(cell, metric))
    if cell.margin_ratio == float("inf"):
        return "-"
    return f"{cell.margin_ratio * 100:,.0f} %"


def _short(amount: float) -> str:
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{amount / size:,.1f}{letter}"
    return f"{amount:,.0f}"


def _hover(cell: Cell) -> str:
    return (
        f"coins {signed_percent(cell.index_move)}, volatility {signed_percent(cell.vol_move)},"
        f" stablecoin {price(cell.stablecoin_price)}<br>equity {usd(cell.equity)}"
        f"<br>maintenance margin {usd(cell.maintenance_margin)}, of it MR9"
        f" {usd(cell.depeg_charge)}<br>initial margin {usd(cell.initial_margin)}"
        f"<br>margin ratio {ratio(cell.margin_ratio)}"
    )


def _depeg_bars(axes: Axes, cells: list[Cell]) -> go.Figure:
    """Maintenance margin with coins at rest, split into MR9 and the rest, by stablecoin price."""
    shown = [cell for cell in slice_of(cells, vol=0.0) if cell.index_move == 0.0]
    labels = [price(cell.stablecoin_price) for cell in shown]
    charge = [cell.depeg_charge for cell in shown]
    # Where the minimum charge binds, MR9 is larger than its part of the maintenance margin.
    rest = [max(0.0, cell.maintenance_margin - cell.depeg_charge) for cell in shown]
    figure = go.Figure(
        [
            go.Bar(name="depeg charge (MR9)", x=labels, y=charge, marker_color="#e34a33"),
            go.Bar(name="rest of the maintenance margin", x=labels, y=rest, marker_color="#9ecae1"),
            go.Scatter(
                name="equity",
                x=labels,
                y=[cell.equity for cell in shown],
                mode="lines+markers",
                line={"color": "#31a354"},
            ),
        ]
    )
    figure.update_layout(
        title=f"{axes.stablecoin} loses its peg, coins at rest",
        barmode="stack",
        height=420,
        xaxis={"title": f"USD price of {axes.stablecoin}", "type": "category"},
        yaxis={"title": "USD"},
    )
    return figure
