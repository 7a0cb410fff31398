"""Discount and borrow tiers, and interest.  Source: 4.4, 7.3, 8, 16.13."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.borrowing import (
    borrow_array,
    borrow_arrays,
    chargeable_liability,
    interest_free_limit,
)
from risk.collateral import discount_array, discount_arrays, discount_rate
from risk.kernels import (
    borrow_rates,
    borrow_rates_of,
    borrow_tier,
    discounted_value,
    discounted_value_of,
)
from risk.rules import load_rules

RULES = load_rules("okx-2025")
NAMES = tuple(RULES.currencies)


@pytest.mark.parametrize(
    "coin,amount,expected",
    [
        ("USDT", 1e9, (1e9,)),
        ("USDC", 1_500_000.0, (1e6 + 0.98 * 5e5,)),
        ("UST", 5e6, (0.95e6 + 0.85e6 + 0.5 * 2e6,)),
        ("ETH", 500.0, (300 * 0.98 + 100 * 0.975 + 100 * 0.97,)),
        ("LTC", 20_000.0, (8000 * 0.95 + 2000 * 0.94 + 2000 * 0.93 + 8000 * 0.91,)),
        ("BTC", -7.0, (-7.0,)),
        ("BTC", 0.0, (0.0,)),
    ],
)
def test_discounts(coin: str, amount: float, expected: tuple[float]) -> None:
    assert discounted_value(discount_array(RULES, coin), amount) == pytest.approx(expected[0])


def test_discounts_end_at_zero() -> None:
    tiers = discount_array(RULES, "BTC")
    assert discounted_value(tiers, 1e6) == discounted_value(tiers, 1e7)
    assert discount_rate(RULES, "BTC", 20.0) == 0.98
    assert discount_rate(RULES, "BTC", 20.1) == 0.975
    assert discount_rate(RULES, "BTC", 1e7) == 0.0


@pytest.mark.parametrize(
    "coin,amount,maintenance,initial,tier",
    [
        ("BTC", 20.0, 0.02, 0.10, 1),
        ("BTC", 20.0001, 0.025, 0.125, 2),
        ("BTC", 30.0, 0.03, 0.20, 3),
        ("BTC", 50.0, 0.035, 0.21, 4),
        ("BTC", 50.001, 0.04, 0.22, 5),
        ("USDT", 78_589.37, 0.02, 0.10, 1),
        ("USDT", 3_000_001.0, 0.04, 0.21, 4),
        ("SUI", 1e5, 0.03, 0.10, 1),
        ("AVAX", 31e3, 0.07, 0.13, 4),
    ],
)
def test_borrow_rates(
    coin: str, amount: float, maintenance: float, initial: float, tier: int
) -> None:
    tiers = borrow_array(RULES, coin)
    assert borrow_rates(tiers, amount) == pytest.approx((maintenance, initial))
    assert borrow_tier(tiers, amount) == tier


@given(st.sampled_from(NAMES), st.floats(1e-9, 1e12))
def test_padded_tables_say_the_same(coin: str, amount: float) -> None:
    c = NAMES.index(coin)
    discounts, borrows = discount_arrays(RULES, NAMES), borrow_arrays(RULES, NAMES)
    single = discounted_value(discount_array(RULES, coin), amount)
    assert discounted_value_of(discounts, c, amount) == single
    assert 0.0 <= single <= amount
    assert borrow_rates_of(borrows, c, amount) == borrow_rates(borrow_array(RULES, coin), amount)
    step = borrow_array(RULES, coin)[0, 0]
    higher = borrow_rates(borrow_array(RULES, coin), amount + step)
    assert higher[0] >= borrow_rates(borrow_array(RULES, coin), amount)[0]


def test_interest() -> None:
    assert interest_free_limit(RULES, "USDT", {"USDC": 7_000.0, "BTC": 3.0}) == 27_000.0
    assert interest_free_limit(RULES, "USDT", {"USDC": -7_000.0}) == 20_000.0
    assert interest_free_limit(RULES, "SOL", {}) == 0.0
    # 30 borrowed as cash bear interest in full, the loss of 50 beyond the limit of 20
    assert chargeable_liability(-30.0, -80.0, 20.0, auto_borrow=True) == 60.0
    assert chargeable_liability(100.0, -80.0, 100.0, auto_borrow=True) == 0.0
    assert chargeable_liability(-30.0, 10.0, 0.0, auto_borrow=True) == 0.0
    assert chargeable_liability(-30.0, -80.0, 50.0, auto_borrow=False) == 30.0
