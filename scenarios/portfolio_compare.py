"""`selloff margin FILE --compare X`: two modes or rule sets side by side, explained by component.

A unit's maintenance margin is a maximum, so its components do not add up to it; what binds does.
The comparison splits every unit into the parts that bind (`binding_parts`), which sum to its
margin exactly, and so do their differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group
from rich.text import Text

from risk.margin import MarginReport, Portfolio, RiskUnitReport
from risk.portfolio import ACCOUNT_MODES
from risk.rules import RuleSet
from scenarios.formats import percent, ratio, signed_percent, signed_usd, usd
from scenarios.margin_input import check_rules, finite, print_json, report_of, rules_named
from scenarios.margin_view import print_view, table
from scenarios.margin_words import COMPONENT_NAMES, position_words

ADDED_COMPONENTS = ("mr3", "mr4", "mr5", "mr9")


@dataclass(frozen=True, slots=True)
class Part:
    """One row of the explanation: USD of maintenance margin on either side."""

    coin: str
    component: str
    left: float
    right: float

    @property
    def difference(self) -> float:
        """Right minus left."""
        return self.right - self.left


def compare_command(portfolio: Portfolio, rules: RuleSet, other: str, *, as_json: bool) -> None:
    """Print the portfolio's margin beside that of another mode or rule set."""
    right_portfolio, right_rules = other_side(portfolio, rules, other)
    left, right = report_of(portfolio, rules), report_of(right_portfolio, right_rules)
    if as_json:
        print_json(comparison_dict(left, right))
    else:
        print_view(comparison_view(left, right))


def other_side(portfolio: Portfolio, rules: RuleSet, other: str) -> tuple[Portfolio, RuleSet]:
    """Account and rule set to compare with: `other` is a mode, a rule set's name or its path.

    Raises:
        UserError: there is no such mode or rule set.
    """
    if other in ACCOUNT_MODES:
        return replace(portfolio, mode=other), rules
    found = rules_named(other)
    if portfolio.offset_mode not in found.risk_unit.offset_modes:
        # An offset mode is a choice among those of one rule set; the other takes its default.
        portfolio = replace(portfolio, offset_mode=None)
    check_rules(portfolio, found)
    return portfolio, found


def binding_parts(unit: RiskUnitReport) -> dict[str, float]:
    """The components that make up the unit's maintenance margin; they sum to it."""
    if not unit.binding:
        return {}
    if unit.binding == "mr7":
        return {"mr7": unit.mr7}
    return {unit.binding: getattr(unit, unit.binding)} | {
        name: getattr(unit, name) for name in ADDED_COMPONENTS
    }


def parts_of(left: MarginReport, right: MarginReport) -> list[Part]:
    """The explanation, row by row; the rows of a side sum to its `total_mmr`."""
    sides = [_amounts(left), _amounts(right)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    rows = [Part(*key, sides[0].get(key, 0.0), sides[1].get(key, 0.0)) for key in keys]
    return [row for row in rows if row.left or row.right]


def _amounts(report: MarginReport) -> dict[tuple[str, str], float]:
    amounts: dict[tuple[str, str], float] = {}
    for unit in report.risk_units:
        for name, amount in binding_parts(unit).items():
            key = (unit.base, f"{name.upper()} {COMPONENT_NAMES[name]}")
            amounts[key] = amounts.get(key, 0.0) + amount
    for line in report.positions:
        key = (line.inst_id.split("-")[0], position_words(line))
        amounts[key] = amounts.get(key, 0.0) + line.mmr
    amounts["", "borrowing (MR8)"] = report.borrow_mmr
    return amounts


_FIGURES: tuple[tuple[str, str, Callable[[MarginReport], float]], ...] = (
    ("adjusted equity", "eq", lambda report: report.eq),
    ("maintenance margin", "totalMmr", lambda report: report.total_mmr),
    ("  of positions", "derivMmr", lambda report: report.deriv_mmr),
    ("  of borrowing", "borrowMmr", lambda report: report.borrow_mmr),
    ("initial margin", "totalImr", lambda report: report.total_imr),
)


def comparison_dict(left: MarginReport, right: MarginReport) -> dict[str, Any]:
    """The comparison as JSON: both reports, and right minus left by figure and component."""
    difference: dict[str, Any] = {name: of(right) - of(left) for _, name, of in _FIGURES}
    difference["components"] = [
        {
            "coin": part.coin,
            "component": part.component,
            "left": part.left,
            "right": part.right,
            "difference": part.difference,
        }
        for part in parts_of(left, right)
    ]
    return {
        "left": {"rules": left.rules, "mode": left.mode, **left.to_okx_dict()},
        "right": {"rules": right.rules, "mode": right.mode, **right.to_okx_dict()},
        "difference": difference,
        "savedImr": finite(saved_share(left, right)),
    }


def saved_share(left: MarginReport, right: MarginReport) -> float:
    """Share of the right side's initial margin that the left side does not need."""
    if right.total_imr == 0.0:
        return 0.0 if left.total_imr == 0.0 else float("-inf")
    return 1.0 - left.total_imr / right.total_imr


def comparison_view(left: MarginReport, right: MarginReport) -> Group:
    """The comparison as tables, 100 columns wide."""
    names = [_side_name(left, right), _side_name(right, left)]
    figures = table("Compared, USD", *names, "difference", "in %")
    for label, _, of in _FIGURES:
        figures.add_row(label, *_cells(of(left), of(right)))
    figures.add_row("margin ratio", ratio(left.margin_ratio), ratio(right.margin_ratio), "", "")
    parts = table("Maintenance margin is made of", "coin", *names, "difference")
    for part in parts_of(left, right):
        parts.add_row(
            part.component,
            part.coin,
            usd(part.left),
            usd(part.right),
            signed_usd(part.difference),
        )
    parts.add_section()
    difference = right.total_mmr - left.total_mmr
    parts.add_row("in all", "", usd(left.total_mmr), usd(right.total_mmr), signed_usd(difference))
    return Group(Text(_verdict(left, right, names), style="bold"), figures, parts)


def _side_name(report: MarginReport, other: MarginReport) -> str:
    return report.rules if report.mode == other.mode else report.mode.replace("_", "-")


def _cells(left: float, right: float) -> list[str]:
    change = signed_percent(right / left - 1.0, 1) if left else ""
    return [usd(left), usd(right), signed_usd(right - left), change]


def _verdict(left: MarginReport, right: MarginReport, names: list[str]) -> str:
    saved = saved_share(left, right)
    if saved == 0.0:
        return f"{names[0]} and {names[1]} need the same initial margin"
    if right.total_imr == 0.0:
        return f"{names[0]} needs {usd(left.total_imr)} of initial margin, {names[1]} none"
    word = "less" if saved > 0.0 else "more"
    return (
        f"{names[0]} needs {percent(abs(saved), 1)} {word} initial margin than {names[1]}:"
        f" {usd(left.total_imr)} against {usd(right.total_imr)}"
    )
