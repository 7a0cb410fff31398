"""Price limits: how far from the index an order's price may be. Pure functions, integer ticks.

The index, the mark and the average premium come in as integer ticks of the instrument; bands come
out as the lowest and highest tick that is still inside, on the instrument's tick grid.

Source: spec 11.4.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from exchange.events import RejectReason
from exchange.instrument import OPTION_TICK, Instrument, InstrumentKind
from exchange.units import to_steps

BPS: Final = 10_000
MILLIONTH: Final = 1_000_000
_MINUTE_NS: Final = 60_000_000_000
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class PriceLimitRates:
    """Distances from the index in basis points: the X, Y and Z of spec 11.4.

    opening_bps: X, in the first minutes after listing. moving_bps: Y, around index + average
    premium. outer_bps: Z, never beyond.
    """

    opening_bps: int
    moving_bps: int
    outer_bps: int

    def __post_init__(self) -> None:
        for name in ("opening_bps", "moving_bps", "outer_bps"):
            value = getattr(self, name)
            if not 0 < value < BPS:
                raise ValueError(f"{name}: {value} must be between 0 and {BPS} basis points")


PERPETUAL_TIERS: Final = {
    1: PriceLimitRates(200, 200, 500),
    2: PriceLimitRates(400, 400, 800),
    3: PriceLimitRates(600, 600, 1500),
    4: PriceLimitRates(600, 600, 2000),
}
TIER_1_COINS: Final = ("BTC", "DOT", "EOS", "ETH", "LINK", "LTC", "SOL", "XRP")
DEFAULT_PERPETUAL_TIER: Final = 2
WEEKLY_FUTURE: Final = PriceLimitRates(500, 400, 1000)
WEEKLY_FUTURE_LAST_MINUTES: Final = PriceLimitRates(500, 400, 300)
QUARTERLY_FUTURE: Final = PriceLimitRates(500, 600, 2500)
SPOT_TIER_BPS: Final = {1: 200, 2: 300, 3: 500}


@dataclass(frozen=True, slots=True)
class PriceLimitTimes:
    """Clock parameters of the limits, ns."""

    opening_ns: int = 10 * _MINUTE_NS
    premium_window_ns: int = 2 * _MINUTE_NS
    last_minutes_ns: int = 30 * _MINUTE_NS
    weekly_horizon_ns: int = 14 * _DAY_NS


@dataclass(frozen=True, slots=True)
class OptionLimitRates:
    """Option limit: mark +- coefficient x max(floor_coin, delta_coin x |delta|), in coin."""

    coefficient: Decimal = Decimal(1)
    floor_coin: Decimal = Decimal("0.004")
    delta_coin: Decimal = Decimal("0.016")


DEFAULT_TIMES: Final = PriceLimitTimes()
DEFAULT_OPTION_RATES: Final = OptionLimitRates()


class PriceBand(NamedTuple):
    """Buys at or below high_ticks and sells at or above low_ticks are inside."""

    low_ticks: int
    high_ticks: int


def opening_band(index_ticks: int, rates: PriceLimitRates) -> PriceBand:
    """Return the band of the first minutes after listing: index x (1 +- X)."""
    return _around(index_ticks, rates.opening_bps)


def moving_band(index_ticks: int, average_premium_ticks: int, rates: PriceLimitRates) -> PriceBand:
    """Return the band of normal trading.

    high = min(max(index, index (1 + Y) + premium), index (1 + Z))
    low  = max(min(index, index (1 - Y) + premium), index (1 - Z))
    average_premium_ticks: mean of (contract mid - index) over the premium window.
    """
    moving = _around(index_ticks, rates.moving_bps)
    outer = _around(index_ticks, rates.outer_bps)
    high = min(max(index_ticks, moving.high_ticks + average_premium_ticks), outer.high_ticks)
    low = max(min(index_ticks, moving.low_ticks + average_premium_ticks), outer.low_ticks)
    return PriceBand(low, high)


def spot_band(index_ticks: int, tier: int) -> PriceBand:
    """Return the band of a spot pair: index x (1 +- 2 / 3 / 5 %) for tier 1 / 2 / 3."""
    return _around(index_ticks, SPOT_TIER_BPS[tier])


def option_band(
    instrument: Instrument,
    mark_ticks: int,
    absolute_delta_millionths: int,
    rates: OptionLimitRates = DEFAULT_OPTION_RATES,
) -> PriceBand:
    """Return the band of an option around its mark, on the option's tick grid.

    absolute_delta_millionths: |delta| x 1e6 (risk's float64 delta, rounded by the caller).
    """
    floor_ticks = to_steps(rates.floor_coin, OPTION_TICK, "floor_coin")
    delta_ticks = to_steps(rates.delta_coin, OPTION_TICK, "delta_coin")
    widest = max(floor_ticks * MILLIONTH, delta_ticks * absolute_delta_millionths)
    numerator, denominator = rates.coefficient.as_integer_ratio()
    width_ticks = widest * numerator // (MILLIONTH * denominator)
    low = max(1, mark_ticks - width_ticks)
    high = max(low, mark_ticks + width_ticks)
    return PriceBand(instrument.ceil_to_grid(low), instrument.floor_to_grid(high))


def perpetual_rates(base: str) -> PriceLimitRates:
    """Return the rates of a coin's perpetuals: tier 1 for the listed coins, else the default."""
    return PERPETUAL_TIERS[1 if base in TIER_1_COINS else DEFAULT_PERPETUAL_TIER]


def future_rates(
    now_ns: int, expiry_ns: int, times: PriceLimitTimes = DEFAULT_TIMES
) -> PriceLimitRates:
    """Return the rates of a dated future by the time it still has to run."""
    left_ns = expiry_ns - now_ns
    if left_ns > times.weekly_horizon_ns:
        return QUARTERLY_FUTURE
    return WEEKLY_FUTURE_LAST_MINUTES if left_ns <= times.last_minutes_ns else WEEKLY_FUTURE


def contract_band(
    instrument: Instrument,
    now_ns: int,
    listed_ns: int,
    index_ticks: int,
    average_premium_ticks: int,
    times: PriceLimitTimes = DEFAULT_TIMES,
) -> PriceBand:
    """Return the band of a perpetual or a future now, with the default rates of its product."""
    if instrument.kind == InstrumentKind.PERPETUAL:
        rates = perpetual_rates(instrument.base)
    else:
        assert instrument.expiry_ns is not None, instrument
        rates = future_rates(now_ns, instrument.expiry_ns, times)
    if now_ns - listed_ns < times.opening_ns:
        return opening_band(index_ticks, rates)
    return moving_band(index_ticks, average_premium_ticks, rates)


def check_price(side: int, price_ticks: int, band: PriceBand) -> RejectReason | None:
    """Return PRICE_LIMIT_BUY or PRICE_LIMIT_SELL if the price is outside the band, else None."""
    if side > 0:
        return RejectReason.PRICE_LIMIT_BUY if price_ticks > band.high_ticks else None
    return RejectReason.PRICE_LIMIT_SELL if price_ticks < band.low_ticks else None


def protective_price_ticks(side: int, band: PriceBand) -> int:
    """Return the most aggressive price the band allows: where a market order goes in (9.1)."""
    return band.high_ticks if side > 0 else band.low_ticks


def _around(index_ticks: int, distance_bps: int) -> PriceBand:
    """Return index x (1 +- distance), rounded inwards to whole ticks, at least one tick high."""
    assert index_ticks > 0, index_ticks
    low = -(-index_ticks * (BPS - distance_bps) // BPS)
    high = index_ticks * (BPS + distance_bps) // BPS
    return PriceBand(max(1, low), max(1, high))
