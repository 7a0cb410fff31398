"""The exposure tables of all accounts: what risk sees, updated in place on every fill and order.

The tables are numpy arrays laid out in `risk.order_tables`; this class owns them, hands out their
rows and calls the kernels of `risk.order_calls`. Nothing here decides anything.

Cost: an order or a fill O(columns); a mark O(1) here, O(positions + orders) per account on first
use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from risk import layout as at
from risk import order_tables as t
from risk.order_calls import order_calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from accounts.account import Position
    from accounts.market import Market
    from risk.order_trials import Figures

_COLUMNS: Final = {
    "positions": t.POSITION_COLUMNS,
    "orders": t.ORDER_COLUMNS,
    "units": t.UNIT_COLUMNS,
    "unit_sums": 0,  # depends on the stress layout
    "currencies": t.CURRENCY_COLUMNS,
    "currency_sums": t.CURRENCY_EXTRA,
    "accounts": t.ACCOUNT_COLUMNS,
    "account_sums": t.ACCOUNT_EXTRA,
    "radii": 1,
    "anchors": 1,
}
_FLOATS: Final = ("unit_sums", "currency_sums", "account_sums", "radii")
_TOGETHER: Final = {
    "units": ("units", "unit_sums"),
    "currencies": ("currencies", "currency_sums"),
    "accounts": ("accounts", "account_sums", "radii", "anchors"),
    "positions": ("positions",),
    "orders": ("orders",),
}
_ADDRESSES: Final = {
    "positions": t.X_POSITIONS,
    "orders": t.X_ORDERS,
    "units": t.X_UNITS,
    "unit_sums": t.X_UNIT_SUMS,
    "currencies": t.X_CURRENCIES,
    "currency_sums": t.X_CURRENCY_SUMS,
    "accounts": t.X_ACCOUNTS,
    "account_sums": t.X_ACCOUNT_SUMS,
    "radii": t.X_RADII,
    "anchors": t.X_ANCHORS,
}
LEVERAGE_SCALE: Final = 10**6
_ANCHORS: Final = 64  # earlier marks that radii may be measured from


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
    radii: NDArray[np.float64]
    anchors: NDArray[np.int64]

    def __init__(self, market: Market, *, capacity: int = 64) -> None:
        self.market = market
        self._columns = dict(_COLUMNS, unit_sums=3 * market.width + t.UNIT_EXTRA)
        self.used = dict.fromkeys(_TOGETHER, 0)
        self._x = np.zeros(t.X_SIZE, np.int64)
        for name in self._columns:
            self._allocate(name, capacity)
        self._free_orders: list[int] = []
        self._unit_rows: dict[tuple[int, int], int] = {}
        self._currency_rows: dict[tuple[int, int], int] = {}
        self._scratch = np.zeros(market.full_width + at.OUT_SIZE + t.REFUSED_FIGURES)
        self._margins = self._scratch[market.full_width :][: at.OUT_SIZE]
        self._units = np.zeros((len(market.unit_names), 3))
        self._looked = self._weak = self._over = np.zeros(0, np.int64)
        self.looked = self._looked  # the accounts that the last `watch` looked at, ascending
        self.weak = self._weak  # those of them that were beyond a threshold
        prices = len(market.prices)
        self._anchor_prices = np.zeros((_ANCHORS, prices))
        self._anchor_counts = np.zeros(_ANCHORS, np.int64)
        self._moved = np.zeros((_ANCHORS, 1 + prices))
        self._anchor, self._anchor_version = 0, 0
        self._bind_market()
        self._calls = calls = order_calls()
        self._place, self._cancel, self._fill = calls.place, calls.cancel, calls.fill

    def _allocate(self, name: str, rows: int) -> None:
        dtype = np.float64 if name in _FLOATS else np.int64
        table = np.zeros((rows, self._columns[name]), dtype)
        setattr(self, name, table)
        self._x[_ADDRESSES[name]] = table.ctypes.data

    def _bind_market(self) -> None:
        """Tell the kernels where the market's tables are; they never move."""
        market, x = self.market, self._x
        for number, table in (
            (t.X_INSTRUMENTS, market.instruments),
            (t.X_TERMS, market.terms),
            (t.X_STRESS, market.stress),
            (t.X_UNIT_TERMS, market.unit_terms),
            (t.X_CURRENCY_TERMS, market.currency_terms),
            (t.X_DISCOUNTS, market.discounts),
            (t.X_LOANS, market.loans),
            (t.X_RULES, market.rule_terms),
            (t.X_SCRATCH, self._scratch),
        ):
            assert table.flags.c_contiguous, number
            x[number] = table.ctypes.data
        x[t.X_WIDTH] = market.width
        x[t.X_FULL_WIDTH] = market.full_width
        x[t.X_UNIT_PARAMS] = market.unit_terms.shape[1]
        x[t.X_DISCOUNT_TIERS] = market.discounts.shape[1]
        x[t.X_LOAN_TIERS] = market.loans.shape[1]
        x[t.X_INSTRUMENT_COUNT] = len(market.instruments_list)
        x[t.X_CURRENCY_COUNT] = len(market.currencies)

    def _row(self, kind: str) -> int:
        """A fresh row of table `kind`; tables double when full. Amortised O(1)."""
        row = self.used[kind]
        if row >= len(getattr(self, kind)):
            for name in _TOGETHER[kind]:
                old: NDArray[Any] = getattr(self, name)
                self._allocate(name, 2 * len(old))
                getattr(self, name)[: len(old)] = old
        self.used[kind] = row + 1
        return row

    def add_account(self, *, auto_borrow: bool, mode: int = t.PORTFOLIO_MODE) -> int:
        """A row for a new account."""
        row = self._row("accounts")
        self._calls.open_account(row, mode, int(auto_borrow), self._anchor, self._x)
        self._anchor_counts[self._anchor] += 1
        return row

    def currency_row(self, account: int, currency: int) -> int:
        """The row of (account, currency), made if new; the account's rows stay in currency
        order."""
        row = self._currency_rows.get((account, currency))
        if row is not None:
            return row
        row = self._row("currencies")
        self._currency_rows[account, currency] = row
        unit = self._unit_rows.get((account, self.market.unit_of[currency]), t.NONE)
        self._calls.open_currency(row, account, currency, unit, self._x)
        return row

    def unit_row(self, account: int, unit: int) -> int:
        """The row of (account, risk unit), made if new; the account's rows stay in unit order."""
        row = self._unit_rows.get((account, unit))
        if row is not None:
            return row
        base = self.currency_row(account, self.market.unit_base[unit])
        row = self._row("units")
        self._unit_rows[account, unit] = row
        self._calls.open_unit(row, account, unit, base, self.market.unit_from[unit], self._x)
        return row

    def set_mode(self, account: int, mode: int, *, auto_borrow: bool) -> None:
        """An account's figures follow another mode from now on."""
        self._calls.set_mode(account, mode, int(auto_borrow), self._x)

    def set_leverage(self, position: int, leverage: float) -> None:
        """Leverage of a position row, where the account's mode has one; it has no dirty flag."""
        self.positions[position, t.P_LEVERAGE] = round(leverage * LEVERAGE_SCALE)
        self.radii[self.positions[position, t.P_ACCOUNT]] = 0.0

    def add_position(self, account: int, instrument: int, settle: int, base: int) -> int:
        """A row for (account, instrument); the caller keeps it unique."""
        unit = self.unit_row(account, int(self.market.instruments[instrument, t.I_UNIT]))
        row = self._row("positions")
        leverage = round(self.market.default_leverage * LEVERAGE_SCALE)
        self._calls.open_position(row, account, instrument, unit, settle, base, leverage, self._x)
        return row

    def order_row(self) -> int:
        """A free row for an order."""
        return self._free_orders.pop() if self._free_orders else self._row("orders")

    def free_order_row(self, row: int) -> None:
        """Give back the row of an order that the kernels no longer hold."""
        self._free_orders.append(row)

    # --- the way of an order -----------------------------------------------------------------

    def place(
        self, row: int, position: int, side: int, price: int, lots: int, immediate: bool
    ) -> int:
        """Check one new order by 16.17; booked as `row` if accepted. O(columns + units)."""
        code: int = self._place(row, position, side, price, lots, immediate, self._x)
        return code

    def refused_figures(self) -> tuple[float, float, float, float]:
        """Of the last refusal, with the order: smallest adjusted equity, IMR, adj. equity, MMR."""
        figures = self._scratch[-t.REFUSED_FIGURES :].tolist()
        return figures[0], figures[1], figures[2], figures[3]

    def only_closes(self, position: Position, side: int, lots: int) -> bool:
        """Whether an order, and all open ones of its side, can only close the position. O(1)."""
        row = self.positions[position.row]
        ordered = int(row[t.P_BUY if side > 0 else t.P_SELL])
        return side * position.lots + ordered + lots <= 0

    def add_order(self, row: int, position: int, side: int, price: int, lots: int) -> None:
        """Book an order without a check (liquidation)."""
        self._calls.book(row, position, side, price, lots, self._x)

    def remove_order(self, row: int) -> None:
        """Take an order out of the sums and free its row. O(columns)."""
        self._cancel(row, self._x)
        self._free_orders.append(row)

    def without_order(self, row: int) -> None:
        """Take an order out of the sums to see the difference; `with_order` puts it back."""
        self._cancel(row, self._x)

    def with_order(self, row: int) -> None:
        """Undo `without_order`."""
        order = self.orders[row].tolist()
        self._calls.book(
            row, order[t.O_POSITION], order[t.O_SIDE], order[t.O_PRICE], order[t.O_LOTS], self._x
        )

    def replace_order(self, row: int, price: int, lots: int) -> None:
        """Give a booked order other terms, without a check. O(columns)."""
        self._cancel(row, self._x)
        order = self.orders[row].tolist()
        self._calls.book(row, order[t.O_POSITION], order[t.O_SIDE], price, lots, self._x)

    def reduce_order(self, row: int, lots: int) -> None:
        """An order keeps `lots`. O(columns)."""
        self._calls.reduce(row, lots, self._x)

    def fill(
        self,
        filled: int,
        order: int,
        position: Position,
        settle: int,
        base: int,
        other_order: int,
        other: Position,
        other_settle: int,
        other_base: int,
    ) -> None:
        """A fill between two positions, whose lots and cost are the new ones already.

        Per side: the order row that shrinks (NONE: none), and the new net cash of the position's
        settlement and base currency (the latter for spot only). O(columns).
        """
        done: int = self._fill(
            filled,
            order,
            position.row,
            position.lots,
            position.cost_atoms,
            settle,
            base,
            other_order,
            other.row,
            other.lots,
            other.cost_atoms,
            other_settle,
            other_base,
            self._x,
        )
        if done & 1:
            self._free_orders.append(order)
        if done & 2:
            self._free_orders.append(other_order)

    def set_holding(self, position: Position, settle: int) -> None:
        """A position changed outside a fill; settle: its settlement currency's new net cash."""
        self._calls.set_holding(position.row, position.lots, position.cost_atoms, settle, self._x)

    def set_cash(self, row: int, atoms: int) -> None:
        """The net cash of currency row `row` changed. O(1)."""
        self._calls.set_cash(row, atoms, self._x)

    def set_cap(self, row: int, coins: float) -> None:
        """The user's cap on spot in use."""
        self._calls.set_cap(row, coins, self._x)

    # --- figures -----------------------------------------------------------------------------

    def figures(self, account: int) -> NDArray[np.float64]:
        """The totals of one account, brought up to date: a view, columns T_* of order_tables."""
        self._calls.figures(account, self._x)
        row: NDArray[np.float64] = self.account_sums[account]
        return row

    def all_figures(self) -> NDArray[np.float64]:
        """The totals of all accounts, brought up to date: (accounts, T_*), a view."""
        count = self.used["accounts"]
        self._calls.all_figures(count, self._x)
        figures: NDArray[np.float64] = self.account_sums[:count]
        return figures

    def recompute(self, account: int) -> None:
        """Rebuild one account's sums from its positions and orders, needed or not."""
        self._calls.recompute(account, self._x)

    def watch(self) -> NDArray[np.float64]:
        """As `all_figures`, but accounts that cannot have crossed a threshold keep older figures.

        `looked` then holds the numbers of those that were brought up to date, `weak` of those among
        them that are beyond a threshold of risk control.
        """
        count = self.used["accounts"]
        if len(self._looked) < count:
            self._looked, self._weak, self._over = np.zeros((3, len(self.accounts)), np.int64)
        market = self.market
        self._anchor, found, weak = self._calls.watch(
            count,
            self._anchor if self._anchor_version == market.version else t.NONE,
            self._anchor_prices,
            self._anchor_counts,
            market.prices,
            self._moved,
            self._looked,
            self._weak,
            self._x,
        )
        self._anchor_version = market.version
        self.looked, self.weak = self._looked[:found], self._weak[:weak]
        figures: NDArray[np.float64] = self.account_sums[:count]
        return figures

    def flagged(
        self,
        unsettled: NDArray[np.int64],
        states: NDArray[np.int64],
        next_warning_ns: NDArray[np.int64],
        apart: NDArray[np.bool_],
        now_ns: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Accounts to look at after `watch`, and those to compare again at the next mark; see
        `order_standing.flag`."""
        flagged, kept = np.empty((2, len(self.weak) + len(unsettled)), np.int64)
        found, left = self._calls.flag(
            self.weak, unsettled, states, next_warning_ns, apart, now_ns, flagged, kept, self._x
        )
        return flagged[:found], kept[:left]

    def over_borrow_limit(self) -> list[int]:
        """Of the accounts that the last `watch` looked at, those with open orders whose fills would
        borrow beyond a limit, ascending. O(looked at + currencies of those with orders)."""
        found = self._calls.over_borrow_limit(self.looked, self._over, self._x)
        numbers: list[int] = self._over[:found].tolist()
        return numbers

    # --- what a liquidation step asks ------------------------------------------------------------

    def standing(self, account: int) -> Figures:
        """Adjusted equity, requirement, equity, MMR and IMR of one account, brought up to date."""
        figures: Figures = self._calls.standing(account, self._x)
        return figures

    def shift(self, position: int, signed_lots: int, price: float, charge_atoms: int) -> None:
        """Trade in the tables only, to see what it would do; undone by the opposite call."""
        self._calls.shift(position, signed_lots, price, charge_atoms, self._x)

    def trial(self, position: int, signed_lots: int, price: float, charge_atoms: int) -> Figures:
        """`standing` of the account after a trade that is not made; price in ticks."""
        tried: Figures = self._calls.trial(position, signed_lots, price, charge_atoms, self._x)
        return tried

    def components(self, unit_row: int) -> tuple[list[float], float, float]:
        """Margin components of the positions of a unit row, columns OUT_* of `layout`, the largest,
        and its spot in use, signed; USD. The account's figures are up to date afterwards."""
        largest, use = self._calls.components(unit_row, self._x)
        return self._margins.tolist(), largest, use

    def unit_sum(self, unit_row: int, column: int) -> float:
        """One column of `layout` of the stress vector of a unit row's positions."""
        return float(self.unit_sums[unit_row, column - self.market.first_column])

    def charge_usd(self, position: int) -> float:
        """Raw MR7 charge of a position row, USD."""
        charge: float = self._calls.charge_usd(position, self._x)
        return charge

    def bankruptcy_ticks(self, position: int) -> int:
        """See `forced_limits.bankruptcy_ticks`."""
        ticks: int = self._calls.bankruptcy_ticks(position, self._x)
        return ticks

    def forced_limit(
        self, position: int, side: int, slippage: float, low_ticks: int, high_ticks: int
    ) -> tuple[int, int, bool, float]:
        """See `forced_limits.forced_limit`."""
        found: tuple[int, int, bool, float] = self._calls.forced_limit(
            position, side, slippage, low_ticks, high_ticks, self._x
        )
        return found

    def open_orders(self) -> int:
        """Orders booked."""
        return self.used["orders"] - len(self._free_orders)

    def units_by_margin(self, account: int) -> list[tuple[int, int, float]]:
        """(unit number, unit row, MMR) of each unit of an account, after `figures`; the largest
        margin first, and of equal ones the lowest number."""
        count = self._calls.units_by_margin(account, self._units, self._x)
        return [(int(unit), int(row), mmr) for unit, row, mmr in self._units[:count].tolist()]


def column(rows: NDArray[np.float64], number: int) -> Sequence[float]:
    """One column of figures as a list."""
    values: list[float] = rows[:, number].tolist()
    return values
