"""What an order must meet beside the instrument's rules and margin, and how it may end later.

Client order ids, the limit of open orders, reduce-only orders, market-maker protection and the
dead man's switch. The clearing house asks `refusal` for every new order, tells of every order that
was admitted and of every fill that concerns such orders, and lets `settle_up` cancel what has
become excessive, after the events of the message that caused it.

A reduce-only order can never open a position: all open orders of its side together may not exceed
the position. Where they do, reduce-only orders go, newest first.

Source: portfolio-margin.md sections 2.3, 9.1, 9.4, 9.5, 12.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.account import AccountMode
from accounts.protection import MMP_TYPES, Protection
from exchange.events import CancelReason, RejectReason
from exchange.order import OrderType, StpMode
from risk import order_tables as t
from risk.order_tables import ACCEPTED_REDUCING, NO_BORROW

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from exchange.events import Fill
    from exchange.order import Order, OrderRequest

REDUCE_ONLY_MODES: Final = frozenset((AccountMode.SPOT_AND_FUTURES, AccountMode.MULTI_CURRENCY))
_FIRST_MMP: Final = min(MMP_TYPES)
_FOK: Final = int(OrderType.FOK)
_CANCEL_BOTH: Final = int(StpMode.CANCEL_BOTH)
_SPARE_NAMES: Final = 64  # client order ids of closed orders that may be kept for a while

Refusal = tuple[RejectReason, str]


class OrderConditions:
    """The standing conditions of all accounts' orders in one clearing house."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        self.limits = house.rules.orders
        self.protection = Protection(house)
        self._deadlines: dict[int, int] = {}  # account number -> time of its dead man's switch
        self._reduced: dict[tuple[int, int], None] = {}  # (account, instrument) that changed
        self.pending = False  # `settle_up` has something to do

    # --- a new order -------------------------------------------------------------------------

    def refusal(
        self, now_ns: int, account: Account, listing: Listing, request: OrderRequest
    ) -> Refusal | None:
        """Why the order may not enter; None if it may. O(1)."""
        if request.client_order_id and self.client_order(account, request.client_order_id):
            return RejectReason.DUPLICATE_CLIENT_ORDER_ID, request.client_order_id
        if len(account.orders) >= self.limits.open_orders_per_instrument:
            crowded = self._crowded(account, listing)
            if crowded:
                return RejectReason.TOO_MANY_ORDERS, crowded
        if request.order_type >= _FIRST_MMP:
            refused = self.protection.refusal(now_ns, account, listing)
            if refused is not None:
                return refused
        if (
            request.stp_mode is None
            and (account.parent or account).stp_mode == _CANCEL_BOTH
            and request.order_type == _FOK
        ):
            return RejectReason.BAD_STP_MODE, "the account's self-trade prevention cancels both"
        if request.reduce_only:
            return self._reduce_only_refusal(account, listing, request)
        return None

    def _crowded(self, account: Account, listing: Listing) -> str:
        """Which limit of open orders is reached, or ""."""
        limits = self.limits
        if len(account.orders) >= limits.open_orders:
            return f"{len(account.orders)} open orders of {limits.open_orders}"
        position = account.positions.get(listing.number)
        here = 0
        if position is not None:
            here = int(self.house.exposures.positions[position.row, t.P_ORDERS])
        if here >= limits.open_orders_per_instrument:
            return f"{here} open orders in the instrument of {limits.open_orders_per_instrument}"
        return ""

    def _reduce_only_refusal(
        self, account: Account, listing: Listing, request: OrderRequest
    ) -> Refusal | None:
        """Why a reduce-only order may not enter.  Source: 2.3."""
        if account.mode not in REDUCE_ONLY_MODES or listing.is_spot:
            return RejectReason.ACCOUNT_MODE, "reduce-only needs a mode without portfolio margin"
        position = account.positions.get(listing.number)
        held = 0 if position is None else position.lots
        if held == 0:
            return RejectReason.REDUCE_ONLY, ""
        if (held > 0) == (request.side > 0):
            return RejectReason.REDUCE_ONLY_DIRECTION, ""
        room = abs(held) - self.open_lots(account, listing, int(request.side))
        if request.size_lots > room:
            return RejectReason.REDUCE_ONLY_SIZE, f"{max(0, room)} lots are free to close"
        return None

    def amend_refusal(
        self, account: Account, listing: Listing, order: Order, left: int
    ) -> Refusal | None:
        """Why an order may not be amended to have `left` lots open; None if it may."""
        if order.order_id not in account.reduce_only or left <= order.remaining_lots:
            return None
        room = abs(account.positions[listing.number].lots) + order.remaining_lots
        room -= self.open_lots(account, listing, int(order.side))
        if left > room:
            return RejectReason.REDUCE_ONLY_SIZE, f"{max(0, room)} lots are free to close"
        return None

    def admitted(self, account: Account, request: OrderRequest, order: Order) -> None:
        """An order has passed all checks and is about to match. Amortised O(1); a reduce-only one
        O(reduce-only orders of the account)."""
        if request.client_order_id:
            trader = account.parent or account
            names = trader.client_orders
            names[request.client_order_id] = order.order_id
            if len(names) > 2 * len(trader.orders) + _SPARE_NAMES:
                trader.client_orders = {
                    name: order_id
                    for name, order_id in names.items()
                    if order_id == order.order_id or _open_order(trader, order_id) is not None
                }
        if request.reduce_only:
            account.reduce_only |= {order.order_id}

    def client_order(self, account: Account, client_order_id: str) -> Order | None:
        """The open order with a client order id, cross or isolated. O(1 + isolated positions)."""
        trader = account.parent or account
        order_id = trader.client_orders.get(client_order_id)
        if order_id is None:
            return None
        order = _open_order(trader, order_id)
        if order is None:
            del trader.client_orders[client_order_id]  # free again
        return order

    def open_lots(self, account: Account, listing: Listing, side: int) -> int:
        """Lots of an account's open orders of one side in an instrument. O(orders)."""
        return sum(
            order.remaining_lots
            for order in account.orders.values()
            if order.instrument is listing.instrument and order.side == side
        )

    # --- after fills -------------------------------------------------------------------------

    def filled(self, now_ns: int, listing: Listing, fill: Fill) -> None:
        """Note a fill where one side has reduce-only or protected orders. O(1)."""
        for order in (fill.maker, fill.taker):
            account = self.house.accounts[order.holder]
            self.moved(account, listing)
            if order.order_type >= _FIRST_MMP:
                self.protection.filled(now_ns, account, listing, fill.size_lots)
                self.pending = True

    def moved(self, account: Account, listing: Listing) -> None:
        """Note that a position or the open orders of an account changed. O(1)."""
        if account.reduce_only:
            self._reduced[account.number, listing.number] = None
            self.pending = True

    def settle_up(self, now_ns: int, entering: int = 0) -> None:
        """Cancel reduce-only orders beyond their positions, and quotes whose protection fired.

        entering: id of the order that caused it by entering, 0 = none.
        """
        self.pending = False
        changed, self._reduced = self._reduced, {}
        for number, instrument in changed:
            self.trim(now_ns, self.house.accounts[number], self.house.by_number[instrument])
        self.protection.cancel_triggered(now_ns, entering)

    def trim(
        self,
        now_ns: int,
        account: Account,
        listing: Listing,
        cause: CancelReason | None = None,
    ) -> None:
        """Cancel an account's reduce-only orders that its position no longer carries. O(orders).

        With a `cause` of its own (ADL) for that; else, where the position is flat POSITION_CLOSED,
        where it turned REDUCE_ONLY_CONFLICT, where the orders of the side exceed it
        REDUCE_ONLY_EXCESS, newest first.  Source: 9.5.
        """
        account.reduce_only = account.reduce_only.intersection(account.orders)
        position = account.positions.get(listing.number)
        held = 0 if position is None else position.lots
        for order_id in sorted(account.reduce_only, reverse=True):
            order = account.orders[order_id]
            if order.instrument is not listing.instrument:
                continue
            if held == 0:
                reason = CancelReason.POSITION_CLOSED
            elif (held > 0) == (order.side > 0):
                reason = CancelReason.REDUCE_ONLY_CONFLICT
            elif self.open_lots(account, listing, int(order.side)) > abs(held):
                reason = CancelReason.REDUCE_ONLY_EXCESS
            else:
                continue
            account.reduce_only -= {order_id}
            self.house.cancel(now_ns, account.number, order_id, cause or reason)

    def cancel_uncovered(self, now_ns: int, account: Account) -> None:
        """Cancel orders that the balances no longer cover, newest first; auto-borrow off only.

        For use after a payment (funding) that no order caused. O(orders x columns).
        Source: 9.5 (9), 16.17.
        """
        if account.auto_borrow:
            return
        exposures = self.house.exposures
        for order in reversed(list(account.orders.values())):
            listing = self.house.listings[order.instrument.instrument_id]
            row = account.positions[listing.number].row
            exposures.without_order(order.slot)
            code = exposures.place(
                order.slot, row, int(order.side), order.price_ticks, order.remaining_lots, False
            )
            if code > ACCEPTED_REDUCING:
                exposures.with_order(order.slot)
            if code != NO_BORROW:
                break
            reason = CancelReason.INSUFFICIENT_BALANCE
            self.house.cancel(now_ns, account.number, order.order_id, reason)

    # --- the dead man's switch ---------------------------------------------------------------

    def arm(self, now_ns: int, account: Account, seconds: float) -> int | None:
        """Cancel all orders of the account unless armed again within `seconds`; 0 disarms.

        Returns the deadline, None when disarmed. ValueError outside the allowed range.
        Source: 9.5 (20).
        """
        if seconds == 0:
            self._deadlines.pop(account.number, None)
            return None
        least, most = self.limits.cancel_after_min_s, self.limits.cancel_after_max_s
        if not least <= seconds <= most:
            raise ValueError(f"cancel-all-after: {seconds} must be 0 or {least:g} to {most:g} s")
        self._deadlines[account.number] = now_ns + round(seconds * 1e9)
        return self._deadlines[account.number]

    def check(self, now_ns: int) -> None:
        """Fire the switches whose time has come; at every mark. O(armed accounts)."""
        if not self._deadlines:
            return
        due = [number for number, at in self._deadlines.items() if at <= now_ns]
        for number in sorted(due):
            del self._deadlines[number]
            self.house.cancel_all(now_ns, number, reason=CancelReason.CANCEL_ALL_AFTER)


def _open_order(trader: Account, order_id: int) -> Order | None:
    """An open order of a trader's account or of one of its isolated positions."""
    for account in (trader, *trader.isolated.values()):
        order = account.orders.get(order_id)
        if order is not None:
            return order
    return None
