"""An account's orders as their owner knows them: bookkeeping for whoever implements `Venue`."""

from __future__ import annotations

from collections.abc import Collection

from agents.base import AgentEvent, OwnOrder
from exchange.events import Fill, OrderAccepted, OrderCancelled, OrderRejected
from exchange.order import Order, OrderRequest


class OrderDesk:
    """Own orders of one account. Every method is O(1), but for the report of a refusal.

    The venue calls `bind` when the exchange makes an order of the request: at the first event of
    it, which is OrderAccepted, or OrderCancelled for an order that could not trade nor rest. It
    calls `report` when a report reaches the owner, a latency later, before `agent.on_event`.
    """

    __slots__ = ("_by_order_id", "_live")

    def __init__(self) -> None:
        self._live: dict[str, dict[OwnOrder, None]] = {}
        self._by_order_id: dict[int, OwnOrder] = {}

    def open(self, request: OrderRequest, tag: int = 0) -> OwnOrder:
        """Note an order that is being sent."""
        own = OwnOrder(request, tag)
        live = self._live.get(request.instrument_id)
        if live is None:
            live = self._live[request.instrument_id] = {}
        live[own] = None
        return own

    def bind(self, own: OwnOrder, order: Order) -> None:
        """Connect a sent order with the exchange's order, at the exchange's time."""
        own.placed = order
        self._by_order_id[order.order_id] = own

    def find(self, order_id: int) -> OwnOrder | None:
        """The own order with an exchange order id, while it is not known to be done."""
        return self._by_order_id.get(order_id)

    def live(self, instrument_id: str) -> Collection[OwnOrder]:
        """Orders not known to be done, in order of submission; a live view."""
        return self._live.get(instrument_id, {}).keys()

    def report(self, event: AgentEvent) -> None:
        """Take a report that has reached the owner. Orders of other owners are ignored."""
        # `type(event) is` tells the type checker what it is; no assertion on the hot path.
        if type(event) is Fill:
            for order in (event.maker, event.taker):
                own = self._by_order_id.get(order.order_id)
                if own is not None:
                    own.remaining_lots -= event.size_lots
                    if own.remaining_lots <= 0:
                        self._close(own, order.order_id)
        elif type(event) is OrderAccepted:
            own = self._by_order_id.get(event.order.order_id)
            if own is not None:
                own.order = event.order
        elif type(event) is OrderCancelled:
            own = self._by_order_id.get(event.order.order_id)
            if own is not None:
                self._close(own, event.order.order_id)
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

    def _close(self, own: OwnOrder, order_id: int) -> None:
        own.is_done = True
        del self._by_order_id[order_id]
        del self._live[own.request.instrument_id][own]
