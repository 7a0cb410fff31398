"""Admission of orders against the plain oracle and by hand.  Source: 16.17, 9.8."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from risk import admission as adm
from risk.margin import OrderInput, Portfolio, PositionInput, margin_report
from risk.rules import load_rules
from tests.oracles.plain_admission import admit
from tests.oracles.portfolios import random_portfolio
from tests.risk.samples import contract, market, order_of, portfolio_of

RULES = load_rules("okx-2025")
PRICES = market({"BTC": 60_000.0})
SWAP, SPOT = contract("BTC-USDT-SWAP"), contract("BTC-USDT")
ORACLE_REASONS = {
    "equity": adm.ENOUGH_EQUITY,
    "delta": adm.REDUCES_RISK,
    "51008": adm.INSUFFICIENT_MARGIN,
    "51008 borrow": adm.WOULD_BORROW,
}


@pytest.mark.parametrize("rules", ["okx-2025", "okx-2024"])
def test_the_oracle_decides_the_same(rules: str) -> None:
    """Random accounts with room for some orders; margins too close to call are left out."""
    seen: dict[str, int] = {}
    for seed in range(150):
        rng = Random(f"admission {rules} {seed}")
        document = random_portfolio(rng, rules, "portfolio")
        if not document.get("orders"):
            continue
        *rest, last = document["orders"]
        document["orders"] = rest
        document["auto_borrow"] = rng.random() < 0.7
        document["balances"]["USDT"] = 10.0 ** rng.uniform(3.0, 10.0)
        last["size"] *= rng.choice((1e-3, 1e-1, 1.0))
        kind = rng.choice(("limit", "ioc"))
        expected = admit(document, {**last, "type": kind})
        account, order = portfolio_of(document), order_of(last)
        result = adm.admission(account, order, load_rules(rules), immediate=kind == "ioc")
        assert result.report_after.smallest_equity == pytest.approx(expected["smallestEq"])
        assert result.report_after.total_imr == pytest.approx(expected["totalImr"])
        gap = abs(expected["smallestEq"] - expected["totalImr"])
        if gap < 1e-6 * (1.0 + abs(expected["totalImr"])):
            continue
        assert result.rule == ORACLE_REASONS[expected["reason"]], seed
        assert result.accepted == expected["accepted"]
        seen[result.rule] = seen.get(result.rule, 0) + 1
    assert len(seen) == 4, seen


def _account(usdt: float, contracts: float = 0.0, auto_borrow: bool = True) -> Portfolio:
    held = (PositionInput(SWAP, contracts, 60_000.0),) if contracts else ()
    return Portfolio(PRICES, {"USDT": usdt}, held, auto_borrow=auto_borrow)


def test_an_order_admitted_by_equity_leaves_the_initial_margin_covered() -> None:
    order = OrderInput(SWAP, 100.0, 60_000.0)
    result = adm.admission(_account(9_600.0), order, RULES)
    assert result.accepted and result.rule == adm.ENOUGH_EQUITY
    assert result.occupied == result.report_after.total_imr > 0.0
    filled = margin_report(adm.filled_with_fee(_account(9_600.0), order, RULES), RULES)
    assert filled.eq >= filled.total_imr
    refused = adm.admission(_account(9_400.0), order, RULES)
    assert not refused.accepted and refused.rule == adm.INSUFFICIENT_MARGIN
    assert "9,400" in refused.reason or "9,370" in refused.reason


def test_below_the_margin_only_immediate_orders_that_lower_risk_pass() -> None:
    account = _account(5_000.0, contracts=100.0)
    sell = OrderInput(SWAP, -10.0, 60_000.0)
    assert not adm.admission(account, sell, RULES).accepted
    result = adm.admission(account, sell, RULES, immediate=True)
    assert result.accepted and result.rule == adm.REDUCES_RISK
    assert result.report_filled is not None
    buy = adm.admission(account, replace(sell, size=10.0), RULES, immediate=True)
    assert not buy.accepted
    # a reduction at a price so bad that equity falls more than margin
    assert not adm.admission(account, replace(sell, price=40_000.0), RULES, immediate=True).accepted


def test_without_auto_borrow_nothing_may_be_borrowed() -> None:
    rich = replace(_account(1_000.0, auto_borrow=False), balances={"USDT": 1_000.0, "BTC": 5.0})
    buy = OrderInput(SPOT, 0.1, 60_000.0)
    result = adm.admission(rich, buy, RULES)
    assert (result.rule, result.currency) == (adm.WOULD_BORROW, "USDT")
    assert adm.admission(replace(rich, auto_borrow=True), buy, RULES).accepted
    assert adm.admission(rich, OrderInput(SPOT, -5.0, 60_000.0), RULES).accepted
    assert adm.admission(rich, OrderInput(SPOT, -5.01, 60_000.0), RULES).currency == "BTC"


def test_largest_accepted_size() -> None:
    account, order = _account(10_000.0), OrderInput(SWAP, 1_000.0, 60_000.0)
    size = adm.largest_accepted_size(account, order, RULES, 0.01)
    assert adm.admission(account, replace(order, size=size), RULES).accepted
    assert not adm.admission(account, replace(order, size=size + 0.01), RULES).accepted
    short = adm.largest_accepted_size(account, replace(order, size=-1_000.0), RULES, 0.01)
    assert short == pytest.approx(-size, abs=0.02)
    assert adm.largest_accepted_size(_account(0.0), order, RULES, 0.01) == 0.0
    assert adm.largest_accepted_size(account, replace(order, size=1.0), RULES, 0.01) == 1.0


def test_max_transfer_out() -> None:
    account = _account(20_000.0, contracts=100.0)
    most = adm.max_transfer_out(account, "USDT", RULES)
    left = margin_report(replace(account, balances={"USDT": 20_000.0 - most}), RULES)
    assert left.eq == pytest.approx(left.total_imr)
    assert adm.max_transfer_out(_account(20_000.0), "USDT", RULES) == 20_000.0
    assert adm.max_transfer_out(_account(1_000.0, contracts=100.0), "USDT", RULES) == 0.0
    assert adm.max_transfer_out(account, "BTC", RULES) == 0.0


def test_long_options_count_less_when_assets_leave() -> None:
    call = contract("BTC-USD-250328-60000-C")
    snapshot = replace(PRICES, time_ns=1_739_000_000 * 10**9, implied_vol={call.instrument_id: 0.6})
    account = Portfolio(snapshot, {"USDT": 1_000.0}, (PositionInput(call, 1_000.0, 0.05),))
    with_options = adm.max_transfer_out(account, "USDT", RULES)
    report = margin_report(account, RULES)
    spare = report.smallest_equity - report.total_imr
    value = report.asset("BTC").option_value * 60_000.0
    terms = RULES.account.transfer
    free = min(1_000.0, max(0.0, spare - value * (1.0 - terms.liquidity_factor)))
    assert with_options == pytest.approx(free, abs=1e-3)
