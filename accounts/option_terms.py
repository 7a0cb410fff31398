"""The options of a market as arrays: forwards, volatilities, short margins, price limits.

A surface of some hundred options is priced at every mark, so nothing here asks per option what can
be asked for all.

Source: portfolio-margin.md sections 11.4, 11.8, 16.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from exchange.instrument import OPTION_TICK
from exchange.price_limits import DEFAULT_OPTION_RATES, MILLIONTH
from exchange.units import to_steps
from risk.contracts import FUTURE, OPTION, Contract, MarketDataError, expiry_code

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accounts.listing import Listing
    from risk.rules import RuleSet


class OptionTerms:
    """The options among the contracts of a market.

    rows: int64 (options,), their instrument numbers. All other arrays are in the same order.
    """

    def __init__(
        self, contracts: Sequence[Contract], currency_number: Mapping[str, int], rules: RuleSet
    ) -> None:
        options = [(row, c) for row, c in enumerate(contracts) if c.kind == OPTION]
        futures = {c.instrument_id: row for row, c in enumerate(contracts) if c.kind == FUTURE}
        self.rows = np.array([row for row, _ in options], np.int64)
        self.names = [c.instrument_id for _, c in options]
        forwards = [f"{c.base}-USD-{expiry_code(c.expiry_ns or 0)}" for _, c in options]
        future_rows = np.array([futures.get(name, -1) for name in forwards], np.int64)
        self._with_future = np.flatnonzero(future_rows >= 0)
        self._future_rows = future_rows[self._with_future]
        self._of_forward: dict[str, list[int]] = {}
        for number, name in enumerate(forwards):
            self._of_forward.setdefault(name, []).append(number)
        self._base = np.array([currency_number[c.base] for _, c in options], np.int64)
        self._strike = np.array([c.strike for _, c in options])
        self._call = np.array([c.is_call for _, c in options], np.bool_)
        terms = rules.short_option
        self._maintenance = np.array(
            [terms.maintenance.get(c.base, terms.maintenance_other) for _, c in options]
        )
        self._rules = terms

    def forwards(
        self, usd: NDArray[np.float64], mark: NDArray[np.float64], given: Mapping[str, float]
    ) -> NDArray[np.float64]:
        """Forward of each option, USD: given, else the coin-margined future, else the index.

        usd: per currency; mark: per instrument.  Source: 16.1.
        """
        forwards = usd[self._base]
        forwards[self._with_future] = mark[self._future_rows]
        for name, price in given.items():
            forwards[self._of_forward.get(name, [])] = price
        return forwards

    def volatilities(self, given: Mapping[str, float]) -> NDArray[np.float64]:
        """Implied volatility of each option; MarketDataError for one that is missing."""
        try:
            return np.array([given[name] for name in self.names])
        except KeyError as error:
            name = error.args[0]
            raise MarketDataError(f'market.implied_vol."{name}" is missing') from None

    def short_margins(
        self, mark: NDArray[np.float64], forward: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Initial and maintenance margin of each option sold, coins per coin: section 11.8."""
        terms = self._rules
        difference = self._strike - forward
        otm = np.maximum(0.0, np.where(self._call, difference, -difference))
        rate = np.maximum(terms.initial_floor, terms.initial - otm / forward)
        held = np.where(
            self._call, self._maintenance, np.maximum(self._maintenance, self._maintenance * mark)
        )
        return rate * terms.factor + mark, held * terms.factor + mark


class OptionLimits:
    """The price limits of all options, a band around each mark: `price_limits.option_band`.

    mark +- coefficient x max(floor, slope x |delta|), in coin.  Source: 11.4.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        rates = DEFAULT_OPTION_RATES
        self._options = [listing for listing in listings if listing.is_option]
        self._rows = np.array([listing.number for listing in self._options], np.int64)
        self._floor = to_steps(rates.floor_coin, OPTION_TICK, "floor_coin")
        self._slope = to_steps(rates.delta_coin, OPTION_TICK, "delta_coin")
        self._coefficient = rates.coefficient.as_integer_ratio()

    def set(self, mark_ticks: NDArray[np.int64], deltas: NDArray[np.float64]) -> None:
        """Take the marks in ticks and |delta| of all instruments. O(options)."""
        if not self._options:
            return
        numerator, denominator = self._coefficient
        millionths = np.rint(deltas[self._rows] * MILLIONTH).astype(np.int64)
        widest = np.maximum(self._floor * MILLIONTH, self._slope * millionths)
        widths = widest * numerator // (MILLIONTH * denominator)
        lows = np.maximum(1, mark_ticks[self._rows] - widths)
        highs = np.maximum(lows, mark_ticks[self._rows] + widths)
        for listing, low, high in zip(self._options, lows.tolist(), highs.tolist(), strict=True):
            listing.low_ticks = listing.instrument.ceil_to_grid(low)
            listing.high_ticks = listing.instrument.floor_to_grid(high)
