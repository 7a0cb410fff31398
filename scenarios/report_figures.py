"""The report's pictures, as plain plotly figures (dictionaries): no browser and no plotly needed
here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import polars as pl

from scenarios.cascade import NOT_A_FALL, Cascade, stability
from scenarios.formats import usd
from scenarios.report_series import (
    RATIO_CEILING,
    account_matrix,
    frame_times,
    fund_series,
    margin_history,
    market_series,
    milliseconds,
    ratio_bands,
    rounded,
    state_counts,
)
from scenarios.run_directory import Run
from scenarios.story import STAGE_WORDS

Figure: TypeAlias = dict[str, Any]
STATE_COLOURS = {
    "healthy": "#5aa469",
    "warned": "#e9c46a",
    "order_control": "#f4a261",
    "pre_liquidation": "#e76f51",
    "liquidating": "#d62828",
    "bankrupt": "#3d1f4e",
}
STAGE_COLOURS = {
    "peg_hedge": "#4895ef",
    "delta_hedge": "#4361ee",
    "inter_tenor": "#3a0ca3",
    "standard": "#d62828",
    "special": "#f72585",
    "repayment": "#e76f51",
    "take_over": "#3d1f4e",
    "isolated": "#9d4edd",
    "fund_unwind": "#6c757d",
    "deleveraging": "#0b7a75",
}
INK, BLUE, GREY, GREEN, RED = "#22303c", "#1d6fa5", "#9aa5b1", "#2a9d8f", "#d1495b"
RATIO_TICKS = {
    "tickvals": [0.2, 0.5, 1, 2, 3, 5, 10, 20],
    "ticktext": ["20 %", "50 %", "100 %", "200 %", "300 %", "500 %", "10x", "20x"],
}
MOST_MARKERS = 1_000
MOST_LINES = 25
MOST_CASES = 600
TIME_STEPS = 400


def _axis(title: str, **options: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "zeroline": False, **options}


def _line(x: Any, y: Any, name: str, colour: str, **options: Any) -> dict[str, Any]:
    line = {"color": colour, "width": options.pop("width", 1.6)} | options.pop("line", {})
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": name,
        "line": line,
    } | options


def price_figure(run: Run, instrument: str) -> Figure:
    """Index, mark and last price, with every liquidation on it (the largest where many)."""
    series = market_series(run, instrument)
    t = series["t"]
    data = [
        _line(t, series["last"], "last", GREY, width=1),
        _line(t, series["index"], "index", BLUE, line={"dash": "dot"}),
        _line(t, series["mark"], "mark", INK, width=2),
        *_liquidation_markers(run, instrument),
    ]
    return {"data": data, "layout": {"yaxis": _axis("price"), "hovermode": "closest"}}


def drawn_price(rows: pl.DataFrame) -> list[float]:
    """Where a forced action is drawn: its average price; a take-over, which is off the book and
    at a price that no market saw, at the mark."""
    return [
        mark if stage == "take_over" else average or mark
        for average, mark, stage in rows.select(
            "average_price", "mark_price", pl.col("stage").cast(pl.String)
        ).iter_rows()
    ]


def _liquidation_markers(run: Run, instrument: str) -> list[dict[str, Any]]:
    shown = run.liquidations.filter(
        pl.col("instrument").cast(pl.String) == instrument, pl.col("filled_lots") > 0
    )
    shown = shown.sort("notional_usd", descending=True).head(MOST_MARKERS).sort("seq")
    names = run.account_names
    largest = float(shown["notional_usd"].max() or 1.0) or 1.0  # type: ignore[arg-type]
    traces = []
    for (stage,), rows in shown.partition_by("stage", as_dict=True).items():
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": STAGE_WORDS[str(stage)],
                "x": milliseconds(rows["time_ns"]),
                "y": rounded(drawn_price(rows), 7),
                "text": [
                    f"{names[account]}: {side} {usd(notional)} USD"
                    for account, side, notional in rows.select(
                        "account", "side", "notional_usd"
                    ).iter_rows()
                ],
                "hovertemplate": "%{text}<br>%{x|%H:%M:%S} at %{y}<extra>%{fullData.name}</extra>",
                "marker": {
                    "color": STAGE_COLOURS[str(stage)],
                    "opacity": 0.65,
                    "size": rounded(4 + 14 * np.sqrt(rows["notional_usd"].to_numpy() / largest), 3),
                    "symbol": [
                        "triangle-down" if side == "sell" else "triangle-up"
                        for side in rows["side"]
                    ],
                    "line": {"width": 0},
                },
            }
        )
    return traces


def ratio_figure(run: Run) -> Figure:
    """Margin ratios: quantiles of all accounts, and the largest liquidated ones by line."""
    history = margin_history(run)
    times = frame_times(run, TIME_STEPS)
    t = (times // 1_000_000).tolist()
    bands = ratio_bands(history, times)
    data = [
        _line(t, bands["median"], "median account", GREEN, width=2),
        _line(t, bands["quarter"], "weakest quarter", "#e9a13b", width=2),
        _line(t, bands["low"], "weakest twentieth", "#d62828", width=2),
    ]
    fallen = (
        run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
        .group_by("account")
        .agg(pl.col("notional_usd").sum())
        .sort(["notional_usd", "account"], descending=[True, False])
        .head(MOST_LINES)["account"]
        .to_list()
    )
    ratios, states = account_matrix(history, fallen, times)
    # A line ends where the account is gone or holds nothing: neither has a ratio.
    ratios[(ratios >= RATIO_CEILING) | (states == "bankrupt")] = np.nan
    for row, account in zip(ratios, fallen, strict=True):
        data.append(
            _line(
                t,
                rounded(row, 3),
                run.account_names[account],
                "rgba(61,31,78,0.25)",
                width=1,
                showlegend=False,
                hovertemplate="%{fullData.name}: %{y:.0%}<extra></extra>",
            )
        )
    return {
        "data": data,
        "layout": {
            "yaxis": _axis("margin ratio", type="log", range=[-0.7, 1.3], **RATIO_TICKS),
            "hovermode": "closest",
            "shapes": [_threshold(3.0, "#e9c46a"), _threshold(1.0, "#d62828")],
            "annotations": [_note(3.0, "warning 300 %"), _note(1.0, "liquidation 100 %")],
        },
    }


def _threshold(value: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5, "dash": "dash"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": line,
    }


def _note(value: float, text: str) -> dict[str, Any]:
    """A label at the right edge of a logarithmic axis."""
    return {
        "xref": "paper",
        "x": 1,
        "y": float(np.log10(value)),
        "text": text,
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"size": 11, "color": "#6b7280"},
    }


def state_figure(run: Run) -> Figure:
    """Accounts in trouble over time, stacked by state."""
    times = frame_times(run, TIME_STEPS)
    t = (times // 1_000_000).tolist()
    counts = state_counts(run, times, list(STATE_COLOURS))
    data = [
        _line(
            t, counts[s], s.replace("_", " "), STATE_COLOURS[s], width=0.5,
            stackgroup="one", fillcolor=STATE_COLOURS[s],
        )
        for s in reversed(STATE_COLOURS)
        if s != "healthy" and any(counts[s])
    ]  # fmt: skip
    if not data:  # without a line there would be no time axis either
        data = [_line(t, [0] * len(t), "nobody", GREY, width=1)]
    return {
        "data": data,
        "layout": {"yaxis": _axis("accounts", rangemode="tozero"), "hovermode": "x unified"},
    }


def waterfall_figure(run: Run) -> Figure:
    """The deficit and who paid it, in the order of the waterfall."""
    s, losses = run.summary, run.bankruptcies
    parts = [
        ("insurance<br>funds", float(losses["fund_usd"].sum())),
        ("winners<br>(ADL)", float(losses["deleveraging_usd"].sum())),
        ("socialised", float(losses["socialised_usd"].sum())),
        ("uncovered", float(losses["uncovered_usd"].sum())),
    ]
    names = ["bad debt", *(name for name, _ in parts)]
    amounts = [s["bad_debt_usd"], *(-amount for _, amount in parts)]
    return {
        "data": [
            {
                "type": "waterfall",
                "x": names,
                "y": rounded(amounts),
                "measure": ["absolute", *["relative"] * len(parts)],
                "text": [usd(abs(a)) for a in amounts],
                "textposition": "auto",
                "increasing": {"marker": {"color": RED}},
                "decreasing": {"marker": {"color": GREEN}},
                "totals": {"marker": {"color": INK}},
                "connector": {"line": {"color": GREY, "width": 1}},
                "hovertemplate": "%{x}: %{text} USD<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"tickangle": 0},
            "yaxis": _axis("USD", rangemode="tozero"),
            "showlegend": False,
        },
    }


def _drawn_cases(cases: pl.DataFrame) -> pl.DataFrame:
    """The largest falls, and all that led to them: a chain is drawn whole or not at all."""
    if cases.height <= MOST_CASES:
        return cases
    parents = dict(cases.select("case", "parent").iter_rows())
    kept: set[int] = set()
    for case in cases.sort("notional_usd", descending=True)["case"].head(MOST_CASES):
        while case >= 0 and case not in kept:
            kept.add(case)
            case = parents[case]
    return cases.filter(pl.col("case").is_in(list(kept)))


def cascade_figure(run: Run, cascade: Cascade) -> Figure:
    """The tree: a dot per fall at its time and generation, a line to the one that pushed it."""
    cases = _drawn_cases(cascade.cases)
    place = {
        case: (start // 1_000_000, generation)
        for case, start, generation in cases.select("case", "start_ns", "generation").iter_rows()
    }
    x: list[int | None] = []
    y: list[int | None] = []
    for case, parent in cases.select("case", "parent").iter_rows():
        if parent in place:
            (x0, y0), (x1, y1) = place[parent], place[case]
            x += [x0, x1, None]
            y += [y0, y1, None]
    largest = float(cases["notional_usd"].max() or 1.0) or 1.0  # type: ignore[arg-type]
    names = run.account_names
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "fall",
        "x": [place[c][0] for c in cases["case"]],
        "y": cases["generation"].to_list(),
        "text": [
            f"{names[account]}: {usd(notional)} USD in {actions} actions, pushed {children} others"
            for account, notional, actions, children in cases.select(
                "account", "notional_usd", "actions", "children"
            ).iter_rows()
        ],
        "hovertemplate": "%{text}<br>%{x|%H:%M:%S}, generation %{y}<extra></extra>",
        "marker": {
            "size": rounded(5 + 18 * np.sqrt(cases["notional_usd"].to_numpy() / largest), 3),
            "color": [
                STATE_COLOURS["bankrupt"] if gone else STATE_COLOURS["liquidating"]
                for gone in cases["taken_over"]
            ],
            "opacity": 0.75,
            "line": {"width": 0.5, "color": "white"},
        },
    }
    edges = _line(x, y, "pushed by", "rgba(100,110,120,0.45)", width=1, hoverinfo="skip")
    deepest = int(cases["generation"].max() or 0)  # type: ignore[arg-type]
    # From above the first generation to below the last: no dot is cut in two.
    span = {"range": [deepest + 0.5, -0.5], "dtick": max(1, (deepest + 1) // 10)}
    return {
        "data": [edges, dots],
        "layout": {
            "yaxis": _axis("generation", **span),
            "showlegend": False,
            "hovermode": "closest",
        },
    }


def generation_figure(cascade: Cascade) -> Figure:
    """Falls and notional by generation."""
    rows = cascade.by_generation
    return {
        "data": [
            {
                "type": "bar",
                "x": rows["generation"].to_list(),
                "y": rows["cases"].to_list(),
                "marker": {"color": STATE_COLOURS["liquidating"]},
                "text": [usd(n) for n in rows["notional_usd"]],
                "hovertemplate": "generation %{x}: %{y} falls, %{text} USD<extra></extra>",
                "textposition": "none",
            }
        ],
        "layout": {
            "xaxis": _axis("generation", type="linear", dtick=max(1, rows.height // 10)),
            "yaxis": _axis("falls"),
            "showlegend": False,
        },
    }


def depth_figure(run: Run, instrument: str) -> Figure:
    """Depth within 1 % of each side, and the spread below it."""
    series = market_series(run, instrument)
    t = series["t"]
    data = [
        _line(t, series["bid_usd"], "bids within 1 %", GREEN),
        _line(t, series["ask_usd"], "asks within 1 %", RED),
        _line(t, series["spread_bps"], "spread", INK, width=1.2, yaxis="y2"),
    ]
    return {
        "data": data,
        "layout": {
            "yaxis": _axis("depth, USD", domain=[0.42, 1], rangemode="tozero"),
            "yaxis2": _axis("spread, bps", type="log", domain=[0, 0.32]),
            "xaxis": {"anchor": "y2"},
            "hovermode": "x unified",
        },
    }


def stability_figure(run: Run, instrument: str) -> Figure:
    """R minute by minute; above 1 forced flow alone explains the move."""
    rows = stability(run, instrument)
    largest = float(rows["r"].fill_null(0.0).max() or 0.0)  # type: ignore[arg-type]
    top = max(1.0, float(np.log10(max(largest, 1.0))) + 0.2)
    return {
        "data": [
            {
                "type": "bar",
                "x": milliseconds(rows["time_ns"]),
                "y": rounded(rows["r"], 4),
                "marker": {"color": RED, "line": {"width": 0}},
                "hovertemplate": "%{x|%H:%M}: R = %{y:.2f}<extra></extra>",
            }
        ],
        "layout": {
            "yaxis": _axis("R", type="log", range=[-1.5, top]),
            "showlegend": False,
            "bargap": 0,
            "shapes": [_threshold(1.0, INK)],
        },
    }


def fund_figure(run: Run) -> Figure:
    """All insurance funds together, in USD."""
    series = fund_series(run)
    times, values = series["t"], series["usd"]
    if times:  # the last balance holds until the end
        times, values = [*times, milliseconds(run.marks["time_ns"])[-1]], [*values, values[-1]]
    line = {"shape": "hv"}
    trace = _line(times, values, "insurance funds", BLUE, line=line, fill="tozeroy")
    trace["fillcolor"] = "rgba(29,111,165,0.15)"
    return {
        "data": [trace],
        "layout": {"yaxis": _axis("USD", rangemode="tozero"), "showlegend": False},
    }
