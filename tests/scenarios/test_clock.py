"""The main loop of the clock does what simpy's own does."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import simpy
from simpy.core import EmptySchedule
from simpy.events import NORMAL, URGENT

from scenarios.clock import Clock, Due, EventList, Queued

START_NS, END_NS = 1_000, 1_200


def seen_by(env: simpy.Environment, seed: int) -> list[tuple[float, int]]:
    """Start some processes that sleep, wait for each other and start others; what they will see."""
    rng, seen = Random(seed), []

    def process(number: int) -> Iterator[Any]:
        for _ in range(rng.randrange(1, 8)):
            yield env.timeout(rng.choice((0, 1, 7, 40, 100)))
            seen.append((env.now, number))
            if rng.random() < 0.2 and number < 100:
                yield env.process(process(number + 10)) | env.timeout(20)

    for number in range(10):
        env.process(process(number))
    env.timeout(END_NS - START_NS).callbacks.append(lambda _: seen.append((env.now, -1)))
    return seen


@pytest.mark.parametrize("seed", range(30))
def test_the_same_events_in_the_same_order_as_simpy(seed: int) -> None:
    clock, environment = Clock(START_NS), simpy.Environment(START_NS)
    played, run = seen_by(clock, seed), seen_by(environment, seed)
    clock.play(END_NS)
    environment.run(until=END_NS)
    assert played == run
    assert len(played) > 10
    assert clock.now == clock.time_ns == END_NS
    assert clock.peek() == environment.peek()
    clock.play(END_NS + 500)
    environment.run(until=END_NS + 500)
    assert played == run


def test_simpys_own_ways_of_running_work_too() -> None:
    clock, environment = Clock(START_NS), simpy.Environment(START_NS)
    played, run = seen_by(clock, 5), seen_by(environment, 5)
    for env in (clock, environment):
        for _ in range(20):
            env.step()
        env.run(until=END_NS)
    assert played == run
    assert clock.now == environment.now == END_NS
    clock.run()
    assert clock.peek() == float("inf")
    with pytest.raises(EmptySchedule):
        clock.step()


def test_a_timeout_is_simpys_with_whole_nanoseconds() -> None:
    clock = Clock(7)
    theirs, ours = simpy.Environment(7).timeout(3, "late"), clock.timeout(3, "late")
    names = {name: value for name, value in vars(theirs).items() if name != "env"}
    assert {name: value for name, value in vars(ours).items() if name != "env"} == names
    assert type(ours) is simpy.Timeout
    assert ours.env is clock
    assert clock.peek() == 10
    with pytest.raises(ValueError, match="Negative delay -1"):
        clock.timeout(-1)
    with pytest.raises(TypeError, match="whole number of nanoseconds"):
        clock.timeout(0.5)


def test_time_comes_before_priority_before_order_of_scheduling() -> None:
    start_ns = 1_750_000_000 * 10**9
    events, names = EventList(start_ns), []

    class Named(Due):
        def __init__(self, name: str) -> None:
            self.name = name

        def happen(self) -> None:
            names.append((events.now_ns - start_ns, self.name))
            if self.name == "b":  # in the middle of a moment
                events.add(events.now_ns, NORMAL, Named("last"))
                events.add(events.now_ns, URGENT, Named("urgent"))

    for after, priority, name in (
        (2, NORMAL, "b"), (2, NORMAL, "c"), (1, NORMAL, "z"), (2, URGENT, "a"), (9, URGENT, "no"),
    ):  # fmt: skip
        events.add(start_ns + after, priority, Named(name))
    events.play(start_ns + 9)
    assert names == [
        (1, "z"), (2, "a"), (2, "b"), (2, "urgent"), (2, "c"), (2, "last"), (9, "no"),
    ]  # fmt: skip
    assert events.next_ns() is None
    assert events.scheduled == 5 + 2 + 1


def test_a_process_that_fails_stops_the_run() -> None:
    clock = Clock(0)

    def fails() -> Iterator[Any]:
        yield clock.timeout(5)
        raise ValueError("broken")

    clock.process(fails())
    with pytest.raises(ValueError, match="broken"):
        clock.play(10)
    assert clock.time_ns == 5


def test_a_failure_that_somebody_waits_for_is_his() -> None:
    clock, caught = Clock(0), []

    def fails() -> Iterator[Any]:
        yield clock.timeout(5)
        raise ValueError("broken")

    def waits() -> Iterator[Any]:
        try:
            yield clock.process(fails())
        except ValueError as error:
            caught.append(str(error))

    clock.process(waits())
    clock.play(10)
    assert caught == ["broken"]


@pytest.mark.parametrize("seed", range(20))
def test_lines_and_heap_are_one_list_in_order(seed: int) -> None:
    """Against a plain sort by time, priority and order of scheduling, more added on the way."""
    rng, start_ns = Random(seed), 1_750_000_000 * 10**9
    events = EventList(start_ns)
    lines = [events.new_line(delay) for delay in (0, 3, 3, 10)]
    waiting: list[tuple[int, int, int, object]] = []
    seen = 0

    def add_some() -> None:
        for _ in range(rng.randrange(4)):
            what: Queued | object
            if rng.random() < 0.5:
                line, what = rng.choice(lines), Queued()
                events.add_to(line, what)
                at_ns, priority = events.now_ns + line.delay_ns, NORMAL
            else:
                at_ns, what = events.now_ns + rng.randrange(12), object()
                priority = rng.choice((URGENT, NORMAL))
                events.add(at_ns, priority, what)
            waiting.append((at_ns, priority, events.scheduled, what))

    while seen < 300:
        add_some()
        first = min(waiting, key=lambda entry: entry[:3], default=None)
        if first is None:
            assert events.next_ns() is None
            continue
        assert events.next_ns() == first[0]
        assert events.take() is first[3]
        assert events.now_ns == first[0]
        waiting.remove(first)
        seen += 1
