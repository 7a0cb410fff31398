"""What a sweep gains from a second process: the same short runs on one worker and on two.

Prints one JSON object: wall seconds of both (the pool started and its imports done), their ratio,
and the ratio that the machine allows at that moment: a pure computation on one process and on two.
Other load on the machine lowers both alike, so `of_possible` is the sweep's own share.

    python benchmarks/sweep.py [--runs 32] [--seconds 60] [--scenario black-thursday]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from scenarios.bar_file import format_time
from scenarios.config import load_scenario
from scenarios.run import run_scenario
from scenarios.sweep import open_sweep, run_sweep

COUNTING = 4_000_000


def count(_: int) -> int:
    """Pure computation of about a second."""
    total = 0
    for number in range(COUNTING):
        total += number & 7
    return total


def warm(scenario: str, end: str) -> None:
    """Imports and compiled kernels of one worker, before the clock starts."""
    run_scenario(scenario, 1, {"market.end": end}, None, keep=False)


def prepared(workers: int, scenario: str, end: str) -> Executor:
    """A pool whose workers have all run once."""
    pool = ProcessPoolExecutor(workers)
    for future in [pool.submit(warm, scenario, end) for _ in range(workers)]:
        future.result()
    return pool


def timed_sweep(pool: Executor, scenario: str, end: str, runs: int) -> float:
    """Wall seconds of the sweep on this pool."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = open_sweep(
            scenario, [("market.end", [end])], list(range(1, runs + 1)), Path(folder) / "sweep"
        )
        began = time.perf_counter()
        done, failed = run_sweep(sweep, pool)
        assert (done, failed) == (runs, 0), (done, failed)
        return time.perf_counter() - began


def timed_count(pool: Executor, tasks: int) -> float:
    """Wall seconds of pure computations on this pool."""
    began = time.perf_counter()
    list(pool.map(count, range(tasks)))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="black-thursday")
    parser.add_argument("--seconds", type=int, default=60, help="length of one run")
    parser.add_argument("--runs", type=int, default=32)
    arguments = parser.parse_args()
    start = load_scenario(arguments.scenario)[0].market.start
    end = format_time(start + arguments.seconds * 10**9)
    sweeps, counts = {}, {}
    for workers in (1, 2):
        with prepared(workers, arguments.scenario, end) as pool:
            counts[workers] = timed_count(pool, 8)
            sweeps[workers] = timed_sweep(pool, arguments.scenario, end, arguments.runs)
            counts[workers] += timed_count(pool, 8)
    gained, possible = sweeps[1] / sweeps[2], counts[1] / counts[2]
    print(
        json.dumps(
            {
                "runs": arguments.runs,
                "one_process_s": round(sweeps[1], 2),
                "two_processes_s": round(sweeps[2], 2),
                "ratio": round(gained, 2),
                "ratio_of_pure_computation": round(possible, 2),
                "of_possible": round(gained / possible, 2),
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
