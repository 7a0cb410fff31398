"""What happened in a run, in five sentences with numbers."""

from __future__ import annotations

import polars as pl

from scenarios.cascade import Cascade, build_cascade
from scenarios.contract_values import ContractValues
from scenarios.formats import percent, plural, price, signed_percent, usd
from scenarios.run_directory import Run, fund_accounts
from scenarios.story import clock

FORCED_IN_BOOK = ("take_over", "fund_unwind", "deleveraging")
BUSIEST_NS = 40 * 60 * 10**9


def main_instrument(run: Run) -> str:
    """The instrument a reader looks at: the one with the most forced notional, else the most
    traded perpetual, else the first sampled."""
    forced = run.liquidations.filter(pl.col("instrument").cast(pl.String) != "")
    if forced.height:
        totals = forced.group_by("instrument").agg(pl.col("notional_usd").sum())
        return str(totals.sort(["notional_usd", "instrument"], descending=[True, False])[0, 0])
    sampled = run.marks["instrument"].cast(pl.String).unique(maintain_order=True).to_list()
    values = ContractValues(run)
    depth = {
        name: float(
            run.marks.filter(pl.col("instrument").cast(pl.String) == name)
            .select((pl.col("bid_depth_100bps") * pl.col("mark").fill_null(0.0)).mean())
            .item()
            or 0.0
        )
        * values.units_per_contract(name)
        for name in sampled
        if values.entry(name)["kind"] == "perpetual"
    }
    return max(depth, key=lambda name: depth[name]) if depth else str(sampled[0])


def five_sentences(run: Run, cascade: Cascade | None = None) -> list[str]:
    """The run for somebody who reads nothing else."""
    instrument = main_instrument(run)
    cascade = cascade or build_cascade(run)
    return [
        _price_sentence(run, instrument),
        _market_sentence(run, instrument),
        _forced_sentence(run),
        _cascade_sentence(run, cascade),
        _loss_sentence(run),
    ]


def _price_sentence(run: Run, instrument: str) -> str:
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    prices, times = marks["mark"].to_list(), marks["time_ns"].to_list()
    first, last = prices[0], prices[-1]
    low = min(range(len(prices)), key=prices.__getitem__)
    high = max(range(len(prices)), key=prices.__getitem__)
    extreme = low if first - prices[low] >= prices[high] - first else high
    verb = "fell" if extreme == low else "rose"
    back = (last - prices[extreme]) / (first - prices[extreme]) if extreme else 0.0
    sentence = (
        f"{instrument} {verb} from {price(_short(first))} to {price(_short(prices[extreme]))}"
        f" ({signed_percent(prices[extreme] / first - 1, 1)}) at {clock(times[extreme], date=True)}"
        f" UTC and ended at {price(_short(last))}"
    )
    regained = f", {percent(back, 0)} of the way back" if 0.005 < back < 1.5 else ""
    return sentence + regained + "."


def _market_sentence(run: Run, instrument: str) -> str:
    marks = run.marks.filter(pl.col("instrument").cast(pl.String) == instrument)
    values = ContractValues(run)
    coins = values.units_per_contract(instrument)
    both = (marks["bid_depth_100bps"] + marks["ask_depth_100bps"]) * coins
    if len(both) > 1:  # at first nobody has quoted: the book is empty, or has its seed alone
        marks, both = marks[1:], both[1:]
    filled = (both > 0).arg_true()  # a book that has not been filled yet is no crash
    if not len(filled):
        return f"The book of {instrument} stayed empty."
    marks, depth = marks[filled[0] :], both[filled[0] :]
    before = float(depth.head(max(1, len(depth) // 10)).median() or 0.0)  # type: ignore[arg-type]
    lowest = float(depth.min() or 0.0)  # type: ignore[arg-type]
    at = clock(marks["time_ns"][depth.arg_min() or 0])
    change = f" ({signed_percent(lowest / before - 1, 0)})" if before else ""
    unit = values.unit_name(instrument)
    return (
        f"Depth within 1 % of the mid, both sides, went from {_amount(before)} to"
        f" {_amount(lowest)} {unit}{change} at {at}; {run.summary['fills']:,} fills traded"
        f" {usd(run.summary['traded_notional_usd'])} USD."
    )


def _forced_sentence(run: Run) -> str:
    s = run.summary
    book = run.liquidations.filter(~pl.col("stage").cast(pl.String).is_in(FORCED_IN_BOOK))
    if not s["liquidated_accounts"]:
        return f"Nobody was liquidated; {plural(s['warnings'], 'margin warning')} went out."
    forced = float(book["notional_usd"].sum())
    long_share = float(book.filter(side="sell")["notional_usd"].sum()) / forced if forced else 0.0
    taken = s["liquidated_notional_usd"].get("take_over", 0.0)
    traders = len(run.account_names) - len(fund_accounts(run.account_names))
    return (
        f"Of {traders:,} traders' accounts {_share(s['liquidated_accounts'], traders)} were"
        f" liquidated: {usd(forced)} USD were forced through the book ({percent(long_share, 0)} of"
        f" it sales) and {usd(taken)} USD taken over by the insurance fund."
    )


def _cascade_sentence(run: Run, cascade: Cascade) -> str:
    cases = cascade.cases
    if not cases.height:
        return "There was no cascade."
    busiest = ""
    if run.summary["simulated_seconds"] * 1e9 > BUSIEST_NS:
        total = usd(float(cases["notional_usd"].sum()))
        share = percent(busiest_share(run), 0)
        busiest = f"; the busiest 40 minutes saw {share} of the {total} USD"
    pushed = cases.filter(pl.col("parent") >= 0).height
    return (
        f"{pushed:,} of {plural(cases.height, 'fall')} came within a minute after a forced"
        f" order of somebody else in the same coin (branching ratio"
        f" {cascade.branching_ratio:.2f}, longest chain {cascade.generations}){busiest}."
    )


def busiest_share(run: Run) -> float:
    """Largest share of the forced notional within any 40 minutes."""
    own = ~run.liquidations["stage"].cast(pl.String).is_in(["fund_unwind", "deleveraging"])
    rows = run.liquidations.filter(own).select("time_ns", "notional_usd").rows()
    total = sum(n for _, n in rows)
    best = within = 0.0
    start = 0
    for time_ns, notional in rows:
        within += notional
        while rows[start][0] < time_ns - BUSIEST_NS:
            within -= rows[start][1]
            start += 1
        best = max(best, within)
    return best / total if total else 0.0


def _loss_sentence(run: Run) -> str:
    s = run.summary
    fund = s["insurance_fund_usd"]
    if not s["bankrupt_accounts"]:
        return f"Nobody went bankrupt; the insurance fund ends at {usd(fund['end'])} USD."
    losses = run.bankruptcies
    paid = float(losses["fund_usd"].sum())
    winners = float(losses["deleveraging_usd"].sum()) + float(losses["socialised_usd"].sum())
    return (
        f"{plural(s['bankrupt_accounts'], 'account')} went bankrupt and left"
        f" {usd(s['bad_debt_usd'])} USD of bad debt: the fund paid {usd(paid)} (it went from"
        f" {usd(fund['start'])} to {usd(fund['end'])}), deleveraged winners {usd(winners)},"
        f" and {usd(s['uncovered_loss_usd'])} USD nobody paid.{_why_the_fund_grew(fund)}"
    )


def _why_the_fund_grew(fund: dict[str, float]) -> str:
    """A reader wonders why a fund ends a crash richer than it began."""
    if fund["end"] <= fund["start"]:
        return ""
    return (
        " The fund earns what is left of an account when it takes positions over at their"
        " bankruptcy price and sells them better."
    )


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({percent(part / whole, 1)})" if whole else f"{part:,}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _short(value: float) -> float:
    """A price to six digits."""
    return float(f"{value:.6g}")
