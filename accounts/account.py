"""An account: its balances, positions and open orders.

These objects hold what the ledger and the exposure tables say about one account, so that an order
finds everything by attribute. They change only through `settlement`, `loans` and `clearing`.

Source: portfolio-margin.md sections 2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from accounts.events import AccountState
from exchange.instrument import Instrument
from exchange.order import Order, StpMode
from exchange.units import atoms_per_unit


class AccountMode(IntEnum):
    """The account modes; the values are OKX's `acctLv`. Source: section 2.1."""

    SPOT = 1
    SPOT_AND_FUTURES = 2
    MULTI_CURRENCY = 3
    PORTFOLIO = 4


_NOTHING: Mapping[Any, Any] = MappingProxyType({})
BORROWING_MODES = frozenset((AccountMode.MULTI_CURRENCY, AccountMode.PORTFOLIO))


def _nothing() -> Mapping[Any, Any]:
    return _NOTHING


@dataclass(slots=True, eq=False)
class Balance:
    """One currency of one account.

    cash: ledger account number; never below zero after `loans.square`.
    liability_atoms: what the account owes the lending pool, >= 0.
    row: row in the exposure table of (account, currency).
    """

    currency: str
    number: int  # the clearing house's number of the currency
    cash: int
    row: int
    liability_atoms: int = 0
    backstop: int = -1  # ledger account that pays instead of the lending pool (insurance funds)


@dataclass(slots=True, eq=False)
class Position:
    """One instrument of one account: signed lots and signed cost (spot: neither, held as balances).

    cost_atoms: linear -value paid (long) or +value received (short), inverse the opposite sign, so
    that value at mark + cost = unrealised profit. Options: premium paid (+) for display; it was
    paid in cash. ledger: number of the ledger's position-cost account (unused for spot and
    options).
    """

    instrument: Instrument
    number: int  # the clearing house's number of the instrument
    settle: Balance
    base: Balance
    ledger: int
    row: int  # row in the exposure table of (account, instrument)
    lots: int = 0
    cost_atoms: int = 0
    realised_atoms: int = 0

    @property
    def entry_price(self) -> float:
        """Average entry in price units, derived from the cost; 0.0 where flat."""
        if self.lots == 0:
            return 0.0
        instrument = self.instrument
        cost = Fraction(abs(self.cost_atoms), atoms_per_unit(instrument.settle))
        size = abs(self.lots) * instrument.units_per_lot
        return float(size / cost) if instrument.inverse and cost else float(cost / size)


@dataclass(slots=True, eq=False)
class Account:
    """One trader's account. `number` is its row in the exposure tables and the orders' owner.

    What few accounts have (isolated positions, reduce-only orders, caps, leverage) is replaced when
    it changes: the others share one that is empty, of which every order can see so at once.
    """

    number: int
    name: str
    mode: AccountMode = AccountMode.PORTFOLIO
    auto_borrow: bool = True
    # What every order reads, beside one another in memory.
    blocked: bool = False  # while liquidating: cancels and deposits only
    parent: Account | None = None  # of an isolated position's account: the trader's own
    orders: dict[int, Order] = field(default_factory=dict)  # open orders by id, oldest first
    positions: dict[int, Position] = field(default_factory=dict)  # by instrument number
    recent: Position | None = None  # of the last order
    isolated: Mapping[int, Account] = field(default_factory=_nothing)  # by instrument number
    reduce_only: frozenset[int] = frozenset()  # ids of open reduce-only orders, or more
    stp_mode: StpMode = StpMode.CANCEL_MAKER  # of orders that name none
    state: AccountState = AccountState.HEALTHY
    balances: dict[str, Balance] = field(default_factory=dict)
    spot_caps: Mapping[str, float] = field(default_factory=_nothing)  # coins; 0 excludes the coin
    leverage: Mapping[str, float] = field(default_factory=_nothing)  # by instrument, in some modes
    acknowledged: bool = True  # the declaration that portfolio margin asks for
    options_experience: bool = True
    client_orders: dict[str, int] = field(default_factory=dict)  # client order id -> order id
    last_warning_ns: int = -(10**18)
    is_fund: bool = False  # an insurance pool's own account: outside risk control
