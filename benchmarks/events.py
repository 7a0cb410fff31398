"""A shipped event from its first to its last second: time, memory, and what is on disk on the way.

Prints one JSON object. Seconds are CPU of the process; `streamed` says how many MiB of results were
on disk, and how large the process was, at each quarter of the path: rows go to disk while the run
lasts, so its memory follows the market and not the length of the event.

    python benchmarks/events.py [--scenario tariff-cascade] [--end 2025-10-10T19:40:00Z]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from scenarios.run import run_scenario

QUARTERS = 4


def disk_mib(folder: Path) -> float:
    """MiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def resident_mib() -> float:
    """MiB of this process in memory now; its peak so far where the system has no /proc."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="tariff-cascade")
    parser.add_argument("--end", default="", help="stop early")
    arguments = parser.parse_args()
    overrides = {"market.end": arguments.end} if arguments.end else {}
    streamed: list[dict[str, Any]] = []
    began, began_wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"

        def progress(now_ns: int, start_ns: int, end_ns: int) -> None:
            if (now_ns - start_ns) * QUARTERS >= (end_ns - start_ns) * (len(streamed) + 1):
                streamed.append(
                    {
                        "done": round((now_ns - start_ns) / (end_ns - start_ns), 2),
                        "cpu_s": round(time.process_time() - began, 1),
                        "disk_mib": round(disk_mib(folder), 1),
                        "resident_mib": round(resident_mib()),
                    }
                )

        summary = run_scenario(arguments.scenario, 1, overrides, folder, on_progress=progress)
        results = disk_mib(folder)
    print(
        json.dumps(
            {
                "scenario": arguments.scenario,
                "accounts": summary["accounts"],
                "simulated_s": summary["simulated_seconds"],
                "orders": summary["orders"],
                "fills": summary["fills"],
                "liquidated_accounts": summary["liquidated_accounts"],
                "cpu_s": round(time.process_time() - began, 1),
                "wall_s": round(time.perf_counter() - began_wall, 1),
                "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                "results_mib": round(results, 1),
                "streamed": streamed,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
