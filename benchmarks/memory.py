"""How long this machine's memory takes: what an account costs that is in no cache.

Reads one word of a line of 64 bytes, in random order, from blocks of growing size. `chained_ns`:
each line says which one is next, so that every access waits for the one before, as objects that
refer to one another do. `together_ns`: the order is known, so that many are under way at once.
Prints one JSON object.

    python benchmarks/memory.py [--mib 1,16,64,256,1024]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LINE = 8  # words
ACCESSES = 2_000_000

Ints = NDArray[np.int64]


@njit(cache=False)
def chained(block: Ints, accesses: int) -> int:
    """Follow the chain; returns where it ends, so that nothing can be left out."""
    place = 0
    for _ in range(accesses):
        place = block[place]
    return place


@njit(cache=False)
def together(block: Ints, order: Ints, accesses: int) -> int:
    """Read the lines of `order` one after another, again and again."""
    total, length = 0, len(order)
    number = 0
    for _ in range(accesses):
        total += block[order[number]]
        number += 1
        if number == length:
            number = 0
    return total


def measured(mib: int) -> dict[str, Any]:
    """Nanoseconds an access in a block of `mib` MiB; best of three."""
    lines = mib * 2**20 // (8 * LINE)
    order = np.random.default_rng(1).permutation(lines).astype(np.int64) * LINE
    block = np.zeros(lines * LINE, np.int64)
    block[order] = np.roll(order, -1)
    return {
        "mib": mib,
        "chained_ns": round(best(lambda: chained(block, ACCESSES)), 1),
        "together_ns": round(best(lambda: together(block, order, ACCESSES)), 1),
    }


def best(read: Callable[[], int]) -> float:
    """Nanoseconds of wall time an access, best of three."""
    read()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - began)
    return min(seconds) / ACCESSES * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", default="1,16,64,256,1024")
    sizes = [int(text) for text in parser.parse_args().mib.split(",")]
    print(json.dumps({"cases": [measured(mib) for mib in sizes]}, indent=1))


if __name__ == "__main__":
    main()
