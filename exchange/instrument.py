"""Instruments: what an OKX id means, and the contract table behind it.

`parse_instrument` builds an instrument from its id and the default tables; the integer value
function `Instrument.value_atoms` is the only place where a price and a size become money.

Source: spec 3.1, 11.7, 16.16.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Final, NamedTuple, TypedDict, Unpack

from exchange.units import (
    atoms_per_unit,
    divide_rounded,
    parse_decimal,
    parse_positive,
    to_steps,
)


class InstrumentKind(IntEnum):
    """Kind of instrument; the numbers are shared with `risk.contracts`."""

    SPOT = 0
    PERPETUAL = 1
    FUTURE = 2
    OPTION = 3


class _Contract(NamedTuple):
    """Linear perpetual of a coin against USDT: contract value (coins), tick (quote), lot."""

    contract_value: Decimal
    tick: Decimal
    lot: Decimal


def _contract(contract_value: str, tick: str, lot: str) -> _Contract:
    return _Contract(Decimal(contract_value), Decimal(tick), Decimal(lot))


_CONTRACTS: Final[dict[str, _Contract]] = {
    "BTC": _contract("0.01", "0.1", "0.01"),
    "ETH": _contract("0.1", "0.01", "0.01"),
    "SOL": _contract("1", "0.01", "0.01"),
    "LTC": _contract("1", "0.01", "0.1"),
    "XRP": _contract("100", "0.0001", "0.01"),
    "DOGE": _contract("1000", "0.00001", "0.01"),
    "ADA": _contract("100", "0.0001", "0.01"),
    "SUI": _contract("1", "0.0001", "0.1"),
    "AVAX": _contract("1", "0.001", "0.1"),
    "LINK": _contract("1", "0.001", "0.1"),
    "BNB": _contract("0.01", "0.1", "0.1"),
    "DASH": _contract("0.1", "0.01", "0.1"),
    # Not in spec 3.1 or 16.16: the venue's public contract list.
    "BCH": _contract("0.1", "0.1", "0.1"),
    "ORDI": _contract("0.1", "0.001", "0.1"),
    "WLD": _contract("1", "0.0001", "0.1"),
    "PEPE": _contract("10000000", "0.000000001", "0.1"),
    "SHIB": _contract("1000000", "0.000000001", "0.1"),
}
_USDC_CONTRACTS: Final[dict[str, _Contract]] = {
    "BTC": _contract("0.0001", "0.1", "1"),
    "ETH": _contract("0.001", "0.01", "1"),
}
"""USDC-margined contracts that differ from the USDT ones."""

_INVERSE_FACE_USD: Final = {"BTC": Decimal(100)}
_DEFAULT_INVERSE_FACE_USD: Final = Decimal(10)
_OPTION_MULTIPLIERS: Final = {"BTC": Decimal("0.01"), "ETH": Decimal("0.1")}
_SPOT_LOTS: Final[dict[str, Decimal]] = {
    # Tick times lot is at least the quote's atom (1e-8), and a lot is whole atoms of the base.
    "BTC": Decimal("0.000001"),
    "ETH": Decimal("0.000001"),
    "SOL": Decimal("0.000001"),
    "LTC": Decimal("0.000001"),
    "XRP": Decimal("0.0001"),
    "DOGE": Decimal("0.001"),
    "ADA": Decimal("0.0001"),
    "SUI": Decimal("0.0001"),
    "AVAX": Decimal("0.00001"),
    "LINK": Decimal("0.00001"),
    "BNB": Decimal("0.000001"),
    "DASH": Decimal("0.000001"),
    "BCH": Decimal("0.000001"),
    "ORDI": Decimal("0.00001"),
    "WLD": Decimal("0.0001"),
    "PEPE": Decimal("10"),
    "SHIB": Decimal("10"),
}
STABLECOINS: Final = ("USDT", "USDC", "USDE", "UST")
QUOTES: Final = ("USD", *STABLECOINS)
_STABLECOIN_TICK: Final = Decimal("0.0001")
_STABLECOIN_LOT: Final = Decimal("0.0001")

OPTION_TICK: Final = Decimal("0.0001")
OPTION_COARSE_TICK: Final = Decimal("0.0005")
OPTION_COARSE_FROM: Final = Decimal("0.005")
_COARSE_STEP_TICKS: Final = int(OPTION_COARSE_TICK / OPTION_TICK)

_FEE_RATES: Final = {  # maker, taker; spec 11.7
    InstrumentKind.SPOT: (Decimal("0.0008"), Decimal("0.0010")),
    InstrumentKind.PERPETUAL: (Decimal("0.0002"), Decimal("0.0005")),
    InstrumentKind.FUTURE: (Decimal("0.0002"), Decimal("0.0005")),
    InstrumentKind.OPTION: (Decimal("0.0002"), Decimal("0.0003")),
}
DERIVATIVE_LIMIT_LOTS: Final = 2**28
"""Largest position of an account in a contract. It also sets the rounding step of the stress rows
(`risk.stress.rounded`): with 2^33 a unit with options would be off by 1e-4, with 2^28 by 4e-6."""
SPOT_LIMIT_LOTS: Final = 2**50
_CURRENCY: Final = re.compile(r"(?=.*[A-Z])[A-Z0-9]{2,12}")
_DATE: Final = re.compile(r"[0-9]{6}")
_STRIKE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?")
_EXPIRY_HOUR_UTC: Final = 8
_ID_FORMS: Final = "BASE-QUOTE, BASE-QUOTE-SWAP, BASE-QUOTE-yymmdd or BASE-USD-yymmdd-STRIKE-C|P"


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument and its exact value function.

    tick: price units per tick (options: coin, the smallest tick). lot: contracts (spot: coins)
    per lot. contract_value: coins (linear, option) or USD (inverse); spot 1. expiry_ns: unix ns.

    Derived: units_per_lot, coins (USD for inverse) in one lot; value_numerator and
    value_denominator of `value_atoms`; settle is the currency of those atoms; family is
    BASE-QUOTE, the pair whose index the instrument follows.
    """

    instrument_id: str
    kind: InstrumentKind
    base: str
    quote: str
    settle: str
    inverse: bool
    tick: Decimal
    lot: Decimal
    contract_value: Decimal
    contract_multiplier: Decimal
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option_type: str | None = None
    maker_fee_rate: Decimal = Decimal("0.0002")
    taker_fee_rate: Decimal = Decimal("0.0005")
    position_limit_lots: int = DERIVATIVE_LIMIT_LOTS
    units_per_lot: Fraction = field(init=False, repr=False, compare=False)
    value_numerator: int = field(init=False, repr=False, compare=False)
    value_denominator: int = field(init=False, repr=False, compare=False)
    coarse_from_ticks: int = field(init=False, repr=False, compare=False)
    family: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (Fraction(self.lot) * atoms_per_unit(self.base)).denominator != 1 and (
            self.kind == InstrumentKind.SPOT
        ):
            raise ValueError(
                f"{self.instrument_id}: lot {self.lot} is not a whole number of {self.base} atoms"
            )
        units = Fraction(self.lot) * Fraction(self.contract_value)
        units *= Fraction(self.contract_multiplier)
        scaled = units * atoms_per_unit(self.settle)
        value = scaled / Fraction(self.tick) if self.inverse else scaled * Fraction(self.tick)
        coarse = 0
        if self.kind == InstrumentKind.OPTION:
            coarse = to_steps(OPTION_COARSE_FROM, self.tick, "tick")
        set_field = object.__setattr__  # the dataclass is frozen for everybody else
        set_field(self, "units_per_lot", units)
        set_field(self, "value_numerator", value.numerator)
        set_field(self, "value_denominator", value.denominator)
        set_field(self, "coarse_from_ticks", coarse)
        set_field(self, "family", f"{self.base}-{self.quote}")

    def __hash__(self) -> int:
        # An instrument keys many tables; hashing all its fields each time would be slow.
        return hash(self.instrument_id)

    def value_atoms(self, price_ticks: int, lots: int) -> int:
        """Return the value of lots at price_ticks in atoms of settle, rounded half to even.

        Linear, spot, option: price x lots. Inverse: USD face / price, price_ticks > 0. The sign
        of lots is kept. O(1).
        """
        if self.inverse:
            return divide_rounded(lots * self.value_numerator, price_ticks * self.value_denominator)
        if self.value_denominator == 1:
            return price_ticks * lots * self.value_numerator
        return divide_rounded(price_ticks * lots * self.value_numerator, self.value_denominator)

    def is_on_tick(self, price_ticks: int) -> bool:
        """Return whether the price is positive and on the tick grid (coarser for dear options)."""
        if price_ticks <= 0:
            return False
        if self.coarse_from_ticks and price_ticks >= self.coarse_from_ticks:
            return price_ticks % _COARSE_STEP_TICKS == 0
        return True

    def floor_to_grid(self, price_ticks: int) -> int:
        """Return the highest allowed price at or below price_ticks."""
        if self.coarse_from_ticks and price_ticks >= self.coarse_from_ticks:
            return price_ticks - price_ticks % _COARSE_STEP_TICKS
        return price_ticks

    def ceil_to_grid(self, price_ticks: int) -> int:
        """Return the lowest allowed price at or above price_ticks."""
        if self.coarse_from_ticks and price_ticks >= self.coarse_from_ticks:
            return price_ticks + -price_ticks % _COARSE_STEP_TICKS
        return price_ticks

    def price_ticks(self, price: str | int | Decimal) -> int:
        """Return price as ticks; ValueError if it is not above zero and on the tick grid."""
        ticks = to_steps(price, self.tick, f"{self.instrument_id}: price")
        if not self.is_on_tick(ticks):
            raise ValueError(f"{self.instrument_id}: price {price} is not on the tick grid")
        return ticks

    def price(self, price_ticks: int) -> Decimal:
        """Return ticks as a price."""
        return self.tick * price_ticks

    def size_lots(self, size: str | int | Decimal) -> int:
        """Return size (contracts; spot: coins; may be negative) as lots; ValueError if uneven."""
        return to_steps(size, self.lot, f"{self.instrument_id}: size")

    def size(self, lots: int) -> Decimal:
        """Return lots as a size in contracts (spot: coins)."""
        return self.lot * lots


class InstrumentOverrides(TypedDict, total=False):
    """What `parse_instrument` lets a caller set instead of the default tables."""

    tick: str | int | Decimal
    lot: str | int | Decimal
    contract_value: str | int | Decimal
    contract_multiplier: str | int | Decimal
    maker_fee_rate: str | int | Decimal
    taker_fee_rate: str | int | Decimal
    position_limit_lots: int


def parse_instrument(instrument_id: str, **overrides: Unpack[InstrumentOverrides]) -> Instrument:
    """Return the instrument that an OKX id names, with the default contract tables.

    Raises ValueError: malformed id, a date that the calendar does not have, a coin that is not
    in the tables unless tick, lot and (but for spot) contract_value are given, a bad override.
    Source: spec 3.1, 16.16.
    """
    unknown = sorted(set(overrides) - set(InstrumentOverrides.__annotations__))
    if unknown:
        allowed = ", ".join(InstrumentOverrides.__annotations__)
        raise ValueError(f"{instrument_id}: no such field {', '.join(unknown)}; use {allowed}")
    parts = instrument_id.split("-")
    if not 2 <= len(parts) <= 5 or len(parts) == 4:
        raise ValueError(f"{instrument_id!r} is not an instrument id; write {_ID_FORMS}")
    base, quote = parts[0], parts[1]
    _check_pair(instrument_id, base, quote)
    kind, expiry_ns, strike, option_type = _parse_suffix(instrument_id, parts[2:])
    if kind == InstrumentKind.OPTION and quote != "USD":
        raise ValueError(f"{instrument_id}: options are settled in the coin, write {base}-USD-...")
    inverse = kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE) and quote == "USD"
    terms = _contract_terms(instrument_id, kind, base, quote, overrides)
    maker_fee_rate, taker_fee_rate = _FEE_RATES[kind]
    coin_settled = inverse or kind == InstrumentKind.OPTION
    spot = kind == InstrumentKind.SPOT
    default_limit = SPOT_LIMIT_LOTS if spot else DERIVATIVE_LIMIT_LOTS
    limit = overrides.get("position_limit_lots", default_limit)
    if limit <= 0:
        raise ValueError(f"{instrument_id}: position_limit_lots: {limit} must be above 0")
    return Instrument(
        instrument_id=instrument_id,
        kind=kind,
        base=base,
        quote=quote,
        settle=base if coin_settled else quote,
        inverse=inverse,
        tick=terms.tick,
        lot=terms.lot,
        contract_value=terms.contract_value,
        contract_multiplier=terms.contract_multiplier,
        expiry_ns=expiry_ns,
        strike=strike,
        option_type=option_type,
        maker_fee_rate=_fee_rate(instrument_id, "maker_fee_rate", maker_fee_rate, overrides),
        taker_fee_rate=_fee_rate(instrument_id, "taker_fee_rate", taker_fee_rate, overrides),
        position_limit_lots=limit,
    )


def _check_pair(instrument_id: str, base: str, quote: str) -> None:
    for currency in (base, quote):
        if not _CURRENCY.fullmatch(currency):
            raise ValueError(
                f"{instrument_id}: {currency!r} is not a currency (2-12 capitals and digits)"
            )
    if quote not in QUOTES:
        raise ValueError(f"{instrument_id}: quote {quote} is not one of {', '.join(QUOTES)}")
    if base in ("USD", quote):
        raise ValueError(f"{instrument_id}: {base} cannot be the base of this pair")


def _parse_suffix(
    instrument_id: str, suffix: list[str]
) -> tuple[InstrumentKind, int | None, Decimal | None, str | None]:
    """Return (kind, expiry_ns, strike, option_type) of the parts after BASE-QUOTE."""
    if not suffix:
        return InstrumentKind.SPOT, None, None, None
    if suffix == ["SWAP"]:
        return InstrumentKind.PERPETUAL, None, None, None
    expiry_ns = _parse_expiry(instrument_id, suffix[0])
    if len(suffix) == 1:
        return InstrumentKind.FUTURE, expiry_ns, None, None
    strike_text, option_type = suffix[1], suffix[2]
    if not _STRIKE.fullmatch(strike_text):
        raise ValueError(f"{instrument_id}: strike {strike_text!r} is not a decimal number")
    strike = parse_positive(strike_text, f"{instrument_id}: strike")
    if option_type not in ("C", "P"):
        raise ValueError(f"{instrument_id}: option type {option_type!r} is neither C nor P")
    return InstrumentKind.OPTION, expiry_ns, strike, option_type


def _parse_expiry(instrument_id: str, date: str) -> int:
    """Return 08:00 UTC of a yymmdd date as unix nanoseconds; ValueError if there is no such day."""
    if not _DATE.fullmatch(date):
        raise ValueError(f"{instrument_id}: {date!r} is neither SWAP nor a date yymmdd")
    year, month, day = 2000 + int(date[:2]), int(date[2:4]), int(date[4:])
    try:
        expiry = datetime(year, month, day, _EXPIRY_HOUR_UTC, tzinfo=UTC)
    except ValueError:
        raise ValueError(
            f"{instrument_id}: the calendar has no day {year}-{date[2:4]}-{date[4:]} (yymmdd)"
        ) from None
    return int(expiry.timestamp()) * 1_000_000_000


class _Terms(NamedTuple):
    """Contract terms: tick (price units), lot (contracts), contract value, multiplier."""

    tick: Decimal
    lot: Decimal
    contract_value: Decimal
    contract_multiplier: Decimal


def _default_terms(kind: InstrumentKind, base: str, quote: str) -> dict[str, Decimal]:
    """Return the terms that the tables have for this contract; absent where they have none."""
    one = Decimal(1)
    if kind == InstrumentKind.OPTION:
        terms = {"tick": OPTION_TICK, "lot": one}
        if base in _OPTION_MULTIPLIERS:
            terms |= {"contract_value": one, "contract_multiplier": _OPTION_MULTIPLIERS[base]}
        return terms
    if kind == InstrumentKind.SPOT and base in STABLECOINS:
        return {"tick": _STABLECOIN_TICK, "lot": _STABLECOIN_LOT, "contract_value": one}
    contract = _CONTRACTS.get(base)
    if quote == "USDC" and kind != InstrumentKind.SPOT:
        contract = _USDC_CONTRACTS.get(base, contract)
    terms = {} if contract is None else contract._asdict()
    if kind == InstrumentKind.SPOT:
        terms["contract_value"] = one
        if base in _SPOT_LOTS:
            terms["lot"] = _SPOT_LOTS[base]
    elif quote == "USD":
        # A coin-margined contract counts USD, so only its tick depends on the coin.
        terms["contract_value"] = _INVERSE_FACE_USD.get(base, _DEFAULT_INVERSE_FACE_USD)
        terms["lot"] = one
    return terms


def _contract_terms(
    instrument_id: str,
    kind: InstrumentKind,
    base: str,
    quote: str,
    overrides: InstrumentOverrides,
) -> _Terms:
    """Return default terms with the caller's overrides; ValueError if one is missing."""
    terms = _default_terms(kind, base, quote)
    for name in _Terms._fields:
        if name in overrides:
            terms[name] = parse_positive(overrides[name], f"{instrument_id}: {name}")  # type: ignore[literal-required]
    if kind == InstrumentKind.SPOT and terms["contract_value"] != 1:
        raise ValueError(f"{instrument_id}: contract_value of a spot pair is 1")
    terms.setdefault("contract_multiplier", Decimal(1))
    missing = [name for name in _Terms._fields if name not in terms]
    if missing:
        known = ", ".join(
            sorted(_OPTION_MULTIPLIERS if kind == InstrumentKind.OPTION else _CONTRACTS)
        )
        raise ValueError(
            f"{instrument_id}: no default {', '.join(missing)} for {base}; "
            f"give them as overrides, or use one of {known}"
        )
    return _Terms(**terms)


def _fee_rate(
    instrument_id: str, name: str, default: Decimal, overrides: InstrumentOverrides
) -> Decimal:
    """Return the fee rate (fraction; negative is a rebate) with the caller's override."""
    if name not in overrides:
        return default
    rate = parse_decimal(overrides[name], f"{instrument_id}: {name}")  # type: ignore[literal-required]
    if not -1 < rate < 1:
        raise ValueError(f"{instrument_id}: {name}: {rate} must be between -1 and 1")
    return rate
