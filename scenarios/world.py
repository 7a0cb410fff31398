"""The world outside one venue, and the prices that follow from it.

Per coin an exogenous path plus what the venue's own flow moves (`agents.outside`); per mark the
index of every pair, the USD price of every currency, the volatility of every option and the
forwards, published to the clearing house as integers.

Source: ecology.md sections 1 and 4; portfolio-margin.md sections 11.1 and 11.2.
"""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agents.outside import OutsideMarket
from exchange.instrument import Instrument, InstrumentKind
from exchange.order import Side
from risk.contracts import DAYS_PER_YEAR, NS_PER_DAY
from risk.marks import forward_name
from scenarios.volatility import parametric_shape, recorded_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accounts.clearing import ClearingHouse
    from accounts.events import Marks
    from accounts.listing import Listing
    from scenarios.config import MarketTable
    from scenarios.paths import PricePath
    from scenarios.sampling import FloatArray
    from scenarios.venue import VenueMarket

E8 = 10**8
SECOND_NS = 10**9
ONE_PERCENT_UNITS = 100.0  # depth within 1 % in units of depth per basis point
THIN = 0.01  # depth ratio of a book with an empty side


class Index:
    """The index of one coin: the outside price, and the venue's own spot book by its share."""

    def __init__(
        self, base: str, quote: str, share: float, listings: Mapping[str, Listing]
    ) -> None:
        self.base, self.quote, self.name = base, quote, f"{base}-{quote}"
        listing = listings.get(self.name)
        self._share = share
        self._book = None if listing is None or share == 0.0 else listing.engine.book
        self._tick = 0.0 if listing is None else float(listing.instrument.tick)

    def log_price(self, outside: OutsideMarket) -> float:
        """The log of the index now; of the outside price where a side of the book is empty."""
        if self._book is None:
            return outside.log_price
        bid, ask = self._book.best_bid(), self._book.best_ask()
        if bid is None or ask is None:
            return outside.log_price
        mid = log(0.5 * (bid + ask) * self._tick)
        return (1.0 - self._share) * outside.log_price + self._share * mid


class World:
    """Outside markets by base coin, and the publishing of prices.

    `markets` is filled by the simulation once the books can be looked at. folder: where a recorded
    volatility surface is looked for.
    """

    def __init__(
        self,
        table: MarketTable,
        path: PricePath,
        house: ClearingHouse,
        instruments: Sequence[Instrument],
        folder: Path,
    ) -> None:
        self._table = table
        self._path = path
        self._house = house
        self._options = _by_strike(instruments)
        self._volatilities: dict[str, float] = {}
        self._carried = {
            forward_name(base, expiry_ns): options[0][1][0]
            for (base, expiry_ns), options in self._options.items()
        }
        for listed in house.listings.keys() & self._carried.keys():
            del self._carried[listed]
        self._volatility_shape = (
            parametric_shape(table.implied_vol_skew, table.implied_vol_curvature)
            if table.surface is None
            else recorded_shape(table.surface, folder)
        )
        bases: dict[str, list[str]] = {}
        # USDT first: the USD price of every other coin goes through it
        for instrument in sorted(instruments, key=lambda i: i.base != "USDT"):
            bases.setdefault(instrument.base, []).append(instrument.instrument_id)
        self._log_paths = {
            base: _logs(path.pair_index(base, outside_quote(base))) for base in bases
        }
        self.outside = {
            base: OutsideMarket(table.outside_of(base), self._log_paths[base][0], names)
            for base, names in bases.items()
        }
        self._usd_paths = {
            currency: path.usd_index(currency).tolist()
            for currency in house.market.currencies
            if currency != "USD" and currency not in bases and self._has_usd(currency)
        }
        currencies = [currency for currency in house.market.currencies if currency != "USD"]
        # a currency without a path, and without instruments of its own, is worth one dollar
        self._usd_start = dict.fromkeys((*self._usd_paths, *currencies), E8)
        self._indices = [
            Index(base, outside_quote(base), table.index_share(base), house.listings)
            for base in bases
        ]
        self.markets: dict[str, VenueMarket] = {}
        self._now_ns = path.start_ns

    def _has_usd(self, currency: str) -> bool:
        series = self._path.series
        return f"{currency}-USD" in series or f"{currency}-USDT" in series

    def publish(self, now_ns: int) -> Marks:
        """Move the outside world to the path at `now_ns`; publish index and marks."""
        self._now_ns = now_ns
        row = self._path.row_at(now_ns)
        usd = dict(self._usd_start)
        for currency, prices in self._usd_paths.items():
            usd[currency] = max(1, round(prices[row] * E8))
        index: dict[str, int] = {}
        for pair in self._indices:
            outside = self.outside[pair.base]
            self._let_pass(outside, self._log_paths[pair.base][row])
            price = round(exp(pair.log_price(outside)) * E8)
            index[pair.name] = max(1, price)
            usd[pair.base] = max(1, round(price * usd.get(pair.quote, E8) / E8))
        self._index_e8, self._usd_e8 = index, usd
        self._volatilities = self._implied_vols()
        return self._house.publish(
            now_ns, usd, index, implied_vol=self._volatilities, forward=self._forwards()
        )

    def _let_pass(self, outside: OutsideMarket, log_path: float) -> None:
        """Move one coin's outside world to the next mark, second by second."""
        if not self._house.market.version:
            return
        ratios = self._depth_ratios(outside)
        seconds = self._table.mark_interval_s
        before = outside.log_path
        for second in range(1, seconds + 1):
            outside.on_second(before + (log_path - before) * second / seconds, ratios)

    def _depth_ratios(self, outside: OutsideMarket) -> dict[str, float]:
        """Depth within 1 % of each book over the usual one."""
        ratios = {}
        for name in outside.memories:
            view = self.markets[name]
            bid, ask = view.best_bid_ticks(), view.best_ask_ticks()
            if bid is None or ask is None:
                ratios[name] = THIN
                continue
            bids = view.volume_within(Side.BUY, int(bid * 0.99))
            asks = view.volume_within(Side.SELL, int(ask * 1.01))
            ratios[name] = (bids + asks) / (2.0 * ONE_PERCENT_UNITS * view.lots_per_bp)
        return ratios

    def _implied_vols(self) -> dict[str, float]:
        """Annual implied volatility of every option: the level now x the surface's shape."""
        now, vols = self._now_ns, {}
        for (base, expiry_ns), strikes in self._options.items():
            level, index = self._level(base), self.index_price(base, "USD")
            smile = self._volatility_shape((expiry_ns - now) / NS_PER_DAY)
            for strike, options in strikes:
                vol = level * smile(log(strike / index))
                for option in options:
                    vols[option.instrument_id] = vol
        return vols

    def _level(self, base: str) -> float:
        """Implied volatility at the money and at 30 days."""
        table = self._table
        factor = table.implied_vol_factor((self._now_ns - self._path.start_ns) / SECOND_NS)
        stress = max(1.0, self.outside[base].stress.stress)
        level: float = table.implied_vol * factor * stress**table.implied_vol_stress_power
        return level

    def _forwards(self) -> dict[str, float] | None:
        """Forwards of options whose expiry has no coin-margined future listed, USD."""
        if self._table.basis_yearly == 0.0:
            return None
        return {
            name: self.index_price(option.base, "USD") * self.carry(option)
            for name, option in self._carried.items()
        }

    def carry(self, instrument: Instrument) -> float:
        """Forward over index of a dated contract; 1 for spot and perpetuals."""
        if instrument.expiry_ns is None:
            return 1.0
        days = max(0.0, (instrument.expiry_ns - self._now_ns) / NS_PER_DAY)
        return exp(self._table.basis_yearly * days / DAYS_PER_YEAR)

    def implied_vol(self, instrument: Instrument) -> float:
        """Annual implied volatility of a listed option's mark. O(1)."""
        return self._volatilities[instrument.instrument_id]

    def index_price(self, base: str, quote: str) -> float:
        """Index of a pair in its quote currency."""
        pair = self._index_e8.get(f"{base}-{quote}")
        if pair is not None:
            return pair / E8
        return self._usd_e8[base] / self._usd_e8.get(quote, E8)

    def quote_ratio(self, instrument: Instrument) -> float:
        """Price of the instrument's quote in the quote of the outside price."""
        usd = self._house.market.usd
        return usd[instrument.quote] / usd[outside_quote(instrument.base)]


def _by_strike(
    instruments: Sequence[Instrument],
) -> dict[tuple[str, int], list[tuple[float, list[Instrument]]]]:
    """The options by (base, expiry), and of each of these by strike: calls and puts together."""
    found: dict[tuple[str, int], dict[float, list[Instrument]]] = {}
    for i in instruments:
        if i.kind == InstrumentKind.OPTION:
            assert i.strike is not None and i.expiry_ns is not None
            strikes = found.setdefault((i.base, i.expiry_ns), {})
            strikes.setdefault(float(i.strike), []).append(i)
    return {expiry: list(strikes.items()) for expiry, strikes in found.items()}


def outside_quote(base: str) -> str:
    """The quote in which the outside price of a coin is followed."""
    return "USDT" if base != "USDT" else "USD"


def _logs(prices: FloatArray) -> list[float]:
    logs: list[float] = np.log(prices).tolist()
    return logs
