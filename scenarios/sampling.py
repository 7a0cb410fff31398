"""The grid on which a price path is sampled, and what a path's maker hands over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenarios.bar_file import SECOND_NS, format_time
from scenarios.errors import UserError

YEAR_S = 365 * 86400.0
LARGEST_SAMPLES = 50_000_000

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """The sampling times start_ns, start_ns + step_ns, ... before end_ns (unix ns)."""

    start_ns: int
    end_ns: int
    step_ns: int = SECOND_NS

    def __post_init__(self) -> None:
        """Raises UserError where the window is empty or has too many samples."""
        if self.step_ns <= 0:
            raise UserError(f"step: {self.step_ns} ns is not above 0")
        if self.end_ns <= self.start_ns:
            raise UserError(
                f"end: {format_time(self.end_ns)} is not after the start, "
                f"{format_time(self.start_ns)}"
            )
        if self.samples > LARGEST_SAMPLES:
            raise UserError(
                f"step: {self.samples} samples from {format_time(self.start_ns)} to "
                f"{format_time(self.end_ns)}; at most {LARGEST_SAMPLES} are allowed"
            )

    @property
    def samples(self) -> int:
        """How many sampling times there are."""
        return -((self.start_ns - self.end_ns) // self.step_ns)

    @property
    def step_s(self) -> float:
        """Distance of two samples, s."""
        return self.step_ns / SECOND_NS

    def offsets_s(self) -> FloatArray:
        """Seconds from the start to each sample, float64 (samples,)."""
        return np.arange(self.samples, dtype=np.float64) * self.step_s

    def first_sample_from(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the first sample at or after each time; it may lie outside the window."""
        return -((self.start_ns - times_ns) // self.step_ns)


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """Where a sampled series comes from, for the run's manifest.

    `file` and `sha256` are empty for made-up series; `steps` counts the bars used by their step.
    """

    series: str
    kind: str
    file: str = ""
    sha256: str = ""
    steps: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Sampled:
    """Sampled series: float64 (samples,) by name, with their sources and notes for the reader."""

    prices: dict[str, FloatArray] = field(default_factory=dict)
    sources: dict[str, SeriesSource] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, prices: FloatArray, source: SeriesSource) -> None:
        """Adds one series."""
        self.prices[source.series] = prices
        self.sources[source.series] = source
