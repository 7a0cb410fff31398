"""Double-entry ledger in integer atoms.

Every booking moves a whole number of atoms of one currency from one ledger account to another, so
the sum over all accounts of a currency is zero at every moment by construction. What came from
outside stands, negated, in the account `outside`: the law of design.md section 3 (cash + position
cost + pools + funds + fees ... = deposits - withdrawals) is that identity, and
`conservation_error` checks it against deposits and withdrawals counted separately.

Names of ledger accounts: `cash/<account>`, `cost/<account>/<instrument>`, `fund/<pool>`, `pool`
(lending), `fees`, `interest`, `rounding`, `uncovered_loss`, `funding`, `outside`.
"""

from __future__ import annotations

import numpy as np
from librt.strings import BytesWriter, write_i64_le

from accounts.events import POSTING_COLUMNS, PostingBatch, PostingKind

OUTSIDE = "outside"


class Ledger:
    """All ledger accounts of the exchange, addressed by small integers. Posting is O(1)."""

    __slots__ = (
        "_by_name",
        "_deposited",
        "_journal",
        "balances",
        "currencies",
        "names",
        "recording",
    )

    def __init__(self, *, recording: bool = True) -> None:
        self.balances: list[int] = []
        self.names: list[str] = []
        self.currencies: list[str] = []
        self.recording = recording
        self._journal = BytesWriter()  # packed rows: no objects that live until the next flush
        self._by_name: dict[tuple[str, str], int] = {}
        self._deposited: dict[str, int] = {}

    def open(self, name: str, currency: str) -> int:
        """The number of ledger account `name` in `currency`, opened with balance 0 if new. O(1)."""
        key = (name, currency)
        number = self._by_name.get(key)
        if number is None:
            number = len(self.balances)
            self._by_name[key] = number
            self.balances.append(0)
            self.names.append(name)
            self.currencies.append(currency)
        return number

    def find(self, name: str, currency: str) -> int | None:
        """The number of an existing ledger account, or None. O(1)."""
        return self._by_name.get((name, currency))

    def post(
        self, time_ns: int, kind: int, debit: int, credit: int, atoms: int, reference: int
    ) -> None:
        """Move `atoms` (either sign) from `debit` to `credit`, which must share a currency. O(1).

        ValueError where a booking to be recorded does not fit into int64 (92 billion units of a
        currency of 8 decimals): nothing is moved or recorded.
        """
        if atoms == 0:
            return
        if atoms < 0:
            debit, credit, atoms = credit, debit, -atoms
        if self.recording:
            journal = self._journal
            before = len(journal)
            try:
                write_i64_le(journal, time_ns)
                write_i64_le(journal, kind)
                write_i64_le(journal, debit)
                write_i64_le(journal, credit)
                write_i64_le(journal, atoms)
                write_i64_le(journal, reference)
            except ValueError:
                journal.truncate(before)  # no half of a row
                raise
        balances = self.balances
        # Written out: `+=` on an item is a call for any object where this is compiled.
        balances[debit] = balances[debit] - atoms
        balances[credit] = balances[credit] + atoms

    def deposit(self, time_ns: int, credit: int, atoms: int) -> None:
        """Bring `atoms` in from outside. The caller has checked that atoms > 0."""
        currency = self.currencies[credit]
        self._deposited[currency] = self._deposited.get(currency, 0) + atoms
        self.post(time_ns, PostingKind.DEPOSIT, self.open(OUTSIDE, currency), credit, atoms, 0)

    def withdraw(self, time_ns: int, debit: int, atoms: int) -> None:
        """Send `atoms` out. The caller has checked the account's safety and the custody."""
        currency = self.currencies[debit]
        assert atoms <= self.custody(currency), "custody of a currency is never negative"
        self._deposited[currency] = self._deposited.get(currency, 0) - atoms
        self.post(time_ns, PostingKind.WITHDRAWAL, debit, self.open(OUTSIDE, currency), atoms, 0)

    def custody(self, currency: str) -> int:
        """Atoms of `currency` that the exchange holds: deposits less withdrawals. O(1)."""
        return self._deposited.get(currency, 0)

    def conservation_error(self) -> dict[str, int]:
        """Per currency: (sum of all ledger accounts but `outside`) - (deposits - withdrawals).

        Zero when no atom was made or lost. O(ledger accounts).
        """
        totals = dict.fromkeys(self.currencies, 0)
        for currency, atoms in zip(self.currencies, self.balances, strict=True):
            totals[currency] += atoms
        errors: dict[str, int] = {}
        for currency, total in sorted(totals.items()):
            outside = self.find(OUTSIDE, currency)
            inside = total if outside is None else total - self.balances[outside]
            errors[currency] = inside - self._deposited.get(currency, 0)
        return errors

    def total(self, prefix: str) -> dict[str, int]:
        """Per currency the sum of the accounts whose name begins with `prefix`. O(ledger
        accounts)."""
        totals: dict[str, int] = {}
        for name, currency, atoms in zip(self.names, self.currencies, self.balances, strict=True):
            if name.startswith(prefix):
                totals[currency] = totals.get(currency, 0) + atoms
        return totals

    @property
    def unflushed(self) -> int:
        """Bookings since the last flush."""
        return len(self._journal) // (8 * POSTING_COLUMNS)

    def flush(self) -> PostingBatch | None:
        """The bookings since the last flush, or None. O(bookings), as one copy of bytes."""
        packed = self._journal.getvalue()
        if not packed:
            return None
        self._journal.truncate(0)
        rows = np.frombuffer(packed, dtype="<i8").reshape(-1, POSTING_COLUMNS)
        return PostingBatch(rows, self.names, self.currencies)
