"""What a sweep found: means with confidence intervals per point of the grid, and heat maps."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import polars as pl

from scenarios.formats import usd
from scenarios.whole_file import write_text

FIGURES = (
    "liquidated_accounts",
    "bankrupt_accounts",
    "bad_debt_usd",
    "uncovered_loss_usd",
    "insurance_fund_usd.minimum",
    "traded_notional_usd",
    "warnings",
)
CONFIDENCE = 0.95
# Two-sided 95 % quantiles of Student's t by degrees of freedom; the normal one beyond.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip


def t_quantile(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t; NaN without a degree of freedom."""
    if freedom < 1:
        return math.nan
    return _T[freedom - 1] if freedom <= len(_T) else NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def summarise(results: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Per point of the grid: runs, failed, and mean, low, high (95 % of the mean) per figure."""
    settings = [f"set.{key}" for key in keys]
    figures = [f for f in FIGURES if f in results.columns]
    rows: list[dict[str, Any]] = []
    points = (
        results.partition_by(settings, as_dict=True, maintain_order=True)
        if settings
        else {(): results}
    )
    for point, part in points.items():
        done = part.filter(status="done")
        row: dict[str, Any] = dict(zip(settings, point, strict=True))
        row |= {"runs": done.height, "failed": part.height - done.height}
        for figure in figures:
            values = [float(v) for v in done[figure].drop_nulls()]
            row |= {f"{figure}.{k}": v for k, v in _interval(values).items()}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _interval(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"mean": None, "low": None, "high": None}
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return {"mean": mean, "low": None, "high": None}
    variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    half = t_quantile(len(values) - 1) * math.sqrt(variance / len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def interval_words(row: dict[str, Any], figure: str) -> str:
    """`mean ±half of the interval`, both with the same decimals: none from a thousand on."""
    mean, low, high = (row.get(f"{figure}.{k}") for k in ("mean", "low", "high"))
    if mean is None:
        return "-"
    if low is None or high is None or low == high:
        return usd(mean)
    half = high - mean
    decimals = 0 if max(abs(mean), half) >= 1000.0 else 2
    return f"{mean:,.{decimals}f} ±{half:,.{decimals}f}"


def heat_maps(summary: pl.DataFrame, keys: list[str]) -> list[dict[str, Any]]:
    """One plotly figure per figure of the summary: heat maps over the first two keys, a line with
    error bars where there is one key; other keys are averaged over."""
    figures = [f for f in FIGURES if f"{f}.mean" in summary.columns]
    if not keys:
        return []
    make = _heat_map if len(keys) > 1 else _error_bars
    return [make(summary, keys, figure) for figure in figures]


def _heat_map(summary: pl.DataFrame, keys: list[str], figure: str) -> dict[str, Any]:
    rows, columns = (f"set.{key}" for key in keys[:2])
    x = summary[columns].unique(maintain_order=True).to_list()
    y = summary[rows].unique(maintain_order=True).to_list()
    means = summary.group_by([rows, columns]).agg(pl.col(f"{figure}.mean").mean())
    cells = {(r, c): v for r, c, v in means.iter_rows()}
    z = [[cells.get((r, c)) for c in x] for r in y]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": x,
                "y": y,
                "z": z,
                "colorscale": "YlOrRd",
                "texttemplate": "%{z:.4s}",
                "hovertemplate": f"{keys[1]} %{{x}}<br>{keys[0]} %{{y}}<br>%{{z:,.6g}}",
            }
        ],
        "layout": {
            "title": {"text": figure.replace("_", " ")},
            "xaxis": {"title": {"text": keys[1]}, "type": "category"},
            "yaxis": {"title": {"text": keys[0]}, "type": "category"},
        },
    }


def _error_bars(summary: pl.DataFrame, keys: list[str], figure: str) -> dict[str, Any]:
    mean, high = summary[f"{figure}.mean"], summary[f"{figure}.high"]
    half = [None if m is None or h is None else h - m for m, h in zip(mean, high, strict=True)]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": summary[f"set.{keys[0]}"].to_list(),
                "y": mean.to_list(),
                "error_y": {"type": "data", "array": half},
            }
        ],
        "layout": {
            "title": {"text": figure.replace("_", " ")},
            "xaxis": {"title": {"text": keys[0]}, "type": "category"},
        },
    }


def write_pictures(figures: list[dict[str, Any]], path: Path) -> None:
    """One self-contained page with all pictures."""
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs

    parts = [
        go.Figure(figure).to_html(full_html=False, include_plotlyjs=False, default_height="380px")
        for figure in figures
    ]
    page = (
        '<!doctype html><meta charset="utf-8"><title>sweep</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body{max-width:900px;margin:auto;font-family:system-ui}</style>"
        f"<script>{get_plotlyjs()}</script>{''.join(parts)}"
    )
    write_text(path, page)
