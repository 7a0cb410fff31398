"""Volatility surface, forwards and smoothed marks.  Source: 11.2, 16.1."""

from __future__ import annotations

import numpy as np
import pytest

from risk import marks
from risk.black76 import option_value
from risk.contracts import NS_PER_DAY, days_to_expiry
from risk.marks import Smile, VolatilitySurface
from tests.risk.samples import contract

NOW = 1_739_000_000 * 10**9
NAMES = [f"BTC-USD-250328-{strike}-{kind}" for strike in (40_000, 60_000, 90_000) for kind in "CP"]
CONTRACTS = [contract(name) for name in NAMES]
FORWARD = 61_000.0


def _vol(strike: float) -> float:
    return 0.5 + 0.1 * abs(strike / FORWARD - 1.0)


def test_surface_explains_the_marks_it_came_from() -> None:
    expiry = CONTRACTS[0].expiry_ns
    assert expiry is not None
    years = days_to_expiry(expiry, NOW) / 365.0
    prices = {
        c.instrument_id: option_value(FORWARD, c.strike, years, _vol(c.strike), c.is_call) / FORWARD
        for c in CONTRACTS
    }
    forwards = {marks.forward_name("BTC", expiry): FORWARD}
    surface = marks.surface_from_marks(CONTRACTS, prices, forwards, NOW)
    for c in CONTRACTS:
        assert surface.volatility(expiry, c.strike, FORWARD) == pytest.approx(
            _vol(c.strike), rel=1e-9
        )
    # flat outside the strikes, and moved in parallel
    assert surface.volatility(expiry, 1.0, FORWARD) == pytest.approx(_vol(40_000.0))
    assert surface.shifted(5.0).volatility(expiry, 60_000.0, FORWARD) == pytest.approx(
        _vol(60_000.0) + 0.05
    )
    assert surface.shifted(-500.0).volatility(expiry, 60_000.0, FORWARD) > 0.0


def test_variance_is_linear_between_expiries() -> None:
    near, far = NOW + 10 * NS_PER_DAY, NOW + 40 * NS_PER_DAY
    surface = VolatilitySurface(NOW, (Smile(near, (0.0,), (0.8,)), Smile(far, (0.0,), (0.5,))))
    middle = surface.volatility(NOW + 25 * NS_PER_DAY, 100.0, 100.0)
    assert middle**2 * 25.0 == pytest.approx(0.5 * (0.64 * 10.0 + 0.25 * 40.0))
    assert surface.volatility(NOW + NS_PER_DAY, 100.0, 100.0) == 0.8
    assert surface.volatility(NOW + 99 * NS_PER_DAY, 100.0, 100.0) == 0.5
    assert surface.volatility(far, 100.0, 100.0) == 0.5


def test_a_smile_is_interpolated_as_numpy_does() -> None:
    known, values = (-0.31, -0.07, 0.0, 0.013, 0.4), (0.93, 0.71, 0.655, 0.66, 0.83)
    smile = Smile(NOW, known, values)
    for x in (*known, *np.linspace(-0.5, 0.5, 301).tolist()):
        assert smile.at(x) == np.interp(x, known, values)


def test_a_surface_needs_a_smile() -> None:
    with pytest.raises(ValueError, match="at least one smile"):
        marks.surface_from_marks(CONTRACTS, {}, {}, NOW)


def test_forwards() -> None:
    future, linear = contract("BTC-USD-250328"), contract("BTC-USDT-250328")
    prices = {"BTC-USD-250328": 61_000.0, "BTC-USDT-250328": 61_500.0}
    assert marks.forwards_from_futures((future, linear), prices) == {"BTC-USD-250328": 61_000.0}
    thirty = NOW + 30 * NS_PER_DAY
    curve = {thirty: 61_200.0}
    assert marks.forward_at(thirty, NOW, 60_000.0, curve) == pytest.approx(61_200.0)
    half = marks.forward_at(NOW + 15 * NS_PER_DAY, NOW, 60_000.0, curve)
    assert half == pytest.approx(60_000.0 * (61_200.0 / 60_000.0) ** 0.5)
    assert marks.forward_at(NOW, NOW, 60_000.0, curve) == 60_000.0
    assert marks.forward_at(thirty, NOW, 60_000.0, {}) == 60_000.0
