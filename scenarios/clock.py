"""The clock of a simulation: simpy's environment with a list of events of its own.

simpy keeps events in a heap of tuples, of which each comparison looks at two pairs of numbers, and
its `run` calls `step` for every event, which sets up two `try` blocks. `EventList` keeps a heap of
integers instead, leaves out of it what always takes equally long, and handles events in one loop.
It does not know `StopSimulation` in the middle of an event's callbacks.
"""

from __future__ import annotations

from heapq import heappop, heappush
from operator import index
from typing import Any, Final

import simpy
from mypy_extensions import mypyc_attr
from simpy.core import EmptySchedule
from simpy.events import NORMAL, URGENT, Timeout

NUMBER_BITS: Final = 40
"""Of an event's key, for its number: enough for a million events a second over twelve days."""
NEVER_NS: Final = 1 << 61
"""Later than everything."""
_new_timeout: Final[Any] = Timeout.__new__


@mypyc_attr(allow_interpreted_subclasses=True)
class Due:
    """What the event list can hold beside simpy's events: nothing waits for it, it just happens."""

    __slots__ = ()

    def happen(self) -> None:
        """Its moment has come."""


class Queued(Due):
    """What stands in a `Line`: at its time, under the number that it has in the event list."""

    __slots__ = ("at_ns", "behind", "number")

    def __init__(self) -> None:
        self.at_ns = self.number = 0
        self.behind: Queued | None = None


class Line:
    """Things that happen a fixed time after they were added: the first added is the next."""

    __slots__ = ("delay_ns", "head", "tail")

    def __init__(self, delay_ns: int) -> None:
        self.delay_ns = delay_ns
        self.head: Queued | None = None
        self.tail: Queued | None = None


class EventList:
    """What is to happen, by time, then priority (smaller first), then order of scheduling.

    now_ns: the time of what happens now. scheduled: how many have been added since the start.
    """

    __slots__ = ("_events", "_keys", "_lines", "_top_ns", "now_ns", "scheduled")

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.scheduled = 0
        # Time, priority and number in one integer, which a heap compares at once.
        self._keys: list[int] = []
        self._events: dict[int, Any] = {}
        self._top_ns = NEVER_NS  # time of the first key
        self._lines: list[Line] = []

    def add(self, at_ns: int, priority: int, event: Any) -> None:
        """Let an event of simpy or a `Due` happen at a time. Priority 0 or 1. O(log events)."""
        self.scheduled += 1
        key = ((2 * at_ns + priority) << NUMBER_BITS) + self.scheduled
        self._events[key] = event
        heappush(self._keys, key)
        if at_ns < self._top_ns:
            self._top_ns = at_ns

    def new_line(self, delay_ns: int) -> Line:
        """A line for things of one delay. Each makes every `take` a little longer."""
        assert delay_ns >= 0, delay_ns
        line = Line(delay_ns)
        self._lines.append(line)
        return line

    def add_to(self, line: Line, event: Queued) -> None:
        """Let something happen after the line's delay, with priority NORMAL. O(1)."""
        self.scheduled += 1
        event.at_ns = self.now_ns + line.delay_ns
        event.number = self.scheduled
        tail = line.tail
        if line.head is None or tail is None:
            line.head = event
        else:
            tail.behind = event
        line.tail = event

    def next_ns(self) -> int | None:
        """The time of the next event, None without one. O(lines)."""
        line = self._first_line()
        at_ns = self._top_ns
        if line is not None and line.head is not None and line.head.at_ns < at_ns:
            at_ns = line.head.at_ns
        return at_ns if at_ns < NEVER_NS else None

    def take(self) -> Any:
        """Move on to the next event and return it. IndexError without one.
        O(lines), O(lines + log events) for what stands in no line."""
        keys = self._keys
        line = self._first_line()
        if line is not None and line.head is not None:
            head = line.head
            at_ns, top_ns = head.at_ns, self._top_ns
            if at_ns < top_ns or (
                at_ns == top_ns and ((2 * at_ns + NORMAL) << NUMBER_BITS) + head.number < keys[0]
            ):
                line.head = head.behind
                self.now_ns = at_ns
                return head
        key = heappop(keys)
        self.now_ns = self._top_ns
        self._top_ns = keys[0] >> (NUMBER_BITS + 1) if keys else NEVER_NS
        return self._events.pop(key)

    def _first_line(self) -> Line | None:
        """The line whose head happens first."""
        first: Line | None = None
        at_ns = number = 0
        for line in self._lines:
            head = line.head
            if head is not None and (
                first is None
                or head.at_ns < at_ns
                or (head.at_ns == at_ns and head.number < number)
            ):
                first, at_ns, number = line, head.at_ns, head.number
        return first

    def handle(self, event: Any) -> None:
        """Let an event that has been taken happen. Raises what an event that failed carries."""
        if isinstance(event, Due):
            event.happen()
            return
        callbacks = event.callbacks
        event.callbacks = None  # how simpy marks what has happened
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value

    def play(self, end_ns: int) -> None:
        """Handle all events before `end_ns`, as simpy's `run(until=end_ns)` does.
        O(log events) each. Raises what an event that failed carries."""
        end = Due()
        self.add(end_ns, URGENT, end)
        while True:
            event = self.take()
            if event is end:
                return
            self.handle(event)


def _whole(delay: Any) -> int:
    try:
        return index(delay)
    except TypeError:
        raise TypeError(f"delay: {delay!r} is not a whole number of nanoseconds") from None


class Clock(simpy.Environment):
    """A simpy environment whose time is in integer nanoseconds. TypeError for other times."""

    def __init__(self, time_ns: int) -> None:
        super().__init__(initial_time=time_ns)
        self.events = EventList(time_ns)

    @property
    def now(self) -> int:
        """The current simulated time, as `time_ns`."""
        return self.events.now_ns

    @property
    def time_ns(self) -> int:
        """The current simulated time."""
        return self.events.now_ns

    def timeout(self, delay: Any = 0, value: Any = None) -> Timeout:
        """What simpy's `Timeout` makes, in fewer steps. ValueError for a negative delay,
        TypeError for one that is not an integer."""
        wait_ns = _whole(delay)
        if wait_ns < 0:
            raise ValueError(f"Negative delay {delay}")
        timeout: Timeout = _new_timeout(Timeout)
        timeout.env = self
        timeout.callbacks = []
        timeout._value = value
        timeout._delay = delay
        timeout._ok = True
        events = self.events
        events.add(events.now_ns + wait_ns, NORMAL, timeout)
        return timeout

    def schedule(self, event: Any, priority: Any = NORMAL, delay: Any = 0) -> None:
        """Let an event happen after a delay: what all events of simpy call."""
        assert priority in (URGENT, NORMAL), priority  # a bit of the key; simpy has no other
        events = self.events
        events.add(events.now_ns + _whole(delay), priority, event)

    def peek(self) -> float:
        """The time of the next event, infinity without one."""
        at_ns = self.events.next_ns()
        return float("inf") if at_ns is None else at_ns

    def step(self) -> None:
        """Handle the next event. EmptySchedule without one."""
        if self.events.next_ns() is None:
            raise EmptySchedule
        self.events.handle(self.events.take())

    def play(self, end_ns: int) -> None:
        """See `EventList.play`."""
        self.events.play(end_ns)
