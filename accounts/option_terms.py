"""The options of a market as arrays: forwards, volatilities, price limits.

A surface of some hundred options is priced at every mark, so nothing here asks per option what can
be asked for all.

Source: portfolio-margin.md sections 11.4, 11.8, 16.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from exchange.instrument import OPTION_COARSE_TICK, OPTION_TICK
from exchange.price_limits import DEFAULT_OPTION_RATES
from exchange.units import to_steps
from risk.contracts import FUTURE, OPTION, Contract, MarketDataError, expiry_code
from risk.option_bands import BandRates, option_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accounts.listing import Listing
    from risk.rules import RuleSet


class OptionTerms:
    """The options among the contracts of a market.

    rows: int64 (options,), their instrument numbers; forward_of: number of each one's forward in
    `forward_names`; future_of: instrument number of the coin-margined future of its expiry, -1 for
    none; maintenance: the rate of a short one, coins per coin (11.8).
    """

    def __init__(self, contracts: Sequence[Contract], rules: RuleSet) -> None:
        options = [(row, c) for row, c in enumerate(contracts) if c.kind == OPTION]
        futures = {c.instrument_id: row for row, c in enumerate(contracts) if c.kind == FUTURE}
        self.rows = np.array([row for row, _ in options], np.int64)
        self.names = [c.instrument_id for _, c in options]
        forwards = [f"{c.base}-USD-{expiry_code(c.expiry_ns or 0)}" for _, c in options]
        self.forward_names = sorted(set(forwards))
        number = {name: n for n, name in enumerate(self.forward_names)}
        self.forward_of = np.array([number[name] for name in forwards], np.int64)
        self.future_of = np.array([futures.get(name, -1) for name in forwards], np.int64)
        terms = rules.short_option
        self.maintenance = np.array(
            [terms.maintenance.get(c.base, terms.maintenance_other) for _, c in options], np.float64
        )

    def forwards(self, given: Mapping[str, float]) -> list[float]:
        """USD per forward name, nan where none is given. Source: 16.1."""
        return [given.get(name, nan) for name in self.forward_names]

    def volatilities(self, given: Mapping[str, float]) -> list[float]:
        """Implied volatility of each option; MarketDataError for one that is missing."""
        try:
            return [given[name] for name in self.names]
        except KeyError as error:
            name = error.args[0]
            raise MarketDataError(f'market.implied_vol."{name}" is missing') from None


class OptionLimits:
    """The price limits of all options, a band around each mark: `price_limits.option_band`.

    mark +- coefficient x max(floor, slope x |delta|), in coin.  Source: 11.4.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        rates = DEFAULT_OPTION_RATES
        self._options = [listing for listing in listings if listing.is_option]
        self._rows = np.array([listing.number for listing in self._options], np.int64)
        coarse = [listing.instrument.coarse_from_ticks for listing in self._options]
        self._coarse_from = np.array(coarse, np.int64)
        self._rates = BandRates(
            to_steps(rates.floor_coin, OPTION_TICK, "floor_coin"),
            to_steps(rates.delta_coin, OPTION_TICK, "delta_coin"),
            *rates.coefficient.as_integer_ratio(),
            int(OPTION_COARSE_TICK / OPTION_TICK),
        )
        self._bands = np.zeros((2, len(self._options)), np.int64)

    def set(self, mark_ticks: NDArray[np.int64], deltas: NDArray[np.float64]) -> None:
        """Take the marks in ticks of all instruments and |delta| of the options. O(options)."""
        if not self._options:
            return
        bands = self._bands
        option_bands(self._rows, self._coarse_from, self._rates, mark_ticks, deltas, bands)
        lows, highs = bands.tolist()
        for listing, low, high in zip(self._options, lows, highs, strict=True):
            listing.low_ticks, listing.high_ticks = low, high
