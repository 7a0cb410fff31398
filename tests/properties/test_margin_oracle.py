"""Two implementations of the margin rules agree on random portfolios.

`risk` (columns, kernels) against tests/oracles/plain_margin.py (sentences of the specification).

Source: portfolio-margin.md section 16; liquidation-and-losses.md section 5.
"""

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from risk.margin import MarginReport, margin_report
from risk.rules import load_rules
from scenarios.portfolio_file import load
from tests.oracles import plain_margin
from tests.oracles.compare import close, differences, isolated_differences
from tests.oracles.plain_account import Account
from tests.oracles.portfolios import RULES, portfolios, random_portfolio

MODES = ("portfolio", "multi_currency")
SEEDS_EACH = 50  # 300 portfolios over the rule sets and modes
SLOW_SEEDS_EACH = 900  # 5,400


def report_of(portfolio: dict, directory: Path) -> MarginReport:
    """Return the report of `risk`, by way of a file as a person would write it."""
    path = directory / "portfolio.json"
    path.write_text(json.dumps(portfolio))
    loaded = load(path)
    return margin_report(loaded.portfolio, load_rules(loaded.rules))


def disagreements(portfolio: dict, directory: Path) -> list[str]:
    """Return all that the two implementations say differently of one portfolio."""
    report = report_of(portfolio, directory)
    actual = report.to_okx_dict()
    found = differences(plain_margin.margin_report(portfolio), actual)
    found += isolated_differences(
        plain_margin.isolated_margin(portfolio), actual.get("isolated", [])  # type: ignore[arg-type]
    )
    account = Account(portfolio)
    for name, orders in account.fill_sets(account.orders).items():
        expected = account.adjusted_equity(orders)
        if not close(expected, report.fill_set_equity[name]):
            found.append(f"fill_set_equity.{name}: {expected}, {report.fill_set_equity[name]}")
    pairs = {
        "total_equity": account.total_equity(),
        "pending_order_loss": account.pending_loss(account.orders),
        "estimated_fees": sum(account.fee(order) for order in account.orders),
        "liquidation_fee": account.liquidation_fee(),
    }
    for name, expected in pairs.items():
        if not close(expected, getattr(report, name)):
            found.append(f"{name}: {expected}, {getattr(report, name)}")
    return found


def _check(rules: str, mode: str, seeds: range, directory: Path) -> None:
    for seed in seeds:
        portfolio = random_portfolio(random.Random(f"{rules} {mode} {seed}"), rules, mode)
        found = disagreements(portfolio, directory)
        assert not found, f"seed {seed}: {found[:5]}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rules", RULES)
def test_reports_agree_in_every_field(rules, mode, tmp_path):
    _check(rules, mode, range(SEEDS_EACH), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rules", RULES)
def test_reports_agree_in_every_field_on_thousands(rules, mode, tmp_path):
    _check(rules, mode, range(SEEDS_EACH, SEEDS_EACH + SLOW_SEEDS_EACH), tmp_path)


@given(portfolio=portfolios())
@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
                                 HealthCheck.function_scoped_fixture])
def test_reports_agree_on_what_hypothesis_finds(tmp_path, portfolio):
    assert disagreements(portfolio, tmp_path) == []
