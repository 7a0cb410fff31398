"""A coin's listed options as a trader sees them: values and greeks on the venue's mark surface."""

from __future__ import annotations

from dataclasses import dataclass

from agents.base import MarketView, Venue
from exchange.instrument import InstrumentKind
from risk.black76 import option_delta, option_value, option_vega

YEAR_NS = 365 * 86_400 * 1_000_000_000
"""Options count years of 365 days. Source: portfolio-margin.md 16.1."""


@dataclass(frozen=True, slots=True)
class ListedOption:
    """One option and the fixed terms that pricing needs."""

    market: MarketView
    strike: float
    is_call: bool
    expiry_ns: int
    coins_per_lot: float

    @property
    def instrument_id(self) -> str:
        return self.market.instrument.instrument_id

    def years(self, now_ns: int) -> float:
        """Time to expiry, 0 after it."""
        return max(0, self.expiry_ns - now_ns) / YEAR_NS

    def value(self, now_ns: int, volatility: float) -> float:
        """Value in coins per coin at a volatility; NaN without a forward."""
        forward = self.market.forward_price()
        usd = option_value(forward, self.strike, self.years(now_ns), volatility, self.is_call)
        return float(usd) / forward

    def delta(self, now_ns: int) -> float:
        """Delta in coins per coin, at the mark volatility."""
        market = self.market
        years = self.years(now_ns)
        return float(
            option_delta(
                market.forward_price(),
                self.strike,
                years,
                market.implied_volatility(),
                self.is_call,
            )
        )

    def vega(self, now_ns: int) -> float:
        """Coins per coin and volatility point (0.01)."""
        market = self.market
        forward = market.forward_price()
        years = self.years(now_ns)
        usd = option_vega(forward, self.strike, years, market.implied_volatility())
        return float(usd) / forward * 0.01


def listed_options(venue: Venue, base: str) -> list[ListedOption]:
    """All options of a coin, in listing order. O(instruments)."""
    found = []
    for instrument_id in venue.instrument_ids():
        market = venue.market(instrument_id)
        instrument = market.instrument
        if instrument.kind != InstrumentKind.OPTION or instrument.base != base:
            continue
        assert instrument.strike is not None and instrument.expiry_ns is not None
        found.append(
            ListedOption(
                market,
                float(instrument.strike),
                instrument.option_type == "C",
                instrument.expiry_ns,
                float(instrument.units_per_lot),
            )
        )
    return found


def options_delta_coins(venue: Venue, options: list[ListedOption]) -> float:
    """Delta of the account's options, coins. O(options)."""
    account = venue.account()
    now = venue.now_ns
    total = 0.0
    for option in options:
        lots = account.position_lots(option.instrument_id)
        if lots and option.expiry_ns > now:
            total += lots * option.coins_per_lot * option.delta(now)
    return total
