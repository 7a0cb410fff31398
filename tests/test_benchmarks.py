"""The scripts that measure run, in small, and print one JSON object each: `make bench` needs that.

Soak: each starts a process and loads the kernels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {
    "book": ["--operations", "3000", "--naive-operations", "300", "--rounds", "1"],
    "flame": ["--end", "2020-03-12T10:34:20Z"],
    "growth": ["--scale", "0.02", "--only", "accounts,options"],
    "memory": ["--mib", "1"],
    "mark_tick": ["--accounts", "200", "--ticks", "3"],
    "order_check": ["--n", "200"],
    "order_life": ["--n", "2000"],
    "order_path": ["--n", "2000", "--accounts", "100", "--repeat", "1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_it_prints_one_json_object(name: str, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)] if name == "growth" else []
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *SMALL[name], *out],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    if name == "growth":
        assert {p.name for p in tmp_path.glob("growth-*.html")} == {
            "growth-accounts.html",
            "growth-options.html",
        }
