"""Random draws for agents: one named stream each, drawn in blocks.

One call of a numpy Generator for one number costs about a microsecond; a number out of a block
that was turned into a list costs about 60 ns. Agents draw a few numbers per message, so blocks are
what keeps them inside their time budget. Blocks of each distribution come out of the same
Generator, hence the sequence of an agent depends on its own calls only.
"""

from __future__ import annotations

from math import exp

import numpy as np

_BLOCK = 256


class Draws:
    """Scalar draws from one `numpy.random.Generator`. Every method is O(1) amortised."""

    __slots__ = ("_exponentials", "_normals", "_uniforms", "generator")

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self._exponentials: list[float] = []
        self._normals: list[float] = []
        self._uniforms: list[float] = []

    def exponential(self, mean: float) -> float:
        """Exponential with the given mean, in the unit of the mean."""
        if not self._exponentials:
            self._exponentials = self.generator.standard_exponential(_BLOCK).tolist()
        return mean * self._exponentials.pop()

    def exponential_ns(self, mean_seconds: float) -> int:
        """Exponential waiting time in whole nanoseconds, at least one."""
        if not self._exponentials:
            self._exponentials = self.generator.standard_exponential(_BLOCK).tolist()
        return int(mean_seconds * 1e9 * self._exponentials.pop()) + 1

    def normal(self) -> float:
        """Standard normal."""
        if not self._normals:
            self._normals = self.generator.standard_normal(_BLOCK).tolist()
        return self._normals.pop()

    def lognormal(self, median: float, log_sd: float) -> float:
        """Lognormal with the given median and standard deviation of its logarithm."""
        return median * exp(log_sd * self.normal())

    def uniform(self) -> float:
        """Uniform in [0, 1)."""
        if not self._uniforms:
            self._uniforms = self.generator.random(_BLOCK).tolist()
        return self._uniforms.pop()

    def below(self, count: int) -> int:
        """Uniform integer in 0..count-1."""
        return int(self.uniform() * count)

    def sign(self, probability_of_plus: float = 0.5) -> int:
        """+1 with the given probability, else -1."""
        return 1 if self.uniform() < probability_of_plus else -1

    def pareto(self, minimum: float, exponent: float, maximum: float = float("inf")) -> float:
        """Pareto with tail index `exponent`, cut at `maximum`: P(X > x) = (minimum/x)^exponent."""
        drawn = minimum * (1.0 - self.uniform()) ** (-1.0 / exponent)
        return drawn if drawn < maximum else maximum
