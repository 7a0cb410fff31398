"""No figure of an option moves faster than its slope says: bounds against the real functions.

The stress rows of one option are worked out at two marks. The prices apart, the volatility apart,
the time apart, and all together: each figure moves by at most the move times its slope.

Source: portfolio-margin.md 16.1 to 16.12; the derivation is in `risk.option_slopes`.
"""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from risk import layout as at
from risk import order_tables as t
from risk.option_slopes import (
    coin_slopes,
    delta_slopes,
    life_of,
    margin_slopes,
    reach_of,
    value_slopes,
    volatility_reach,
    write_option_slopes,
)
from risk.order_watch import LARGEST_RADIUS, SECOND_ORDER
from risk.rules import load_rules
from risk.stress import StressPlan
from risk.stress_kernels import StressPrices
from tests.risk.samples import contract

STRIKE = 100_000.0
NAMES = ("BTC-USD-260327-100000-C", "BTC-USD-260327-100000-P")
RULES = {name: load_rules(name) for name in ("okx-2025", "okx-2021")}
# A table that rises and falls, steeply: the shifts of volatility move with time, too.
_RUGGED = {
    "volatility_points": (5.0, 40.0, 15.0, 95.0),
    "volatility_percent": (0.1, 0.9, 0.2, 0.6),
}
RULES["rugged"] = RULES["okx-2025"].model_copy(
    update={"spot_shock": RULES["okx-2025"].spot_shock.model_copy(update=_RUGGED)}
)
PLANS = {
    name: StressPlan.of([contract(option) for option in NAMES], rules)
    for name, rules in RULES.items()
}
YEAR_NS = 365 * 86_400e9
PRICES, VOLATILITY, TIME = 0, 1, 2
# where phi, |x| phi, x^2 phi and (1 + x^2) phi are largest, and anywhere else
_DISTANCES = st.one_of(
    st.sampled_from((0.0, 1.0, -1.0, math.sqrt(2.0), -math.sqrt(2.0))), st.floats(-4.0, 4.0)
)
_SIGMAS = st.one_of(st.floats(0.05, 3.0), st.floats(-6.0, 1.5).map(math.exp))
# the volatility table has knots at 30, 60 and 90 days
_DAYS = st.one_of(
    st.floats(1.01, 40.0), st.floats(40.0, 900.0), st.sampled_from((29.9, 31.0, 59.9, 89.9, 108.3))
)
_SHARES = st.one_of(st.sampled_from((1e-3, 1.0)), st.floats(1e-4, 1.0))


class Point:
    """One option at one mark: its figures, USD per coin, and their slopes."""

    def __init__(
        self, plan: StressPlan, option: int, forward: float, usd: float, sigma: float, years: float
    ) -> None:
        self.plan, self.option, self.years = plan, option, years
        self.forward, self.usd, self.sigma = forward, usd, sigma
        self.time_ns = round(plan.contracts[0].expiry_ns - years * YEAR_NS)
        self.prices = StressPrices(
            np.full(2, np.nan), *(np.full(2, p) for p in (usd, 1.0, usd, forward, sigma))
        )
        self.table = plan.evaluate(self.time_ns, self.prices, 1.0, 1.0)

    def figures(self, usd: float) -> dict[str, np.ndarray]:
        """Per coin; usd: of the mark at which the slope of the coin value was taken."""
        row = self.table.rows[self.option] / self.plan.contracts[0].coins_per_contract
        params = self.table.unit_params[self.plan.unit_of[self.option]]
        expiry = int(params[at.U_EXPIRY_FROM])
        cells = row[: at.EXTREME_DOWN].copy()
        extreme = row[at.EXTREME_DOWN : at.THETA] * params[at.U_EXTREME_FACTOR]
        coin = self.table.mark[self.option]
        return {
            "value": np.array((coin * self.forward, row[at.THETA])),
            "equity": np.array((coin * usd,)),
            "scenario": np.concatenate((cells, extreme, (row[at.THETA],))),
            "vega": params[at.U_VEGA_FACTOR]
            * row[at.EXPIRIES + at.EXPIRY_VEGA : at.EXPIRIES + at.EXPIRY_VEGA + 1]
            * params[expiry + at.EXPIRY_POINTS],
            "basis": np.array((abs(row[at.USD_DELTA]) * params[expiry + at.EXPIRY_RATE],)),
            "interest": np.array(
                (params[at.U_INTEREST_SHIFT] * row[at.EXPIRIES + at.EXPIRY_VALUE_YEARS],)
            ),
            "delta": np.array((row[at.USD_DELTA],)),
        }

    def slopes(self) -> dict[str, tuple[float, float, float]]:
        rules, terms = self.plan.shared_rules(), self.plan.terms
        life = life_of(self.years, rules.decay_years)
        common = (self.sigma, self.years, self.years - rules.decay_years - life)
        is_call = bool(terms.is_call[self.option])
        names = ("scenario", "vega", "basis", "interest")
        reach = volatility_reach(self.years, rules.volatility)
        params = self.table.unit_params
        margin = margin_slopes(
            self.option, terms, self.prices, rules, params, 0, self.years, life, reach
        )
        return dict(zip(names, margin, strict=True)) | {
            "value": value_slopes(self.forward, *common),
            "equity": coin_slopes(self.forward, self.usd, STRIKE, is_call, *common),
            "delta": delta_slopes(self.forward, *common),
        }

    def moved(self, by: tuple[float, float, float, float]) -> "Point":
        """The same option after relative moves of forward, index, volatility, and years."""
        return Point(
            self.plan,
            self.option,
            self.forward * (1.0 + by[0]),
            self.usd * (1.0 + by[1]),
            self.sigma * (1.0 + by[2]),
            self.years - by[3],
        )


def _check(point: Point, delta: float, by: tuple[float, ...], parts: tuple[int, ...]) -> None:
    after, before = point.moved(by).figures(point.usd), point.figures(point.usd)
    slopes = point.slopes()
    # Two factors may grow by delta, and one shrink below the line.
    room = (1.0 + delta) ** 2 / (1.0 - delta)
    assert room <= SECOND_ORDER
    for name, figure in before.items():
        bound = delta * room * sum(slopes[name][part] for part in parts)
        change = float(np.abs(after[name] - figure).max())
        tiny = 1e-9 * (point.forward + STRIKE)
        assert change <= bound + tiny, (name, by, change / bound)


def _moves(delta: float) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
    """Each cause apart, in both directions, and all corners together."""
    both = (-delta, delta)
    alone = [((f, u, 0.0, 0.0), (PRICES,)) for f, u in product((0.0, *both), repeat=2)]
    alone += [((0.0, 0.0, v, 0.0), (VOLATILITY,)) for v in both]
    alone += [((0.0, 0.0, 0.0, delta), (TIME,))]
    together = [((*by, delta), (PRICES, VOLATILITY, TIME)) for by in product(both, repeat=3)]
    return alone + together


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    distance=_DISTANCES,
    sigma=_SIGMAS,
    days=_DAYS,
    share=_SHARES,
    basis=st.floats(0.85, 1.18),
    option=st.integers(0, 1),
    rules=st.sampled_from(sorted(PLANS)),
)
@example(-1.0, 0.5, 29.9, 1e-3, 1.0, 0, "okx-2025")
@example(4.0, 0.5, 120.0, 1e-3, 1.0, 0, "okx-2025")
@example(0.0, 0.2, 29.0, 1e-3, 1.0, 0, "rugged")
@example(0.0, 0.2, 89.0, 1e-3, 1.0, 0, "rugged")
@example(0.0, 0.2, 40.0, 1.0, 1.0, 0, "rugged")
@example(-4.0, 0.5, 120.0, 1.0, 1.0, 1, "okx-2025")
def test_no_figure_moves_faster_than_its_slope(
    distance: float,
    sigma: float,
    days: float,
    share: float,
    basis: float,
    option: int,
    rules: str,
) -> None:
    """distance: d1 of the option, which decides where its derivatives are large."""
    years = days / 365.0
    deviation = sigma * math.sqrt(years)
    forward = STRIKE * math.exp(distance * deviation - 0.5 * deviation**2)
    forward = min(max(forward, 0.02 * STRIKE), 50.0 * STRIKE)
    point = Point(PLANS[rules], option, forward, forward / basis, sigma, years)
    delta = share * life_of(years, point.plan.shared_rules().decay_years)
    for by, parts in _moves(delta):
        _check(point, delta, by, parts)


@pytest.mark.parametrize("days", [10.0, 31.0, 45.0, 61.0, 75.0, 107.0, 200.0])
def test_reach_of_a_table_is_what_a_walk_along_it_finds(days: float) -> None:
    known = np.array((0.0, 30.0, 60.0, 90.0))
    for values in ((30.0, 20.0, 15.0, 12.0), (5.0, 40.0, 15.0, 95.0), (1.0, 1.0, 1.0, 1.0)):
        walk = np.linspace(days - 365.0 * LARGEST_RADIUS, days, 20_001)
        found = np.interp(walk, known, values)
        steepest = np.abs(np.diff(found) / np.diff(walk)).max() * 365.0
        largest, slope = reach_of(days / 365.0, known, np.array(values))
        assert_allclose((largest, slope), (found.max(), steepest), rtol=1e-3, atol=1e-6)


def _written(point: Point, lots_per_contract: float) -> np.ndarray:
    plan, out = point.plan, np.full((2, t.TERM_COLUMNS), np.nan)
    write_option_slopes(
        np.arange(2),
        np.full(2, lots_per_contract),
        plan.terms,
        point.prices,
        plan.shared_rules(),
        point.table.unit_params,
        plan.unit_of,
        point.time_ns,
        out,
    )
    return out


def test_slopes_are_written_per_lot_as_the_sum_of_their_parts() -> None:
    point = Point(PLANS["okx-2025"], 1, 97_000.0, 96_000.0, 0.6, 0.2)
    row, slopes = _written(point, 10.0)[1], point.slopes()
    per_lot = 0.01 / 10.0  # coins
    margin = sum(sum(slopes[name]) for name in ("scenario", "vega", "basis", "interest"))
    columns = (t.M_EQUITY_SLOPE, t.M_MARGIN_SLOPE, t.M_DELTA_SLOPE, t.M_VALUE_SLOPE)
    sums = (sum(slopes["equity"]), margin, sum(slopes["delta"]), sum(slopes["value"]))
    assert_allclose(row[list(columns)], np.array(sums) * per_lot, rtol=1e-12)
    assert row[t.M_LIFE] == life_of(0.2, 1.0 / 365.0)
    assert np.isnan(row[: t.M_EQUITY_SLOPE]).all()  # touches no other column


def test_no_radius_in_the_last_day_or_without_volatility() -> None:
    plan = PLANS["okx-2025"]
    for sigma, days in ((0.6, 0.999), (0.6, -1.0), (0.0, 30.0), (1e-7, 30.0)):
        point = Point(plan, 0, 97_000.0, 97_000.0, sigma, days / 365.0)
        assert (_written(point, 10.0)[:, t.M_EQUITY_SLOPE : t.M_LIFE + 1] == 0.0).all()
    lives = [life_of(days / 365.0, 1.0 / 365.0) * 365.0 for days in (1.0, 1.5, 2.0, 10.0, 300.0)]
    assert_allclose(lives, (0.0, 0.25, 0.5, 4.5, 18.25), atol=1e-12)
