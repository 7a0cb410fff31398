"""Admission: may this order enter? The instrument's rules, the price limits, then occupied margin.

The margin decision itself is `risk.order_kernels.place`; this file turns its answer into the
venue's codes and says in numbers what was missing.

Source: portfolio-margin.md sections 9.7 and 16.17; liquidation-and-losses.md section 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.account import AccountMode
from accounts.listing import ListingState
from exchange.events import RejectReason
from exchange.matching import check_request
from exchange.order import OrderType
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.exposures import Exposures
    from accounts.listing import Listing
    from exchange.order import OrderRequest

PLAIN: Final = (int(OrderType.LIMIT), int(OrderType.IOC))
IOC: Final = int(OrderType.IOC)
SPOT_MODE: Final = int(AccountMode.SPOT)
SWEEPING: Final = (int(OrderType.MARKET), int(OrderType.OPTIMAL_LIMIT_IOC))
IMMEDIATE: Final = (*SWEEPING, IOC, int(OrderType.FOK))
_MARGIN_REASONS: Final = {
    t.NO_MARGIN: RejectReason.INSUFFICIENT_MARGIN,
    t.NO_BORROW: RejectReason.INSUFFICIENT_BALANCE,
    t.OVER_BORROW_LIMIT: RejectReason.BORROW_LIMIT,
    t.POOL_EMPTY: RejectReason.LENDING_POOL_EMPTY,
}


def rule_refusal(
    listing: Listing, account: Account, request: OrderRequest, *, stale: bool
) -> RejectReason | None:
    """Why the rules that need no margin refuse a request; None if they do not. O(1)."""
    if listing.state:
        if listing.state == ListingState.EXPIRED:
            return RejectReason.INSTRUMENT_EXPIRED
        return RejectReason.INSTRUMENT_SUSPENDED
    if account.blocked:
        return RejectReason.ACCOUNT_BLOCKED
    if account.mode == SPOT_MODE and not listing.is_spot:
        return RejectReason.ACCOUNT_MODE
    price, lots = request.price_ticks, request.size_lots
    order_type: int = request.order_type  # compared as a plain number
    plain = order_type in PLAIN
    if not plain or listing.is_option or price is None or price <= 0 or lots <= 0:
        # a plain order that gets past the line above meets all the book's rules
        reason = check_request(listing.instrument, request)
        if reason is not None:
            return reason
    if lots > listing.limit_lots:
        return RejectReason.POSITION_LIMIT
    if stale:
        return RejectReason.INSTRUMENT_SUSPENDED
    if price is not None and (plain or order_type not in SWEEPING):
        if price * lots > listing.most_tick_lots:
            return RejectReason.PRICE_LIMIT
        side: int = request.side
        if side > 0:
            if price > listing.high_ticks:
                return RejectReason.PRICE_LIMIT_BUY
        elif price < listing.low_ticks:
            return RejectReason.PRICE_LIMIT_SELL
    return None


def margin_refusal(
    code: int, exposures: Exposures, resting_of: int | None = None
) -> tuple[RejectReason, str]:
    """The venue's reason for a refusal code of `place`, and its margin report in one line.

    resting_of: the account, if the order was new and might rest. Where that account is below its
    initial margin already, no resting order is accepted, and the reason says so (51037).
    """
    if code == t.OVER_POSITION_LIMIT:
        return RejectReason.POSITION_LIMIT, ""
    smallest, initial, adjusted, maintenance = exposures.refused_figures()
    reason = _MARGIN_REASONS[code]
    if code == t.NO_MARGIN and resting_of is not None:
        now = exposures.account_sums[resting_of]
        if now[t.T_SMALLEST] < now[t.T_IMR]:
            reason = RejectReason.ONLY_RISK_REDUCING_IOC
    return reason, (
        f"with this order the smallest adjusted equity over the fill sets would be "
        f"{smallest:.2f} USD, the initial margin {initial:.2f} USD (adjusted equity "
        f"{adjusted:.2f}, maintenance margin {maintenance:.2f})"
    )
