"""Orders: the intent (`OrderRequest`) and the live order (`Order`).

The matching code compares sides and types as plain integers, so no enum member is built per order.

Source: spec 9.1, 9.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from exchange.instrument import Instrument
from exchange.price_levels import PriceLevel


class Side(IntEnum):
    """Side of an order; the value is the sign of the position it adds."""

    BUY = 1
    SELL = -1


class OrderType(IntEnum):
    """Order types of spec 9.1. The book treats MMP as LIMIT and MMP_AND_POST_ONLY as POST_ONLY."""

    LIMIT = 0
    MARKET = 1
    POST_ONLY = 2
    IOC = 3
    FOK = 4
    OPTIMAL_LIMIT_IOC = 5
    MMP = 6
    MMP_AND_POST_ONLY = 7


class StpMode(IntEnum):
    """Self-trade prevention; the mode of the taker decides. Source: spec 9.2."""

    CANCEL_MAKER = 0
    CANCEL_TAKER = 1
    CANCEL_BOTH = 2


@dataclass(slots=True, init=False)
class OrderRequest:
    """What a trader asks for.

    size_lots: lots, positive. price_ticks: None for MARKET and OPTIMAL_LIMIT_IOC. stp_mode: None
    for the mode that the account has set (without an account: CANCEL_MAKER). isolated (OKX's
    tdMode): for the isolated position in the instrument instead of the cross one.
    """

    instrument_id: str
    side: Side
    order_type: OrderType
    size_lots: int
    price_ticks: int | None
    client_order_id: str
    stp_mode: StpMode | None
    reduce_only: bool
    isolated: bool

    # Written out, here and in `Order` and the events, because a compiled class (`selloff compile`)
    # takes three times as long to be made by the method that `dataclass` writes.
    def __init__(
        self,
        instrument_id: str,
        side: Side,
        order_type: OrderType,
        size_lots: int,
        price_ticks: int | None = None,
        client_order_id: str = "",
        stp_mode: StpMode | None = None,
        reduce_only: bool = False,
        isolated: bool = False,
    ) -> None:
        self.instrument_id = instrument_id
        self.side = side
        self.order_type = order_type
        self.size_lots = size_lots
        self.price_ticks = price_ticks
        self.client_order_id = client_order_id
        self.stp_mode = stp_mode
        self.reduce_only = reduce_only
        self.isolated = isolated


@dataclass(slots=True, eq=False, init=False)
class Order:
    """An order with an id, live in a book or on its way through the matching engine.

    Equality is identity. price_ticks of a MARKET or OPTIMAL_LIMIT_IOC order is its protective
    limit, 0 for none. time_ns is the time of its place in the queue. owner is opaque: all that
    the book knows for self-trade prevention. cause_id: id of what triggered it, 0 = nothing.
    slot, holder and position belong to the clearing side: holder is the account whose position the
    order changes, the owner himself or one of his isolated positions. sender is the owner's:
    whatever he knows the order by; nothing on the exchange's side looks at it.

    level, previous_order and next_order are the book's: set while the order rests.
    """

    order_id: int
    instrument: Instrument
    owner: int
    side: Side
    order_type: OrderType
    price_ticks: int
    size_lots: int
    remaining_lots: int
    time_ns: int
    stp_mode: StpMode
    client_order_id: str
    is_liquidation: bool
    cause_id: int
    slot: int
    holder: int
    sender: Any = field(repr=False)
    position: Any = field(repr=False)
    level: PriceLevel = field(repr=False)
    previous_order: Order | None = field(repr=False)
    next_order: Order | None = field(repr=False)

    def __init__(
        self,
        order_id: int,
        instrument: Instrument,
        owner: int,
        side: Side,
        order_type: OrderType,
        price_ticks: int,
        size_lots: int,
        remaining_lots: int,
        time_ns: int = 0,
        stp_mode: StpMode = StpMode.CANCEL_MAKER,
        client_order_id: str = "",
        is_liquidation: bool = False,
        cause_id: int = 0,
        slot: int = -1,
        holder: int = -1,
        sender: Any = None,
    ) -> None:
        self.order_id = order_id
        self.instrument = instrument
        self.owner = owner
        self.side = side
        self.order_type = order_type
        self.price_ticks = price_ticks
        self.size_lots = size_lots
        self.remaining_lots = remaining_lots
        self.time_ns = time_ns
        self.stp_mode = stp_mode
        self.client_order_id = client_order_id
        self.is_liquidation = is_liquidation
        self.cause_id = cause_id
        self.slot = slot
        self.holder = holder
        self.sender = sender
        # The rest is written by whoever reads it, clearing side or book, and it would cost.
