"""One account of the clearing house as the unrounded margin report sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.account import AccountMode
from risk.portfolio import (
    MULTI_CURRENCY_MODE,
    PORTFOLIO_MODE,
    OrderInput,
    Portfolio,
    PositionInput,
)

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse


def portfolio_of(house: ClearingHouse, account: Account) -> Portfolio:
    """Balances, positions and open orders of an account at the current mark, in units.

    Sizes and prices are floats of exact integers; `risk.margin.margin_report` of it is what the
    exposure tables show up to the rounding of the stress rows. O(positions + orders).
    """
    market, ledger = house.market, house.ledger
    balances = {
        currency: (ledger.balances[balance.cash] - balance.liability_atoms)
        * market.scales[balance.number]
        for currency, balance in account.balances.items()
    }
    positions = tuple(
        PositionInput(
            market.contracts[position.number],
            position.lots * float(position.instrument.lot),
            position.entry_price,
        )
        for position in account.positions.values()
        if position.lots
    )
    orders = tuple(
        OrderInput(
            market.contracts[house.listings[order.instrument.instrument_id].number],
            int(order.side) * order.remaining_lots * float(order.instrument.lot),
            order.price_ticks * float(order.instrument.tick),
        )
        for order in account.orders.values()
    )
    portfolio_mode = account.mode == AccountMode.PORTFOLIO
    return Portfolio(
        market.snapshot(),
        balances,
        positions,
        orders,
        mode=PORTFOLIO_MODE if portfolio_mode else MULTI_CURRENCY_MODE,
        auto_borrow=account.auto_borrow,
        spot_offset=dict(account.spot_caps),
    )
