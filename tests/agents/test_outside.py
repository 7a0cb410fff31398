"""The stress state and the impact memory, on hand-computed cases."""

from math import exp, log, sqrt

import pytest

from agents.outside import ImpactMemory, OutsideMarket, StressState
from agents.outside_parameters import OutsideParameters

USUAL = 0.55e-4


def test_a_usual_path_is_not_stressed() -> None:
    state = StressState(USUAL)
    for second in range(7200):
        state.on_second(USUAL if second % 2 else -USUAL)
    assert state.volatility == pytest.approx(USUAL)
    assert state.stress == pytest.approx(1 / 1.5)
    assert state.depth_factor == 1.0
    assert state.activity == pytest.approx(1.0)


def test_one_jump_by_hand() -> None:
    state = StressState(USUAL)
    state.on_second(0.01)
    fast = USUAL**2 + (1e-4 - USUAL**2) / 30
    assert state.volatility == pytest.approx(sqrt(fast))
    assert state.stress == pytest.approx(sqrt(fast) / (1.5 * USUAL))
    assert state.depth_factor == pytest.approx(1 / state.stress)
    assert state.activity == pytest.approx((sqrt(fast) / USUAL) ** 1.25)


def test_the_norm_follows_and_has_a_floor() -> None:
    state = StressState(USUAL)
    for _ in range(3 * 5400):
        state.on_second(4 * USUAL)
    assert state.reference_volatility == pytest.approx(4 * USUAL, rel=0.08)
    assert state.stress < 1.0  # the same volatility is normal now: liquidity returns
    flat = StressState(USUAL)
    for _ in range(50_000):
        flat.on_second(0.0)
    assert flat.reference_volatility == pytest.approx(0.3 * USUAL, rel=1e-3)


def test_forced_impact_is_linear_and_ordinary_impact_concave() -> None:
    parameters = OutsideParameters()
    unit = parameters.size_unit

    def impact(size: float, forced: bool) -> float:
        memory = ImpactMemory(parameters)
        memory.on_taker_fill(-1, size, forced)
        memory.on_second()
        return memory.log_impact

    assert impact(4 * unit, True) == pytest.approx(4 * impact(unit, True))
    assert impact(4 * unit, False) == pytest.approx(2 * impact(unit, False))
    assert impact(unit, False) == pytest.approx(impact(unit, True))
    assert impact(unit, False) < 0.0
    times = [2.0 * 10 ** (j / 2) for j in range(8)]
    expected = -4e-5 * 0.65 * sum(t**-0.5 * exp(-1 / t) for t in times)
    assert impact(unit, False) == pytest.approx(expected)  # one BTC of the prototype


def test_impact_decays_like_a_root_of_its_age() -> None:
    memory = ImpactMemory(OutsideParameters())
    memory.on_taker_fill(1, 1.0, True)
    seen = {}
    for age in range(1, 2001):
        memory.on_second()
        seen[age] = memory.log_impact
    slope = log(seen[1000] / seen[10]) / log(100)
    assert slope == pytest.approx(-0.5, abs=0.08)


def test_a_thin_book_amplifies_up_to_five() -> None:
    def impact(ratio: float) -> float:
        memory = ImpactMemory(OutsideParameters())
        memory.depth_ratio = ratio
        memory.on_taker_fill(1, 1.0, True)
        memory.on_second()
        return memory.log_impact

    assert impact(0.1) / impact(1.0) == pytest.approx(0.1**-0.3)
    assert impact(1e-9) / impact(1.0) == pytest.approx(5.0)
    assert impact(0.0) / impact(1.0) == pytest.approx(5.0)


def test_books_of_one_coin_share_the_outside_and_keep_their_own_part() -> None:
    market = OutsideMarket(OutsideParameters(), log(100.0), ["A", "B"])
    market.memories["A"].on_taker_fill(-1, 10.0, True)
    market.on_second(log(100.0))
    impact = market.memories["A"].log_impact
    assert market.log_price == pytest.approx(log(100.0) + 0.6 * impact)
    assert market.fair_log_price("A") == pytest.approx(log(100.0) + impact)
    assert market.fair_log_price("B") == pytest.approx(market.log_price)
    assert market.stress.stress > 1.0


def test_no_flow_leaves_the_path_alone() -> None:
    market = OutsideMarket(OutsideParameters(), 4.0, ["A"])
    for second in range(100):
        market.on_second(4.0 + 1e-4 * second)
        assert market.log_price == 4.0 + 1e-4 * second
