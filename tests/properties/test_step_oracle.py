"""Every candidate of every liquidation step in random cascades against the plain twin."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import liquidation_sizing, stage_hedges, stage_reductions, stage_repayment
from accounts.liquidation_sizing import View, Wish
from accounts.liquidation_steps import Step
from tests.oracles import plain_step
from tests.properties.cascades import run_cascade


def test_every_candidate_is_that_of_the_plain_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"one leg": 0, "more legs": 0, "nothing visible": 0, "made smaller": 0}
    sized_step = liquidation_sizing.sized_step

    def compared(
        view: View, stage: Any, unit: str, wishes: tuple[Wish, ...], *rest: Any, **named: Any
    ) -> Step:
        step = sized_step(view, stage, unit, wishes, *rest, **named)
        most = [wished.most for wished in wishes]
        if max(most) < 20_000:  # the twin lists lot by lot
            plain_step.checked(view, step, most, named.get("share"))
            seen["one leg" if len(step.legs) == 1 else "more legs"] += 1
            seen["nothing visible"] += step.depth_lots == 0
            seen["made smaller"] += abs(step.after.ratio / view.rules.stop_ratio - 1.0) < 0.01
        return step

    for module in (stage_hedges, stage_reductions, stage_repayment):
        monkeypatch.setattr(module, "sized_step", compared)
    for seed in range(60):
        run_cascade(seed)
    assert min(seen.values()) > 5, seen
