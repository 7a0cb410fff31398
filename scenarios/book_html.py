"""The stress of a book as curves and heat maps: one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from pathlib import Path

import plotly.graph_objects as go

from scenarios.book_command import BookResult
from scenarios.book_stress import LIQUIDATED, STATES, BookCell
from scenarios.book_view import fund_lines
from scenarios.charts_html import charts_html
from scenarios.errors import UserError
from scenarios.formats import price, signed_percent, usd
from scenarios.whole_file import write_text

_COLOURS = ("#a1d99b", "#fee391", "#fe9929", "#de2d26", "#67000d")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}}
p{{color:#555}} td,th{{padding:.2em .8em;text-align:right}} td:first-child,th:first-child
{{text-align:left}}</style></head><body>
<h1>Stress of {title}</h1>
<p>{note}</p>
{figures}
{table}
</body></html>
"""


def write_html(path: Path, result: BookResult) -> None:
    """Write curves and heat maps to `path`. Raises UserError where it cannot be written."""
    axes = result.axes
    now = _row(result, 0.0, axes.price_now)
    figures = [_states(now, len(result.book.accounts)), _amounts(now, result)]
    if len(axes.vol_moves) > 1:
        rows = [_row(result, vol, axes.price_now) for vol in axes.vol_moves]
        names = [signed_percent(vol) for vol in axes.vol_moves]
        figures.append(_heat_map("index and volatility", names, rows))
    if len(axes.stablecoin_prices) > 1:
        prices = list(reversed(axes.stablecoin_prices))
        rows = [_row(result, 0.0, one) for one in prices]
        title = f"index and price of {axes.stablecoin}"
        figures.append(_heat_map(title, [price(one) for one in prices], rows))
    parts = charts_html(figures)
    title = f"{Path(result.book.path).name}, {result.rules.name}"
    page = _PAGE.format(
        title=escape(title),
        note="<br>".join(escape(line) for line in (*fund_lines(result), result.assumption)),
        figures="\n".join(parts),
        table=_breaks(result),
    )
    try:
        write_text(path, page)
    except OSError as error:
        raise UserError(f"--html: {path}: cannot be written: {error.strerror or error}") from None


def _row(result: BookResult, vol: float, at: float) -> list[BookCell]:
    return [c for c in result.cells if c.vol_move == vol and c.stablecoin_price == at]


def _states(cells: list[BookCell], accounts: int) -> go.Figure:
    """Share of accounts in each state over the index moves, stacked."""
    moves = [100.0 * cell.index_move for cell in cells]
    figure = go.Figure(
        [
            go.Scatter(
                name=state.replace("_", " "),
                x=moves,
                y=[100.0 * cell.counts[number] / accounts for cell in cells],
                customdata=[cell.counts[number] for cell in cells],
                hovertemplate="%{x:+.4g} %: %{customdata:,} accounts (%{y:.1f} %)",
                stackgroup="states",
                mode="lines",
                line={"width": 0.5, "color": _COLOURS[number]},
            )
            for number, state in enumerate(STATES)
        ]
    )
    figure.update_layout(
        title="Accounts by state",
        xaxis={"title": "move of all coins, %"},
        yaxis={"title": "share of accounts, %", "range": [0, 100]},
        height=420,
    )
    return figure


def _amounts(cells: list[BookCell], result: BookResult) -> go.Figure:
    """Equity, maintenance margin, shortfall and deficit over the index moves, with the fund."""
    moves = [100.0 * cell.index_move for cell in cells]
    curves = (
        ("equity", "#31a354", [cell.equity for cell in cells]),
        ("maintenance margin", "#3182bd", [cell.maintenance_margin for cell in cells]),
        ("shortfall", "#fe9929", [cell.shortfall for cell in cells]),
        ("deficit", "#67000d", [cell.deficit for cell in cells]),
    )
    figure = go.Figure(
        [
            go.Scatter(name=name, x=moves, y=values, mode="lines+markers", line={"color": colour})
            for name, colour, values in curves
        ]
    )
    for fund in result.funds:
        if not fund.pool:
            figure.add_hline(y=fund.usd, line_dash="dot", annotation_text="insurance fund")
    figure.update_layout(
        title="What the book is worth, needs and lacks",
        xaxis={"title": "move of all coins, %"},
        yaxis={"title": "USD"},
        height=420,
    )
    return figure


def _heat_map(title: str, names: list[str], rows: list[list[BookCell]]) -> go.Figure:
    """Accounts liquidated or bankrupt; x: index moves."""
    counts = [[sum(cell.counts[LIQUIDATED:]) for cell in row] for row in rows]
    figure = go.Figure(
        go.Heatmap(
            x=[signed_percent(cell.index_move) for cell in rows[0]],
            y=names,
            z=counts,
            text=[[f"{count:,}" for count in row] for row in counts],
            texttemplate="%{text}",
            hovertext=[[_hover(cell) for cell in row] for row in rows],
            hoverinfo="text",
            colorscale="Reds",
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_layout(
        title=f"Accounts liquidated or bankrupt: {title}",
        xaxis={"title": "move of all coins", "type": "category"},
        yaxis={"type": "category"},
        height=180 + 42 * len(rows),
    )
    return figure


def _hover(cell: BookCell) -> str:
    states = ", ".join(
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in zip(STATES, cell.counts, strict=True)
    )
    return f"{states}<br>shortfall {usd(cell.shortfall)}, deficit {usd(cell.deficit)} USD"


def _breaks(result: BookResult) -> str:
    """The accounts that break first, as HTML tables."""
    parts = []
    for title, found in (
        ("Broken already", result.already),
        ("First to break in a fall", result.down),
        ("First to break in a rise", result.up),
    ):
        rows = "".join(
            f"<tr><td>{escape(one.account)}</td><td>{signed_percent(one.move)}</td>"
            f"<td>{usd(one.equity)}</td><td>{usd(one.maintenance_margin)}</td>"
            f"<td>{escape(one.largest_position)}</td></tr>"
            for one in found
        )
        if rows:
            parts.append(
                f"<h2>{title}</h2><table><tr><th>account</th><th>at</th>"
                "<th>equity now, USD</th><th>maintenance margin</th><th>largest position</th></tr>"
                f"{rows}</table>"
            )
    return "\n".join(parts)
