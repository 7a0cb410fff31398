"""From a portfolio file and options to a margin report, for every command that shows one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from risk.contracts import MarketDataError
from risk.margin import MarginReport, Portfolio, margin_report
from risk.portfolio import ACCOUNT_MODES
from risk.rules import RULE_SETS, RulesError, RuleSet, load_rules
from scenarios.errors import UserError, show
from scenarios.market_moves import contracts_of
from scenarios.portfolio_file import LoadedPortfolio, load
from scenarios.validation_errors import with_rest


def open_portfolio(
    file: Path, rules: str | None, mode: str | None
) -> tuple[LoadedPortfolio, RuleSet]:
    """The portfolio of `file` in the wanted mode, and the rule set that applies to it.

    Raises:
        UserError: the file, the rule set, the mode, or what one says of the other is wrong.
    """
    loaded = load(file)
    if mode is not None:
        loaded = replace(loaded, portfolio=replace(loaded.portfolio, mode=account_mode(mode)))
    rule_set = rules_named(loaded.rules if rules is None else rules)
    check_rules(loaded.portfolio, rule_set)
    return loaded, rule_set


def account_mode(mode: str) -> str:
    """`mode`, if there is one of that name."""
    if mode not in ACCOUNT_MODES:
        raise UserError(f"mode: {show(mode)} is not {' or '.join(map(repr, ACCOUNT_MODES))}")
    return mode


def rules_named(name: str) -> RuleSet:
    """The rule set of that name or path."""
    try:
        return load_rules(name)
    except RulesError as error:
        lines = str(error).splitlines()
        raise UserError(with_rest(lines[0], len(lines) - 1)) from None
    except ValueError as error:  # a zero byte in the path
        raise UserError(f"rules: {show(name)} is not one of {', '.join(RULE_SETS)}: {error}") from (
            None
        )


def check_rules(portfolio: Portfolio, rules: RuleSet) -> None:
    """Whether the rule set knows the account's offset mode and every currency it needs."""
    try:
        rules.offset_mode(portfolio.offset_mode)
        for currency in sorted(currencies_of(portfolio)):
            rules.currency(currency)
    except RulesError as error:
        raise UserError(str(error)) from None


def currencies_of(portfolio: Portfolio) -> set[str]:
    """Currencies whose collateral or borrowing the margin of the account needs."""
    used = set(portfolio.balances)
    for contract in contracts_of(portfolio).values():
        used |= {contract.base, contract.settle}
    return used


def report_of(portfolio: Portfolio, rules: RuleSet) -> MarginReport:
    """The margin report; a price that is missing after all ends in a line, not in a traceback."""
    try:
        return margin_report(portfolio, rules)
    except (MarketDataError, RulesError) as error:
        raise UserError(str(error)) from None


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout; what is not finite has become null before."""
    print(json.dumps(value, indent=1, allow_nan=False))


def finite(value: float) -> float | None:
    """`value`, or None where it is infinite (a ratio without a requirement)."""
    return value if math.isfinite(value) else None
