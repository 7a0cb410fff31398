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
        plain_margin.isolated_margin(portfolio),
        actual.get("isolated", []),  # type: ignore[arg-type]
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
@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
def test_reports_agree_on_what_hypothesis_finds(tmp_path, portfolio):
    assert disagreements(portfolio, tmp_path) == []


PEG_PRICES = (1.02, 1.0, 0.9901, 0.99, 0.985, 0.975, 0.965, 0.955, 0.92, 0.87, 0.82, 0.8, 0.7)
HEDGES_USD = (5e5, 1e6, 3e6, 8e6, 1.5e7, 4e7, 1e8, 3e8)


@pytest.mark.parametrize("quotes", [("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD")])
def test_peg_hedges_agree_in_every_tier_and_column(quotes, tmp_path):
    for price in PEG_PRICES:
        for usd in HEDGES_USD:
            found = disagreements(_peg_hedge(quotes, price, usd), tmp_path)
            assert not found, f"peg {price}, hedge {usd}: {found[:5]}"


def _peg_hedge(quotes: tuple[str, str], price: float, usd: float) -> dict:
    """Return long contracts of one quote against short ones of the other, `usd` of each."""
    index = {"BTC": 100e3, "USDT": 1.0, "USDC": 1.0}
    index[quotes[0]] = price
    marks = {"BTC-USD-SWAP": 100e3, **{f"BTC-{q}-SWAP": 100e3 / index[q] for q in ("USDT", "USDC")}}
    contract_usd = {"USDT": 1000.0, "USDC": 10.0, "USD": 100.0}
    positions = [
        {
            "instrument": f"BTC-{quote}-SWAP",
            "entry_price": 100e3,
            "size": sign * round(usd / contract_usd[quote]),
        }
        for quote, sign in zip(quotes, (1, -1), strict=True)
    ]
    return {
        "rules": "okx-2025",
        "time": "2025-06-02T00:00:00Z",
        "market": {"usd_index": index, "mark": marks},
        "balances": {"USDT": usd},
        "positions": positions,
    }


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("coin", ["BTC", "SOL", "LINK"])
def test_one_position_agrees_in_every_tier_of_its_charges(rules, coin, tmp_path):
    for exponent in range(2, 21):  # 100 USD to 10^10 USD
        for mode in MODES:
            size = round(10.0 ** (exponent / 2.0) / 10.0)
            portfolio = {
                "rules": rules,
                "mode": mode,
                "time": "2025-06-02T00:00:00Z",
                "market": {
                    "usd_index": {coin: 100.0, "USDT": 1.0, "USDC": 0.97},
                    "mark": {f"{coin}-USD-SWAP": 100.5},
                },
                "balances": {coin: size / 20.0, "USDC": size, "USDT": -float(size)},
                "positions": [
                    {"instrument": f"{coin}-USD-SWAP", "size": -max(1, size), "entry_price": 99.0}
                ],
            }
            found = disagreements(portfolio, tmp_path)
            assert not found, f"10^{exponent / 2} USD, {mode}: {found[:5]}"


def test_the_comparison_sees_a_figure_that_is_off(tmp_path):
    portfolio = _peg_hedge(("USDT", "USD"), 0.985, 3e6)
    expected = plain_margin.margin_report(portfolio)
    actual = report_of(portfolio, tmp_path).to_okx_dict()
    expected["riskUnitData"][0]["mr9"] *= 1.0 + 1e-7
    expected["totalImr"] += 0.01
    names = {line.split(":")[0] for line in differences(expected, actual)}
    assert names == {"totalImr", "riskUnitData.BTC.mr9"}
