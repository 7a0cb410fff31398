"""`OwnOrder`: an order as its owner knows it."""

from __future__ import annotations

from exchange.order import Order, OrderRequest


class OwnOrder:
    """One order as its owner knows it: what he sent and what has been reported back to him.

    `order` is None until the acceptance has arrived (or, where the agent does not hear of it, the
    first fill); `remaining_lots` falls with each known fill; `is_done` is True once the order is
    reported filled, cancelled or rejected. `tag` belongs to the agent (a level number, a leg of a
    trade). `placed` is the exchange's order from the moment it exists, for the venue's use when a
    cancellation arrives.
    """

    __slots__ = ("is_done", "order", "placed", "remaining_lots", "request", "tag")

    def __init__(self, request: OrderRequest, tag: int = 0) -> None:
        self.request = request
        self.order: Order | None = None
        self.placed: Order | None = None
        self.remaining_lots = request.size_lots
        self.is_done = False
        self.tag = tag
