"""An account's orders as their owner knows them: bookkeeping for whoever implements `Venue`."""

from __future__ import annotations

from collections.abc import Collection

from agents.base import AgentEvent
from agents.own_order import OwnOrder
from exchange.events import Fill, OrderAccepted, OrderCancelled, OrderRejected
from exchange.order import Order, OrderRequest


class OrderDesk:
    """Own orders of account `owner`. Every method is O(1), but for the report of a refusal.

    The venue calls `bind` when the exchange makes an order of the request: at the first event of
    it, which is OrderAccepted, or OrderCancelled for an order that could not trade nor rest. It
    calls `report` when a report reaches the owner, a latency later, before `agent.on_event`.
    """

    __slots__ = ("_live", "_owner", "_recent", "_recent_id")

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._live: dict[str, dict[OwnOrder, None]] = {}
        self._recent_id = ""  # the instrument of the last order, and those live in it
        self._recent: dict[OwnOrder, None] = {}

    def open(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        """Note an order that is being sent."""
        own = OwnOrder(request, tag)
        self._in(request.instrument_id)[own] = None
        return own

    def _in(self, instrument_id: str) -> dict[OwnOrder, None]:
        """The live orders in an instrument, most often that of the last order. O(1)."""
        if instrument_id is not self._recent_id:
            live = self._live.get(instrument_id)
            if live is None:
                live = self._live[instrument_id] = {}
            self._recent_id, self._recent = instrument_id, live
        return self._recent

    def bind(self, own: OwnOrder, order: Order) -> None:
        """Connect a sent order with the exchange's order, at the exchange's time."""
        own.placed = order
        order.sender = own

    def live(self, instrument_id: str) -> Collection[OwnOrder]:
        """Orders not known to be done, in order of submission; a live view."""
        return self._live.get(instrument_id, {}).keys()

    def report(self, event: AgentEvent) -> None:
        """Take a report that has reached the owner. Orders of other owners are ignored."""
        # `type(event) is` tells the type checker what it is; no assertion on the hot path.
        owner = self._owner
        if type(event) is Fill:
            lots, maker, taker = event.size_lots, event.maker, event.taker
            if maker.owner == owner and maker.sender is not None:
                self._filled(maker, lots)
            if taker.owner == owner and taker.sender is not None:
                self._filled(taker, lots)
        elif type(event) is OrderAccepted:
            order = event.order
            if order.owner == owner and order.sender is not None:
                own: OwnOrder = order.sender
                own.order = order
        elif type(event) is OrderCancelled:
            order = event.order
            if order.owner == owner and order.sender is not None:
                self._close(order)
        elif type(event) is OrderRejected:
            self._refuse(event.request)

    def _refuse(self, request: OrderRequest) -> None:
        """An order was refused. A refused amend is none: the order itself lives on.

        O(live orders in the instrument): a register of all that is on its way would cost every
        order more than this costs the few that are refused.
        """
        live = self._live.get(request.instrument_id, {})
        for own in live:
            if own.request is request:
                own.is_done = True
                del live[own]
                return

    def _filled(self, order: Order, lots: int) -> None:
        own: OwnOrder = order.sender
        own.order = order  # its acceptance may not have been reported by itself
        own.remaining_lots -= lots
        if own.remaining_lots <= 0:
            self._close(order)

    def _close(self, order: Order) -> None:
        """The order is over: nothing that is reported of it counts any more."""
        own: OwnOrder = order.sender
        order.sender = None  # nor do the two hold each other in memory
        own.is_done = True
        del self._in(own.request.instrument_id)[own]
