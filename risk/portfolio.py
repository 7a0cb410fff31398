"""What `margin_report` is asked about: one account and one market snapshot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from risk.contracts import OPTION, SPOT, Contract, MarketSnapshot

PORTFOLIO_MODE = "portfolio"
MULTI_CURRENCY_MODE = "multi_currency"
ACCOUNT_MODES = (PORTFOLIO_MODE, MULTI_CURRENCY_MODE)


@dataclass(frozen=True, slots=True)
class PositionInput:
    """A cross position: signed contracts and the entry price (quote currency; options in coin)."""

    contract: Contract
    size: float
    entry_price: float


@dataclass(frozen=True, slots=True)
class OrderInput:
    """An open order: signed contracts (buy +, sell -; spot in coins) and its limit price."""

    contract: Contract
    size: float
    price: float


@dataclass(frozen=True, slots=True)
class IsolatedInput:
    """An isolated position with the margin set aside for it (settlement currency).

    leverage: its own; None takes the portfolio's for the instrument.
    """

    contract: Contract
    size: float
    entry_price: float
    margin: float
    leverage: float | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account and the market it is valued in.

    balances: cash per currency, may be negative; the margin of isolated positions is not in it.
    spot_offset: cap on spot in use per currency, in coins (0 excludes the coin).
    leverage: per instrument (multi-currency mode) or per currency (caps borrowing, section 7.4).
    offset_mode: None takes the rule set's default.

    Raises ValueError for a mode that does not exist, an instrument that appears twice in
    `positions`, a spot position, or a non-finite number.
    """

    market: MarketSnapshot
    balances: Mapping[str, float] = field(default_factory=dict)
    positions: tuple[PositionInput, ...] = ()
    orders: tuple[OrderInput, ...] = ()
    isolated: tuple[IsolatedInput, ...] = ()
    mode: str = PORTFOLIO_MODE
    auto_borrow: bool = True
    spot_offset: Mapping[str, float] = field(default_factory=dict)
    leverage: Mapping[str, float] = field(default_factory=dict)
    offset_mode: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in ACCOUNT_MODES:
            raise ValueError(f"mode must be one of {', '.join(ACCOUNT_MODES)}, not {self.mode!r}")
        for currency, amount in self.balances.items():
            _finite(f"balances.{currency}", amount)
        seen: set[str] = set()
        for held in self.positions:
            name = held.contract.instrument_id
            _check(f"positions: {name}", held.contract, held.size, held.entry_price)
            if name in seen:
                raise ValueError(f"positions: {name} appears twice")
            seen.add(name)
        for apart in self.isolated:
            name = f"isolated: {apart.contract.instrument_id}"
            _check(name, apart.contract, apart.size, apart.entry_price)
            _finite(f"{name} margin", apart.margin)
        for order in self.orders:
            name = f"orders: {order.contract.instrument_id}"
            _finite(f"{name} size", order.size)
            _price(f"{name} price", order.price, order.contract)

    def position_size(self, instrument_id: str) -> float:
        """Signed contracts held in `instrument_id`, 0.0 when there is none."""
        for position in self.positions:
            if position.contract.instrument_id == instrument_id:
                return position.size
        return 0.0

    def with_order(self, order: OrderInput) -> Portfolio:
        """The same account with one more open order."""
        return replace(self, orders=(*self.orders, order))


def _check(name: str, contract: Contract, size: float, entry_price: float) -> None:
    if contract.kind == SPOT:
        raise ValueError(f"{name} is spot; spot is held as a balance")
    _finite(f"{name} size", size)
    _price(f"{name} entry_price", entry_price, contract)


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r}")


def _price(name: str, price: float, contract: Contract) -> None:
    """Prices are positive; an option may be worth nothing."""
    allowed = price >= 0.0 if contract.kind == OPTION else price > 0.0
    if not allowed or not math.isfinite(price):
        raise ValueError(f"{name} must be positive and finite, not {price!r}")


def profit(contract: Contract, size: float, entry_price: float, mark_price: float) -> float:
    """Unrealised P&L in the settlement currency of `size` contracts bought at `entry_price`.

    Linear and option: n x (mark - entry); inverse: N x (1/entry - 1/mark), coins; spot: coins x
    (mark - entry) in the quote currency.

    Source: 3.2, 16.14.
    """
    amount = size * contract.coins_per_contract
    if contract.inverse:
        return amount * (1.0 / entry_price - 1.0 / mark_price)
    return amount * (mark_price - entry_price)


def fill_order(portfolio: Portfolio, order: OrderInput) -> Portfolio:
    """The account after `order` was filled whole at its price, fees apart.

    Closing contracts book their P&L to cash; opening ones average the entry price (inverse
    contracts: the harmonic mean). Option premiums move cash at once.
    """
    contract = order.contract
    balances = dict(portfolio.balances)

    def post(currency: str, amount: float) -> None:
        balances[currency] = balances.get(currency, 0.0) + amount

    if contract.kind == SPOT:
        post(contract.base, order.size)
        post(contract.quote, -order.size * order.price)
        return replace(portfolio, balances=balances)
    held = next((p for p in portfolio.positions if p.contract == contract), None)
    before = held.size if held else 0.0
    entry = held.entry_price if held else order.price
    after = before + order.size
    if contract.kind == OPTION:
        post(contract.settle, -order.size * contract.coins_per_contract * order.price)
    elif before * order.size < 0.0:
        closed = -order.size if abs(order.size) <= abs(before) else before
        post(contract.settle, profit(contract, closed, entry, order.price))
    if before * after <= 0.0:
        entry = order.price
    elif before * order.size > 0.0:
        entry = _average(contract, before, entry, order.size, order.price)
    others = tuple(p for p in portfolio.positions if p is not held)
    kept = () if after == 0.0 else (PositionInput(contract, after, entry),)
    return replace(portfolio, balances=balances, positions=others + kept)


def _average(contract: Contract, size: float, entry: float, added: float, price: float) -> float:
    if contract.inverse:
        return (size + added) / (size / entry + added / price)
    return (size * entry + added * price) / (size + added)
