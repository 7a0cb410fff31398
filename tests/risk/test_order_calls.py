"""All kernels that a run needs are there before it starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A process of its own: in this one, other tests have made kernels compile before.
PROGRAM = """
import sys, tempfile
from numba.core.dispatcher import Dispatcher
from scenarios.run import run_scenario

def compiled():
    return {
        (module.__name__, name, str(types))
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("risk.")
        for name, value in list(vars(module).items())
        if isinstance(value, Dispatcher)
        for types in value.overloads
    }

scenario, end = sys.argv[1:]
before = []
with tempfile.TemporaryDirectory() as folder:
    summary = run_scenario(
        scenario, 1, {"market.end": end} if end else (), folder + "/run",
        on_start=lambda simulation: before.extend(compiled()), keep=False,
    )
assert before, "nothing was compiled before the start"
print(summary["liquidated_accounts"], sorted(compiled() - set(before)))
"""


def _late(scenario: str, end: str = "") -> tuple[int, str]:
    """Accounts liquidated in a run, and the kernels compiled or loaded after its start."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, scenario, end], capture_output=True, text=True, check=True
    )
    liquidated, late = done.stdout.split(" ", 1)
    return int(liquidated), late.strip()


def test_no_kernel_is_left_for_the_first_liquidation() -> None:
    liquidated, late = _late("wrapped-collateral", "2025-10-10T21:20:00Z")
    assert liquidated > 0
    assert late == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["vol-shock", "ust-depeg", "tariff-cascade"])
def test_no_kernel_is_left_for_later(scenario: str) -> None:
    liquidated, late = _late(scenario)
    assert liquidated > 0
    assert late == "[]"
