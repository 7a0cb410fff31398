"""No figure of an account moves faster than the slopes that its safe radius follows from.

At random, and in accounts in which one term outweighs all others. The slopes of one option are in
test_option_slopes.py.

Source: design.md section 5 (marks); portfolio-margin.md 16.3, 16.10 to 16.13.
"""

import math
from random import Random

import numpy as np
import pytest

from accounts.clearing import ClearingHouse
from risk import order_tables as t
from risk.order_watch import SECOND_ORDER, slopes_of
from tests.accounts.venue import NOW_NS, Venue
from tests.properties.option_traders import ACCOUNTS, house_of
from tests.properties.watching import HOUR_NS, World


def _slopes(house: ClearingHouse, crossing: bool) -> np.ndarray:
    """Slopes of equity, maintenance margin and initial margin, and the reach, of all accounts."""
    house.exposures.all_figures()
    x = house.exposures._x
    return np.array([slopes_of(number, crossing, x) for number in range(1, ACCOUNTS + 1)])


def _moved(rng: Random, world: World, delta: float) -> World:
    """Every price moved by delta or less, most of them by all of it."""

    def factor() -> float:
        return 1.0 + delta * rng.choice((-1.0, 1.0, rng.uniform(-1.0, 1.0)))

    usd = {name: round(price * factor()) for name, price in world.usd.items()}
    forwards = {
        n: ratio * factor() * world.usd[n[:3]] / usd[n[:3]] for n, ratio in world.forwards.items()
    }
    return World({name: vol * factor() for name, vol in world.vols.items()}, forwards, usd)


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_figure_of_an_account_moves_faster_than_its_slope(seed: int, crossing: bool) -> None:
    rng = Random(seed)
    size = 10.0 ** rng.uniform(-1.0, 2.0)  # to beyond the last tier of the minimum charge
    house, world = house_of(40 + seed, size=size)
    slopes = _slopes(house, crossing)
    before = house.exposures.all_figures()[1:].copy()
    anchor, checked = house.market.prices.copy(), 0
    for trial in range(40):
        by = 10.0 ** rng.uniform(-3.0, math.log10(0.05))
        days = 0.97 * 365.0 * by if trial % 2 else 0.0
        _moved(rng, world, by).publish(house, NOW_NS + round(24.0 * days * HOUR_NS))
        # The price of a pair may move by twice as much as the two coins.
        used = anchor > 0.0
        delta = float(np.abs(house.market.prices[used] / anchor[used] - 1.0).max())
        after = house.exposures.all_figures()[1:]
        changes = np.abs(after - before)
        within = slopes[:, 3] > delta
        checked += int(within.sum())
        room, cent = SECOND_ORDER * delta, 0.01  # balances are whole atoms
        grain = 1e-4 * before[:, t.T_IMR] + cent  # of stress rows, coarse beside so many options
        adjusted = changes[:, t.T_ADJUSTED] <= room * slopes[:, 0] + cent
        required = changes[:, t.T_MMR] + changes[:, t.T_FEE] <= room * slopes[:, 1] + grain
        initial = changes[:, t.T_IMR] <= room * slopes[:, 2] + grain
        for name, holds in (("adjusted", adjusted), ("required", required), ("initial", initial)):
            assert holds[within].all(), (name, trial, delta, np.flatnonzero(within & ~holds))
    assert checked > 200


class Lone:
    """One account with positions as given, in lots, at marks."""

    def __init__(
        self, volatility: float, positions: dict[str, int], usdt: str = "1", **balances: str
    ) -> None:
        self.venue = Venue(
            list(positions),
            {"BTC": "100000", "USDT": usdt, "USDC": "1"},
            volatility=volatility,
        )
        house = self.venue.house
        bank = self.venue.account("bank", BTC="100000", USDT="1000000000")
        self.account = self.venue.account("lone", **balances)
        for name, lots in positions.items():
            listing = house.listings[name]
            ticks = max(1, round(float(house.market.terms[listing.number, t.M_REFERENCE])))
            giver = house.position(bank, listing)
            taker = house.position(self.account, listing)
            house.settlement.move(self.venue.now_ns, listing, giver, taker, lots, ticks, 0)

    def figures(self) -> np.ndarray:
        return self.venue.house.exposures.figures(self.account.number).copy()

    def slopes(self) -> tuple[float, float, float, float]:
        self.figures()
        slopes: tuple[float, float, float, float] = slopes_of(
            self.account.number, True, self.venue.house.exposures._x
        )
        return slopes

    def check(self, delta: float, btc: str) -> None:
        """Bitcoin moves by delta: does maintenance margin by no more than its slope?"""
        slope, before = self.slopes()[1], self.figures()[t.T_MMR]
        self.venue.marks(BTC=btc)
        change = abs(self.figures()[t.T_MMR] - before)
        assert change <= SECOND_ORDER * delta * slope, change / (delta * slope)
        assert change > 0.1 * delta * slope  # it is the term that the case is about


CALL, PUT = "BTC-USD-250307-100000-C", "BTC-USD-250307-100000-P"  # 15 days


def test_the_minimum_charge_of_long_options_counts_at_its_dearest_tier() -> None:
    """3,000 coins at the money: each dollar of value costs twelve of margin."""
    lone = Lone(0.17, {"BTC-USD-250321-100000-C": 300_000}, BTC="10000")
    lone.check(0.001, "100100")


def test_spot_in_use_follows_the_delta_of_options() -> None:
    """A straddle sold at the money has no delta; a move gives it one, and coins hedge it."""
    lone = Lone(0.05, {CALL: -10_000, PUT: -10_000}, BTC="1000")
    lone.check(0.001, "100100")


def test_a_peg_hedge_follows_the_delta_of_options() -> None:
    """The same straddle with a perpetual in USDT, at 0.79 USD: 40 % of what they hedge."""
    positions = {CALL: -10_000, PUT: -10_000, "BTC-USDT-SWAP": 100_000}
    lone = Lone(0.05, positions, usdt="0.79", BTC="1000")
    lone.check(0.001, "100100")


def test_slopes_of_an_account_are_those_of_its_positions() -> None:
    lone = Lone(0.5, {CALL: 100, PUT: -50}, BTC="20")
    terms, house = lone.venue.house.market.terms, lone.venue.house
    equity, maintenance, initial, furthest = lone.slopes()
    long, short = (terms[house.listings[name].number] for name in (CALL, PUT))
    shock = 0.12  # the largest of MR1 and half the extreme move of 24 %
    margin = sum(
        lots * (row[t.M_MARGIN_SLOPE] + shock * row[t.M_DELTA_SLOPE])
        for lots, row in ((100, long), (50, short))
    )
    assert maintenance == pytest.approx(margin, rel=1e-12)
    assert initial == pytest.approx(1.5 * margin, rel=1e-12)
    options = 100 * long[t.M_EQUITY_SLOPE] + 50 * short[t.M_EQUITY_SLOPE]
    assert equity == pytest.approx(options + lone.figures()[t.T_EQUITY], rel=1e-12)
    assert furthest == pytest.approx(min(long[t.M_LIFE], 0.05), rel=1e-12)


def test_an_option_at_its_end_leaves_no_radius() -> None:
    lone = Lone(0.5, {"BTC-USD-250220-100000-C": 1}, BTC="20")
    assert lone.slopes()[3] == 0.0
