"""An account of the clearing house in the words of `risk.portfolio`, for reports.

Every figure that decides comes from the exposure tables; `margin_report(portfolio_of(...))` is the
second, unrounded way to it, with every component by name.

Source: portfolio-margin.md section 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.account import AccountMode
from exchange.instrument import InstrumentKind
from risk.portfolio import (
    MULTI_CURRENCY_MODE,
    PORTFOLIO_MODE,
    IsolatedInput,
    OrderInput,
    Portfolio,
    PositionInput,
)

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse


def portfolio_of(house: ClearingHouse, account: Account) -> Portfolio:
    """What the account holds and has ordered, at the present mark. O(what it holds).

    MarketDataError before the first mark, from whoever reads the prices.
    """
    market = house.market
    in_portfolio_mode = account.mode == AccountMode.PORTFOLIO
    return Portfolio(
        market.snapshot(),
        balances=net_balances(house, account),
        positions=tuple(
            PositionInput(
                market.contracts[number],
                float(position.lots * position.instrument.lot),
                position.entry_price,
            )
            for number, position in account.positions.items()
            if position.lots and position.instrument.kind != InstrumentKind.SPOT
        ),
        orders=tuple(
            OrderInput(
                market.contracts[house.listings[order.instrument.instrument_id].number],
                float(int(order.side) * order.remaining_lots * order.instrument.lot),
                float(order.instrument.price(order.price_ticks)),
            )
            for order in account.orders.values()
        ),
        isolated=tuple(isolated_inputs(house, account)),
        mode=PORTFOLIO_MODE if in_portfolio_mode else MULTI_CURRENCY_MODE,
        auto_borrow=account.auto_borrow,
        spot_offset=dict(account.spot_caps),
        leverage=dict(account.leverage),
    )


def isolated_inputs(house: ClearingHouse, account: Account) -> list[IsolatedInput]:
    """The account's open isolated positions with their margin; that of open orders is not in it."""
    found: list[IsolatedInput] = []
    for held in house.isolated.of(account):
        position, instrument = held.position, held.listing.instrument
        if position.lots:
            found.append(
                IsolatedInput(
                    house.market.contracts[position.number],
                    float(position.lots * instrument.lot),
                    position.entry_price,
                    house.isolated.margin_atoms(held) / house.market.atoms[instrument.settle],
                    held.account.leverage.get(instrument.instrument_id),
                )
            )
    return found


def net_balances(house: ClearingHouse, account: Account) -> dict[str, float]:
    """Cash less liability per currency, in coins."""
    return {
        currency: (house.ledger.balances[balance.cash] - balance.liability_atoms)
        / house.market.atoms[currency]
        for currency, balance in account.balances.items()
    }
