"""The wire between traders and the exchange: what is sent now arrives after a latency.

All messages that are sent at one moment with one latency arrive at one moment, so they share one
simpy event and are handled in the order in which they were sent. A trader who moves a ladder of
forty orders costs one event on the way there and one on the way back, with all his reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from simpy.events import NORMAL, Event

from scenarios.clock import Clock

Receiver: TypeAlias = Callable[[Any], object]
"""Takes a message that arrives."""
Message: TypeAlias = tuple[Receiver, Any]
NEVER_NS = -1


class Arrivals(Event):
    """Messages that arrive together: a simpy event that has been triggered already."""

    def __init__(self, arrive: Callable[[Event], None], messages: list[Message]) -> None:
        # As simpy's own Timeout does it: the few fields that the scheduler reads.
        self.callbacks = [arrive]
        self._ok = True
        self._value = messages


class Wire:
    """Carries messages of one latency (ns). `events` counts the simpy events it has needed.

    after: called when all messages of a moment have been taken: what they have caused can be
    answered together.
    """

    __slots__ = ("_after", "_arrive", "_env", "_latency_ns", "_messages", "_sent_ns", "events")

    def __init__(self, env: Clock, latency_ns: int, after: Callable[[], None]) -> None:
        assert latency_ns >= 0, latency_ns
        self._env = env
        self._latency_ns = latency_ns
        self._after = after
        self._arrive = self._take  # bound once
        self._sent_ns = NEVER_NS
        self._messages: list[Message] = []
        self.events = 0

    def send(self, receiver: Receiver, message: Any) -> None:
        """Let `receiver` take `message` after the latency, after all that was sent before.
        O(log events), O(1) for all but the first message of a moment."""
        env = self._env
        now = env.time_ns
        if now == self._sent_ns:
            self._messages.append((receiver, message))
            return
        self._messages = messages = [(receiver, message)]
        # Without a latency the event may have happened while its moment still lasts.
        self._sent_ns = now if self._latency_ns else NEVER_NS
        self.events += 1
        env.schedule(Arrivals(self._arrive, messages), NORMAL, self._latency_ns)

    def _take(self, event: Event) -> None:
        for receiver, message in event._value:  # see `Arrivals`
            receiver(message)
        self._after()
