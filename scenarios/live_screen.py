"""The picture of a run that is going on: plain lines of text for a terminal of any size from 80x24.

`draw` is a pure function of a `Frame`. Lines are built by hand instead of by nested layouts, which
cost ten times as much to render; nothing wraps, and what does not fit is left out from below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from accounts.events import AccountState, LiquidationStage

SMALLEST = (80, 24)
_BLOCKS = " ▁▂▃▄▅▆▇█"
_STATE_STYLES = {
    AccountState.HEALTHY: "green",
    AccountState.WARNED: "yellow",
    AccountState.ORDER_CONTROL: "dark_orange",
    AccountState.PRE_LIQUIDATION: "red",
    AccountState.LIQUIDATING: "bold red",
    AccountState.BANKRUPT: "magenta",
}
_STATES = {
    AccountState.HEALTHY: "healthy",
    AccountState.WARNED: "warned",
    AccountState.ORDER_CONTROL: "control",
    AccountState.PRE_LIQUIDATION: "pre-liq.",
    AccountState.LIQUIDATING: "liquidating",
    AccountState.BANKRUPT: "bankrupt",
}
_STAGES = {
    LiquidationStage.PEG_HEDGE: "peg hedge",
    LiquidationStage.DELTA_HEDGE: "delta hedge",
    LiquidationStage.INTER_TENOR: "inter-tenor",
    LiquidationStage.STANDARD: "reduction",
    LiquidationStage.SPECIAL: "special",
    LiquidationStage.REPAYMENT: "repayment",
    LiquidationStage.TAKE_OVER: "take-over",
    LiquidationStage.ISOLATED: "isolated",
    LiquidationStage.FUND_UNWIND: "fund closes",
    LiquidationStage.DELEVERAGING: "deleveraged",
}


@dataclass(slots=True)
class Instant:
    """The market of one instrument at a moment. Prices in quote currency, 0.0 where none."""

    instrument_id: str
    last: float
    mark: float
    index: float
    bid: float
    ask: float
    bid_depth_usd: float  # within 1 % of the mid
    ask_depth_usd: float
    first_mark: float = 0.0
    first_depth_usd: float = 0.0  # the deeper side at the first look


@dataclass(slots=True)
class ForcedStep:
    """One line of the list of forced steps."""

    time_ns: int
    account: str
    stage: LiquidationStage
    instrument_id: str
    side: int
    notional_usd: float
    price: float


@dataclass(slots=True)
class Frame:
    """One picture. markets: the main instrument first; marks and flow: the main mark and the forced
    notional (USD) by column of the whole run; states: accounts by `AccountState`."""

    name: str
    now_ns: int
    share: float
    speed: float
    markets: list[Instant]
    marks: list[float]
    flow: list[float]
    states: list[int]
    forced: Sequence[ForcedStep]
    forced_usd: float
    liquidated: int
    bankruptcies: int
    deficit_usd: float
    fund_usd: float
    fund_start_usd: float


def short_usd(amount: float) -> str:
    """`950`, `12.3 k`, `4.56 M`, `1.20 B`: at most seven characters."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= limit * 0.9995:
            scaled = amount / limit
            decimals = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:.{decimals}f} {unit}"
    return f"{amount:.0f}"


def quote(price: float) -> str:
    """A price in about seven digits."""
    if price <= 0.0 or not math.isfinite(price):
        return "-"
    decimals = 1 if price >= 1_000 else 2 if price >= 10 else 4 if price >= 0.1 else 6
    return f"{price:,.{decimals}f}"


def bar(share: float, width: int) -> str:
    """A bar that is `share` of `width` long."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def squeeze(values: Sequence[float], width: int, of: int, *, total: bool) -> list[float]:
    """`values`, the first of `of` columns, on a chart of `width` columns: sums or last values.

    A column without a value takes the one before it, or NaN at the start.
    """
    out = [0.0 if total else math.nan] * math.ceil(len(values) * width / of)
    for number, value in enumerate(values):
        column = number * width // of
        if total:
            out[column] += value
        elif not math.isnan(value):
            out[column] = value
    if not total:
        for column in range(1, len(out)):
            if math.isnan(out[column]):
                out[column] = out[column - 1]
    return out


def chart(values: Sequence[float], rows: int) -> list[str]:
    """A chart of blocks, `rows` lines high, from the lowest value to the highest."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return [""] * rows
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    steps = 8 * rows - 1
    heights = [0 if math.isnan(v) else 1 + round((v - low) / span * steps) for v in values]
    return [
        "".join(_BLOCKS[max(0, min(8, height - 8 * row))] for height in heights)
        for row in range(rows - 1, -1, -1)
    ]


def draw(frame: Frame, width: int, height: int) -> Text:
    """The picture, `height` lines of at most `width` characters."""
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return _tiny(frame, width)
    others = frame.markets[1 : 1 + max(0, min(9, height - 22))]
    room = height - 10 - len(others)
    listed = min(14, room * 2 // 5)
    rows = min(18, room - listed)
    lines = [
        _title(frame, width),
        *_market(frame, frame.markets[0], width),
        *_charts(frame, width, rows),
        *(_other(market, width) for market in others),
        Text(),
        *_accounts(frame, width),
        _fund(frame, width),
        Text(),
        _forced_head(frame, width),
        *_forced(frame, width, listed),
    ]
    text = Text("\n", no_wrap=True, overflow="crop").join(lines[:height])
    text.no_wrap, text.overflow = True, "crop"
    return text


def _clock(time_ns: int, form: str = "%d %b %H:%M:%S") -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(form)


def _tiny(frame: Frame, width: int) -> Text:
    market = frame.markets[0]
    words = (
        f"{_clock(frame.now_ns)} {frame.share:.0%}\n{quote(market.mark)}"
        f" {market.mark / market.first_mark - 1:+.1%}\nliquidated {frame.liquidated:,}"
        f"\n(80x24 shows more)"
    )
    return Text("\n".join(line[:width] for line in words.split("\n")))


def _title(frame: Frame, width: int) -> Text:
    right = f"{frame.share:4.0%}  {frame.speed:,.0f} x real time"
    left = f"{frame.name}  {_clock(frame.now_ns)} UTC"
    room = width - len(left) - len(right) - 4
    line = Text(left, style="bold")
    line.append(f"  {bar(frame.share, max(0, room))}  ", style="cyan")
    line.append(right, style="dim")
    return line


def _market(frame: Frame, m: Instant, width: int) -> list[Text]:
    change = m.mark / m.first_mark - 1.0
    prices = Text(f"{m.instrument_id}  ", style="bold")
    prices.append(f"mark {quote(m.mark)}", style="bold")
    prices.append(f"  {change:+.1%}", style="red" if change < 0 else "green")
    prices.append(f"  last {quote(m.last)}  index {quote(m.index)}")
    if m.bid > 0 and m.ask > 0 and width >= 90:
        prices.append(f"  spread {(m.ask - m.bid) / (m.ask + m.bid) * 2e4:.1f} bps", style="dim")
    half = (width - 38) // 2
    most = max(m.first_depth_usd, m.bid_depth_usd, m.ask_depth_usd, 1.0)
    depth = Text("depth 1 %  ")
    depth.append(f"bids {short_usd(m.bid_depth_usd):>7} ")
    depth.append(bar(m.bid_depth_usd / most, half)[::-1], style="green")
    depth.append(" ")
    depth.append(bar(m.ask_depth_usd / most, half), style="red")
    depth.append(f" {short_usd(m.ask_depth_usd)} asks")
    return [prices, depth]


def _charts(frame: Frame, width: int, rows: int) -> list[Text]:
    """The mark over the whole run so far, its range at the right, forced flow below."""
    wide = width - 12
    columns = len(frame.flow)
    marks = squeeze(frame.marks, wide, columns, total=False)
    known = [v for v in frame.marks if not math.isnan(v)]
    labels = {0: quote(max(known, default=0.0)), rows - 1: quote(min(known, default=0.0))}
    lines = []
    for row, blocks in enumerate(chart(marks, rows)):
        line = Text(f"{blocks:<{wide}}", style="cyan")
        line.append(f" {labels.get(row, ''):>11}", style="dim")
        lines.append(line)
    flow = squeeze(frame.flow, wide, columns, total=True)
    most = max(flow)
    # A column with any forced flow shows at least the lowest block.
    forced = "".join(_BLOCKS[0 if v <= 0.0 else max(1, round(v / most * 8))] for v in flow)
    line = Text(f"{forced:<{wide}}", style="red")
    line.append(f" {'forced flow':>11}", style="dim")
    return [*lines, line]


def _other(m: Instant, width: int) -> Text:
    change = m.mark / m.first_mark - 1.0 if m.first_mark else 0.0
    line = Text(f"{m.instrument_id[:24]:<24}")
    line.append(f" mark {quote(m.mark):>11}")
    words = f"{change:+.1%}" if change < 9.995 else f"{change:+,.0%}"
    line.append(f" {words:>7}", style="red" if change < 0 else "green")
    line.append(f"  1 %: {short_usd(m.bid_depth_usd):>7} | {short_usd(m.ask_depth_usd)}")
    return line


def _accounts(frame: Frame, width: int) -> list[Text]:
    """Accounts by state: the counts, and all that are not healthy as a bar."""
    counts = Text("accounts   " if width >= 100 else "")
    for state in AccountState:
        style = _STATE_STYLES[state] if frame.states[state] else "dim"
        counts.append(f"{_STATES[state]} ", style="dim")
        counts.append(f"{frame.states[state]:,}  ", style=style)
    total = max(1, sum(frame.states))
    line = Text()
    left = wide = width
    for state in reversed(AccountState):
        # What is there shows, however few; the healthy take the rest.
        cells = math.ceil(frame.states[state] / total * wide) if frame.states[state] else 0
        cells = left if state == AccountState.HEALTHY else min(left, cells)
        line.append("█" * cells, style=_STATE_STYLES[state])
        left -= cells
    return [counts, line]


def _fund(frame: Frame, width: int) -> Text:
    share = frame.fund_usd / frame.fund_start_usd if frame.fund_start_usd else 0.0
    line = Text("fund cash  ")
    style = "green" if share >= 0.9 else "yellow" if share >= 0.4 else "bold red"
    line.append(bar(share, max(8, width - 70)), style=style)
    line.append(f" {short_usd(frame.fund_usd)}, {short_usd(frame.fund_start_usd)} at first")
    line.append(f"   {frame.bankruptcies:,} taken over, bad debt {short_usd(frame.deficit_usd)}")
    return line


def _forced_head(frame: Frame, width: int) -> Text:
    line = Text("forced, last first", style="bold")
    words = f"{frame.liquidated:,} accounts liquidated, {short_usd(frame.forced_usd)} USD"
    line.append(f"{words:>{width - 18}}", style="dim")
    return line


def _tail(name: str, room: int) -> str:
    """A name whose end tells more than its beginning, shortened."""
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _forced(frame: Frame, width: int, count: int) -> list[Text]:
    if not frame.forced:
        return [Text("none yet", style="dim")]
    lines = []
    wide = 15 if width < 100 else 23  # of an instrument: an option's strike is at its end
    room = width - 47 - wide
    for step in list(frame.forced)[: -count - 1 : -1]:
        verb = "buys" if step.side > 0 else "sells"
        line = Text(f"{_clock(step.time_ns, '%H:%M:%S')} ", style="dim")
        line.append(f"{_tail(step.account, room):<{room}} ")
        line.append(f"{_STAGES[step.stage]:<11} ", style="yellow")
        line.append(f"{verb:<5} {short_usd(step.notional_usd):>7} ")
        line.append(f"{_tail(step.instrument_id, wide):<{wide}}")
        line.append(f" {quote(step.price):>10}")
        lines.append(line)
    return lines
