"""Price limits of spec 11.4."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import price_limits as limits
from exchange.events import RejectReason
from exchange.instrument import parse_instrument

MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS
INDEX = 1_000_000  # 100,000.0 USDT
RATES = st.builds(
    limits.PriceLimitRates, st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 3000)
)


@given(st.integers(1, 10**9), st.integers(-(10**8), 10**8), RATES)
def test_moving_band_is_the_formula_of_the_specification(
    index: int, premium: int, rates: limits.PriceLimitRates
) -> None:
    y, z = Fraction(rates.moving_bps, 10_000), Fraction(rates.outer_bps, 10_000)
    exact = Fraction(index)
    high = min(max(exact, exact * (1 + y) + premium), exact * (1 + z))
    low = max(min(exact, exact * (1 - y) + premium), exact * (1 - z))
    band = limits.moving_band(index, premium, rates)
    assert band == (max(1, ceil(low)), max(1, floor(high)))
    assert band.low_ticks <= index <= band.high_ticks


@given(st.integers(1, 10**9), RATES)
def test_opening_band(index: int, rates: limits.PriceLimitRates) -> None:
    x = Fraction(rates.opening_bps, 10_000)
    band = limits.opening_band(index, rates)
    assert band == (max(1, ceil(index * (1 - x))), floor(index * (1 + x)))


def test_bands_of_btc() -> None:
    tier_1 = limits.perpetual_rates("BTC")
    assert limits.moving_band(INDEX, 0, tier_1) == (980_000, 1_020_000)
    # A premium of 1 % lifts both ends; one of 10 % is stopped at 5 % above and at the index below.
    assert limits.moving_band(INDEX, 10_000, tier_1) == (990_000, 1_030_000)
    assert limits.moving_band(INDEX, 100_000, tier_1) == (1_000_000, 1_050_000)
    assert limits.moving_band(INDEX, -100_000, tier_1) == (950_000, 1_000_000)


@pytest.mark.parametrize(
    ("base", "expected"),
    [("BTC", (200, 200, 500)), ("XRP", (200, 200, 500)), ("PEPE", (400, 400, 800))],
)
def test_perpetual_tiers(base: str, expected: tuple[int, int, int]) -> None:
    rates = limits.perpetual_rates(base)
    assert (rates.opening_bps, rates.moving_bps, rates.outer_bps) == expected


@pytest.mark.parametrize(
    ("left_ns", "rates"),
    [
        (15 * DAY_NS, limits.QUARTERLY_FUTURE),
        (14 * DAY_NS + 1, limits.QUARTERLY_FUTURE),
        (14 * DAY_NS, limits.WEEKLY_FUTURE),
        (30 * MINUTE_NS + 1, limits.WEEKLY_FUTURE),
        (30 * MINUTE_NS, limits.WEEKLY_FUTURE_LAST_MINUTES),
    ],
)
def test_future_rates_by_time_left(left_ns: int, rates: limits.PriceLimitRates) -> None:
    assert limits.future_rates(DAY_NS, DAY_NS + left_ns) is rates


def test_contract_band_opens_wide_and_then_moves() -> None:
    listed = 5 * DAY_NS
    eth = parse_instrument("ETH-USDT-SWAP")
    opening = limits.contract_band(eth, listed, listed, INDEX, 10_000)
    assert opening == (980_000, 1_020_000)
    later = limits.contract_band(eth, listed + 10 * MINUTE_NS, listed, INDEX, 10_000)
    assert later == (990_000, 1_030_000)
    future = parse_instrument("BTC-USD-250328")
    assert future.expiry_ns is not None
    last = future.expiry_ns - MINUTE_NS
    assert limits.contract_band(future, last, 0, INDEX, 90_000) == (1_000_000, 1_030_000)


def test_spot_band() -> None:
    bands = [limits.spot_band(INDEX, tier) for tier in (1, 2, 3)]
    assert bands == [(980_000, 1_020_000), (970_000, 1_030_000), (950_000, 1_050_000)]


def test_option_band_is_wide_for_large_deltas_and_on_the_grid() -> None:
    option = parse_instrument("BTC-USD-250328-100000-C")
    # Floor: 0.004 coin = 40 ticks around 0.0312 -> 272..352, inwards to the grid of 5.
    assert limits.option_band(option, 312, 100_000) == (275, 350)
    # 0.016 x 0.5 = 0.008 coin = 80 ticks.
    assert limits.option_band(option, 312, 500_000) == (235, 390)
    assert limits.option_band(option, 12, 0) == (1, 50)
    double = limits.OptionLimitRates(coefficient=Decimal(2))
    assert limits.option_band(option, 312, 500_000, double) == (155, 470)


def test_check_price_and_protection() -> None:
    band = limits.PriceBand(95, 105)
    assert limits.check_price(1, 105, band) is None
    assert limits.check_price(1, 106, band) is RejectReason.PRICE_LIMIT_BUY
    assert limits.check_price(1, 1, band) is None, "a low buy is passive"
    assert limits.check_price(-1, 95, band) is None
    assert limits.check_price(-1, 94, band) is RejectReason.PRICE_LIMIT_SELL
    assert limits.check_price(-1, 999, band) is None, "a high sell is passive"
    assert limits.protective_price_ticks(1, band) == 105
    assert limits.protective_price_ticks(-1, band) == 95


def test_rates_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="outer_bps: 10000 must be between"):
        limits.PriceLimitRates(200, 200, 10_000)


def test_a_cheap_coin_keeps_a_band_of_at_least_one_tick() -> None:
    assert limits.opening_band(1, limits.perpetual_rates("BTC")) == (1, 1)
