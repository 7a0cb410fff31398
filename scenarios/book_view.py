"""The stress of a book as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scenarios.book_checks import MODES
from scenarios.book_command import BookResult
from scenarios.book_stress import LIQUIDATED, STATES, BookCell, Break
from scenarios.formats import percent, price, ratio, signed_percent, usd
from scenarios.margin_view import print_view, table

_STYLES = ("green", "yellow", "dark_orange", "bold red", "bold white on red")


def print_book(result: BookResult) -> None:
    """Print what the book is, what moves do to it, who breaks first, and the funds."""
    parts: list[RenderableType] = [_heading(result), _moves(result)]
    axes = result.axes
    if len(axes.vol_moves) > 1:
        rows = [(signed_percent(v), _row(result, v, axes.price_now)) for v in axes.vol_moves]
        parts.append(_plane("volatility down", rows))
    if len(axes.stablecoin_prices) > 1:
        rows = [(price(p), _row(result, 0.0, p)) for p in axes.stablecoin_prices]
        parts.append(_plane(f"{axes.stablecoin} down", rows))
    for title, found in (
        ("Broken already", result.already),
        ("First to break in a fall", result.down),
        ("First to break in a rise", result.up),
    ):
        if found:
            parts.append(_breaks(title, found))
    parts.append(_funds(result))
    print_view(Group(*parts))


def _heading(result: BookResult) -> Text:
    book = result.book
    by_mode = ", ".join(
        f"{int((book.modes == number).sum()):,} {name.replace('_', '-')}"
        for number, name in enumerate(MODES)
    )
    when = f", prices of {result.time}" if result.time else ""
    return Text(
        f"{book.path}: {len(book.accounts):,} accounts ({by_mode}), {book.balance_amount.size:,}"
        f" balances, {book.position_lots.size:,} positions in {len(book.instruments)} instruments;"
        f" {result.rules.name}{when}"
    )


def _row(result: BookResult, vol: float, at: float) -> list[BookCell]:
    return [c for c in result.cells if c.vol_move == vol and c.stablecoin_price == at]


def _moves(result: BookResult) -> Table:
    """Accounts by state and USD over the moves of all coins."""
    names = [name.replace("_", " ") for name in STATES]
    built = table("All coins", *names, "equity", "maintenance", "shortfall", "deficit", gap=1)
    for cell in _row(result, 0.0, result.axes.price_now):
        counts = [
            Text(f"{count:,}", style=style if count else "dim")
            for count, style in zip(cell.counts, _STYLES, strict=True)
        ]
        amounts = (cell.equity, cell.maintenance_margin, cell.shortfall, cell.deficit)
        built.add_row(signed_percent(cell.index_move), *counts, *[f"{a:,.0f}" for a in amounts])
    return built


def _plane(across: str, rows: list[tuple[str, list[BookCell]]]) -> Group:
    moves = [f"{cell.index_move * 100.0:+.3g}" for cell in rows[0][1]]
    title = f"Accounts liquidated or bankrupt: {across}, index move in % across"
    built = table("", *moves, gap=1)
    for name, cells in rows:
        counts = [sum(cell.counts[LIQUIDATED:]) for cell in cells]
        built.add_row(name, *[Text(f"{n:,}", style="bold red" if n else "dim") for n in counts])
    return Group(Text(title, style="bold"), built)


def _breaks(title: str, found: list[Break]) -> Table:
    columns = ("at", "ratio now", "equity now", "maintenance", "mode", "largest position")
    built = table(title, *columns, gap=1)
    for one in found:
        at = "now" if one.move == 0.0 else signed_percent(one.move)
        built.add_row(
            Text(one.account),
            at,
            ratio(one.margin_ratio),
            usd(one.equity),
            usd(one.maintenance_margin),
            one.mode.replace("_", "-"),
            one.largest_position,
        )
    return built


def fund_lines(result: BookResult) -> list[str]:
    """What empties the funds, and the deficits by pool at the deepest fall."""
    lines = []
    low, high = result.axes.index_moves[0], result.axes.index_moves[-1]
    for fund in result.funds:
        name = f"The fund {fund.pool}" if fund.pool else "An insurance fund for all pools"
        found = [
            f"by a {word} of {percent(abs(move))}"
            for word, move in (("fall", fund.down), ("rise", fund.up))
            if move is not None
        ]
        none = f"not emptied between {signed_percent(low)} and {signed_percent(high)}"
        lines.append(
            f"{name}, {usd(fund.usd)} USD: {'emptied ' + ' and '.join(found) if found else none}."
        )
    pools = [f"{name} {usd(paid)}" for name, paid in result.pools.items() if paid >= 0.005]
    if pools:
        lines.append(f"Deficits at {signed_percent(low)} by pool, USD: {', '.join(pools)}.")
    return lines


def _funds(result: BookResult) -> Text:
    lines = fund_lines(result)
    if not result.funds:
        lines.append("With --fund USD (or POOL=USD): the smallest move that empties it.")
    return Text("\n".join([*lines, result.assumption]))
