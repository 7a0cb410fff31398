"""`report.html`: one self-contained page for a run, readable without a network, on a phone and in
print.

The page is a template with the figures and the replay as embedded JSON, and the drawing library
once.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from scenarios.cascade import NOT_A_FALL, Cascade, build_cascade
from scenarios.definitions import DEFINITIONS
from scenarios.digest import five_sentences, main_instrument
from scenarios.formats import usd
from scenarios.metrics import compute_metrics, metrics_frame
from scenarios.report_figures import (
    Figure,
    cascade_figure,
    depth_figure,
    fund_figure,
    generation_figure,
    price_figure,
    ratio_figure,
    stability_figure,
    state_figure,
    waterfall_figure,
)
from scenarios.report_funding import funding_rows
from scenarios.report_replay import replay
from scenarios.report_series import drawn_instruments
from scenarios.run_directory import REPORT, SUMMARY, Run, finite, write_json
from scenarios.seed_view import COLUMNS, seed_notes, seed_rows
from scenarios.show import run_span
from scenarios.story import Story, StoryTeller, clock
from scenarios.whole_file import write_text

STORY_BUDGET = 900_000
"""Characters of stories in a page: beyond it accounts keep their ending only, and beyond half as
much again a pointer, so that the page stays below 8 MB whatever the run."""


def write_report(run: Run, twin: Run | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    twin: a run to compare; the metrics that need one are then added to `summary.json` too.
    """
    path = run.path / REPORT
    if twin is not None:
        run.summary["metrics"] = compute_metrics(run, twin)
        write_json(run.path / SUMMARY, run.summary)
    write_text(path, render(run, twin))
    return path


def report_command(path: Path, twin: Path | None) -> None:
    """Write the report of a finished run and say where it is."""
    written = write_report(Run.load(path), None if twin is None else Run.load(twin))
    print(f"report: {written}")


def render(run: Run, twin: Run | None = None) -> str:
    """The page's HTML."""
    instrument = main_instrument(run)
    cascade = build_cascade(run)
    teller = StoryTeller(run)
    stories = [teller.tell(account) for account in _by_size(run, teller)]
    figures = _figures(run, instrument, cascade)
    page: dict[str, Any] = {
        "figures": figures,
        "replay": replay(run, instrument, cascade, stories),
        "stories": _story_texts(stories),
    }
    if twin is not None:
        from scenarios.compare import price_difference_figure

        figures["twin"] = price_difference_figure(run, twin, instrument)
    environment = Environment(
        loader=PackageLoader("scenarios"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html.j2").render(
        run=run,
        summary=run.summary,
        sentences=five_sentences(run, cascade),
        tiles=_tiles(run, cascade),
        instrument=instrument,
        instruments=drawn_instruments(run, instrument),
        funding=funding_rows(run),
        stories=_story_rows(run, stories),
        definitions=DEFINITIONS,
        span=_span(run),
        twin=_twin_rows(run, twin),
        metrics=_metric_rows(run),
        seeds=_seeds(run),
        data=_embedded(page),
        plotly=get_plotlyjs(),
    )


def _figures(run: Run, instrument: str, cascade: Cascade) -> dict[str, Figure]:
    figures = {
        "ratios": ratio_figure(run),
        "states": state_figure(run),
        "fund": fund_figure(run),
    }
    for name in drawn_instruments(run, instrument):
        figures[f"price:{name}"] = price_figure(run, name)
        figures[f"depth:{name}"] = depth_figure(run, name)
    if cascade.cases.height:
        figures["cascade"] = cascade_figure(run, cascade)
        figures["generations"] = generation_figure(cascade)
        figures["stability"] = stability_figure(run, instrument)
    if run.summary["bankrupt_accounts"]:
        figures["waterfall"] = waterfall_figure(run)
    return figures


def _embedded(page: dict[str, Any]) -> str:
    """JSON that can stand in a script element: no `</script>` and no NaN in it."""
    text = json.dumps(finite(page), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _tiles(run: Run, cascade: Cascade) -> list[tuple[str, str, str]]:
    """(definition key, label, value) of the figures at the top."""
    s = run.summary
    fund = s["insurance_fund_usd"]
    forced = sum(
        n for stage, n in s["liquidated_notional_usd"].items()
        if stage not in NOT_A_FALL
    )  # fmt: skip
    tiles = [
        ("account", "accounts", f"{s['accounts']:,}"),
        ("warning", "warnings", f"{s['warnings']:,}"),
        ("liquidation", "liquidated accounts", f"{s['liquidated_accounts']:,}"),
        ("forced", "forced flow, USD", usd(forced)),
        ("bankruptcy", "bankrupt accounts", f"{s['bankrupt_accounts']:,}"),
        ("bad_debt", "bad debt, USD", usd(s["bad_debt_usd"])),
        ("fund", "fund at its lowest, USD", usd(fund["minimum"])),
        ("uncovered", "uncovered loss, USD", usd(s["uncovered_loss_usd"])),
    ]
    if cascade.cases.height:
        tiles.append(("branching", "branching ratio", f"{cascade.branching_ratio:.2f}"))
        tiles.append(("generation", "longest chain", str(cascade.generations)))
    return tiles


def _by_size(run: Run, teller: StoryTeller) -> list[int]:
    """Accounts with a story, the largest forced notional first."""
    size: dict[int, float] = {}
    for account, notional in run.liquidations.select("account", "notional_usd").iter_rows():
        size[account] = size.get(account, 0.0) + notional
    return sorted(teller.affected, key=lambda a: (-size.get(a, 0.0), a))


def _story_texts(stories: list[Story]) -> list[str]:
    """HTML of each story, within the budget."""
    texts: list[str] = []
    used = 0
    for story in stories:
        pointer = f"<p>The steps: selloff explain RUN {html.escape(story.name)}</p>"
        opening = "".join(f"<p>{html.escape(s)}</p>" for s in story.opening)
        ending = "".join(f"<p><b>{html.escape(s)}</b></p>" for s in story.ending)
        if used > 1.5 * STORY_BUDGET:
            texts.append(pointer)
        elif used > STORY_BUDGET:
            texts.append(opening + ending + pointer)
        else:
            texts.append(f"{opening}<ol>{_moment_items(story)}</ol>{ending}")
        used += len(texts[-1])
    return texts


def _moment_items(story: Story) -> str:
    return "".join(
        f'<li class="{m.kind} {m.stage}"><time>{clock(m.time_ns)}</time>'
        f"<span>{html.escape(m.text)}</span></li>"
        for m in story.moments
    )


def _story_rows(run: Run, stories: list[Story]) -> list[dict[str, str]]:
    """The table of liquidated accounts."""
    import polars as pl

    forced = {
        row["account"]: row
        for row in run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
        .group_by("account")
        .agg(
            first=pl.col("time_ns").min(),
            steps=pl.len(),
            notional=pl.col("notional_usd").sum(),
            slippage=pl.col("slippage_usd").sum(),
        )
        .iter_rows(named=True)
    }
    deficits = dict(
        run.bankruptcies.group_by("account").agg(pl.col("deficit_usd").sum()).iter_rows()
    )
    rows = []
    for story in stories:
        own = forced.get(story.account)
        kind = "bankrupt" if story.account in deficits else "liquidated" if own else "deleveraged"
        rows.append(
            {
                "name": story.name,
                "kind": kind,
                "first": clock(own["first"] if own else story.moments[0].time_ns),
                "steps": str(own["steps"]) if own else "",
                "notional": usd(own["notional"]) if own else "",
                "slippage": usd(own["slippage"]) if own else "",
                "deficit": usd(deficits.get(story.account, 0.0)),
            }
        )
    return rows


def _metric_rows(run: Run) -> list[dict[str, str]]:
    """All metrics with their definitions."""
    rows = []
    for row in metrics_frame(run.summary["metrics"]).iter_rows(named=True):
        value, unit = row["value"], row["unit"]
        if unit == "ns":
            shown = "-" if value is None else clock(int(value), date=True)
        else:
            shown = "-" if value is None else f"{usd(value) if unit == 'USD' else f'{value:,.4g}'}"
        name = f"{row['metric']} {row['part'].replace('_', ' ')}".strip()
        shown_unit = "" if unit in ("1", "ns") else unit
        rows.append(
            {"name": name, "value": shown, "unit": shown_unit, "definition": row["definition"]}
        )
    return rows


def _twin_rows(run: Run, twin: Run | None) -> list[tuple[str, str, str, str]]:
    if twin is None:
        return []
    from scenarios.compare import difference_rows

    return difference_rows(run, twin)


def _seeds(run: Run) -> dict[str, Any] | None:
    """The table of books that began with recorded depth; None where none did."""
    seeds = run.summary.get("book_seeds")
    if not seeds:
        return None
    return {"columns": COLUMNS, "rows": seed_rows(seeds), "notes": seed_notes(seeds)}


def _span(run: Run) -> str:
    first, last = run_span(run)
    return f"{clock(first, date=True)} to {clock(last, date=True)} UTC"
