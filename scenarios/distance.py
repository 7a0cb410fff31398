"""How far the index is from a warning, from order control and from liquidation.

The whole margin is computed again at every tried move: brackets first, then bisection. Found is the
nearest move on each side at which the event would happen with everything else unchanged (contracts
keep their basis, volatilities and stablecoins stay; see `scenarios.market_moves`).

Source: portfolio-margin.md section 10; liquidation-and-losses.md section 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Group

from risk.margin import MarginReport, Portfolio, margin_report
from risk.rules import RuleSet
from scenarios.formats import percent, signed_percent
from scenarios.margin_view import table
from scenarios.market_moves import MarketMove, coins_of, moved

EVENTS = ("warning", "order_control", "liquidation")
_HEADINGS = ("warning", "order control", "liquidation")
# Sizes of the moves tried first, per cent; an event that comes and goes between two neighbours is
# not seen.
_DOWN = (1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 95, 99)
_UP = (*_DOWN[:-2], 100, 125, 150, 200, 300, 500)
_PRECISION = 1e-6
Happens = Callable[[float], tuple[bool, ...]]


@dataclass(frozen=True, slots=True)
class Distance:
    """For one mover (a coin, or all coins): event -> move down and up, None if never.

    A move of 0.0 means that the event has happened already.
    """

    mover: str
    down: dict[str, float | None]
    up: dict[str, float | None]


def events_now(report: MarginReport, rules: RuleSet) -> tuple[bool, ...]:
    """Whether each of `EVENTS` has happened in the state that the report describes."""
    limits = rules.liquidation
    return (
        report.margin_ratio <= limits.warning_ratio,
        report.eq < limits.order_control * report.total_imr,
        report.margin_ratio <= limits.start_ratio,
    )


def distances(portfolio: Portfolio, rules: RuleSet) -> list[Distance]:
    """The distances of every coin alone, and of all coins together where there are several.

    About 100 margin reports for each mover.
    """
    coins = coins_of(portfolio)
    movers = {coin: [coin] for coin in coins}
    if len(coins) > 1:
        movers["all coins"] = coins
    found = []
    for mover, moving in movers.items():

        def happens(size: float, moving: list[str] = moving) -> tuple[bool, ...]:
            move = MarketMove(index=dict.fromkeys(moving, size))
            return events_now(margin_report(moved(portfolio, move), rules), rules)

        down = _nearest(happens, [-percent / 100.0 for percent in _DOWN])
        up = _nearest(happens, [percent / 100.0 for percent in _UP])
        found.append(Distance(mover, down, up))
    return found


def _nearest(happens: Happens, moves: list[float]) -> dict[str, float | None]:
    """The nearest move on one side for every event."""
    found: dict[str, float | None] = dict.fromkeys(EVENTS)
    before = 0.0
    state = happens(0.0)
    for number, event in enumerate(EVENTS):
        if state[number]:
            found[event] = 0.0
    for move in moves:
        if all(value is not None for value in found.values()):
            break
        state = happens(move)
        for number, event in enumerate(EVENTS):
            if state[number] and found[event] is None:
                found[event] = _bisect(happens, number, before, move)
        before = move
    return found


def _bisect(happens: Happens, event: int, without: float, with_event: float) -> float:
    """The move between the two at which the event begins, to 1e-6."""
    while abs(with_event - without) > _PRECISION:
        middle = 0.5 * (without + with_event)
        if happens(middle)[event]:
            with_event = middle
        else:
            without = middle
    return with_event


def distance_table(found: list[Distance], rules: RuleSet) -> Group:
    """The distances as a table."""
    limits = rules.liquidation
    title = (
        f"Index moves until a warning (margin ratio {percent(limits.warning_ratio)}), order control"
        f" (equity {percent(limits.order_control)} of initial)\nand liquidation (margin ratio"
        f" {percent(limits.start_ratio)}), everything else unchanged; looked for from -99 to +500 %"
    )
    columns = [f"{name}\n{side}" for name in _HEADINGS for side in ("down", "up")]
    built = table("moves", *columns)
    for distance in found:
        cells = [_cell(side[event]) for event in EVENTS for side in (distance.down, distance.up)]
        built.add_row(distance.mover, *cells)
    return Group(title, built)


def _cell(move: float | None) -> str:
    if move is None:
        return "never"
    return "now" if move == 0.0 else signed_percent(move)
