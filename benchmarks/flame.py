"""Where a run spends its time: stacks sampled by the processor's clock, without a profiler's bias.

A tracing profiler charges for every call and so makes many small functions look dear; sampling does
not. Prints one JSON object with the share of the samples in which a function was on the stack
(`inclusive`) or on top of it (`own`; compiled kernels count for their caller). `--folded FILE` also
writes the stacks in the format that flame-graph programs read.

    python benchmarks/flame.py [SCENARIO] [--start TIME --end TIME] [--folded FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

os.environ["SELLOFF_COMPILED"] = "0"  # compiled functions have no stack to look at

from scenarios.run import run_scenario
from scenarios.simulation import Simulation

SHOWN = 40
ROOT = "scenarios/simulation.py:Simulation.run"


class Sampler:
    """Counts stacks each time the processor clock ticks (4 ms on most machines)."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()
        self.started = 0.0

    def start(self, _: Simulation) -> None:
        """Begin; called when the simulation is about to run."""
        self.started = time.process_time()
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def stop(self) -> float:
        """End, and the processor seconds since the start."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        return time.process_time() - self.started

    def _tick(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            code = frame.f_code
            file = "/".join(code.co_filename.split("/")[-2:])
            stack.append(f"{file}:{code.co_qualname}")
            frame = frame.f_back
        stack.reverse()
        if ROOT in stack:
            self.stacks[tuple(stack[stack.index(ROOT) :])] += 1

    def shares(self) -> dict[str, dict[str, float]]:
        """The functions that were most on the stack, with both shares."""
        total = max(1, self.stacks.total())
        inclusive: Counter[str] = Counter()
        own: Counter[str] = Counter()
        for stack, count in self.stacks.items():
            own[stack[-1]] += count
            for name in set(stack):
                inclusive[name] += count
        return {
            name: {"inclusive": round(count / total, 3), "own": round(own[name] / total, 3)}
            for name, count in inclusive.most_common(SHOWN)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="?", default="black-thursday")
    parser.add_argument("--start", default="2020-03-12T10:34:00Z")
    parser.add_argument("--end", default="2020-03-12T10:54:00Z")
    parser.add_argument("--folded", type=Path)
    arguments = parser.parse_args()
    window = {"market.start": arguments.start, "market.end": arguments.end}
    sampler = Sampler()
    with tempfile.TemporaryDirectory() as folder:
        summary = run_scenario(
            arguments.scenario, overrides=window, out=Path(folder) / "run", on_start=sampler.start
        )
        seconds = sampler.stop()
    if arguments.folded is not None:
        lines = [f"{';'.join(stack)} {count}" for stack, count in sorted(sampler.stacks.items())]
        arguments.folded.write_text("\n".join(lines) + "\n", encoding="utf-8")
    figures = {
        "scenario": arguments.scenario,
        "orders": summary["orders"],
        "cpu_seconds": round(seconds, 2),
        "samples": sampler.stacks.total(),
        "shares": sampler.shares(),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
