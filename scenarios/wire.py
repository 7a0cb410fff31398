"""The wire between traders and the exchange: what is sent now arrives after a latency.

All messages that are sent at one moment with one latency arrive at one moment, so they share one
simpy event and are handled in the order in which they were sent. A trader who moves a ladder of
forty orders costs one event on the way there and one on the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import simpy
from simpy.events import NORMAL, Event

Arrival: TypeAlias = Callable[[Any], None]
"""What happens when a message arrives; it is called with the simpy event."""
NEVER_NS = -1


class Arrivals(Event):
    """Messages that arrive together: a simpy event that has been triggered already."""

    def __init__(self, callbacks: list[Arrival]) -> None:
        # As simpy's own Timeout does it: the few fields that the scheduler reads.
        self.callbacks = callbacks
        self._ok = True
        self._value = None


class Wire:
    """Carries messages of one latency (ns). `events` counts the simpy events it has needed."""

    __slots__ = ("_arrivals", "_env", "_latency_ns", "_sent_ns", "events")

    def __init__(self, env: simpy.Environment, latency_ns: int) -> None:
        assert latency_ns >= 0, latency_ns
        self._env = env
        self._latency_ns = latency_ns
        self._sent_ns: float = NEVER_NS
        self._arrivals: list[Arrival] = []
        self.events = 0

    def send(self, arrival: Arrival) -> None:
        """Let `arrival` happen after the latency, after all that was sent before. O(log events),
        O(1) for all but the first message of a moment."""
        env = self._env
        now = env.now
        if now == self._sent_ns:
            self._arrivals.append(arrival)
            return
        self._arrivals = arrivals = [arrival]
        # Without a latency the event may have happened while its moment still lasts.
        self._sent_ns = now if self._latency_ns else NEVER_NS
        self.events += 1
        env.schedule(Arrivals(arrivals), NORMAL, self._latency_ns)
