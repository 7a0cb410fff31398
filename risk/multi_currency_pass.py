"""Multi-currency margin of many accounts in one pass; the twin of `multi_currency` on arrays.

Nothing offsets across instruments, so that a position's margin depends on its size alone and an
account's is a sum.

Source: portfolio-margin.md sections 11.8, 16.18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk.account_kernels import (
    FULL_IMR,
    FULL_MMR,
    AccountArrays,
    MarketArrays,
    add_balances,
)
from risk.contracts import OPTION, Contract
from risk.multi_currency import short_option_margin
from risk.rules import RuleSet
from risk.stress import StressTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PositionTerms:
    """What the margin of one lot depends on, float64 (instruments,), USD.

    notional: of a perpetual or a future, 0 of an option. step: notional of a position tier;
    maintenance, maintenance_step: rate of the first tier and what each further one adds.
    short_maintenance, short_initial: of a short option, 0 of others.
    """

    notional: Floats
    step: Floats
    maintenance: Floats
    maintenance_step: Floats
    short_maintenance: Floats
    short_initial: Floats
    leverage: float
    initial_factor: float


def position_terms(
    table: StressTable, contracts: Sequence[Contract], lots: Floats, rules: RuleSet
) -> PositionTerms:
    """Terms of every instrument at one mark. lots: float64 (instruments,), contracts per lot.

    Accounts have the rule set's default leverage.
    """
    tiers = rules.position_tiers
    groups = [rules.group_of(c.base) for c in contracts]
    option = np.array([c.kind == OPTION for c in contracts], bool)
    inverse = np.array([c.inverse for c in contracts], bool)
    amount = np.array([c.coins_per_contract for c in contracts]) * lots
    worth = amount * np.where(inverse, 1.0, table.prices.usd_base)
    short = np.zeros((2, len(contracts)))
    for row in np.flatnonzero(option).tolist():
        forward, mark = float(table.prices.forward[row]), float(table.mark[row])
        short[:, row] = short_option_margin(rules, contracts[row], mark, forward)
    return PositionTerms(
        notional=np.where(option, 0.0, worth),
        step=np.array([tiers.notional.of(g) for g in groups]),
        maintenance=np.array([tiers.maintenance.of(g) for g in groups]),
        maintenance_step=np.array([tiers.maintenance_step.of(g) for g in groups]),
        short_maintenance=worth * short[1],
        short_initial=worth * short[0],
        leverage=tiers.default_leverage,
        initial_factor=tiers.initial_factor,
    )


def multi_currency_margin(
    held: AccountArrays, market: MarketArrays, terms: PositionTerms, result: Floats
) -> None:
    """Margin of every account without open orders: fills result, float64 (accounts, 5), FULL_*.

    Every currency that a position settles in has a balance row.  O(positions + balances).
    """
    accounts = held.first_position.size - 1
    which, lots = held.instrument, held.lots.astype(np.float64)
    notional = np.abs(lots) * terms.notional[which]
    tier = np.maximum(1.0, np.ceil(np.minimum(notional / terms.step[which], 1e15)))
    rate = terms.maintenance[which] + (tier - 1.0) * terms.maintenance_step[which]
    initial_rate = np.maximum(1.0 / terms.leverage, terms.initial_factor * rate)
    short = np.maximum(0.0, -lots)
    maintenance = notional * rate + short * terms.short_maintenance[which]
    initial = notional * initial_rate + short * terms.short_initial[which]
    owner = np.repeat(np.arange(accounts), np.diff(held.first_position))
    result[:, FULL_MMR] = np.bincount(owner, maintenance, accounts)
    result[:, FULL_IMR] = np.bincount(owner, initial, accounts)
    add_balances(held, market, _net(held, market, owner, lots), result, 0, accounts)


def _net(held: AccountArrays, market: MarketArrays, owner: Ints, lots: Floats) -> Floats:
    """Equity of every balance row, coins: the amount and what the positions are worth."""
    accounts, currencies = held.first_balance.size - 1, market.usd.size
    row_of = np.full(accounts * currencies, -1, np.int64)
    holder = np.repeat(np.arange(accounts), np.diff(held.first_balance))
    row_of[holder * currencies + held.currency] = np.arange(held.currency.size)
    rows = row_of[owner * currencies + market.settle[held.instrument]]
    assert (rows >= 0).all(), "every settlement currency has a balance row"
    worth = np.bincount(rows, lots * market.value[held.instrument], held.amount.size)
    net: Floats = held.amount + worth
    return net
