"""The attack on risk control: every invariant in random cascades, and that each of them ends."""

from __future__ import annotations

import pytest

from accounts.events import LiquidationStage, RiskAction
from tests.properties.cascades import run_cascade

ORDINARY, SLOW = 1_000, 10_000


@pytest.mark.parametrize("block", range(10))
def test_random_cascades(block: int) -> None:
    size = ORDINARY // 10
    stages = set()
    for seed in range(block * size, (block + 1) * size):
        try:
            cascade = run_cascade(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        stages |= {e.stage for e in cascade.exchange.events if type(e) is RiskAction}
    # the attack is worth something only if it gets this far
    assert {LiquidationStage.STANDARD, LiquidationStage.TAKE_OVER} <= stages


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_many_random_cascades(block: int) -> None:
    size = SLOW // 10
    for seed in range(10_000 + block * size, 10_000 + (block + 1) * size):
        try:
            run_cascade(seed, moves=8)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
