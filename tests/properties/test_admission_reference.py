"""The unrounded admission of `risk` decides on orders as the plain calculator does.

Random portfolio files, brought near the edge; the last order is the new one.

Source: portfolio-margin.md section 16.17.
"""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from risk.admission import (
    ENOUGH_EQUITY,
    INSUFFICIENT_MARGIN,
    REDUCES_RISK,
    WOULD_BORROW,
    admission,
)
from risk.rules import load_rules
from scenarios.portfolio_file import load
from tests.oracles.compare import close
from tests.oracles.plain_admission import admit
from tests.oracles.plain_margin import margin_report
from tests.oracles.portfolios import random_portfolio

RULE_OF = {
    "equity": ENOUGH_EQUITY,
    "delta": REDUCES_RISK,
    "51008": INSUFFICIENT_MARGIN,
    "51008 borrow": WOULD_BORROW,
}


def _near_the_edge(rng: Random, portfolio: dict) -> None:
    """Give or take USDT so that equity with all orders is about the initial margin."""
    report = margin_report(portfolio)
    gap = report["totalImr"] - report["eq"]
    usdt = gap * rng.uniform(0.9, 1.3) / portfolio["market"]["usd_index"]["USDT"]
    balances = portfolio["balances"]
    balances["USDT"] = float(f"{balances.get('USDT', 0.0) + usdt:.9g}")


def _compare(seed: int, directory: Path) -> str | None:
    """Ask both about one order; return the rule that decided, None without an order."""
    rng = Random(f"admission {seed}")
    portfolio = random_portfolio(rng)
    if not portfolio["orders"]:
        return None
    if rng.random() < 0.7:
        _near_the_edge(rng, portfolio)
    path = directory / "portfolio.json"
    path.write_text(json.dumps(portfolio))
    loaded = load(path)
    immediate = rng.random() < 0.5
    *rest, order = loaded.portfolio.orders
    answer = admission(
        replace(loaded.portfolio, orders=tuple(rest)),
        order,
        load_rules(loaded.rules),
        immediate=immediate,
    )
    new = {**portfolio["orders"].pop(), "type": "ioc" if immediate else "limit"}
    expected = admit(portfolio, new)
    assert answer.rule == RULE_OF[expected["reason"]], f"seed {seed}: {expected['reason']}"
    assert answer.accepted == expected["accepted"]
    assert close(expected["smallestEq"], answer.report_after.smallest_equity)
    assert close(expected["totalImr"], answer.report_after.total_imr)
    if answer.report_filled is not None:
        headroom = answer.report_filled.eq - answer.report_filled.total_imr
        assert close(expected["headroomAfter"], headroom), f"seed {seed}"
    return answer.rule


def _compare_all(seeds: range, directory: Path) -> None:
    rules = {_compare(seed, directory) for seed in seeds}
    assert rules == {None, *RULE_OF.values()}


def test_new_orders_are_decided_alike(tmp_path):
    _compare_all(range(200), tmp_path)


@pytest.mark.slow
def test_thousands_of_new_orders_are_decided_alike(tmp_path):
    _compare_all(range(200, 4000), tmp_path)
