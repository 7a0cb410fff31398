"""The exposure tables of all accounts: what risk sees, updated in place on every fill and order.

The tables are numpy arrays laid out in `risk.order_tables`; this class owns them, hands out their rows and
calls the kernels of `risk.order_kernels`. Nothing here decides anything.

Cost: an order or a fill O(columns); a mark O(1) here, O(positions + orders) per account on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from risk import order_kernels as kernels
from risk import order_tables as t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from accounts.market import Market

_COLUMNS = {
    "positions": t.POSITION_COLUMNS,
    "orders": t.ORDER_COLUMNS,
    "units": t.UNIT_COLUMNS,
    "unit_sums": 0,  # depends on the stress layout
    "currencies": t.CURRENCY_COLUMNS,
    "currency_sums": t.CURRENCY_EXTRA,
    "accounts": t.ACCOUNT_COLUMNS,
    "account_sums": t.ACCOUNT_EXTRA,
}
_FLOATS = ("unit_sums", "currency_sums", "account_sums")
_TOGETHER = {
    "units": ("units", "unit_sums"),
    "currencies": ("currencies", "currency_sums"),
    "accounts": ("accounts", "account_sums"),
    "positions": ("positions",),
    "orders": ("orders",),
}


class Exposures:
    """Rows for accounts, units, currencies, positions and orders, and the kernels on them."""

    positions: NDArray[np.int64]
    orders: NDArray[np.int64]
    units: NDArray[np.int64]
    unit_sums: NDArray[np.float64]
    currencies: NDArray[np.int64]
    currency_sums: NDArray[np.float64]
    accounts: NDArray[np.int64]
    account_sums: NDArray[np.float64]

    def __init__(self, market: Market, *, capacity: int = 64) -> None:
        self.market = market
        self._columns = dict(_COLUMNS, unit_sums=3 * market.width + t.UNIT_EXTRA)
        self.used = dict.fromkeys(_TOGETHER, 0)
        for name in self._columns:
            self._allocate(name, capacity)
        self._free_orders: list[int] = []
        self._unit_rows: dict[tuple[int, int], int] = {}
        self._currency_rows: dict[tuple[int, int], int] = {}
        self._scratch = np.zeros((4, max(64, market.full_width)))
        self._bind()

    def _allocate(self, name: str, rows: int) -> None:
        dtype = np.float64 if name in _FLOATS else np.int64
        setattr(self, name, np.zeros((rows, self._columns[name]), dtype))

    def _bind(self) -> None:
        """Put the arrays into the tuples that the kernels are called with."""
        market = self.market
        self._all = (
            self.positions,
            self.orders,
            self.units,
            self.unit_sums,
            self.currencies,
            self.currency_sums,
            self.accounts,
            self.account_sums,
            market.instruments,
            market.terms,
            market.stress,
            market.unit_terms,
            market.currency_terms,
            market.discounts,
            market.loans,
            market.rule_terms,
            self._scratch,
        )
        self._sums = (
            self.positions,
            self.orders,
            self.units,
            self.unit_sums,
            self.currencies,
            self.accounts,
            market.instruments,
            market.terms,
            market.stress,
        )
        self._cash = (self.currencies, self.units, self.accounts)

    def _row(self, kind: str) -> int:
        """A fresh row of table `kind`; tables double when full. Amortised O(1)."""
        row = self.used[kind]
        if row >= len(getattr(self, kind)):
            for name in _TOGETHER[kind]:
                old: NDArray[Any] = getattr(self, name)
                self._allocate(name, 2 * len(old))
                getattr(self, name)[: len(old)] = old
            self._bind()
        self.used[kind] = row + 1
        return row

    def add_account(self, *, auto_borrow: bool) -> int:
        """A row for a new account."""
        row = self._row("accounts")
        self.accounts[row, t.A_UNIT] = t.NONE
        self.accounts[row, t.A_CURRENCY] = t.NONE
        self.accounts[row, t.A_VERSION] = t.NONE
        self.accounts[row, t.A_AUTO_BORROW] = int(auto_borrow)
        return row

    def currency_row(self, account: int, currency: int) -> int:
        """The row of (account, currency), made if new; the account's rows stay in currency order."""
        row = self._currency_rows.get((account, currency))
        if row is not None:
            return row
        row = self._row("currencies")
        self._currency_rows[account, currency] = row
        entry = self.currencies[row]
        entry[t.C_ACCOUNT], entry[t.C_CURRENCY] = account, currency
        entry[t.C_DIRTY] = 1
        entry[t.C_UNIT] = self._unit_rows.get((account, self.market.unit_of[currency]), t.NONE)
        self.currency_sums[row, t.V_CAP] = np.inf
        self._insert(account, row, t.A_CURRENCY, self.currencies, t.C_CURRENCY, t.C_NEXT)
        return row

    def unit_row(self, account: int, unit: int) -> int:
        """The row of (account, risk unit), made if new; the account's rows stay in unit order."""
        row = self._unit_rows.get((account, unit))
        if row is not None:
            return row
        base = self.currency_row(account, self.market.unit_base[unit])
        row = self._row("units")
        self._unit_rows[account, unit] = row
        entry = self.units[row]
        entry[t.U_ACCOUNT], entry[t.U_UNIT], entry[t.U_FIRST] = account, unit, t.NONE
        entry[t.U_BASE], entry[t.U_DIRTY] = base, 1
        entry[t.U_FROM] = self.market.unit_from[unit]
        self.currencies[base, t.C_UNIT] = row
        self._insert(account, row, t.A_UNIT, self.units, t.U_UNIT, t.U_NEXT)
        return row

    def _insert(
        self, account: int, row: int, head: int, table: NDArray[Any], key: int, following: int
    ) -> None:
        """Link `row` into the account's list, ascending by column `key`: sums keep one order."""
        previous, current = t.NONE, int(self.accounts[account, head])
        while current != t.NONE and table[current, key] < table[row, key]:
            previous, current = current, int(table[current, following])
        table[row, following] = current
        if previous == t.NONE:
            self.accounts[account, head] = row
        else:
            table[previous, following] = row
        self.accounts[account, t.A_DIRTY] = 1

    def add_position(self, account: int, instrument: int, settle: int, base: int) -> int:
        """A row for (account, instrument); the caller keeps it unique."""
        unit = self.unit_row(account, int(self.market.instruments[instrument, t.I_UNIT]))
        row = self._row("positions")
        entry = self.positions[row]
        entry[t.P_ACCOUNT], entry[t.P_INSTRUMENT], entry[t.P_UNIT] = account, instrument, unit
        entry[t.P_SETTLE], entry[t.P_BASE], entry[t.P_FIRST] = settle, base, t.NONE
        entry[t.P_NEXT] = self.units[unit, t.U_FIRST]
        self.units[unit, t.U_FIRST] = row
        return row

    def order_row(self) -> int:
        """A free row for an order."""
        return self._free_orders.pop() if self._free_orders else self._row("orders")

    def free_order_row(self, row: int) -> None:
        """Give back the row of an order that the kernels no longer hold."""
        self._free_orders.append(row)

    # --- the way of an order -----------------------------------------------------------------

    def place(
        self, row: int, position: int, side: int, price: int, lots: int, *, immediate: bool
    ) -> int:
        """Check one new order by 16.17; booked as `row` if accepted. O(columns + units)."""
        code: int = kernels.place(
            row, position, side, price, lots, immediate, self.market.version, *self._all
        )
        return code

    def refused_figures(self) -> tuple[float, float, float, float]:
        """Of the last refusal, with the order: smallest adjusted equity, IMR, adj. equity, MMR."""
        smallest, initial, adjusted, maintenance = self._scratch[2, :4].tolist()
        return smallest, initial, adjusted, maintenance

    def add_order(self, row: int, position: int, side: int, price: int, lots: int) -> None:
        """Book an order without a check (liquidation)."""
        kernels.add_order(row, position, side, price, lots, *self._sums)

    def remove_order(self, row: int) -> None:
        """Take an order out of the sums and free its row. O(columns)."""
        kernels.remove_order(row, *self._sums)
        self._free_orders.append(row)

    def without_order(self, row: int) -> None:
        """Take an order out of the sums to see the difference; `with_order` puts it back."""
        kernels.remove_order(row, *self._sums)

    def with_order(self, row: int) -> None:
        """Undo `without_order`."""
        order = self.orders[row]
        kernels.add_order(
            row,
            int(order[t.O_POSITION]),
            int(order[t.O_SIDE]),
            int(order[t.O_PRICE]),
            int(order[t.O_LOTS]),
            *self._sums,
        )

    def reduce_order(self, row: int, lots: int) -> None:
        """An order keeps `lots`. O(columns)."""
        kernels.reduce_order(row, lots, *self._sums)

    def fill(
        self, order: int, filled: int, position: int, lots: int, cost: int, settle: int, base: int
    ) -> None:
        """A fill of `filled` lots of order row `order` (NONE: no order): the position's new lots and
        cost, the new net cash of its settlement and base currency. O(columns)."""
        if kernels.fill(order, filled, position, lots, cost, settle, base, *self._sums):
            self._free_orders.append(order)

    def set_cash(self, row: int, atoms: int) -> None:
        """The net cash of currency row `row` changed. O(1)."""
        kernels.set_cash(row, atoms, *self._cash)

    def set_cap(self, row: int, coins: float) -> None:
        """The user's cap on spot in use."""
        self.currency_sums[row, t.V_CAP] = coins
        kernels.set_cash(row, int(self.currencies[row, t.C_CASH]), *self._cash)

    # --- figures -----------------------------------------------------------------------------

    def figures(self, account: int) -> NDArray[np.float64]:
        """The totals of one account, brought up to date: a view, columns T_* of order_self."""
        kernels.figures(account, self.market.version, *self._all)
        row: NDArray[np.float64] = self.account_sums[account]
        return row

    def all_figures(self) -> NDArray[np.float64]:
        """The totals of all accounts, brought up to date: (accounts, T_*), a view."""
        count = self.used["accounts"]
        kernels.all_figures(count, self.market.version, *self._all)
        rows: NDArray[np.float64] = self.account_sums[:count]
        return rows

    def watch(self) -> NDArray[np.float64]:
        """As `all_figures`, but accounts that cannot have crossed a threshold keep older figures."""
        count = self.used["accounts"]
        kernels.watch(count, self.market.version, *self._all)
        rows: NDArray[np.float64] = self.account_sums[:count]
        return rows

    def shift(self, position: int, signed_lots: int, price: float, fee_atoms: int) -> None:
        """Trade in the tables only, to see what it would do; undone by the opposite call."""
        kernels.shift(position, signed_lots, price, fee_atoms, *self._sums)

    def open_orders(self) -> int:
        """Orders booked."""
        return self.used["orders"] - len(self._free_orders)

    def unit_margins(self, account: int) -> list[tuple[int, float, float]]:
        """(unit number, MMR, IMR) of each unit of an account, after `figures`."""
        extra = 3 * self.market.width
        rows: list[tuple[int, float, float]] = []
        row = int(self.accounts[account, t.A_UNIT])
        while row != t.NONE:
            mmr, imr = self.unit_sums[row, extra + t.S_MMR : extra + t.S_IMR + 1].tolist()
            rows.append((int(self.units[row, t.U_UNIT]), mmr, imr))
            row = int(self.units[row, t.U_NEXT])
        return rows


def column(rows: NDArray[np.float64], number: int) -> Sequence[float]:
    """One column of figures as a list."""
    values: list[float] = rows[:, number].tolist()
    return values
