"""Margin outside portfolio margin: multi-currency cross positions and isolated positions.

Source: portfolio-margin.md sections 11.8, 16.18.
"""

from __future__ import annotations

import math
from dataclasses import replace

from risk.contracts import KIND_NAMES, OPTION, SPOT, Contract
from risk.portfolio import IsolatedInput, OrderInput, Portfolio, profit
from risk.report import FILL_SETS, IsolatedReport, PositionLine
from risk.rules import RulesError, RuleSet
from risk.stress import build_stress
from risk.valuation import Valuation, in_fill_set, notional_usd, order_fee, position_line

__all__ = ["isolated_report", "position_margins", "position_tier", "short_option_margin"]


def position_tier(rules: RuleSet, group: int, notional: float) -> int:
    """Position tier, from 1, of a notional in USD; a bound belongs to the lower tier."""
    return max(1, math.ceil(min(notional / rules.position_tiers.notional.of(group), 1e15)))


def _tier_margin(
    rules: RuleSet, contract: Contract, notional: float, leverage: float
) -> tuple[float, float]:
    """Initial and maintenance margin of a perpetual or a future, USD.  Source: 16.18."""
    tiers, group = rules.position_tiers, rules.group_of(contract.base)
    step = position_tier(rules, group, notional) - 1
    maintenance = tiers.maintenance.of(group) + step * tiers.maintenance_step.of(group)
    initial = max(1.0 / leverage, tiers.initial_factor * maintenance)
    return notional * initial, notional * maintenance


def short_option_margin(
    rules: RuleSet, contract: Contract, mark: float, forward: float
) -> tuple[float, float]:
    """Initial and maintenance margin of a short option, coins per coin.

    mark: coin; forward: USD.  Source: 11.8, with the factor of the rule set.
    """
    terms = rules.short_option
    if contract.is_call:
        otm = max(0.0, contract.strike - forward)
    else:
        otm = max(0.0, forward - contract.strike)
    initial = max(terms.initial_floor, terms.initial - otm / forward) * terms.factor + mark
    rate = terms.maintenance.get(contract.base, terms.maintenance_other)
    if not contract.is_call:
        rate = max(rate, rate * mark)
    return initial, rate * terms.factor + mark


def leverage_of(portfolio: Portfolio, rules: RuleSet, contract: Contract) -> float:
    """Leverage set for an instrument, or the default.  RulesError below 1."""
    name = contract.instrument_id
    leverage = portfolio.leverage.get(name, rules.position_tiers.default_leverage)
    if not 1.0 <= leverage < math.inf:
        raise RulesError(f'leverage."{name}" must be at least 1, not {leverage!r}')
    return leverage


def _margin(valuation: Valuation, contract: Contract, size: float) -> tuple[float, float]:
    """Initial and maintenance margin of `size` contracts, USD; long options have none."""
    usd = valuation.usd[contract.base]
    if contract.kind == OPTION:
        if size >= 0.0:
            return 0.0, 0.0
        row = valuation.row_of[contract.instrument_id]
        forward = float(valuation.table.prices.forward[row])
        rates = short_option_margin(
            valuation.rules, contract, float(valuation.table.mark[row]), forward
        )
        amount = -size * contract.coins_per_contract * usd
        return amount * rates[0], amount * rates[1]
    leverage = leverage_of(valuation.portfolio, valuation.rules, contract)
    return _tier_margin(valuation.rules, contract, notional_usd(contract, size, usd), leverage)


def position_margins(valuation: Valuation) -> tuple[tuple[PositionLine, ...], float, float]:
    """Lines of the positions, their maintenance margin, and initial margin with orders, USD.

    Nothing offsets across instruments; in each, the initial margin is the largest over the fill
    sets of its orders.  Source: 16.18.
    """
    held = {p.contract.instrument_id: p for p in valuation.portfolio.positions}
    maintenance, initial, lines = [], [], []
    for contract in valuation.table.contracts:
        if contract.kind == SPOT:
            continue
        name = contract.instrument_id
        size = valuation.portfolio.position_size(name)
        sizes = [
            size
            + math.fsum(
                order.size
                for order in valuation.portfolio.orders
                if order.contract.instrument_id == name and in_fill_set(order, number)
            )
            for number in range(len(FILL_SETS))
        ]
        margins = [_margin(valuation, contract, after) for after in sizes]
        maintenance.append(margins[0][1])
        initial.append(max(margin[0] for margin in margins))
        if name in held:
            lever = 0.0
            if contract.kind != OPTION:
                lever = leverage_of(valuation.portfolio, valuation.rules, contract)
            line = position_line(valuation, held[name])
            lines.append(replace(line, imr=margins[0][0], mmr=margins[0][1], lever=lever))
    return tuple(lines), math.fsum(maintenance), math.fsum(initial)


def isolated_report(held: IsolatedInput, portfolio: Portfolio, rules: RuleSet) -> IsolatedReport:
    """Margin of an isolated position, from its own margin alone; the ratio counts the closing fee.

    Source: 2.3, 16.18.
    """
    contract, market = held.contract, portfolio.market
    table = build_stress((contract,), market, rules, portfolio.offset_mode)
    mark, usd = float(table.mark[0]), market.usd(contract.base)
    notional = notional_usd(contract, held.size, usd)
    leverage = 0.0
    if contract.kind == OPTION:
        forward = float(table.prices.forward[0])
        rates = short_option_margin(rules, contract, mark, forward)
        amount = max(0.0, -held.size) * contract.coins_per_contract * usd
        initial, maintenance = amount * rates[0], amount * rates[1]
    else:
        leverage = held.leverage or leverage_of(portfolio, rules, contract)
        initial, maintenance = _tier_margin(rules, contract, notional, leverage)
    fee = order_fee(OrderInput(contract, -held.size, mark), usd, rules)
    upl = profit(contract, held.size, held.entry_price, mark)
    equity = held.margin + upl
    equity_usd = equity * market.usd(contract.settle)
    return IsolatedReport(
        inst_id=contract.instrument_id,
        inst_type=KIND_NAMES[contract.kind],
        amt=held.size,
        avg_px=held.entry_price,
        mark_px=mark,
        margin=held.margin,
        upl=upl,
        equity=equity,
        notional_usd=notional,
        imr=initial,
        mmr=maintenance,
        lever=leverage,
        closing_fee=fee,
        margin_ratio=equity_usd / (maintenance + fee) if maintenance > 0.0 else math.inf,
    )
