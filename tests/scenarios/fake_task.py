"""What a sweep's worker calls instead of a real run: quick, seeded, and able to fail."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scenarios.errors import UserError


def run_fake(
    scenario: str,
    seed: int,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    out: Path | None = None,
    *,
    keep: bool = True,
) -> dict[str, Any]:
    """A summary made of the arguments alone. `FAKE_TASK_SECONDS` slows it down.

    A setting `fail=user`, `fail=crash` fails; `fail=once` fails while the file named by the
    environment variable FAKE_TASK_FLAG is missing.
    """
    time.sleep(float(os.environ.get("FAKE_TASK_SECONDS", "0")))
    settings = dict(str(o).split("=", 1) for o in overrides)
    if settings.get("fail") == "user":
        raise UserError("agents.2.leverage: 0 is not in 1..100")
    if settings.get("fail") == "crash":
        raise ZeroDivisionError("a defect")
    if settings.get("fail") == "once" and not Path(os.environ["FAKE_TASK_FLAG"]).exists():
        raise ValueError("not yet")
    digest = hashlib.sha256(f"{scenario}{seed}{sorted(settings.items())}".encode()).digest()
    return {
        "scenario": scenario,
        "seed": seed,
        "event_hash": digest.hex(),
        "wall_seconds": time.perf_counter(),
        "liquidated_accounts": digest[0],
        "bankrupt_accounts": digest[1],
        "bad_debt_usd": float(settings.get("depth", 1)) * 100 + digest[2],
        "uncovered_loss_usd": 0.0,
        "rejected_orders": {"insufficient_margin": digest[3]} if digest[3] % 2 else {},
        "insurance_fund_usd": {"start": 1.0, "minimum": 0.5, "end": float(digest[4])},
    }
