"""The price at which closing a position leaves nothing of its share of the account's equity.

Source: liquidation-and-losses.md section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from risk.forced_limits import NO_BANKRUPTCY_PRICE

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse


def charge_usd(house: ClearingHouse, position: Position) -> float:
    """Raw MR7 charge of a position, USD: its share in the account's risk. Source: section 3."""
    return house.exposures.charge_usd(position.row)


def open_positions(account: Account) -> list[Position]:
    """The account's positions that are not flat, in the order they were first opened."""
    return [position for position in account.positions.values() if position.lots]


def bankruptcy_ticks(house: ClearingHouse, position: Position) -> int:
    """The price at which closing `position` would leave nothing of its share of the equity.

    Ticks, rounded against the account, at least 0; NO_BANKRUPTCY_PRICE where a short inverse
    position has none. Source: section 3.
    """
    return house.exposures.bankruptcy_ticks(position.row)


__all__ = ["NO_BANKRUPTCY_PRICE", "bankruptcy_ticks", "charge_usd", "open_positions"]
