"""Price paths: what the world outside the exchange does, second by second.

`build_path` makes a `PricePath` from any table of `scenarios.path_kinds`. Index prices in USD
follow the rule of the data README: the BASE-USD series, else BASE-USDT times USDT-USD (1 where
missing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios import event_paths, path_models
from scenarios.bar_file import LARGEST_PRICE, SMALLEST_PRICE, format_time
from scenarios.errors import UserError
from scenarios.event_paths import PathRequest
from scenarios.path_kinds import (
    AnyPath,
    BarPath,
    BootstrapPath,
    BridgedBarPath,
    CalmPath,
    CorrelatedPath,
    GeometricBrownianPath,
    JumpDiffusionPath,
    LegsPath,
    PegPath,
    ScaledEventPath,
    SeveralPaths,
)
from scenarios.path_transforms import apply_options
from scenarios.sampling import FloatArray, Sampled, SeriesSource, Window
from scenarios.streams import Streams


class PricePath:
    """Sampled prices of several series over one window; read-only.

    series: names, e.g. `BTC-USDT`, `USDT-USD`, `BTC-USDT-SWAP`. times_ns: int64 (samples,), unix
    ns, equally spaced, before `end_ns`. prices: float64 (samples, series), above 0, in each series'
    quote currency.
    sources: where each series comes from. notes: what a reader of results must know (corrections,
    held prices).
    """

    __slots__ = (
        "_columns",
        "_indices",
        "end_ns",
        "notes",
        "prices",
        "series",
        "sources",
        "times_ns",
        "window",
    )

    def __init__(self, window: Window, sampled: Sampled) -> None:
        self.window = window
        self.end_ns = window.end_ns
        self.series = tuple(sampled.prices)
        self.sources: tuple[SeriesSource, ...] = tuple(sampled.sources[s] for s in self.series)
        self.notes = tuple(sampled.notes)
        self.times_ns: NDArray[np.int64] = (
            window.start_ns + np.arange(window.samples, dtype=np.int64) * window.step_ns
        )
        self.prices: FloatArray = np.stack([sampled.prices[s] for s in self.series], axis=1)
        self.times_ns.setflags(write=False)
        self.prices.setflags(write=False)
        self._columns = {name: column for column, name in enumerate(self.series)}
        self._indices: dict[str, FloatArray] = {}

    @property
    def start_ns(self) -> int:
        """Time of the first sample, unix ns."""
        return self.window.start_ns

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.prices)

    def row_at(self, time_ns: int) -> int:
        """Number of the last sample at or before a time; before the first one: 0. O(1)."""
        row = (time_ns - self.window.start_ns) // self.window.step_ns
        return min(max(row, 0), len(self.prices) - 1)

    def at(self, time_ns: int) -> dict[str, float]:
        """Every series' price at a time: the last sample at or before it."""
        return dict(zip(self.series, self.prices[self.row_at(time_ns)].tolist(), strict=True))

    def steps(self) -> Iterator[tuple[int, FloatArray]]:
        """Time (unix ns) and prices (float64 (series,)) of each sample, in order."""
        return zip(self.times_ns.tolist(), self.prices, strict=True)

    def of(self, series: str) -> FloatArray:
        """One series, float64 (samples,). Errors: UserError where the path lacks it."""
        column = self._columns.get(series)
        if column is None:
            raise UserError(f"the path has no series {series}; it has {', '.join(self.series)}")
        return self.prices[:, column]

    def usd_rule(self, currency: str) -> tuple[str, ...]:
        """The series whose product is the currency's USD price; empty for 1 (USD, and USDT without
        a series).

        Source: data README. A perpetual stands in where a base has no other series (see
        `index_notes`).

        Raises:
            UserError: no series gives the currency's price.
        """
        if currency == "USD":
            return ()
        direct = f"{currency}-USD"
        if direct in self._columns:
            return (direct,)
        if currency == "USDT":
            return ()
        dollar = ("USDT-USD",) if "USDT-USD" in self._columns else ()
        for name in (f"{currency}-USDT", f"{currency}-USDT-SWAP"):
            if name in self._columns:
                return (name, *dollar)
        raise UserError(
            f"the path has no price of {currency}: {currency}-USD or {currency}-USDT is needed; "
            f"it has {', '.join(self.series)}"
        )

    def usd_index(self, currency: str) -> FloatArray:
        """USD price of one unit of a currency, float64 (samples,), read-only. Errors as
        `usd_rule`.
        """
        index = self._indices.get(currency)
        if index is None:
            index = np.ones(len(self))
            for series in self.usd_rule(currency):
                index = index * self.of(series)
            index.setflags(write=False)
            self._indices[currency] = index
        return index

    def pair_index(self, base: str, quote: str) -> FloatArray:
        """Price of a base in a quote currency, float64 (samples,): the pair's own series, else by
        USD prices.
        """
        if f"{base}-{quote}" in self._columns:
            return self.of(f"{base}-{quote}")
        return self.usd_index(base) / self.usd_index(quote)

    def index_notes(self, currencies: Iterable[str]) -> tuple[str, ...]:
        """What must be said about the indices of these currencies, for the manifest and the
        report.
        """
        notes = []
        for currency in currencies:
            rule = self.usd_rule(currency)
            if rule and rule[0].endswith("-SWAP"):
                notes.append(
                    f"{currency}: the index is the perpetual {rule[0]}, which already holds the "
                    f"forced flow of that day: a cascade on top of it counts that flow twice"
                )
            if currency != "USD" and rule[1:] == () and rule[:1] != (f"{currency}-USD",):
                notes.append(f"{currency}: no series USDT-USD; one USDT counts as one USD")
        return tuple(notes)


def build_path(
    parameters: AnyPath,
    window: Window,
    streams: Streams,
    *,
    directory: Path | None = None,
    series: Iterable[str] | None = None,
) -> PricePath:
    """The path that a scenario describes. Same arguments, same numbers.

    Args:
        window: sampling times. streams: the run's streams; only names below "paths/" are used.
        directory: where relative file names start; the working directory by default.
        series: which series are wanted, in this order; all that the path has by default.

    Raises:
        UserError: a file is wrong, a window not covered, a series missing, a price out of range.
    """
    wanted = None if series is None else tuple(dict.fromkeys(series))
    request = PathRequest(window, streams.within("paths"), directory or Path(), wanted)
    sampled = _sample(parameters, request)
    if wanted is not None:
        missing = [name for name in wanted if name not in sampled.prices]
        if missing:
            raise UserError(
                f"the path has no series {', '.join(missing)}; it has {', '.join(sampled.prices)}"
            )
        sampled.prices = {name: sampled.prices[name] for name in wanted}
    _check_range(sampled, window)
    return PricePath(window, sampled)


def _sample(parameters: AnyPath, request: PathRequest) -> Sampled:
    """The sampled series of any kind of path, options applied."""
    window, streams = request.window, request.streams
    match parameters:
        case BarPath():
            sampled = event_paths.simple_bars(parameters, request)
        case BridgedBarPath():
            sampled = event_paths.bridged_bars(parameters, request)
        case ScaledEventPath():
            sampled = event_paths.scaled_event(parameters, request)
        case BootstrapPath():
            sampled = event_paths.bootstrap(parameters, request)
        case CalmPath():
            sampled = path_models.calm(parameters, window, streams)
        case GeometricBrownianPath():
            sampled = path_models.geometric_brownian(parameters, window, streams)
        case JumpDiffusionPath():
            sampled = path_models.jump_diffusion(parameters, window, streams)
        case PegPath():
            sampled = path_models.peg(parameters, window, streams)
        case LegsPath():
            sampled = path_models.legs(parameters, window, streams)
        case CorrelatedPath():
            sampled = path_models.correlated(parameters, window, streams)
        case SeveralPaths():
            sampled = _side_by_side(parameters, request)
    apply_options(sampled, parameters, window)
    return sampled


def _side_by_side(parameters: SeveralPaths, request: PathRequest) -> Sampled:
    together = Sampled()
    for index, part in enumerate(parameters.parts):
        sampled = _sample(part, request)
        for name, prices in sampled.prices.items():
            if name in together.prices:
                raise UserError(f"parts.{index}: {name} is already in a part before it")
            together.add(prices, sampled.sources[name])
        together.notes.extend(sampled.notes)
    return together


def _check_range(sampled: Sampled, window: Window) -> None:
    """A model with strong parameters can leave every range; a price must stay one."""
    for name, prices in sampled.prices.items():
        # not (>= and <=) rather than (< or >): catches NaN as well
        wrong = ~((prices >= SMALLEST_PRICE) & (prices <= LARGEST_PRICE))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{name}: the path reaches {prices[row]:g} at "
                f"{format_time(window.start_ns + row * window.step_ns)}; "
                f"{SMALLEST_PRICE:g} to {LARGEST_PRICE:g} is allowed"
            )
