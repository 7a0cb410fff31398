"""The main loop of the clock does what simpy's own does."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import simpy

from scenarios.clock import Clock

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
