"""`selloff compare`: what two runs have in common and where they differ, in numbers and in a
picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from scenarios.digest import main_instrument
from scenarios.errors import UserError
from scenarios.formats import signed_usd, usd
from scenarios.report_series import market_series
from scenarios.run_directory import Run
from scenarios.terminal import console, table
from scenarios.whole_file import write_text

COUNTS = (
    ("accounts", "accounts"),
    ("orders", "orders"),
    ("fills", "fills"),
    ("warnings", "warnings"),
    ("liquidated_accounts", "liquidated accounts"),
    ("bankrupt_accounts", "bankrupt accounts"),
    ("deleveraged_accounts", "deleveraged accounts"),
)
AMOUNTS = (
    ("traded_notional_usd", "traded, USD"),
    ("bad_debt_usd", "bad debt, USD"),
    ("uncovered_loss_usd", "uncovered loss, USD"),
)
SETTINGS_SHOWN = 20


def compare_command(left: Path, right: Path, html: Path | None) -> None:
    """Print the differences of two runs, and write the picture where asked."""
    first, second = Run.load(left), Run.load(right)
    compare(console(), first, second)
    if html is not None:
        write_picture(first, second, html)
        console().print(Text(f"picture: {html}", style="dim"))


def compare(out: Console, left: Run, right: Run) -> None:
    """Settings that differ, then figures side by side."""
    titles = [f"{r.summary['scenario']} / {r.summary['seed']}" for r in (left, right)]
    if left.summary["event_hash"] == right.summary["event_hash"]:
        out.print(Text("The two runs are the same, event for event.", style="bold"))
    changed = setting_differences(left.manifest["config"], right.manifest["config"])
    if changed:
        settings = table("setting", *titles, words=(0, 1, 2))
        for name, a, b in changed[:SETTINGS_SHOWN]:
            settings.add_row(Text(name), Text(a), Text(b))
        if len(changed) > SETTINGS_SHOWN:
            settings.add_row(f"and {len(changed) - SETTINGS_SHOWN} more", "", "")
        out.print(settings)
    figures = table("figure", *titles, "difference")
    for row in difference_rows(left, right):
        figures.add_row(*row)
    out.print(figures)


def setting_differences(left: Any, right: Any, name: str = "") -> list[tuple[str, str, str]]:
    """Leaves of two configurations that differ: (dotted name, left, right)."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = [*left, *(k for k in right if k not in left)]
        pairs = [(str(k), left.get(k, "-"), right.get(k, "-")) for k in keys]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = [(str(n), a, b) for n, (a, b) in enumerate(zip(left, right, strict=True))]
    else:
        return [] if left == right else [(name, _short(left), _short(right))]
    return [
        row
        for key, a, b in pairs
        for row in setting_differences(a, b, f"{name}.{key}" if name else key)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def difference_rows(left: Run, right: Run) -> list[tuple[str, str, str, str]]:
    """(figure, left, right, right - left), as text."""
    a, b = left.summary, right.summary
    rows = [(title, f"{a[key]:,}", f"{b[key]:,}", f"{b[key] - a[key]:+,}") for key, title in COUNTS]
    pairs = [(title, a[key], b[key]) for key, title in AMOUNTS]
    pairs += [
        (
            f"insurance fund, {when}, USD",
            a["insurance_fund_usd"][when],
            b["insurance_fund_usd"][when],
        )
        for when in ("start", "minimum", "end")
    ]
    stages = sorted({*a["liquidated_notional_usd"], *b["liquidated_notional_usd"]})
    pairs += [
        (
            f"liquidated: {stage.replace('_', ' ')}, USD",
            a["liquidated_notional_usd"].get(stage, 0.0),
            b["liquidated_notional_usd"].get(stage, 0.0),
        )
        for stage in stages
    ]
    rows += [(title, usd(x), usd(y), signed_usd(y - x)) for title, x, y in pairs]
    instrument = main_instrument(left)
    if instrument in right.instruments:
        rows += _price_rows(left, right, instrument)
    return rows


def _price_rows(left: Run, right: Run, instrument: str) -> list[tuple[str, str, str, str]]:
    found = [
        run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)["mark"].to_list()
        for run in (left, right)
    ]
    rows = []
    for title, chosen in (("lowest", min), ("highest", max)):
        x, y = (float(chosen(prices)) for prices in found)
        rows.append(
            (
                f"{title} mark of {instrument}",
                f"{x:,.6g}",
                f"{y:,.6g}",
                f"{100 * (y / x - 1):+.2f} %",
            )
        )
    return rows


def price_difference_figure(left: Run, right: Run, instrument: str) -> dict[str, Any]:
    """Marks of both runs on one axis; plotly figure as a dictionary."""
    if instrument not in right.instruments:
        raise UserError(f"{right.path}: does not trade {instrument}, so there is no common price")
    data = []
    for run, colour, dash in ((left, "#22303c", "solid"), (right, "#d1495b", "dot")):
        series = market_series(run, instrument)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{run.summary['scenario']} / {run.summary['seed']} ({run.path.name})",
                "x": series["t"],
                "y": series["mark"],
                "line": {"color": colour, "width": 1.8, "dash": dash},
            }
        )
    return {
        "data": data,
        "layout": {"yaxis": {"title": {"text": instrument}}, "hovermode": "x unified"},
    }


def write_picture(left: Run, right: Run, path: Path) -> None:
    """One self-contained page with the marks of both runs."""
    import plotly.graph_objects as go

    figure = price_difference_figure(left, right, main_instrument(left))
    figure["layout"]["xaxis"] = {"type": "date"}
    try:
        write_text(path, go.Figure(figure).to_html(include_plotlyjs=True))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
