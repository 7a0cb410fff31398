"""An account at one mark: equity per currency, open orders, and what their fills would change.

Source: portfolio-margin.md sections 3.2, 4.1, 16.1, 16.13, 16.14.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.contracts import KIND_NAMES, OPTION, SPOT, Contract, MarketDataError
from risk.portfolio import OrderInput, Portfolio, PositionInput, profit
from risk.report import FILL_SETS, PositionLine
from risk.rules import RuleSet
from risk.stress import StressTable, build_stress

Floats = NDArray[np.float64]
Amounts = dict[str, float]

# Which orders a fill set holds, in the order of FILL_SETS.
SET_HAS_BUYS = (False, True, False, True)
SET_HAS_SELLS = (False, False, True, True)


def adds_delta(order: OrderInput) -> bool:
    """Whether the order belongs to the buys: a bought put is a sell.  Source: 16.12."""
    is_put = order.contract.kind == OPTION and not order.contract.is_call
    return (order.size > 0.0) != is_put


def in_fill_set(order: OrderInput, number: int) -> bool:
    """Whether fill set `number` (of FILL_SETS) holds the order."""
    return SET_HAS_BUYS[number] if adds_delta(order) else SET_HAS_SELLS[number]


@dataclass(frozen=True, slots=True)
class Valuation:
    """The account valued: amounts per currency are in coins.

    row_of: instrument -> row in `table`. cash, upl (perpetuals and futures), option_value: per
    currency. set_changes: for each of FILL_SETS, the change of equity per currency if it fills.
    pending_loss, fees: USD, of all open orders (16.14). set_fees: fees per fill set, in coins.
    """

    portfolio: Portfolio
    rules: RuleSet
    table: StressTable
    row_of: dict[str, int]
    currencies: tuple[str, ...]
    usd: Amounts
    cash: Amounts
    upl: Amounts
    option_value: Amounts
    set_changes: tuple[Amounts, ...]
    set_fees: tuple[Amounts, ...]
    pending_loss: float
    fees: float

    def equity(self, currency: str, fill_set: int = 0) -> float:
        """eq_c after a fill set, coins.  Source: 4.1, 16.13."""
        value = self.cash.get(currency, 0.0) + self.upl.get(currency, 0.0)
        value += self.option_value.get(currency, 0.0)
        return value + self.set_changes[fill_set].get(currency, 0.0)

    def mark(self, contract: Contract) -> float:
        """Mark price; of a spot pair its index; of an option in coin."""
        return float(self.table.mark[self.row_of[contract.instrument_id]])


def value_portfolio(portfolio: Portfolio, rules: RuleSet) -> Valuation:
    """Value an account; MarketDataError or RulesError names what is missing.

    Positions and orders are taken in one order, whatever theirs is: sums of floats depend on it.
    """
    portfolio = replace(
        portfolio,
        positions=tuple(sorted(portfolio.positions, key=lambda p: p.contract.instrument_id)),
        orders=tuple(
            sorted(portfolio.orders, key=lambda o: (o.contract.instrument_id, o.size, o.price))
        ),
    )
    contracts: dict[str, Contract] = {}
    for position in portfolio.positions:
        contracts[position.contract.instrument_id] = position.contract
    for order in portfolio.orders:
        contracts.setdefault(order.contract.instrument_id, order.contract)
    names = sorted(contracts)
    ordered = [contracts[name] for name in names]
    table = build_stress(ordered, portfolio.market, rules, portfolio.offset_mode)
    row_of = {name: row for row, name in enumerate(names)}
    currencies = _currencies(portfolio)
    usd = {currency: _usd(portfolio, currency) for currency in currencies}
    upl, option_value = _position_values(portfolio, table, row_of)
    changes, set_fees, losses, fees = _order_effects(portfolio, rules, table, row_of, usd)
    return Valuation(
        portfolio=portfolio,
        rules=rules,
        table=table,
        row_of=row_of,
        currencies=currencies,
        usd=usd,
        cash=dict(portfolio.balances),
        upl=upl,
        option_value=option_value,
        set_changes=changes,
        set_fees=set_fees,
        pending_loss=losses,
        fees=fees,
    )


def _currencies(portfolio: Portfolio) -> tuple[str, ...]:
    """All currencies of the report, sorted.  Source: 16.16."""
    names = {"USDT", "USDC", *portfolio.balances}
    for position in portfolio.positions:
        names |= {position.contract.settle, position.contract.base}
    for order in portfolio.orders:
        names |= {order.contract.settle, order.contract.base}
        if order.contract.kind == SPOT:
            names.add(order.contract.quote)
    return tuple(sorted(names))


def _usd(portfolio: Portfolio, currency: str) -> float:
    if currency in ("USDT", "USDC") and currency not in portfolio.market.usd_index:
        used = portfolio.balances.get(currency, 0.0) != 0.0
        if not used:
            return 1.0
    price = portfolio.market.usd(currency)
    if not 0.0 < price < math.inf:
        raise MarketDataError(
            f"market.usd_index.{currency} must be positive and finite, not {price!r}"
        )
    return price


def _summed(parts: dict[str, list[float]]) -> Amounts:
    """Sums that do not depend on the order of positions or orders."""
    return {currency: math.fsum(values) for currency, values in parts.items()}


def _position_values(
    portfolio: Portfolio, table: StressTable, row_of: dict[str, int]
) -> tuple[Amounts, Amounts]:
    """Unrealised P&L of futures and value of options, coins per currency.  Source: 3.2."""
    upl: dict[str, list[float]] = {}
    options: dict[str, list[float]] = {}
    for held in portfolio.positions:
        contract, mark = held.contract, float(table.mark[row_of[held.contract.instrument_id]])
        if contract.kind == OPTION:
            value = held.size * contract.coins_per_contract * mark
            options.setdefault(contract.settle, []).append(value)
        else:
            value = profit(contract, held.size, held.entry_price, mark)
            upl.setdefault(contract.settle, []).append(value)
    return _summed(upl), _summed(options)


def notional_usd(contract: Contract, size: float, usd_base: float) -> float:
    """|coins| x usd(base); inverse contracts their USD face.  Source: 3.4, 16.14."""
    amount = abs(size) * contract.coins_per_contract
    return amount if contract.inverse else amount * usd_base


def order_fee(order: OrderInput, usd_base: float, rules: RuleSet) -> float:
    """Estimated taker fee, USD; options capped by their premium.  Source: 11.7, 16.14."""
    contract = order.contract
    fee = contract.taker_fee_rate * notional_usd(contract, order.size, usd_base)
    if contract.kind == OPTION:
        premium = order.price * abs(order.size) * contract.coins_per_contract * usd_base
        fee = min(fee, rules.fees.option_cap * premium)
    return fee


def fill_changes(order: OrderInput, mark: float) -> Amounts:
    """Change of equity per currency, coins, if the order fills: losses count, gains do not.

    Source: 16.13.
    """
    contract = order.contract
    if contract.kind == SPOT:
        return {contract.base: order.size, contract.quote: -order.size * order.price}
    return {contract.settle: min(0.0, profit(contract, order.size, order.price, mark))}


def _order_effects(
    portfolio: Portfolio,
    rules: RuleSet,
    table: StressTable,
    row_of: dict[str, int],
    usd: Amounts,
) -> tuple[tuple[Amounts, ...], tuple[Amounts, ...], float, float]:
    """Changes and fees per fill set, pending loss and fees of all orders.  Source: 16.13, 16.14."""
    changes: list[dict[str, list[float]]] = [{} for _ in FILL_SETS]
    set_fees: list[dict[str, list[float]]] = [{} for _ in FILL_SETS]
    losses, fees = [], []
    for order in portfolio.orders:
        contract, settle = order.contract, order.contract.settle
        mark = float(table.mark[row_of[contract.instrument_id]])
        loss = max(0.0, -profit(contract, order.size, order.price, mark))
        losses.append(loss * usd[settle])
        fee = order_fee(order, usd[contract.base], rules)
        fees.append(fee)
        moved = fill_changes(order, mark)
        for number in range(len(FILL_SETS)):
            if in_fill_set(order, number):
                for currency, amount in moved.items():
                    changes[number].setdefault(currency, []).append(amount)
                set_fees[number].setdefault(settle, []).append(fee / usd[settle])
    return (
        tuple(_summed(parts) for parts in changes),
        tuple(_summed(parts) for parts in set_fees),
        math.fsum(losses),
        math.fsum(fees),
    )


def position_line(valuation: Valuation, held: PositionInput) -> PositionLine:
    """OKX's figures of one position; cash greeks in USD.  Source: 3.2 to 3.4, 16.2, 16.16."""
    contract, table = held.contract, valuation.table
    row = valuation.row_of[contract.instrument_id]
    mark = float(table.mark[row])
    vega = 0.0
    if contract.kind == OPTION and contract.expiry_ns is not None:
        unit = table.units[int(table.unit_of[row])]
        slot = unit.expiries_ns.index(contract.expiry_ns)
        vega = float(table.rows[row, at.EXPIRIES + at.PER_EXPIRY * slot + at.EXPIRY_VEGA])
    return PositionLine(
        inst_id=contract.instrument_id,
        inst_type=KIND_NAMES[contract.kind],
        amt=held.size,
        avg_px=held.entry_price,
        mark_px=mark,
        float_pnl=profit(contract, held.size, held.entry_price, mark),
        notional_usd=notional_usd(contract, held.size, valuation.usd[contract.base]),
        delta=held.size * float(table.rows[row, at.USD_DELTA]),
        gamma=held.size * float(table.gamma[row]),
        theta=held.size * float(table.rows[row, at.THETA]),
        vega=held.size * vega,
    )


def position_upl_usd(valuation: Valuation, held: PositionInput) -> float:
    """Unrealised P&L of a position in USD, options included.  Source: 3.2, 16.12."""
    pnl = profit(held.contract, held.size, held.entry_price, valuation.mark(held.contract))
    return pnl * valuation.usd[held.contract.settle]
