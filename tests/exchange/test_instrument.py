"""Instrument ids, the contract table of spec 3.1 and 16.16, and the value function."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.instrument import InstrumentKind, parse_instrument
from exchange.units import atoms_per_unit

SPOT, PERPETUAL, FUTURE, OPTION = InstrumentKind
MARCH_2025_NS = int(datetime(2025, 3, 28, 8, tzinfo=UTC).timestamp()) * 10**9

# id, kind, settle, inverse, tick, lot, contract value, multiplier
TABLE = [
    ("BTC-USDT-SWAP", PERPETUAL, "USDT", False, "0.1", "0.01", "0.01", "1"),
    ("LTC-USDT-SWAP", PERPETUAL, "USDT", False, "0.01", "0.1", "1", "1"),
    ("ETH-USDT-SWAP", PERPETUAL, "USDT", False, "0.01", "0.01", "0.1", "1"),
    ("SOL-USDT-SWAP", PERPETUAL, "USDT", False, "0.01", "0.01", "1", "1"),
    ("XRP-USDT-SWAP", PERPETUAL, "USDT", False, "0.0001", "0.01", "100", "1"),
    ("DOGE-USDT-SWAP", PERPETUAL, "USDT", False, "0.00001", "0.01", "1000", "1"),
    ("ADA-USDT-SWAP", PERPETUAL, "USDT", False, "0.0001", "0.01", "100", "1"),
    ("SUI-USDT-SWAP", PERPETUAL, "USDT", False, "0.0001", "0.1", "1", "1"),
    ("AVAX-USDT-SWAP", PERPETUAL, "USDT", False, "0.001", "0.1", "1", "1"),
    ("LINK-USDT-SWAP", PERPETUAL, "USDT", False, "0.001", "0.1", "1", "1"),
    ("BNB-USDT-SWAP", PERPETUAL, "USDT", False, "0.1", "0.1", "0.01", "1"),
    ("DASH-USDT-SWAP", PERPETUAL, "USDT", False, "0.01", "0.1", "0.1", "1"),
    ("BTC-USDC-SWAP", PERPETUAL, "USDC", False, "0.1", "1", "0.0001", "1"),
    ("ETH-USDC-SWAP", PERPETUAL, "USDC", False, "0.01", "1", "0.001", "1"),
    ("BTC-USD-SWAP", PERPETUAL, "BTC", True, "0.1", "1", "100", "1"),
    ("ETH-USD-SWAP", PERPETUAL, "ETH", True, "0.01", "1", "10", "1"),
    ("SOL-USD-SWAP", PERPETUAL, "SOL", True, "0.01", "1", "10", "1"),
    ("LTC-USD-250328", FUTURE, "LTC", True, "0.01", "1", "10", "1"),
    ("BTC-USD-250328", FUTURE, "BTC", True, "0.1", "1", "100", "1"),
    ("BTC-USDT-250328", FUTURE, "USDT", False, "0.1", "0.01", "0.01", "1"),
    ("ETH-USDT-250328", FUTURE, "USDT", False, "0.01", "0.01", "0.1", "1"),
    ("BTC-USDC-250328", FUTURE, "USDC", False, "0.1", "1", "0.0001", "1"),
    ("BTC-USD-250328-100000-C", OPTION, "BTC", False, "0.0001", "1", "1", "0.01"),
    ("ETH-USD-250328-2500-P", OPTION, "ETH", False, "0.0001", "1", "1", "0.1"),
    ("BTC-USDT", SPOT, "USDT", False, "0.1", "0.000001", "1", "1"),
    ("ETH-USDT", SPOT, "USDT", False, "0.01", "0.000001", "1", "1"),
    ("BTC-USDC", SPOT, "USDC", False, "0.1", "0.000001", "1", "1"),
    ("ETH-USD", SPOT, "USD", False, "0.01", "0.000001", "1", "1"),
    ("USDC-USDT", SPOT, "USDT", False, "0.0001", "0.0001", "1", "1"),
    ("USDE-USDT", SPOT, "USDT", False, "0.0001", "0.0001", "1", "1"),
    ("UST-USDT", SPOT, "USDT", False, "0.0001", "0.0001", "1", "1"),
    ("USDT-USD", SPOT, "USD", False, "0.0001", "0.0001", "1", "1"),
]
COINS = [
    *["BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "BNB", "SUI", "AVAX", "LINK", "DASH"],
    *["BCH", "PEPE", "SHIB", "ORDI", "WLD"],
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_contract_table(row: tuple[str, InstrumentKind, str, bool, str, str, str, str]) -> None:
    instrument_id, kind, settle, inverse, *numbers = row
    instrument = parse_instrument(instrument_id)
    assert instrument.instrument_id == instrument_id
    assert (instrument.kind, instrument.settle, instrument.inverse) == (kind, settle, inverse)
    assert [
        instrument.tick,
        instrument.lot,
        instrument.contract_value,
        instrument.contract_multiplier,
    ] == [Decimal(number) for number in numbers]
    dated = kind in (FUTURE, OPTION)
    assert instrument.expiry_ns == (MARCH_2025_NS if dated else None)
    assert instrument.family == "-".join(instrument_id.split("-")[:2])


def test_kinds_have_the_shared_numbers() -> None:
    assert [int(kind) for kind in InstrumentKind] == [0, 1, 2, 3]


def test_option_fields() -> None:
    call = parse_instrument("BTC-USD-250328-100000-C")
    assert (call.strike, call.option_type) == (Decimal(100000), "C")
    put = parse_instrument("ETH-USD-250328-2512.5-P")
    assert (put.strike, put.option_type) == (Decimal("2512.5"), "P")
    assert parse_instrument("BTC-USD-250328").strike is None


@pytest.mark.parametrize("suffix", ["", "-SWAP", "-240229"])
@pytest.mark.parametrize("quote", ["USDT", "USDC", "USD"])
@pytest.mark.parametrize("coin", COINS)
def test_every_coin_has_every_product(coin: str, quote: str, suffix: str) -> None:
    instrument = parse_instrument(f"{coin}-{quote}{suffix}")
    if suffix or quote == "USD":
        return
    # One tick on one lot of a spot pair is at least one atom, and whole atoms change hands.
    assert instrument.value_denominator == 1
    assert instrument.value_numerator >= 1
    assert (Fraction(instrument.lot) * atoms_per_unit(coin)).denominator == 1


@pytest.mark.parametrize(
    ("instrument_id", "maker", "taker"),
    [
        ("BTC-USDT", "0.0008", "0.001"),
        ("BTC-USDT-SWAP", "0.0002", "0.0005"),
        ("BTC-USD-250328", "0.0002", "0.0005"),
        ("BTC-USD-250328-100000-P", "0.0002", "0.0003"),
    ],
)
def test_default_fees(instrument_id: str, maker: str, taker: str) -> None:
    instrument = parse_instrument(instrument_id)
    assert instrument.maker_fee_rate == Decimal(maker)
    assert instrument.taker_fee_rate == Decimal(taker)


@pytest.mark.parametrize(
    ("instrument_id", "message"),
    [
        ("", "is not an instrument id"),
        ("BTC", "is not an instrument id"),
        ("BTC-USD-250328-100000", "is not an instrument id"),
        ("BTC-USD-250328-100000-C-X", "is not an instrument id"),
        ("btc-USDT", "'btc' is not a currency"),
        ("B-USDT", "'B' is not a currency"),
        ("-USDT", "'' is not a currency"),
        ("BTC-123456", "'123456' is not a currency"),
        ("BTC -USDT", "'BTC ' is not a currency"),
        ("ETH-BTC", "quote BTC is not one of USD, USDT"),
        ("USDT-USDT", "USDT cannot be the base"),
        ("USD-USDT-SWAP", "USD cannot be the base"),
        ("BTC-USDT-PERP", "'PERP' is neither SWAP nor a date"),
        ("BTC-USDT-swap", "'swap' is neither SWAP nor a date"),
        ("BTC-USD-20250328", "'20250328' is neither SWAP nor a date"),
        ("BTC-USD-²50328", "is neither SWAP nor a date"),
        ("BTC-USD-250230", "the calendar has no day 2025-02-30"),
        ("BTC-USD-250229", "the calendar has no day 2025-02-29"),
        ("BTC-USD-251301", "the calendar has no day 2025-13-01"),
        ("BTC-USD-250100", "the calendar has no day 2025-01-00"),
        ("BTC-USD-250431-100000-C", "the calendar has no day 2025-04-31"),
        ("BTC-USDT-250328-100000-C", "options are settled in the coin, write BTC-USD-"),
        ("BTC-USD-250328-0-C", "strike: '0' must be above 0"),
        ("BTC-USD-250328-1e5-C", "strike '1e5' is not a decimal number"),
        ("BTC-USD-250328--5-C", "is not an instrument id"),
        ("BTC-USD-250328-100000-X", "option type 'X' is neither C nor P"),
        ("FOO-USDT", "no default tick, lot for FOO"),
        ("FOO-USDT-SWAP", "no default tick, lot, contract_value for FOO"),
        ("FOO-USD-SWAP", "no default tick for FOO"),
        (
            "SOL-USD-250328-200-C",
            "no default contract_value for SOL; give them as overrides, or use one of BTC, ETH",
        ),
        ("USDC-USDT-SWAP", "no default tick, lot, contract_value for USDC"),
    ],
)
def test_bad_ids_are_refused_by_name(instrument_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_instrument(instrument_id)


def test_leap_day() -> None:
    expected = int(datetime(2024, 2, 29, 8, tzinfo=UTC).timestamp()) * 10**9
    assert parse_instrument("BTC-USD-240229").expiry_ns == expected


def test_overrides_name_any_coin() -> None:
    perpetual = parse_instrument("FOO-USDT-SWAP", tick="0.01", lot=1, contract_value=Decimal(10))
    assert perpetual.units_per_lot == 10
    spot = parse_instrument("FOO-USDT", tick="0.01", lot="0.001", taker_fee_rate="-0.0001")
    assert spot.taker_fee_rate == Decimal("-0.0001")
    assert parse_instrument("FOO-USD-SWAP", tick="0.01").contract_value == 10
    option = parse_instrument("SOL-USD-250328-200-C", contract_value=1, contract_multiplier=1)
    assert option.units_per_lot == 1
    limited = parse_instrument("BTC-USDT-SWAP", position_limit_lots=5)
    assert limited.position_limit_lots == 5
    assert parse_instrument("BTC-USDT-SWAP").position_limit_lots == 2**28


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"tick": 0}, "tick: 0 must be above 0"),
        ({"tick": 0.1}, "tick: 0.1 is a float"),
        ({"lot": "x"}, "lot: 'x' is not a decimal number"),
        ({"contract_value": "-1"}, "contract_value: '-1' must be above 0"),
        ({"taker_fee_rate": 1}, "taker_fee_rate: 1 must be between -1 and 1"),
        ({"position_limit_lots": 0}, "position_limit_lots: 0 must be above 0"),
        ({"ticks": 1}, "no such field ticks; use tick, lot"),
    ],
)
def test_bad_overrides_are_refused(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_instrument("BTC-USDT-SWAP", **overrides)  # type: ignore[arg-type]


def test_spot_terms_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="contract_value of a spot pair is 1"):
        parse_instrument("BTC-USDT", contract_value=2)
    with pytest.raises(ValueError, match="not a whole number of SHIB atoms"):
        parse_instrument("SHIB-USDT", lot="0.001")


VALUED = [
    *["BTC-USDT", "PEPE-USDT", "USDC-USDT", "BTC-USDT-SWAP", "SHIB-USDT-SWAP", "BTC-USDC-SWAP"],
    *["BTC-USD-SWAP", "SHIB-USD-SWAP", "ETH-USD-250328", "ETH-USD-250328-2500-P"],
]


@given(st.sampled_from(VALUED), st.integers(1, 10**9), st.integers(-(10**9), 10**9))
def test_value_atoms_is_the_exact_value_rounded_half_even(
    instrument_id: str, price_ticks: int, lots: int
) -> None:
    instrument = parse_instrument(instrument_id)
    price = price_ticks * Fraction(instrument.tick)
    size = lots * Fraction(instrument.lot) * Fraction(instrument.contract_value)
    size *= Fraction(instrument.contract_multiplier)
    value = size / price if instrument.inverse else size * price
    atoms = instrument.value_atoms(price_ticks, lots)
    assert atoms == round(value * atoms_per_unit(instrument.settle))
    assert instrument.value_atoms(price_ticks, -lots) == -atoms


@given(st.integers(1, 10**7), st.integers(-(10**7), 10**7))
def test_value_atoms_rounds_linear_contracts_finer_than_an_atom(ticks: int, lots: int) -> None:
    fine = parse_instrument("FOO-USDT-SWAP", tick="0.00001", lot="0.01", contract_value="0.003")
    assert fine.value_denominator > 1
    assert fine.value_atoms(ticks, lots) == round(Fraction(ticks * lots * 3, 10**10) * 10**8)


def test_value_atoms_of_known_trades() -> None:
    # 10 contracts of 0.01 BTC at 97,093.7 USDT; 100 contracts of 100 USD at 50,000 = 0.2 BTC.
    assert parse_instrument("BTC-USDT-SWAP").value_atoms(970_937, 1000) == 970_937_000_000
    assert parse_instrument("BTC-USD-SWAP").value_atoms(500_000, -100) == -20_000_000
    # 5 option contracts of 0.01 BTC at 0.0125 BTC.
    assert parse_instrument("BTC-USD-250328-100000-C").value_atoms(125, 5) == 62_500


def test_option_ticks_are_coarser_above() -> None:
    option = parse_instrument("BTC-USD-250328-100000-C")
    on_grid = [ticks for ticks in range(-2, 62) if option.is_on_tick(ticks)]
    assert on_grid == [*range(1, 51), 55, 60]
    assert [option.floor_to_grid(ticks) for ticks in (49, 50, 54, 59)] == [49, 50, 50, 55]
    assert [option.ceil_to_grid(ticks) for ticks in (49, 50, 51, 59)] == [49, 50, 55, 60]
    perpetual = parse_instrument("BTC-USDT-SWAP")
    assert perpetual.is_on_tick(51)
    assert perpetual.floor_to_grid(51) == perpetual.ceil_to_grid(51) == 51


def test_prices_and_sizes_at_the_edge() -> None:
    perpetual = parse_instrument("BTC-USDT-SWAP")
    assert perpetual.price_ticks("97093.7") == 970_937
    assert perpetual.price(970_937) == Decimal("97093.7")
    assert perpetual.size_lots("-0.05") == -5
    assert perpetual.size(-5) == Decimal("-0.05")
    for bad in ("97093.75", "0", "-1"):
        with pytest.raises(ValueError, match="BTC-USDT-SWAP: price"):
            perpetual.price_ticks(bad)
    with pytest.raises(ValueError, match="BTC-USDT-SWAP: size"):
        perpetual.size_lots("0.001")
    option = parse_instrument("BTC-USD-250328-100000-C")
    with pytest.raises(ValueError, match="tick grid"):
        option.price_ticks("0.0051")


def test_instruments_are_values() -> None:
    one, two = parse_instrument("BTC-USDT-SWAP"), parse_instrument("BTC-USDT-SWAP")
    assert one == two
    assert len({one, two}) == 1
    assert one != parse_instrument("BTC-USDT-SWAP", lot=1)
    assert replace(one, lot=Decimal(1)).units_per_lot == Fraction(1, 100)
    with pytest.raises(AttributeError):
        one.tick = Decimal(1)  # type: ignore[misc]
