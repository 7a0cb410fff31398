"""Amending an open order: admitted as a new order of the new terms, or left as it was.

Source: portfolio-margin.md sections 9.3, 12.6 (51502).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounts.admission import margin_refusal, rule_refusal
from exchange.events import OrderRejected, RejectReason
from exchange.order import OrderRequest
from risk.order_tables import ACCEPTED_REDUCING

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from exchange.order import Order


def amend_order(
    house: ClearingHouse,
    now_ns: int,
    account_number: int,
    order_id: int,
    new_size_lots: int | None,
    new_price_ticks: int | None,
) -> list[Any]:
    """Change an open order's size (what is filled included) or price; its events, emitted.

    Empty if the account has no open order of that id. O(columns + units of the account).
    """
    account = house.accounts[account_number]
    if account.isolated:
        account = house.isolated.holder_of(account, order_id)
    order = account.orders.get(order_id)
    if order is None:
        return []
    listing = house.listings[order.instrument.instrument_id]
    size = order.size_lots if new_size_lots is None else new_size_lots
    price = order.price_ticks if new_price_ticks is None else new_price_ticks
    old_left, old_price = order.remaining_lots, order.price_ticks
    left = old_left + size - order.size_lots
    request = OrderRequest(
        order.instrument.instrument_id,
        order.side,
        order.order_type,
        size,
        price,
        order.client_order_id,
        order.stp_mode,
    )
    if account.parent is not None:
        house.isolated.bring_for_amend(now_ns, account, order, left, price)
    refusal = _admit(house, now_ns, account, listing, order, request, left)
    if account.parent is not None:
        house.isolated.amended(now_ns, account, order, left, refused=refusal is not None)
    if refusal is not None:
        return house.reject(now_ns, request, account, *refusal)
    events: list[Any] = listing.engine.amend(order_id, now_ns, new_size_lots, new_price_ticks)
    if type(events[0]) is OrderRejected:  # the book's own rules: the old order stays
        house.exposures.replace_order(order.slot, old_price, old_left)
        if account.parent is not None:
            house.isolated.amended(now_ns, account, order, old_left, refused=False)
    house.apply(now_ns, listing, events)
    if account.reduce_only:
        house.conditions.moved(account, listing)
    if house.conditions.pending:
        house.conditions.settle_up(now_ns, order.order_id)
    return events


def _admit(
    house: ClearingHouse,
    now_ns: int,
    account: Account,
    listing: Listing,
    order: Order,
    request: OrderRequest,
    left: int,
) -> tuple[RejectReason, str] | None:
    """Book the new terms in the exposure tables; or why not, with the old ones left in place.

    request: the new terms; left: lots that would be open. A smaller size at the same price needs no
    check.
    """
    exposures, old_left, old_price = house.exposures, order.remaining_lots, order.price_ticks
    price = request.price_ticks
    assert price is not None
    if 0 < left < old_left and price == old_price:
        exposures.reduce_order(order.slot, left)
    if left <= 0 or (left <= old_left and price == old_price):
        return None
    stale = house.is_stale(now_ns) and house.may_open(account, listing, request)
    reason = rule_refusal(listing, account, request, stale=stale)
    if reason is not None:
        return reason, "amend"
    unmet = house.conditions.amend_refusal(account, listing, order, left)
    if unmet is not None:
        return unmet
    row, side = account.positions[listing.number].row, int(order.side)
    exposures.without_order(order.slot)
    code = exposures.place(order.slot, row, side, price, left, False)
    if code > ACCEPTED_REDUCING and account.parent is not None:
        code = house.isolated.closing_code(account, code, side, left)
        if code == ACCEPTED_REDUCING:
            exposures.add_order(order.slot, row, side, price, left)
    if code <= ACCEPTED_REDUCING:
        return None
    refused, detail = margin_refusal(code, exposures)
    if refused == RejectReason.INSUFFICIENT_MARGIN:
        refused = RejectReason.AMEND_INSUFFICIENT_MARGIN
    exposures.add_order(order.slot, row, side, old_price, old_left)
    return refused, detail
