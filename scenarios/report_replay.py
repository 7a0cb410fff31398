"""What the replay slider of the report steps through: frames, chapters and a running log.

One frame is a moment: the book, the price, every drawn account's margin ratio and state, the funds.
Chapters are the moments that a teacher would stop at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scenarios.cascade import NOT_A_FALL, Cascade
from scenarios.formats import percent, plural, signed_percent, usd
from scenarios.report_figures import STAGE_COLOURS, STATE_COLOURS, drawn_price
from scenarios.report_series import (
    account_matrix,
    book_frames,
    frame_times,
    fund_series,
    margin_history,
    market_series,
    rounded,
    state_counts,
)
from scenarios.run_directory import Run, fund_accounts
from scenarios.story import STAGE_WORDS, Moment, Story

FRAMES = 240
MOST_ACCOUNTS, MOST_FORCED = 400, 220
MOST_LOG_LINES = 1_000
STATES = tuple(STATE_COLOURS)


def replay(run: Run, instrument: str, cascade: Cascade, stories: list[Story]) -> dict[str, Any]:
    """Everything the slider needs, as plain lists."""
    times = frame_times(run, FRAMES)
    history = margin_history(run)
    accounts = drawn_accounts(run, history)
    ratios, states = account_matrix(history, accounts, times)
    largest = dict(
        history.group_by("account").agg(pl.col("maintenance_margin_usd").max()).iter_rows()
    )
    series = market_series(run, instrument)
    return {
        "instrument": instrument,
        "t": (times // 1_000_000).tolist(),
        "price": {"t": series["t"], "mark": series["mark"]},
        "book": book_frames(run, instrument, times),
        "accounts": {
            "names": [run.account_names[a] for a in accounts],
            "size": rounded([max(largest.get(a, 0.0), 1.0) for a in accounts], 3),
            "ratios": [rounded(row, 3) for row in ratios],
            "states": ["".join(_code(s) for s in row) for row in states],
        },
        "states": [s.replace("_", " ") for s in STATES],
        "state_colours": list(STATE_COLOURS.values()),
        "stage_colours": {STAGE_WORDS[s]: colour for s, colour in STAGE_COLOURS.items()},
        "counts": state_counts(run, times, STATES),
        "fund": _fund_frames(run, times),
        "hits": _hits(run, instrument),
        "log": _log(stories),
        "chapters": chapters(run, instrument, cascade, times),
    }


def _code(state: str) -> str:
    """One digit per state; a dash before the first figure."""
    return str(STATES.index(state)) if state else "-"


def drawn_accounts(run: Run, history: pl.DataFrame) -> list[int]:
    """Accounts shown as dots: the largest with a forced action, and a sample of the others."""
    forced = (
        run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
        .group_by("account")
        .agg(pl.col("notional_usd").sum())
        .sort(["notional_usd", "account"], descending=[True, False])["account"]
        .to_list()
    )
    lowest = (
        history.filter(pl.col("maintenance_margin_usd") > 0)
        .group_by("account")
        .agg(pl.col("margin_ratio").min())
        .sort(["margin_ratio", "account"])["account"]
        .to_list()
    )
    funds = fund_accounts(run.account_names)
    forced = [a for a in forced if a not in funds][:MOST_FORCED]
    taken = set(forced)
    others = [a for a in lowest if a not in taken and a not in funds]
    room = MOST_ACCOUNTS - len(forced)
    if len(others) > room:  # evenly over the rest, from the weakest to the strongest
        others = [others[i] for i in np.linspace(0, len(others) - 1, room).astype(int)]
    return [*forced, *others]


def _fund_frames(run: Run, times: NDArray[np.int64]) -> list[Any]:
    series = fund_series(run)
    if not series["t"]:
        return [None] * len(times)
    moments = np.array(series["t"])
    at = np.searchsorted(moments, times // 1_000_000, side="right") - 1
    return [series["usd"][i] if i >= 0 else None for i in at]


def _hits(run: Run, instrument: str) -> dict[str, Any]:
    """Forced fills on the price: time, price, USD, stage."""
    rows = run.liquidations.filter(
        pl.col("instrument").cast(pl.String) == instrument, pl.col("filled_lots") > 0
    )
    rows = rows.sort("notional_usd", descending=True).head(MOST_LOG_LINES).sort("seq")
    return {
        "t": (rows["time_ns"] // 1_000_000).to_list(),
        "price": rounded(drawn_price(rows), 7),
        "usd": rounded(rows["notional_usd"], 4),
        "stage": [STAGE_WORDS[s] for s in rows["stage"].cast(pl.String)],
    }


def _log(stories: list[Story]) -> list[list[Any]]:
    """Lines of all stories in time; swings about the warning level are left out."""
    lines: list[tuple[int, str, str, str]] = [
        (m.time_ns // 1_000_000, s.name, m.text, m.stage or m.kind)
        for s in stories
        for m in s.moments
        if _told(m)
    ]
    lines.sort()
    if len(lines) > MOST_LOG_LINES:  # the mild ones go first
        lines = [line for line in lines if line[3] != "order_control"]
    if len(lines) > MOST_LOG_LINES:  # thin evenly: a log without its end would tell half
        keep = np.linspace(0, len(lines) - 1, MOST_LOG_LINES).astype(int)
        lines = [lines[i] for i in keep]
    return [list(line) for line in lines]


def _told(moment: Moment) -> bool:
    return not (moment.kind == "state" and moment.stage in ("healthy", "warned"))


def chapters(
    run: Run, instrument: str, cascade: Cascade, times: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The moments to stop at, in order: frame, title, and a sentence to read aloud."""
    found = _state_chapters(run) + _cascade_chapters(run, cascade) + _loss_chapters(run)
    found += _price_chapters(run, instrument)
    found.sort(key=lambda chapter: chapter[0])
    first, last = int(times[0]), int(times[-1])
    before = (first, "Before", "Everybody has enough margin; the book is full on both sides.")
    end = (last, "End", "What is left: look at the losses and the stories below.")
    found = [before, *found, end]
    return [
        {
            "frame": min(int(np.searchsorted(times, time_ns)), len(times) - 1),
            "title": title,
            "text": text,
        }
        for time_ns, title, text in found
    ]


def _first(frame: pl.DataFrame) -> dict[str, Any] | None:
    return frame.sort("seq").row(0, named=True) if frame.height else None


def _state_chapters(run: Run) -> list[tuple[int, str, str]]:
    names, found = run.account_names, []
    state = pl.col("state").cast(pl.String)
    warned = _first(run.states.filter(state == "warned"))
    if warned:
        text = (
            f"{names[warned['account']]} is the first below the warning level: its equity is"
            f" {percent(warned['margin_ratio'], 0)} of its maintenance margin."
        )
        found.append((warned["time_ns"], "First warning", text))
    control = _first(run.states.filter(state == "order_control"))
    if control:
        text = (
            f"{names[control['account']]} no longer covers the initial margin: orders that would"
            " add risk are cancelled, and with them the bids that others count on."
        )
        found.append((control["time_ns"], "Order control", text))
    return found


def _cascade_chapters(run: Run, cascade: Cascade) -> list[tuple[int, str, str]]:
    names, cases, found = run.account_names, cascade.cases, []
    if not cases.height:
        return []
    first = cases.row(0, named=True)
    text = (
        f"{names[first['account']]} falls through 100 %: from now on the venue trades for it, one"
        " step at a time, until it stands above the stop level."
    )
    found.append((first["start_ns"], "First liquidation", text))
    pushed = cases.filter(pl.col("parent") >= 0)
    if pushed.height:
        child = pushed.row(0, named=True)
        parent = cases.row(child["parent"], named=True)
        text = (
            f"The forced sale of {names[parent['account']]} moves the price, and"
            f" {names[child['account']]} breaks: the cascade feeds itself. In the end"
            f" {pushed.height} of {plural(cases.height, 'fall')} were pushed by another."
        )
        found.append((child["start_ns"], "First push", text))
    return [*found, _busiest_chapter(run)]


def _busiest_chapter(run: Run) -> tuple[int, str, str]:
    minute = (pl.col("time_ns") // (60 * 10**9) * (60 * 10**9)).alias("minute")
    rows = (
        run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(NOT_A_FALL))
        .group_by(minute)
        .agg(pl.col("notional_usd").sum(), steps=pl.len())
    )
    busiest = rows.sort(["notional_usd", "minute"], descending=[True, False]).row(0, named=True)
    text = (
        f"The busiest minute: {usd(busiest['notional_usd'])} USD in"
        f" {plural(busiest['steps'], 'forced action')}."
    )
    return (busiest["minute"], "Busiest minute", text)


def _loss_chapters(run: Run) -> list[tuple[int, str, str]]:
    names, found = run.account_names, []
    lost = _first(run.bankruptcies)
    if lost:
        missing = lost["deficit_usd"]
        text = f"{names[lost['account']]} has nothing left, and what it held is taken over; " + (
            f"{usd(missing)} USD are missing." if missing > 0.005 else "nothing is missing yet."
        )
        found.append((lost["time_ns"], "First bankruptcy", text))
    won = _first(run.deleveragings)
    if won:
        text = (
            f"The fund cannot pay: {names[won['winner']]}, who was winning, is closed out against"
            f" {names[won['loser']]} (auto-deleveraging)."
        )
        found.append((won["time_ns"], "Deleveraging", text))
    uncovered = _first(run.bankruptcies.filter(pl.col("uncovered_usd") > 0.005))
    if uncovered:
        text = f"{usd(uncovered['uncovered_usd'])} USD of a loss find nobody who pays."
        found.append((uncovered["time_ns"], "Uncovered loss", text))
    return found


def _price_chapters(run: Run, instrument: str) -> list[tuple[int, str, str]]:
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    prices = marks["mark"].to_numpy()
    low, high = int(np.argmin(prices)), int(np.argmax(prices))
    fell = prices[0] - prices[low] >= prices[high] - prices[0]
    at, title = (low, "Trough") if fell else (high, "Peak")
    text = f"{instrument} at its {title.lower()}: {signed_percent(prices[at] / prices[0] - 1, 1)}."
    return [(int(marks["time_ns"][at]), title, text)]
