"""Valuation and margin: pure functions over float64 arrays."""

from pathlib import Path

from risk.compiled_cache import drop_stale

drop_stale(Path(__file__).parent)
