"""What the market says: events, and the reasons of cancels and rejects.

Events are plain slots classes, built on the hot path; nobody changes one after it is emitted.

Source: spec 9.1, 9.2, 9.5, 9.7, 12.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, TypeAlias

from exchange.instrument import Instrument
from exchange.order import Order, OrderRequest, Side

if TYPE_CHECKING:
    from collections.abc import Iterable


class CancelReason(IntEnum):
    """Why an order was cancelled; the value is the venue's cancelSource code. Source: spec 9.5."""

    SYSTEM = 0
    USER = 1
    RISK_CONTROL = 3
    BORROW_LIMIT = 4
    ADL = 6
    DELIVERY = 7
    INSUFFICIENT_BALANCE = 9
    OPTION_EXPIRY = 10
    FOK = 13
    IOC = 14
    PRICE_LIMIT = 15
    POSITION_CLOSED = 17
    CANCEL_ALL_AFTER = 20
    REDUCE_ONLY_EXCESS = 22
    REDUCE_ONLY_CONFLICT = 23
    PRICE_GAP = 27
    POST_ONLY = 31
    SELF_TRADE = 32
    TOO_MANY_MATCHES = 33
    MMP_TRIGGERED = 38
    MMP_FROZEN = 39


class RejectReason(Enum):
    """Why a request was refused: (error code as OKX numbers it, meaning).

    Each member has `okx_code` and `meaning`. Source: spec 9.7, 12.6; codes that spec 12.6 does
    not list are the nearest of the public API list.
    """

    # The request itself
    UNKNOWN_INSTRUMENT = ("51001", "the instrument does not exist")
    BAD_ORDER_TYPE = ("51000", "the order type is not offered for this instrument")
    BAD_STP_MODE = ("51000", "cancel-both self-trade prevention is not offered for FOK orders")
    BAD_PRICE = ("51000", "the price is missing, or not above zero")
    BAD_TICK = ("51000", "the price is not a multiple of the tick")
    BAD_SIZE = ("51020", "the size is below the smallest order")
    DUPLICATE_CLIENT_ORDER_ID = ("51016", "the client order id is already in use")
    TOO_MANY_ORDERS = ("51025", "the number of open orders is at its limit")
    # State of the instrument
    INSTRUMENT_SUSPENDED = ("51022", "the contract is suspended")
    INSTRUMENT_EXPIRED = ("51027", "the contract has expired")
    # Price limits
    PRICE_LIMIT = ("51006", "the price is outside the price limits")
    PRICE_LIMIT_BUY = ("51137", "the buy price is above the highest allowed")
    PRICE_LIMIT_SELL = ("51138", "the sell price is below the lowest allowed")
    # Account
    ACCOUNT_BLOCKED = ("51024", "the trading account is blocked")
    ACCOUNT_MODE = ("51010", "not supported in the current account mode")
    INSUFFICIENT_MARGIN = ("51008", "insufficient margin in the account")
    INSUFFICIENT_BALANCE = ("51008", "insufficient balance and auto-borrow is off")
    BORROW_LIMIT = ("51017", "the borrowing would exceed the limit")
    LENDING_POOL_EMPTY = ("51008", "the lending pool cannot cover the potential borrowing")
    POSITION_LIMIT = ("51187", "the position limit would be exceeded")
    ONLY_RISK_REDUCING_IOC = ("51037", "only IOC orders that reduce the risk are accepted now")
    LONG_OPTION_MARGIN_FIXED = ("51040", "the margin of a long isolated option is fixed")
    NO_ISOLATED_POSITION = ("59300", "no isolated position to move margin to or from")
    PORTFOLIO_LEVERAGE_FIXED = ("51039", "leverage of cross positions is fixed in portfolio margin")
    BAD_LEVERAGE = ("59102", "the leverage is outside the range of the instrument")
    BAD_SPOT_CAP = ("59652", "the currency or amount cannot be set for spot-derivatives offset")
    REDUCE_ONLY = ("51169", "no position for a reduce-only order to reduce")
    REDUCE_ONLY_DIRECTION = ("51170", "a reduce-only order has the direction of the position")
    REDUCE_ONLY_SIZE = ("51112", "the size is above what the position leaves to close")
    MMP_NOT_OFFERED = ("51036", "protected orders are for options in portfolio margin only")
    MMP_CROSS_ONLY = ("51042", "protected orders are for cross positions only")
    MMP_NOT_SET = ("51035", "market-maker protection is not set for this instrument family")
    MMP_FROZEN = ("51034", "market-maker protection is frozen for this instrument family")
    # Other ways to enter an order
    PRICE_FORMS = ("51176", "give exactly one of the price in coin, in USD and in volatility")
    PRICE_FORM_TYPE = ("51181", "a price in USD or volatility needs an option and a limit order")
    BATCH_TOO_LARGE = ("51111", "the batch holds more orders than allowed")
    # Cancel and amend
    ORDER_NOT_FOUND = ("51400", "the order is filled, cancelled or does not exist")
    AMEND_ORDER_NOT_FOUND = ("51503", "the order to amend does not exist")
    AMEND_EMPTY = ("51500", "the amend changes neither price nor size")
    AMEND_POST_ONLY = ("51511", "the new price of a post-only order would take liquidity")
    AMEND_INSUFFICIENT_MARGIN = ("51502", "insufficient margin for the amended order")

    @property
    def okx_code(self) -> str:
        """The venue's error code."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """What the code says, in words."""
        return self.value[1]


@dataclass(slots=True, init=False)
class OrderAccepted:
    """The order has an id and rests or trades; it is the first event of the order."""

    time_ns: int
    order: Order

    def __init__(self, time_ns: int, order: Order) -> None:
        self.time_ns = time_ns
        self.order = order


@dataclass(slots=True, init=False)
class OrderRejected:
    """The request was refused. For a refused amend, request holds the terms asked for."""

    time_ns: int
    request: OrderRequest
    owner: int
    reason: RejectReason
    detail: str

    def __init__(
        self,
        time_ns: int,
        request: OrderRequest,
        owner: int,
        reason: RejectReason,
        detail: str = "",
    ) -> None:
        self.time_ns = time_ns
        self.request = request
        self.owner = owner
        self.reason = reason
        self.detail = detail


@dataclass(slots=True, init=False)
class Fill:
    """A maker-taker pair: size_lots changed hands at the maker's price.

    When the event is read, maker.remaining_lots and taker.remaining_lots are those after the
    whole submit, not after this fill; size_lots is what this fill took from both.
    """

    time_ns: int
    fill_id: int
    instrument: Instrument
    price_ticks: int
    size_lots: int
    maker: Order
    taker: Order

    def __init__(
        self,
        time_ns: int,
        fill_id: int,
        instrument: Instrument,
        price_ticks: int,
        size_lots: int,
        maker: Order,
        taker: Order,
    ) -> None:
        self.time_ns = time_ns
        self.fill_id = fill_id
        self.instrument = instrument
        self.price_ticks = price_ticks
        self.size_lots = size_lots
        self.maker = maker
        self.taker = taker


@dataclass(slots=True, init=False)
class OrderCancelled:
    """The order left the market with remaining_lots unfilled."""

    time_ns: int
    order: Order
    remaining_lots: int
    reason: CancelReason

    def __init__(
        self, time_ns: int, order: Order, remaining_lots: int, reason: CancelReason
    ) -> None:
        self.time_ns = time_ns
        self.order = order
        self.remaining_lots = remaining_lots
        self.reason = reason


@dataclass(slots=True, init=False)
class OrderAmended:
    """The order's price or size changed; the order carries the new terms."""

    time_ns: int
    order: Order
    old_price_ticks: int
    old_size_lots: int

    def __init__(
        self, time_ns: int, order: Order, old_price_ticks: int, old_size_lots: int
    ) -> None:
        self.time_ns = time_ns
        self.order = order
        self.old_price_ticks = old_price_ticks
        self.old_size_lots = old_size_lots


@dataclass(slots=True)
class Trade:
    """The public print: one taker, one price."""

    time_ns: int
    instrument: Instrument
    price_ticks: int
    size_lots: int
    taker_side: Side


Event: TypeAlias = OrderAccepted | OrderRejected | Fill | OrderCancelled | OrderAmended | Trade


def public_trades(events: Iterable[Event]) -> list[Trade]:
    """Return the prints of one submit's events: consecutive fills at one price are one Trade.

    O(events).
    """
    trades: list[Trade] = []
    last_taker: Order | None = None
    for event in events:
        if type(event) is not Fill:
            continue
        if last_taker is event.taker and trades[-1].price_ticks == event.price_ticks:
            trades[-1].size_lots += event.size_lots
        else:
            last_taker = event.taker
            trades.append(
                Trade(
                    event.time_ns,
                    event.instrument,
                    event.price_ticks,
                    event.size_lots,
                    event.taker.side,
                )
            )
    return trades
