"""The tables that one kernel call writes at a mark, against the same prices taken step by step."""

import numpy as np
import pytest

from accounts.market import Market
from exchange.instrument import parse_instrument
from risk import order_tables as t
from risk.rules import load_rules
from risk.stress import StressPlan, rounded, stablecoin_prices

E8 = 10**8
NOW_NS = 1_740_000_000 * 10**9  # 2025-02-19
USD = {"BTC": 96_000 * E8, "ETH": 2_700 * E8, "USDT": 99_800_000, "USDC": 99_000_000}
NAMES = [
    "BTC-USDT",
    "BTC-USDC",
    "USDC-USDT",
    "BTC-USDT-SWAP",
    "ETH-USDC-SWAP",
    "BTC-USD-SWAP",
    "BTC-USD-250328",
    "BTC-USD-250328-100000-C",
    "BTC-USD-250328-80000-P",
    "BTC-USD-250627-140000-C",
    "ETH-USD-250328-2500-P",
]
VOLATILITY = {name: 0.3 + 0.1 * n for n, name in enumerate(NAMES) if name.count("-") > 3}
FORWARD = {"BTC-USD-250627": 99_000.0}


def _published(rules: str, names: list[str]) -> Market:
    instruments = [parse_instrument(name) for name in names]
    market = Market(instruments, load_rules(rules))
    marks = [
        max(1, round(1.001 * USD[i.base] / E8 / float(i.tick)) if i.base in USD else 1)
        for i in instruments
    ]
    for _ in range(2):  # the second pass finds what the first has left
        market.publish(
            NOW_NS, USD, {"BTC-USDT": 96_300 * E8}, marks, implied_vol=VOLATILITY, forward=FORWARD
        )
    return market


@pytest.mark.parametrize("rules", ["okx-2025", "okx-2021"])
@pytest.mark.parametrize("names", [NAMES, NAMES[:5], NAMES[3:4]])
def test_stress_table_and_charges_are_those_of_the_snapshot(rules: str, names: list[str]) -> None:
    market = _published(rules, names)
    snapshot = market.snapshot()
    plan = StressPlan.of(market.contracts, market.rules)
    usdt, usdc = stablecoin_prices(snapshot)
    table = plan.evaluate(NOW_NS, plan.prices(snapshot), usdt, usdc)
    per_contract = np.array([1.0 / float(i.lot) for i in market.instruments_list])
    limits = np.array([float(i.position_limit_lots) for i in market.instruments_list])
    lots = rounded(table, per_contract, limits)
    assert np.array_equal(market.stress, lots.rows[:, market.first_column :])
    assert np.array_equal(market.unit_terms, table.unit_params)
    assert np.array_equal(market.terms[:, t.M_MR7_LONG], lots.mr7_long)
    assert np.array_equal(market.terms[:, t.M_MR7_SHORT], lots.mr7_short)
    ticks = np.array([float(i.tick) for i in market.instruments_list])
    assert np.array_equal(market.terms[:, t.M_REFERENCE], table.mark / ticks)
    assert market.stress.any()


def test_peg_reach_is_the_nearest_pair_of_stablecoins() -> None:
    market = _published("okx-2025", NAMES)
    calm = market.rules.stablecoin_depeg.calm_price
    usdt, usdc = USD["USDT"] / E8, USD["USDC"] / E8
    nearest = min(abs(price / calm - 1.0) for price in (usdt, usdc / usdt, usdc))
    assert market.rule_terms[t.R_PEG_REACH] == pytest.approx(nearest / 2.2, rel=1e-12)
    assert np.array_equal(
        market.currency_terms[:, t.K_USD], [market.usd[name] for name in market.currencies]
    )
