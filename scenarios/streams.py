"""Random streams keyed by name.

A stream's numbers depend on the seed and on the stream's name, on nothing else: not on the order in
which streams are made, not on `PYTHONHASHSEED`, not on numpy's global state. Adding an agent
disturbs no other, and two variants of a scenario share the randomness of everything that has the
same name in both.

Source: design, section 4 (determinism).
"""

from __future__ import annotations

import hashlib

import numpy as np


class Streams:
    """All random streams of one run.

    `Streams(7).generator("agents/market_maker/3")` is always the same stream. `within("agents")`
    gives the streams below a prefix, so that a part of the program can be handed its own names and
    no others.
    """

    __slots__ = ("_prefix", "_seed")

    def __init__(self, seed: int, prefix: str = "") -> None:
        """`seed`: any integer from 0 up. Errors: ValueError for a negative seed, TypeError for a
        non-integer.
        """
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"seed: {seed!r} is not an integer")
        if seed < 0:
            raise ValueError(f"seed: {seed} is not 0 or more")
        self._seed = seed
        self._prefix = prefix

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self._seed

    @property
    def prefix(self) -> str:
        """The prefix put before every name; empty, or ending in "/"."""
        return self._prefix

    def within(self, name: str) -> Streams:
        """The streams below `name`: `within("a").generator("b")` is `generator("a/b")`."""
        if not name:
            raise ValueError("the name of a group of streams is empty")
        return Streams(self._seed, f"{self._prefix}{name}/")

    def generator(self, name: str) -> np.random.Generator:
        """A fresh generator at the start of the stream `name`; the same name starts over. About 20
        us.
        """
        if not name:
            raise ValueError("the name of a stream is empty")
        # The seed is a decimal number and cannot contain "/": no two (seed, name) pairs share a
        # key.
        key = hashlib.sha256(f"{self._seed}/{self._prefix}{name}".encode()).digest()
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "big")))
        )

    def __repr__(self) -> str:
        return f"Streams(seed={self._seed}, prefix={self._prefix!r})"
