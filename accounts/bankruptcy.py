"""The price at which closing a position leaves nothing of its share of the account's equity.

Source: liquidation-and-losses.md section 3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse

NO_BANKRUPTCY_PRICE = 1 << 60
TINY_TICKS = 1e-6


def charge_usd(house: ClearingHouse, position: Position) -> float:
    """Raw MR7 charge of a position, USD: its share in the account's risk. Source: section 3."""
    terms = house.market.terms[position.number]
    rate = terms[t.M_MR7_LONG] if position.lots > 0 else terms[t.M_MR7_SHORT]
    return abs(position.lots) * float(rate)


def open_positions(account: Account) -> list[Position]:
    """The account's positions that are not flat, in the order they were first opened."""
    return [position for position in account.positions.values() if position.lots]


def bankruptcy_ticks(house: ClearingHouse, account: Account, position: Position) -> int:
    """The price at which closing `position` would leave nothing of its share of the equity.

    Ticks, rounded against the account, at least 0; NO_BANKRUPTCY_PRICE where a short inverse
    position has none. Source: section 3.
    """
    equity = max(0.0, float(house.exposures.figures(account.number)[t.T_EQUITY]))
    total = sum(charge_usd(house, other) for other in open_positions(account))
    share = charge_usd(house, position) / total if total > 0.0 else 1.0
    market, number = house.market, position.number
    settle = position.settle
    atoms = equity * share / (market.usd[settle.currency] * market.scales[settle.number])
    mark = float(market.terms[number, t.M_REFERENCE])
    rate = float(market.terms[number, t.M_RATE])
    long = position.lots > 0
    if position.instrument.inverse:
        inverse = 1.0 / mark + (atoms if long else -atoms) / (abs(position.lots) * rate)
        if inverse <= 0.0:
            return NO_BANKRUPTCY_PRICE
        price = 1.0 / inverse
    else:
        distance = atoms / (abs(position.lots) * rate)
        price = mark - distance if long else mark + distance
    # a whole tick must not get lost to the last bit of a division
    if long:
        return max(1 if position.instrument.inverse else 0, math.floor(price + TINY_TICKS))
    return min(NO_BANKRUPTCY_PRICE, math.ceil(price - TINY_TICKS))
