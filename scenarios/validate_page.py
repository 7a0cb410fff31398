"""The pictures of a validation: one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from scenarios import facts
from scenarios.bands import Measured, mean_depth
from scenarios.fact_collector import DEPTH_BPS, DayFacts

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Validation of {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font-family:system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse;width:100%}}td,th{{padding:.3em .6em;text-align:left;
border-bottom:1px solid #ddd}}.no{{color:#b00020;font-weight:bold}}p{{color:#555}}</style>
<script>{plotly}</script></head><body>
<h1>{title}</h1><p>{verdict}. One-minute returns; standard errors by leaving out one day at a time.
</p>
<table><tr><th>#</th><th>quantity</th><th>measured</th><th>error</th><th>band</th>
<th>real BTC</th><th>holds</th></tr>{rows}</table>
{figures}
</body></html>
"""
_GREY, _BLUE, _RED = "#999999", "#1f5fa8", "#b00020"


def render_page(
    title: str, days: Sequence[DayFacts], results: Sequence[Measured], verdict: str
) -> str:
    """The page's HTML: the table, then a picture per group of facts."""
    figures = [
        _prices(days),
        _tail(days),
        _memory(days),
        _signs(days),
        _impact(days),
        _depth(days),
    ]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=False, default_height="380px")
        for figure in figures
    ]
    return _PAGE.format(
        title=escape(title),
        verdict=escape(verdict),
        rows="".join(_row(one) for one in results),
        figures="\n".join(parts),
        plotly=get_plotlyjs(),
    )


def _row(one: Measured) -> str:
    error = "" if one.error != one.error else f"{one.error:.3f}"
    holds = "yes" if one.holds else f'<span class="no">no: {escape(one.why)}</span>'
    cells = (
        str(one.band.number),
        escape(one.band.name),
        f"{one.value:.3f}",
        error,
        escape(one.band.words),
        escape(one.band.real),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + f"<td>{holds}</td></tr>"


def _figure(title: str, x: str, y: str, **axes: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        title=title,
        template="plotly_white",
        xaxis={"title": x, "type": axes.get("x_type", "linear")},
        yaxis={"title": y, "type": axes.get("y_type", "linear")},
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
    )
    return figure


def _prices(days: Sequence[DayFacts]) -> go.Figure:
    figure = _figure("Price", "minute", "mid price")
    for day in days:
        figure.add_scatter(y=day.prices, mode="lines", name=f"seed {day.seed}", line={"width": 1})
    return figure


def _tail(days: Sequence[DayFacts]) -> go.Figure:
    sizes = np.abs(np.concatenate([day.returns for day in days]))
    sizes = np.sort(sizes[sizes > 0.0])[::-1]
    scale = float(sizes.std()) or 1.0 if sizes.size else 1.0
    share = np.arange(1, sizes.size + 1) / max(1, sizes.size)
    keep = np.unique(np.geomspace(1, max(1, sizes.size), 300).astype(int)) - 1
    figure = _figure(
        "Tail of one-minute returns", "abs(r), standard deviations", "share of minutes beyond",
        x_type="log", y_type="log",
    )  # fmt: skip
    if not sizes.size:
        return figure
    figure.add_scatter(x=sizes[keep] / scale, y=share[keep], name="simulated", line_color=_BLUE)
    tail = sizes[: max(2, sizes.size // 100)] / scale
    for index in (2.5, 4.5):
        line = 0.01 * (tail / tail[-1]) ** -index
        figure.add_scatter(
            x=tail, y=line, name=f"tail index {index}", line={"color": _GREY, "dash": "dot"}
        )
    return figure


def _memory(days: Sequence[DayFacts]) -> go.Figure:
    lags = facts.log_spaced_lags(240, 40)
    figure = _figure("Memory of returns and of their size", "lag, minutes", "correlation")
    signed = facts.autocorrelation([day.returns for day in days], lags)
    absolute = facts.autocorrelation([np.abs(day.returns) for day in days], lags)
    figure.add_scatter(x=lags, y=absolute, name="abs(r)", line_color=_BLUE)
    figure.add_scatter(x=lags, y=signed, name="r", line_color=_GREY)
    figure.add_scatter(
        x=[1, 12, 60], y=[0.305, 0.22, 0.17], mode="markers", name="BTC June 2025, abs(r)",
        marker={"color": _RED, "size": 9},
    )  # fmt: skip
    figure.update_xaxes(type="log")
    return figure


def _signs(days: Sequence[DayFacts]) -> go.Figure:
    lags = facts.log_spaced_lags(500, 40)
    values = facts.autocorrelation([day.signs for day in days], lags)
    figure = _figure(
        "Memory of trade signs", "lag, trades", "correlation", x_type="log", y_type="log"
    )
    shown = [(lag, value) for lag, value in zip(lags, values, strict=True) if value > 0.0]
    figure.add_scatter(
        x=[lag for lag, _ in shown], y=[v for _, v in shown], name="simulated", line_color=_BLUE
    )
    return figure


def _impact(days: Sequence[DayFacts]) -> go.Figure:
    proper = [m for day in days for m in day.metaorders if m.children >= 10]
    figure = _figure(
        "Impact of metaorders", "share of a day's volume, Q/V", "impact, days' volatilities",
        x_type="log",
    )  # fmt: skip
    shares = np.array([m.volume_share for m in proper])
    moves = np.array([m.sign * m.log_move for m in proper])
    figure.add_scatter(
        x=shares, y=moves, mode="markers", name="metaorders of 10 children or more",
        marker={"color": _GREY, "size": 3},
    )  # fmt: skip
    if shares.size:
        x = np.geomspace(shares.min(), shares.max(), 50)
        for prefactor, colour in ((0.5, _BLUE), (1.5, _RED)):
            figure.add_scatter(
                x=x, y=prefactor * np.sqrt(x), name=f"Y = {prefactor}", line_color=colour
            )
    return figure


def _depth(days: Sequence[DayFacts]) -> go.Figure:
    figure = _figure("Depth of the book", "distance from the mid, bps", "units of usual depth")
    figure.add_scatter(x=list(DEPTH_BPS), y=mean_depth(days), name="simulated", line_color=_BLUE)
    figure.add_scatter(
        x=list(DEPTH_BPS), y=list(DEPTH_BPS), name="linear", line={"color": _GREY, "dash": "dot"}
    )
    return figure
