"""The wire between traders and the exchange: what is sent now arrives after a latency.

All messages that are sent at one moment with one latency arrive at one moment, so they share one
event and are handled in the order in which they were sent. A trader who moves a ladder of forty
orders costs one event on the way there and one on the way back, with all his reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from mypy_extensions import mypyc_attr

from scenarios.clock import EventList, Queued

_NOT_YET_NS: Final = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """Takes messages that arrive."""

    __slots__ = ()

    def take(self, kind: int, content: Any) -> None:
        """A message has arrived; what `kind` says is the receiver's own business."""
        raise NotImplementedError


Message: TypeAlias = tuple[Receiver, int, Any]


class Arrivals(Queued):
    """Messages that arrive together."""

    __slots__ = ("_after", "messages")

    def __init__(self, message: Message, after: Callable[[], None]) -> None:
        super().__init__()
        self.messages = [message]
        self._after = after

    def happen(self) -> None:
        """Hand the messages over, in the order in which they were sent."""
        for receiver, kind, content in self.messages:
            receiver.take(kind, content)
        self._after()


class Wire:
    """Carries messages of one latency (ns). `events` counts the events it has needed.

    after: called when all messages of a moment have been taken: what they have caused can be
    answered together.
    """

    __slots__ = ("_after", "_arrivals", "_line", "_list", "_sent_ns", "events")

    def __init__(self, events: EventList, latency_ns: int, after: Callable[[], None]) -> None:
        self._list = events
        self._line = events.new_line(latency_ns)
        self._after = after
        self._sent_ns = _NOT_YET_NS
        self._arrivals: Arrivals | None = None
        self.events = 0

    def send(self, receiver: Receiver, kind: int, content: Any) -> None:
        """Let `receiver` take a message after the latency, after all that was sent before.
        O(1)."""
        now, arrivals = self._list.now_ns, self._arrivals
        if now == self._sent_ns and arrivals is not None:
            arrivals.messages.append((receiver, kind, content))
            return
        self._arrivals = arrivals = Arrivals((receiver, kind, content), self._after)
        # Without a latency the event may have happened while its moment still lasts.
        self._sent_ns = now if self._line.delay_ns else _NOT_YET_NS
        self.events += 1
        self._list.add_to(self._line, arrivals)
