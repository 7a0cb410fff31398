"""Options as arrays against the same things asked one by one."""

import pytest

from exchange.price_limits import MILLIONTH, option_band
from risk import order_tables as t
from risk.contracts import MarketDataError
from risk.multi_currency import short_option_margin
from tests.accounts.venue import Venue

INSTRUMENTS = [
    "BTC-USD-250328",
    "BTC-USD-250328-100000-C",
    "BTC-USD-250328-80000-P",
    "BTC-USD-250627-140000-C",
    "ETH-USD-250328-4000-P",
    "ETH-USD-250328-9000-P",
    "ETH-USD-250627-4500-C",
]


def _venue() -> Venue:
    venue = Venue(INSTRUMENTS)
    trader = venue.account("trader", BTC="100")
    venue.rests(trader, "BTC-USD-250328", "-1", "101500")
    venue.rests(trader, "BTC-USD-250328", "1", "100500")
    volatility = {name: 0.3 + 0.1 * n for n, name in enumerate(INSTRUMENTS) if name.count("-") > 2}
    for _ in range(3):
        venue.now_ns += 10**9
        venue.house.publish(
            venue.now_ns,
            venue.usd,
            {},
            implied_vol=volatility,
            forward={"ETH-USD-250627": 4_100.0},
        )
    return venue


def test_forwards_margins_and_limits_are_those_of_each_option() -> None:
    venue = _venue()
    market = venue.house.market
    snapshot = market.snapshot()
    assert int(market.mark_ticks[0]) != 1_000_000  # the future stands above the index
    usd, index = market.usd, {name: n for n, name in enumerate(INSTRUMENTS)}
    for name in INSTRUMENTS[1:]:
        listing, contract = venue.house.listings[name], market.contracts[index[name]]
        forward = snapshot.forward_price(contract)
        forwards = market.prices[len(market.currencies) + 2 * len(INSTRUMENTS) :]
        assert forwards[listing.number] == pytest.approx(forward, rel=1e-12)
        terms = market.terms[listing.number]
        mark = terms[t.M_REFERENCE] * float(listing.instrument.tick)
        rates = short_option_margin(market.rules, contract, mark, forward)
        coins = float(listing.instrument.units_per_lot) * usd[contract.base]
        assert terms[t.M_SHORT_INITIAL] == pytest.approx(coins * rates[0])
        assert terms[t.M_SHORT_MAINTENANCE] == pytest.approx(coins * rates[1])
        delta = market.absolute_delta(listing.number)
        band = option_band(
            listing.instrument, int(market.mark_ticks[listing.number]), round(delta * MILLIONTH)
        )
        assert (listing.low_ticks, listing.high_ticks) == band


def test_a_missing_volatility_is_named() -> None:
    venue = _venue()
    with pytest.raises(MarketDataError, match="BTC-USD-250328-100000-C"):
        venue.house.publish(venue.now_ns, venue.usd, {}, implied_vol={})
