"""What sizes, ticks and atoms of a recorded run are worth.

Built from a run's manifest and its published prices, so that results can be read without the
exchange that made them.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import polars as pl

from exchange.units import atoms_per_unit
from scenarios.run_directory import Run


class ContractValues:
    """Prices and values of one run, by instrument id, currency and time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._entries = run.instruments

    def entry(self, instrument: str) -> dict[str, Any]:
        """The instrument's terms as recorded in the manifest."""
        return self._entries[instrument]

    def tick(self, instrument: str) -> float:
        """Price of one tick."""
        return float(Decimal(self._entries[instrument]["tick"]))

    def size(self, instrument: str, lots: int) -> float:
        """Contracts (spot: coins) in `lots`."""
        return float(lots * Fraction(self._entries[instrument]["lot"]))

    def units_per_contract(self, instrument: str) -> float:
        """Coins (inverse: USD) of one contract; 1 for spot."""
        entry = self._entries[instrument]
        return float(Fraction(entry["contract_value"]) * Fraction(entry["contract_multiplier"]))

    def units(self, instrument: str, lots: int) -> float:
        """Coins (inverse: USD) in `lots`."""
        return self.size(instrument, lots) * self.units_per_contract(instrument)

    def unit_name(self, instrument: str) -> str:
        """What `units` counts."""
        entry = self._entries[instrument]
        return "USD" if entry["inverse"] else str(entry["base"])

    def notional_usd(self, instrument: str, size: float, price: float, usd: float = 1.0) -> float:
        """USD value of `size` contracts; `usd` is the USD price of the quote currency."""
        units = size * self.units_per_contract(instrument)
        return units if self._entries[instrument]["inverse"] else units * price * usd

    @cached_property
    def _prices(self) -> pl.DataFrame:
        return self._run.prices

    @cached_property
    def _times(self) -> list[int]:
        return self._prices["time_ns"].to_list()

    def _row(self, time_ns: int) -> int:
        """Number of the last published prices at or before a time (the first, before that)."""
        return max(0, bisect_right(self._times, time_ns) - 1)

    def mark(self, instrument: str, time_ns: int) -> float:
        """The mark price at a time."""
        entry = self._entries[instrument]
        ticks = int(self._prices[f"mark:{instrument}"][self._row(time_ns)])
        return float(ticks * Fraction(entry["tick"]))

    def usd(self, currency: str, time_ns: int) -> float:
        """USD per unit of a currency at a time; 1 for one without a published price."""
        column = f"usd:{currency}"
        if column not in self._prices.columns:
            return 1.0
        return int(self._prices[column][self._row(time_ns)]) / 1e8

    def amount(self, currency: str, atoms: int) -> float:
        """Units of a currency in `atoms`."""
        return atoms / atoms_per_unit(currency)
