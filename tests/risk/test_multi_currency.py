"""Multi-currency mode and isolated positions by hand.  Source: 11.8, 16.18."""

from __future__ import annotations

from dataclasses import replace

import pytest

from risk.contracts import MarketSnapshot
from risk.margin import IsolatedInput, OrderInput, Portfolio, PositionInput, margin_report
from risk.multi_currency import position_tier, short_option_margin
from risk.rules import RulesError, load_rules
from tests.risk.samples import contract, market

RULES = load_rules("okx-2025")
PRICES = market({"BTC": 60_000.0, "LTC": 100.0})
SWAP = contract("BTC-USDT-SWAP")


def _report(contracts: float, **more: object) -> tuple[float, float]:
    account = Portfolio(
        PRICES, {"USDT": 1e6}, (PositionInput(SWAP, contracts, 60_000.0),), mode="multi_currency"
    )
    report = margin_report(replace(account, **more), RULES)  # type: ignore[arg-type]
    assert report.risk_units == ()
    return report.total_mmr, report.total_imr


def test_tiers() -> None:
    assert _report(100.0) == pytest.approx((60_000.0 * 0.004, 60_000.0 * 0.1))
    second = 10_000.0 * 600.0
    assert _report(10_000.0) == pytest.approx((second * 0.007, second * 0.1))
    # 50 times leverage is more than 2.5 times the maintenance margin of the tier allows
    assert _report(100.0, leverage={"BTC-USDT-SWAP": 50.0})[1] == pytest.approx(60_000.0 * 0.02)
    assert _report(10_000.0, leverage={"BTC-USDT-SWAP": 100.0})[1] == pytest.approx(
        second * 2.5 * 0.007
    )
    assert [position_tier(RULES, 1, x) for x in (0.0, 1e6, 1e6 + 1.0, 3.5e6)] == [1, 1, 2, 4]
    with pytest.raises(RulesError, match=r'leverage\."BTC-USDT-SWAP" must be at least 1'):
        _report(1.0, leverage={"BTC-USDT-SWAP": 0.5})


def test_orders_count_by_their_worst_fill_set() -> None:
    buy, sell = OrderInput(SWAP, 50.0, 60_000.0), OrderInput(SWAP, -250.0, 60_000.0)
    mmr, imr = _report(100.0, orders=(buy, sell))
    assert mmr == pytest.approx(240.0)
    assert imr == pytest.approx(150.0 * 600.0 * 0.1)
    assert _report(100.0, orders=(sell,))[1] == pytest.approx(150.0 * 600.0 * 0.1)
    assert _report(100.0, orders=(replace(sell, size=-100.0),))[1] == pytest.approx(6_000.0)


def test_short_options() -> None:
    call, put = contract("BTC-USD-250328-66000-C"), contract("BTC-USD-250328-60000-P")
    assert short_option_margin(RULES, call, 0.02, 60_000.0) == pytest.approx((0.12, 0.05))
    assert short_option_margin(RULES, put, 0.04, 60_000.0) == pytest.approx((0.19, 0.07))
    at_the_money = replace(call, strike=60_000.0)
    assert short_option_margin(RULES, at_the_money, 0.02, 60_000.0)[0] == pytest.approx(0.17)
    snapshot = MarketSnapshot(
        1_739_000_000 * 10**9,
        {"BTC": 60_000.0, "USDT": 1.0},
        mark={call.instrument_id: 0.02},
        implied_vol={call.instrument_id: 0.6},
    )
    account = Portfolio(
        snapshot, {"USDT": 1e5}, (PositionInput(call, -100.0, 0.03),), mode="multi_currency"
    )
    report = margin_report(account, RULES)
    assert report.deriv_imr == pytest.approx(0.12 * 60_000.0)
    assert report.deriv_mmr == pytest.approx(0.05 * 60_000.0)
    assert report.asset("BTC").option_value == pytest.approx(-0.02)
    long = replace(account, positions=(PositionInput(call, 100.0, 0.03),))
    assert margin_report(long, RULES).deriv_imr == 0.0


def test_isolated_positions_stay_outside_the_account() -> None:
    apart = IsolatedInput(SWAP, 100.0, 61_000.0, 5_000.0)
    account = Portfolio(PRICES, {"USDT": 1_000.0}, isolated=(apart,))
    report = margin_report(account, RULES)
    assert (report.eq, report.total_mmr) == (1_000.0, 0.0)
    (row,) = report.isolated
    assert row.upl == pytest.approx(-1_000.0)
    assert row.margin_ratio == pytest.approx(4_000.0 / (240.0 + 30.0))
    assert row.imr == pytest.approx(6_000.0)
    okx = report.to_okx_dict()["isolated"]
    assert isinstance(okx, list) and okx[0]["mgnRatio"] == row.margin_ratio
