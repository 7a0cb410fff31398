"""How long a command takes before it does something: `selloff --help`, a margin report, a run.

`python benchmarks/startup.py` prints one JSON object: the shortest wall time of several starts, and
the processor time of the same start, which other work on the machine disturbs less. `--cold`
adds a start with an empty kernel cache (half a minute).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTFOLIO = ROOT / "scenarios" / "library" / "portfolios" / "hedged-spot.toml"
SCENARIO = "black-thursday"
STARTS = 5
TARGETS = {"help_seconds": 0.4, "run_seconds": 3.0}

FIRST_MARK = """
import os
from scenarios.run import run_scenario
run_scenario(%r, keep=False, on_progress=lambda *_: os._exit(0))
"""
"""A run that ends at its first mark: scenario read, path built, accounts opened, one mark taken."""


def shortest(command: list[str], starts: int = STARTS, **extra: str) -> tuple[float, float]:
    """(wall, processor) seconds of the fastest of several starts."""
    times = []
    for _ in range(starts):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=-3, cwd=ROOT, env={**os.environ, **extra})
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        times.append((wall, used))
    return min(times)


def main() -> None:
    """Print all figures as one JSON object."""
    python = [sys.executable]
    commands = {
        "help": [*python, "-m", "scenarios.cli", "--help"],
        "margin": [*python, "-m", "scenarios.cli", "margin", str(PORTFOLIO)],
        "run": [*python, "-c", FIRST_MARK % SCENARIO],
    }
    subprocess.run(commands["run"], check=True, stdout=-3, cwd=ROOT)  # the kernels are there now
    figures: dict[str, object] = {
        "scenario": SCENARIO,
        "load_average": round(os.getloadavg()[0], 1),
    }
    for name, command in commands.items():
        wall, used = shortest(command)
        figures[f"{name}_seconds"] = round(wall, 3)
        figures[f"{name}_processor_seconds"] = round(used, 3)
    figures["targets"] = TARGETS
    if "--cold" in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as empty:
            wall, used = shortest(commands["run"], 1, NUMBA_CACHE_DIR=empty)
        figures["cold_run_seconds"] = round(wall, 1)
        figures["cold_run_processor_seconds"] = round(used, 1)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
