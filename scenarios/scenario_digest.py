"""One number for all that a scenario says: its tables and the files that they name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from scenarios.config import scenario_tables


def scenario_digest(scenario: str) -> str:
    """Sixteen hex digits: equal for equal tables and equal contents of the files named in them.

    O(bytes of these files). Raises UserError where the scenario cannot be read.
    """
    tables, folder = scenario_tables(scenario)
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode())
    for text in _texts(tables):
        path = folder / text
        if "\0" not in text and len(path.name) < 256 and path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _texts(value: Any) -> Iterator[str]:
    """All text in a scenario's tables, in the order of their keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _texts(value[key])
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
