"""Another rule set while positions are open: exchanges adjust their parameters in real markets.

Everything that depends on the rules is built anew: the market's tables (risk units may be others
than before) and the exposure tables. What belongs to the accounts stays: ledger, positions,
orders, debts, cases of liquidation, pools. Thresholds apply from the next check.

Not changed: the averaging windows of marks, the funding interval, contract terms and fees, and the
limits of matching, which belong to the listing of an instrument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.account import BORROWING_MODES
from accounts.exposures import Exposures
from accounts.market import Market
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from risk.rules import RuleSet


def switch_rules(house: ClearingHouse, now_ns: int, rules: RuleSet) -> None:
    """Put `rules` into force for all accounts, at the last published prices.

    No atom moves and no order is cancelled here; the next check of risk control does what the new
    margins ask for. O(accounts + positions + orders). ValueError from the market where a listed
    coin is unknown to the new rules; nothing has changed then.
    """
    old = house.market
    market = Market(old.instruments_list, rules, old.currencies)
    if old.version > 0:
        usd = {name: e8 for name, e8 in old.usd_index_e8.items() if name != "USD"}
        market.version = old.version
        market.publish(
            old.time_ns, usd, old.index_e8, old.mark_ticks.tolist(),
            implied_vol=old._implied_vol, forward=old._forward,
        )  # fmt: skip
    exposures = Exposures(market)
    for account in house.accounts:
        _enter(house, exposures, account)
    house.rules, house.market, house.exposures = rules, market, exposures
    house.settlement.exposures = exposures
    house.loans.market = market
    for currency in range(len(market.currencies)):
        house.loans.tell(currency)
    house.stale_ns = round(rules.liquidation.stale_mark_s * 1e9)
    assert now_ns >= market.time_ns, "rules change at a mark or after it"


def _enter(house: ClearingHouse, exposures: Exposures, account: Account) -> None:
    """Give an account its rows in fresh tables, under the number it has."""
    borrows = account.auto_borrow and account.mode in BORROWING_MODES
    number = exposures.add_account(mode=int(account.mode), auto_borrow=borrows)
    assert number == account.number, (number, account.number)
    for balance in account.balances.values():
        balance.row = exposures.currency_row(number, balance.number)
        cash = house.ledger.balances[balance.cash] - balance.liability_atoms
        exposures.set_cash(balance.row, cash)
    for currency, coins in account.spot_caps.items():
        exposures.set_cap(account.balances[currency].row, coins)
    for position in account.positions.values():
        position.row = exposures.add_position(
            number, position.number, position.settle.row, position.base.row
        )
        exposures.positions[position.row, t.P_LOTS] = position.lots
        exposures.positions[position.row, t.P_COST] = position.cost_atoms
        leverage = account.leverage.get(position.instrument.instrument_id)
        if leverage is not None:
            exposures.set_leverage(position.row, leverage)
    for order in account.orders.values():
        listing = house.listings[order.instrument.instrument_id]
        order.slot = exposures.order_row()
        exposures.add_order(
            order.slot, account.positions[listing.number].row, int(order.side),
            order.price_ticks, order.remaining_lots,
        )  # fmt: skip
    exposures.recompute(number)
