"""Black-76 against 40 digits, against QuantLib, and at its limits.  Source: 16.1."""

from __future__ import annotations

import json
import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.black76 import (
    delta_vega_gamma,
    option_delta,
    option_gamma,
    option_theta,
    option_value,
    option_vega,
    scaled_erfc,
)
from risk.marks import implied_volatility
from tests.risk.samples import GOLDEN

ROWS = json.loads((GOLDEN / "black76.json").read_text())["rows"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"F{row['F']}-K{row['K']}-T{row['T']}")
def test_golden_rows(row: dict[str, str]) -> None:
    given_ = {name: float(text) for name, text in row.items()}
    terms = given_["F"], given_["K"], given_["T"], given_["sigma"]
    discount = math.exp(-given_["r"] * given_["T"])
    call, put = (discount * option_value(*terms, call) for call in (True, False))
    for value, name in ((call, "call"), (put, "put")):
        assert value == pytest.approx(given_[name], rel=1e-12, abs=1e-24)
    assert discount * option_delta(*terms, True) == pytest.approx(given_["delta_call"], rel=1e-12)
    assert discount * option_gamma(*terms) == pytest.approx(given_["gamma"], rel=1e-12)
    assert discount * option_vega(*terms) == pytest.approx(given_["vega"], rel=1e-12)
    theta = discount * option_theta(*terms) + given_["r"] * call
    assert theta == pytest.approx(given_["theta_call"], rel=1e-12)


FORWARD = st.floats(0.01, 1e6)
MONEYNESS = st.floats(-1.5, 1.5)
YEARS = st.floats(1e-4, 3.0)
SIGMA = st.floats(0.05, 4.0)


@given(FORWARD, MONEYNESS, YEARS, SIGMA, st.booleans())
@settings(max_examples=300)
def test_quantlib_agrees(
    forward: float, moneyness: float, years: float, sigma: float, call: bool
) -> None:
    strike = forward * math.exp(moneyness)
    kind = ql.Option.Call if call else ql.Option.Put
    expected = ql.blackFormula(kind, strike, forward, sigma * math.sqrt(years))
    value = option_value(forward, strike, years, sigma, call)
    # QuantLib takes a difference of distribution values and loses digits far out
    assert value == pytest.approx(expected, rel=1e-10, abs=1e-13 * (forward + strike))


@given(FORWARD, st.floats(-8.0, 8.0), st.floats(-1.0, 5.0), st.floats(0.0, 10.0))
@settings(max_examples=300)
def test_values_keep_their_bounds(
    forward: float, moneyness: float, years: float, sigma: float
) -> None:
    strike = forward * math.exp(moneyness)
    call = option_value(forward, strike, years, sigma, True)
    put = option_value(forward, strike, years, sigma, False)
    assert max(0.0, forward - strike) <= call <= forward * (1.0 + 1e-15)
    assert max(0.0, strike - forward) <= put <= strike * (1.0 + 1e-15)
    assert put == pytest.approx(call - forward + strike, abs=4e-16 * (forward + strike))
    delta = option_delta(forward, strike, years, sigma, True)
    assert 0.0 <= delta <= 1.0
    assert option_delta(forward, strike, years, sigma, False) == pytest.approx(delta - 1.0)
    for greek in (option_vega, option_gamma, option_theta):
        assert math.isfinite(greek(forward, strike, years, sigma))


@pytest.mark.parametrize("years", [0.0, -0.1])
@pytest.mark.parametrize("sigma", [0.0, 0.6])
def test_expiry_is_intrinsic(years: float, sigma: float) -> None:
    assert option_value(110.0, 100.0, years, sigma, True) == 10.0
    assert option_value(110.0, 100.0, years, sigma, False) == 0.0
    assert option_delta(110.0, 100.0, years, sigma, True) == 1.0
    assert option_delta(100.0, 100.0, years, sigma, True) == 0.0
    assert option_delta(90.0, 100.0, years, sigma, False) == -1.0
    assert option_vega(110.0, 100.0, years, sigma) == 0.0
    assert option_gamma(110.0, 100.0, years, sigma) == 0.0


@pytest.mark.parametrize("forward,strike", [(1e-9, 1e12), (1e15, 1e-9), (6e4, 6e4)])
@pytest.mark.parametrize("years", [1e-300, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("sigma", [1e-300, 1e-8, 1.0, 1e4])
def test_far_corners_are_finite(forward: float, strike: float, years: float, sigma: float) -> None:
    for call in (True, False):
        value = option_value(forward, strike, years, sigma, call)
        assert math.isfinite(value) and value >= 0.0
        assert math.isfinite(option_delta(forward, strike, years, sigma, call))
    for greek in (option_vega, option_gamma):
        assert math.isfinite(greek(forward, strike, years, sigma))


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize(("years", "sigma"), [(0.3, 0.7), (0.0, 0.7), (0.3, 0.0), (4.0, 3.0)])
def test_greeks_at_once_are_those_one_by_one(years: float, sigma: float, call: bool) -> None:
    for strike in (1.0, 80.0, 100.0, 130.0, 900.0):
        terms = 100.0, strike, years, sigma
        one_by_one = option_delta(*terms, call), option_vega(*terms), option_gamma(*terms)
        assert delta_vega_gamma(*terms, call) == one_by_one


@pytest.mark.parametrize("x", [0.0, 0.3, 0.46875, 0.5, 1.0, 3.999, 4.0, 4.001, 5.5])
def test_scaled_erfc(x: float) -> None:
    assert scaled_erfc(x) == pytest.approx(math.exp(x * x) * math.erfc(x), rel=1e-14)


@given(FORWARD, st.floats(-0.6, 0.6), st.floats(0.01, 2.0), st.floats(0.1, 3.0), st.booleans())
@settings(max_examples=200)
def test_implied_volatility_inverts_the_value(
    forward: float, moneyness: float, years: float, sigma: float, call: bool
) -> None:
    strike = forward * math.exp(moneyness * sigma * math.sqrt(years) * 5.0)
    value = option_value(forward, strike, years, sigma, call)
    found = implied_volatility(value, forward, strike, years, call)
    time_value = value - max(0.0, (forward - strike) * (1.0 if call else -1.0))
    if time_value > 1e-6 * forward:
        assert found == pytest.approx(sigma, rel=1e-8)


def test_no_implied_volatility() -> None:
    assert implied_volatility(5.0, 110.0, 100.0, 0.5, True) is None
    assert implied_volatility(10.0, 110.0, 100.0, 0.5, True) is None
    assert implied_volatility(111.0, 110.0, 100.0, 0.5, True) is None
    assert implied_volatility(20.0, 110.0, 100.0, 0.0, True) is None
