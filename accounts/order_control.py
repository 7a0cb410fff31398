"""Which open orders of a weak account are cancelled, and in what order.

Source: liquidation-and-losses.md section 1; portfolio-margin.md sections 10.3 and 10.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.liquidation_steps import standing
from exchange.events import CancelReason
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from exchange.order import Order


class OrderControl:
    """Cancels orders on behalf of risk control."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house

    # --- below 91 % of the initial margin ------------------------------------------------------

    def cancel_increasing(self, now_ns: int, account: Account) -> None:
        """Cancel margin-increasing orders, largest occupied margin first, until restored.

        Occupied margin of an order = IMR with it - IMR without it. O(orders x units). Source: 10.3.
        """
        house = self.house
        exposures, level = house.exposures, house.rules.liquidation.order_control
        occupied: list[tuple[float, int]] = []
        covered = standing(house, account).covered
        for order in account.orders.values():
            exposures.without_order(order.slot)
            without = standing(house, account).covered
            exposures.with_order(order.slot)
            if covered - without > 0.0:
                occupied.append((without - covered, order.order_id))
        for _, order_id in sorted(occupied):
            house.cancel(now_ns, account.number, order_id, CancelReason.RISK_CONTROL)
            now = standing(house, account)
            if now.covering >= level * now.covered:
                break

    # --- borrowing limits ----------------------------------------------------------------------

    def cancel_borrowing(self, now_ns: int, account: Account) -> None:
        """Cancel orders that would borrow beyond a limit, the largest first, until none would.

        Source: 10.3; cancelSource 4.
        """
        for currency in sorted(account.balances):
            effects = [
                (self._outflow(order, currency), order.order_id)
                for order in account.orders.values()
            ]
            for outflow, order_id in sorted(effects, key=lambda row: (-row[0], row[1])):
                if outflow <= 0 or not self._over(account, currency):
                    break
                self.house.cancel(now_ns, account.number, order_id, CancelReason.BORROW_LIMIT)

    def _over(self, account: Account, currency: str) -> bool:
        self.house.exposures.figures(account.number)
        balance = account.balances[currency]
        owed = float(self.house.exposures.currency_sums[balance.row, t.V_LIABILITY])
        return owed > float(self.house.market.currency_terms[balance.number, t.K_BORROW_LIMIT])

    def _outflow(self, order: Order, currency: str) -> int:
        """Atoms of a currency that filling an order would take."""
        listing = self.house.listings[order.instrument.instrument_id]
        row = self.house.exposures.orders[order.slot]
        if listing.is_spot:
            if order.side > 0 and currency == order.instrument.quote:
                return int(row[t.O_QUOTE])
            if order.side < 0 and currency == order.instrument.base:
                return order.remaining_lots * listing.base_atoms_per_lot
            return 0
        return int(row[t.O_LOSS]) if currency == order.instrument.settle else 0

    # --- before liquidation --------------------------------------------------------------------

    def cancel_opening(self, now_ns: int, account: Account) -> None:
        """Cancel all orders but those that can only close positions or repay debts, isolated ones
        included. Source: 10.4.

        The oldest closing orders stay as long as all together do not exceed the position.
        """
        for holder in account.isolated.values():
            self.cancel_opening(now_ns, holder)
        closing: dict[int, int] = {}
        for order in list(account.orders.values()):
            number = self.house.listings[order.instrument.instrument_id].number
            room = self._closable(account, order) - closing.get(number, 0)
            if order.remaining_lots <= room:
                closing[number] = closing.get(number, 0) + order.remaining_lots
            else:
                self.house.cancel(now_ns, account.number, order.order_id, CancelReason.RISK_CONTROL)

    def _closable(self, account: Account, order: Order) -> int:
        """Lots of the order's side that close a position, or sell an own coin to repay a debt."""
        listing = self.house.listings[order.instrument.instrument_id]
        position = account.positions[listing.number]
        if not listing.is_spot:
            return abs(position.lots) if position.lots * order.side < 0 else 0
        # only sales may stay: a purchase that repays a coin spends what may be missing elsewhere
        owned = self.house.ledger.balances[position.base.cash] - position.base.liability_atoms
        if order.side > 0 or position.settle.liability_atoms == 0:
            return 0
        return max(0, owned) // listing.base_atoms_per_lot
