"""The figures of `summary.json` that are counted while a run goes on.

`SummaryCounter` sees each chunk of rows once, as an array, so counting costs nothing per event.
What needs time series is computed from the tables afterwards (`scenarios.metrics`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accounts.events import FundBalance, LiquidationStage
from accounts.insurance import UNCOVERED
from exchange.instrument import Instrument
from exchange.units import atoms_per_unit
from scenarios.frames import ORDER_EVENTS, REASON_NAMES, STAGE_NAMES, InstrumentTable
from scenarios.tables import Rows

ONE_USD_E8 = 100_000_000
NOT_THE_TRADERS = (LiquidationStage.FUND_UNWIND, LiquidationStage.DELEVERAGING)
"""Stages that unwind what was taken over: counting them as liquidated would count it twice."""


def usd(atoms: int, currency: str, rate_e8: int) -> float:
    """Atoms of a currency in USD at a rate of 1e-8 USD per unit; for reading, never booked."""
    return atoms / atoms_per_unit(currency) * (rate_e8 / 1e8)


@dataclass(slots=True)
class FundTotal:
    """USD value of all insurance funds, each at the price of its currency when it last changed."""

    start: float = 0.0
    minimum: float = 0.0
    end: float = 0.0
    _first_ns: int | None = None
    _pools: dict[tuple[str, str], float] = field(default_factory=dict)

    def changed(self, event: FundBalance, rate_e8: int) -> None:
        """Take one pool's new balance. O(1)."""
        key = (event.pool, event.currency)
        value = usd(event.atoms, event.currency, rate_e8)
        self.end += value - self._pools.get(key, 0.0)
        self._pools[key] = value
        if self._first_ns is None or event.time_ns == self._first_ns:
            # The funds that are there when the run begins are filled at its first moment.
            self._first_ns = event.time_ns
            self.start = self.minimum = self.end
        else:
            self.minimum = min(self.minimum, self.end)


class SummaryCounter:
    """Counts events by kind and reason, and sums what is traded, liquidated and lost."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.fund = FundTotal()
        self.order_events: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.fills = 0
        self.traded_notional_usd = 0.0
        self.warnings = 0
        self.liquidated_usd: dict[str, float] = {}
        self.liquidated: set[int] = set()
        self.bankrupt: set[int] = set()
        self.deleveraged: set[int] = set()
        self.bad_debt_usd = 0.0
        self.uncovered_atoms: Counter[str] = Counter()
        self.usd_index_e8: dict[str, int] = {}  # the latest, kept up to date by the recorder
        self._table = InstrumentTable(instruments)
        self._ledgers_seen = 0
        self._uncovered: list[int] = []  # numbers of ledger accounts

    def take(self, name: str, rows: Rows) -> None:
        """Count one chunk of rows of the named table. O(rows)."""
        count = getattr(self, f"_count_{name}", None)
        if count is not None and len(rows):
            count(rows)

    def _count_orders(self, rows: Rows) -> None:
        for event, n in enumerate(np.bincount(rows["event"], minlength=len(ORDER_EVENTS))):
            self.order_events[ORDER_EVENTS[event]] += int(n)
        for event, counter in ((1, self.rejected), (2, self.cancelled)):
            codes, counts = np.unique(rows["reason"][rows["event"] == event], return_counts=True)
            for code, n in zip(codes, counts, strict=True):
                counter[REASON_NAMES[int(code)]] += int(n)

    def _count_fills(self, rows: Rows) -> None:
        self.fills += len(rows)
        self.traded_notional_usd += float(self._table.notional_usd(rows).sum())

    def _count_warnings(self, rows: Rows) -> None:
        self.warnings += len(rows)

    def _count_liquidations(self, rows: Rows) -> None:
        for stage in np.unique(rows["stage"]):
            chosen = rows[rows["stage"] == stage]
            name = STAGE_NAMES[int(stage)]
            notional = float(chosen["notional_usd"].sum())
            self.liquidated_usd[name] = self.liquidated_usd.get(name, 0.0) + notional
            if stage not in NOT_THE_TRADERS:
                forced = (chosen["filled_lots"] > 0) | (stage == LiquidationStage.TAKE_OVER)
                self.liquidated.update(chosen["account"][forced].tolist())

    def _count_bankruptcies(self, rows: Rows) -> None:
        self.bankrupt.update(rows["account"].tolist())
        self.bad_debt_usd += float(rows["deficit_usd"].sum())

    def _count_deleveragings(self, rows: Rows) -> None:
        self.deleveraged.update(rows["winner"].tolist())

    def take_ledger(self, rows: Rows, names: Sequence[str], currencies: Sequence[str]) -> None:
        """Sum what is booked to the accounts of uncovered losses. O(rows + new ledger accounts)."""
        for number in range(self._ledgers_seen, len(names)):
            if names[number] == UNCOVERED:
                self._uncovered.append(number)
        self._ledgers_seen = len(names)
        for number in self._uncovered:
            drawn = int(rows["atoms"][rows["debit"] == number].sum())
            returned = int(rows["atoms"][rows["credit"] == number].sum())
            self.uncovered_atoms[currencies[number]] += drawn - returned

    def uncovered_loss_usd(self) -> float:
        """What nobody has paid, at the latest prices."""
        return sum(
            usd(atoms, currency, self.usd_index_e8.get(currency, ONE_USD_E8))
            for currency, atoms in sorted(self.uncovered_atoms.items())
        )

    def figures(self) -> dict[str, Any]:
        """The counted part of `summary.json`, sorted where the keys are reasons or stages."""
        fund = self.fund
        return {
            "orders": self.order_events["accepted"] + self.order_events["rejected"],
            "rejected_orders": dict(sorted(self.rejected.items())),
            "fills": self.fills,
            "traded_notional_usd": self.traded_notional_usd,
            "warnings": self.warnings,
            "cancelled_orders": dict(sorted(self.cancelled.items())),
            "liquidated_accounts": len(self.liquidated),
            "liquidated_notional_usd": dict(sorted(self.liquidated_usd.items())),
            "bankrupt_accounts": len(self.bankrupt),
            "deleveraged_accounts": len(self.deleveraged),
            "bad_debt_usd": self.bad_debt_usd,
            "insurance_fund_usd": {
                "start": fund.start, "minimum": fund.minimum, "end": fund.end,
            },
            "uncovered_loss_usd": self.uncovered_loss_usd(),
        }  # fmt: skip
