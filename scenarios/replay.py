"""`selloff replay`: rebuilds an order book from a raw feed and checks it against the feed's own
best quotes.

Snapshot and differences make the book; each best quote whose update id ends an applied difference
must be the book's. Spot form: a difference starts where the one before it ended (`U` = last `u` +
1). Perpetual form: it names its predecessor (`pu` = last `u`). The snapshot may come in mid-stream:
differences before it are kept, those that it already contains (`u` <= lastUpdateId) are dropped.

Source: data README, section "Others" (replay).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from sortedcontainers import SortedDict

from scenarios.errors import UserError, printable
from scenarios.feed import (
    ATOMS,
    BestQuote,
    Defect,
    Difference,
    FeedLine,
    FeedTrade,
    Levels,
    Snapshot,
    Unknown,
    read_feed,
)

DEPTH_BPS = (1, 5, 10, 25)
# Differences kept for a snapshot that comes after them; a feed sends ten a second.
KEPT_DIFFERENCES = 10_000
# Depth is looked at after every tenth difference: about once a second.
DEPTH_EVERY = 10
SHOWN_PROBLEMS = 10


class DepthBook:
    """A book by price level: what a public feed shows. Prices and sizes in atoms (1e-8)."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids: SortedDict[int, int] = SortedDict()
        self.asks: SortedDict[int, int] = SortedDict()

    def apply(self, bids: Levels, asks: Levels) -> None:
        """Sets each level to its new size, 0 removes it; O(levels log book)."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)

    def best(self) -> tuple[int, int, int, int] | None:
        """Bid, bid size, ask, ask size; None while a side is empty. O(log book)."""
        if not self.bids or not self.asks:
            return None
        return (*self.bids.peekitem(-1), *self.asks.peekitem(0))

    def depth_within(self, bps: int) -> tuple[int, int]:
        """Sizes of bids and asks within `bps` of the mid price; both sides must exist.
        O(levels).
        """
        quote = self.best()
        assert quote is not None, "depth of a book with an empty side"
        # In integers: a level exactly at the limit counts.
        both = quote[0] + quote[2]
        lowest = -(-both * (10_000 - bps) // 20_000)
        highest = both * (10_000 + bps) // 20_000
        return (
            sum(self.bids[price] for price in self.bids.irange(minimum=lowest)),
            sum(self.asks[price] for price in self.asks.irange(maximum=highest)),
        )


@dataclass(slots=True)
class ReplayReport:
    """What a replay found. Sizes and prices in atoms.

    `links`: pairs of successive differences after the first snapshot, `links_continuous` of which
    join.
    `compared`: best quotes whose update id ends an applied difference, `equal` of which agree.
    """

    symbol: str = ""
    lines: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, int] = field(default_factory=dict)
    applied: int = 0
    links: int = 0
    links_continuous: int = 0
    compared: int = 0
    equal: int = 0
    problems: list[str] = field(default_factory=list)
    problem_count: int = 0
    spreads: list[int] = field(default_factory=list)
    mids: list[float] = field(default_factory=list)
    depths: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    trade_sizes: list[int] = field(default_factory=list)
    sold: int = 0
    turnover: float = 0.0

    def problem(self, text: str) -> None:
        """Notes a problem; the first ten are kept in words."""
        self.problem_count += 1
        if self.problem_count <= SHOWN_PROBLEMS:
            self.problems.append(text)

    @property
    def is_good(self) -> bool:
        """Whether something was compared, everything was equal, and nothing was wrong with the
        feed.
        """
        return self.compared > 0 and self.equal == self.compared and not self.problem_count


class Replay:
    """Feeds lines into a book. `report` fills up as they come; `book` is the state after the last
    one.
    """

    def __init__(self) -> None:
        self.report = ReplayReport()
        self.book = DepthBook()
        self.snapshot: DepthBook | None = None
        """the book as the first snapshot gave it"""
        self._last_id: int | None = None  # of the book; None while it has no valid state
        self._is_fresh = False  # no difference applied since the snapshot
        self._kept: deque[tuple[int, Difference]] = deque(maxlen=KEPT_DIFFERENCES)
        self._previous: Difference | None = None  # the last one received after a snapshot
        self._quotes: dict[int, tuple[int, BestQuote]] = {}

    @property
    def is_valid(self) -> bool:
        """Whether `book` is a state of the market: no difference is missing since the last
        snapshot.
        """
        return self._last_id is not None

    def take(self, line: FeedLine) -> None:
        """Takes the next line of the feed."""
        report, message = self.report, line.message
        report.lines += 1
        if line.time_ns is not None:
            report.first_ns = line.time_ns if report.first_ns is None else report.first_ns
            report.last_ns = line.time_ns
        if isinstance(message, Defect):
            report.problem(f"line {line.number}: {message.reason}")
            return
        if isinstance(message, Unknown):
            report.unknown.setdefault(message.kind, line.number)
            report.kinds[message.kind] += 1
            return
        if line.symbol and not report.symbol:
            report.symbol = line.symbol
        if line.symbol not in ("", report.symbol):
            kind = f"{type(message).__name__} of {line.symbol}"
            report.unknown.setdefault(kind, line.number)
            report.kinds[kind] += 1
            return
        report.kinds[type(message).__name__] += 1
        if isinstance(message, Snapshot):
            self._take_snapshot(line.number, message)
        elif isinstance(message, Difference):
            self._take_difference(line.number, message)
        elif isinstance(message, BestQuote):
            self._take_quote(line.number, message)
        else:
            self._take_trade(message)

    def finish(self) -> ReplayReport:
        """Ends the replay. Errors: UserError where the feed had nothing to build a book from."""
        if not self.report.kinds["Snapshot"]:
            raise UserError(_without_snapshot(self.report))
        if not self.is_valid:
            self.report.problem("the book has no valid state at the end of the feed")
        return self.report

    def _take_snapshot(self, number: int, snapshot: Snapshot) -> None:
        self.book = DepthBook()
        self.book.apply(snapshot.bids, snapshot.asks)
        if self.snapshot is None:
            self.snapshot = DepthBook()
            self.snapshot.apply(snapshot.bids, snapshot.asks)
        self._last_id, self._is_fresh = snapshot.last_id, True
        self._previous = None
        for kept_number, difference in list(self._kept):
            if difference.last_id > snapshot.last_id and not self._join(kept_number, difference):
                return

    def _take_difference(self, number: int, difference: Difference) -> None:
        self._kept.append((number, difference))
        if self.report.kinds["Snapshot"]:
            if self._previous is not None:
                self.report.links += 1
                self.report.links_continuous += _follows(difference, self._previous.last_id)
            self._previous = difference
        if self._last_id is None:
            return
        if difference.last_id <= self._last_id:
            if not self._is_fresh:
                self.report.problem(
                    f"line {number}: out of sequence: the difference ends at id "
                    f"{difference.last_id}, the book is at {self._last_id} already; left out"
                )
            return
        self._join(number, difference)

    def _join(self, number: int, difference: Difference) -> bool:
        """Applies a difference if it joins the book; else the book has no valid state until a
        snapshot.
        """
        assert self._last_id is not None
        joins = _follows(difference, self._last_id)
        if self._is_fresh:
            joins = joins or difference.first_id <= self._last_id + 1
        if not joins:
            starts = difference.first_id - 1
            if difference.previous_id is not None:
                starts = difference.previous_id
            after = "the snapshot" if self._is_fresh else "the book"
            self.report.problem(
                f"line {number}: gap: the difference follows id {starts}, {after} is at "
                f"{self._last_id}; nothing is applied until the next snapshot"
            )
            self._last_id = None
            return False
        self.book.apply(difference.bids, difference.asks)
        self._last_id, self._is_fresh = difference.last_id, False
        self.report.applied += 1
        self._look_at_book(number, difference.last_id)
        return True

    def _look_at_book(self, number: int, last_id: int) -> None:
        quote = self.book.best()
        pending = self._quotes.pop(last_id, None)
        # Quotes of updates inside the difference show states between two of the book's.
        if len(self._quotes) > KEPT_DIFFERENCES:
            self._quotes = {u: item for u, item in self._quotes.items() if u > last_id}
        if pending is not None:
            self._compare(*pending)
        if quote is None:
            return
        bid, _, ask, _ = quote
        if bid >= ask:
            self.report.problem(f"line {number}: the book is crossed: bid {bid}, ask {ask} (1e-8)")
            return
        self.report.spreads.append(ask - bid)
        self.report.mids.append((ask + bid) / 2)
        if self.report.applied % DEPTH_EVERY == 0:
            for bps in DEPTH_BPS:
                self.report.depths.setdefault(bps, []).append(self.book.depth_within(bps))

    def _take_quote(self, number: int, quote: BestQuote) -> None:
        if quote.last_id == self._last_id and not self._is_fresh:
            self._compare(number, quote)
        elif self._last_id is None or quote.last_id > self._last_id:
            self._quotes[quote.last_id] = (number, quote)

    def _compare(self, number: int, quote: BestQuote) -> None:
        self.report.compared += 1
        stated = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        found = self.book.best()
        if found == stated:
            self.report.equal += 1
            return
        self.report.problem(
            f"line {number}: best quote of id {quote.last_id} is {_quote_text(stated)}, "
            f"the book has {_quote_text(found)}"
        )

    def _take_trade(self, trade: FeedTrade) -> None:
        self.report.trade_sizes.append(trade.size)
        self.report.sold += trade.size if trade.is_sell else 0
        self.report.turnover += trade.price / ATOMS * trade.size / ATOMS


def replay(lines: Iterable[FeedLine]) -> Replay:
    """Runs a whole feed. Errors: UserError where it has no snapshot or cannot be read."""
    run = Replay()
    for line in lines:
        run.take(line)
    run.finish()
    return run


def replay_command(file: Path | None, echo: Callable[[str], None] = print) -> int:
    """Replays a feed (None: the shipped one) and prints the report; 0 if all quotes are equal, else
    1.

    Raises:
        UserError: the file cannot be read or has nothing to replay.
    """
    report = replay(read_feed(file)).report
    for line in report_lines(report):
        echo(printable(line))  # symbols and kinds come from the feed
    return 0 if report.is_good else 1


def report_lines(report: ReplayReport) -> list[str]:
    """The report for the terminal; the last line is `N of M best quotes equal`."""
    seconds = ""
    if report.first_ns is not None and report.last_ns is not None:
        seconds = f", {(report.last_ns - report.first_ns) / 1e9:.0f} s"
    kinds = ", ".join(f"{n} {_WORDS.get(kind, kind)}" for kind, n in report.kinds.items())
    lines = [f"{report.symbol or 'feed'}: {report.lines} messages{seconds}: {kinds}"]
    for kind, number in report.unknown.items():
        count = report.kinds[kind]
        lines.append(f"left out: {count} of the unknown kind {kind}, first in line {number}")
    lines += _statistics(report)
    lines += report.problems
    if report.problem_count > len(report.problems):
        lines.append(f"and {report.problem_count - len(report.problems)} more problems")
    lines.append(f"{report.links_continuous} of {report.links} ids continuous")
    lines.append(f"{report.equal} of {report.compared} best quotes equal")
    return lines


_WORDS = {
    "Snapshot": "snapshot(s)",
    "Difference": "depth differences",
    "BestQuote": "best quotes",
    "FeedTrade": "trades",
}


def _statistics(report: ReplayReport) -> list[str]:
    """A small table: spread, depth, trades."""
    lines: list[str] = []
    if report.spreads:
        bps = [1e4 * s / m for s, m in zip(report.spreads, report.mids, strict=True)]
        narrowest = min(report.spreads)
        share = sum(s == narrowest for s in report.spreads) / len(report.spreads)
        lines.append(
            f"  spread   median {median(report.spreads) / ATOMS:g} ({median(bps):.3f} bps), "
            f"mean {fmean(report.spreads) / ATOMS:.4g}, {share:.1%} of the time at its narrowest, "
            f"{narrowest / ATOMS:g}"
        )
    for within, depths in report.depths.items():
        bids, asks = (fmean(side) / ATOMS for side in zip(*depths, strict=True))
        lines.append(f"  depth    within {within:2d} bps: bids {bids:8.3f}, asks {asks:8.3f}")
    if report.trade_sizes:
        total = sum(report.trade_sizes)
        lines.append(
            f"  trades   {len(report.trade_sizes)}, {total / ATOMS:.3f} coins for "
            f"{report.turnover:,.0f}; median size {median(report.trade_sizes) / ATOMS:g}, "
            f"{report.sold / total if total else 0:.1%} sold by takers"
        )
    return lines


def _follows(difference: Difference, last_id: int) -> bool:
    if difference.previous_id is not None:
        return difference.previous_id == last_id
    return difference.first_id == last_id + 1


def _quote_text(quote: tuple[int, int, int, int] | None) -> str:
    if quote is None:
        return "an empty side"
    bid, bid_size, ask, ask_size = (value / ATOMS for value in quote)
    return f"{bid:.8g} ({bid_size:.8g}) / {ask:.8g} ({ask_size:.8g})"


def _without_snapshot(report: ReplayReport) -> str:
    if report.problems:
        return f"no book can be built: no snapshot among {report.lines} lines; {report.problems[0]}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items()) or "nothing"
    return f"no book can be built: no snapshot (lastUpdateId, bids, asks) in the feed, only {kinds}"
