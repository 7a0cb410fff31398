"""`selloff margin`: one portfolio file, its margin, and what would change it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from risk.margin import Portfolio, PositionLine, RiskUnitReport
from risk.rules import RuleSet
from scenarios.errors import UserError
from scenarios.margin_input import open_portfolio, print_json, report_of


def margin_command(
    file: Path,
    *,
    as_json: bool,
    rules: str | None,
    mode: str | None,
    compare: str | None,
    order: str | None,
    transfer_out: str | None,
) -> None:
    """Print the margin of the portfolio in `file`, or one of the questions about it.

    Raises:
        UserError: whatever is wrong with the file or the options.
    """
    asked = [compare is not None, order is not None, transfer_out is not None]
    if sum(asked) > 1:
        raise UserError("--compare, --order and --transfer-out: one of them at a time")
    loaded, rule_set = open_portfolio(file, rules, mode)
    if compare is not None:
        from scenarios.portfolio_compare import compare_command

        compare_command(loaded.portfolio, rule_set, compare, as_json=as_json)
    elif order is not None or transfer_out is not None:
        from scenarios.what_if import order_command, transfer_command

        if order is not None:
            order_command(loaded.portfolio, rule_set, order, as_json=as_json)
        elif transfer_out is not None:
            transfer_command(loaded.portfolio, rule_set, transfer_out, as_json=as_json)
    elif as_json:
        print_json(report_of(loaded.portfolio, rule_set).to_okx_dict())
    else:
        _print_report(loaded.portfolio, rule_set)


def _print_report(portfolio: Portfolio, rules: RuleSet) -> None:
    from scenarios.distance import distance_table, distances
    from scenarios.margin_view import print_view, report_view

    report = report_of(portfolio, rules)
    losers = {unit.risk_unit: losers_of(portfolio, rules, unit) for unit in report.risk_units}
    is_empty = not (portfolio.positions or portfolio.balances or portfolio.orders)
    table = None if is_empty else distance_table(distances(portfolio, rules), rules)
    print_view(report_view(report, rules, losers, table))


def losers_of(
    portfolio: Portfolio, rules: RuleSet, unit: RiskUnitReport
) -> list[tuple[PositionLine, float]]:
    """The unit's positions that lose in its worst cell, and their P&L there, largest loss first.

    Each position is margined alone: its cell is its share of the unit's cell.
    """
    is_extreme = unit.mr6 > unit.mr1
    cell = unit.mr6_final if is_extreme else unit.mr1_final
    if cell.pnl >= 0.0 or len(unit.portfolios) < 2:
        return []
    lines = {line.inst_id: line for line in unit.portfolios}
    losses = []
    for position in portfolio.positions:
        line = lines.get(position.contract.instrument_id)
        if line is None:
            continue
        alone = replace(portfolio, positions=(position,), orders=(), isolated=(), balances={})
        (own,) = report_of(alone, rules).risk_units
        cells = own.mr6_scenarios if is_extreme else own.mr1_scenarios[_STATES[cell.vol_shock]]
        losses.append((line, cells[cell.spot_shock]))
    return sorted((pair for pair in losses if pair[1] < 0.0), key=lambda pair: pair[1])


_STATES = {"up": "volShockUp", "unchange": "volSame", "down": "volShockDown"}
