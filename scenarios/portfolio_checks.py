"""What the fields of a portfolio file mean together: lots, duplicates, missing prices, expiries.

Each check appends lines `field: value is not ...` to a list; the first one reaches the person.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from exchange.instrument import Instrument, InstrumentKind, parse_instrument
from scenarios.errors import UserError, show
from scenarios.validation_errors import with_rest

if TYPE_CHECKING:
    from risk.contracts import MarketSnapshot
    from scenarios.portfolio_file import (
        IsolatedEntry,
        MarketTable,
        OrderEntry,
        PortfolioFile,
        PositionEntry,
    )

_LARGEST_OPTION_PRICE = Decimal(1000)
_LONGEST_ID = 60
LARGEST_LOTS = 2**53  # a report is not the venue: it takes any size that a float counts exactly


def check_portfolio(file: PortfolioFile) -> dict[str, Instrument]:
    """The instruments of the file by id, once everything in it fits together.

    Raises:
        UserError: the first thing that does not.
    """
    findings: list[str] = []
    instruments: dict[str, Instrument] = {}
    for field, entry in _entries(file):
        instrument = _instrument(f"{field}.instrument", entry.instrument, findings)
        if instrument is None:
            continue
        instruments[entry.instrument] = instrument
        _check_entry(field, entry, instrument, file, findings)
    _check_duplicates("positions", file.positions, findings)
    _check_duplicates("isolated", file.isolated, findings)
    _check_market_names(file.market, findings)
    _check_currencies(file, findings)
    _check_leverage(file, findings)
    if findings:
        raise UserError(with_rest(findings[0], len(findings) - 1))
    return instruments


def _entries(
    file: PortfolioFile,
) -> Iterator[tuple[str, PositionEntry | OrderEntry | IsolatedEntry]]:
    for number, position in enumerate(file.positions):
        yield f"positions.{number}", position
    for number, order in enumerate(file.orders):
        yield f"orders.{number}", order
    for number, isolated in enumerate(file.isolated):
        yield f"isolated.{number}", isolated


def _instrument(field: str, instrument_id: str, findings: list[str]) -> Instrument | None:
    try:
        if len(instrument_id) > _LONGEST_ID:
            raise ValueError(f"{show(instrument_id)} is not an instrument id")
        return parse_instrument(instrument_id)
    except ValueError as error:
        # Overrides are for scenario files; a portfolio file has the default contract tables.
        text = str(error).replace("give them as overrides, or use", "use")
        findings.append(f"{field}: {text}")
        return None


def _check_entry(
    field: str,
    entry: PositionEntry | OrderEntry | IsolatedEntry,
    instrument: Instrument,
    file: PortfolioFile,
    findings: list[str],
) -> None:
    is_spot = instrument.kind == InstrumentKind.SPOT
    if is_spot and not field.startswith("orders"):
        findings.append(
            f"{field}.instrument: {entry.instrument} is a spot pair; its coins go to [balances]"
        )
        return
    check_instrument(field, instrument, entry.size, file.market, file.time, findings)


def check_instrument(
    field: str,
    instrument: Instrument,
    size: Decimal,
    market: MarketTable | MarketSnapshot,
    time: datetime,
    findings: list[str],
) -> None:
    """Whether `size` is in lots, the instrument still trades, and the market has its prices."""
    _check_size(field, size, instrument, findings)
    if instrument.expiry_ns is not None and instrument.expiry_ns <= time_ns(time):
        expiry = datetime.fromtimestamp(instrument.expiry_ns / 1e9, UTC)
        findings.append(
            f"{field}.instrument: {instrument.instrument_id} expired at {expiry:%Y-%m-%d %H:%M}"
            f" UTC; an expiry after time ({time:%Y-%m-%d %H:%M}) is needed"
        )
    _check_prices(field, instrument, market, findings)


def _check_size(field: str, size: Decimal, instrument: Instrument, findings: list[str]) -> None:
    is_spot = instrument.kind == InstrumentKind.SPOT
    noun = f"number of {instrument.base if is_spot else 'contracts'}"
    largest = LARGEST_LOTS * instrument.lot
    if abs(size) > largest:
        findings.append(f"{field}.size: {show(size)} is not a {noun} of at most {plain(largest)}")
    elif size == 0 or size % instrument.lot != 0:
        findings.append(
            f"{field}.size: {show(size)} is not a non-zero {noun} in lots of"
            f" {plain(instrument.lot)}"
        )


def _check_prices(
    field: str,
    instrument: Instrument,
    market: MarketTable | MarketSnapshot,
    findings: list[str],
) -> None:
    name = instrument.instrument_id
    if instrument.kind == InstrumentKind.OPTION:
        if name not in market.implied_vol:
            findings.append(
                f"market.implied_vol: no {name}; the volatility of every option held or ordered"
                f" is needed ({field})"
            )
    elif instrument.kind != InstrumentKind.SPOT and name not in market.mark:
        findings.append(
            f"market.mark: no {name}; the mark price of every contract held or ordered is needed"
            f" ({field})"
        )
    for currency in dict.fromkeys((instrument.base, instrument.quote, instrument.settle)):
        if currency != "USD" and currency not in market.usd_index:
            findings.append(
                f"market.usd_index: no {currency}; the USD price of every currency used is"
                f" needed ({field}: {name})"
            )


def _check_duplicates(table: str, entries: tuple[PositionEntry, ...], findings: list[str]) -> None:
    first: dict[str, int] = {}
    for number, entry in enumerate(entries):
        seen = first.setdefault(entry.instrument, number)
        if seen != number:
            findings.append(
                f"{table}.{number}.instrument: {entry.instrument} is in {table}.{seen} already;"
                " one entry per instrument is allowed"
            )


def _check_market_names(market: MarketTable, findings: list[str]) -> None:
    if "USD" in market.usd_index and market.usd_index["USD"] != 1:
        findings.append(f"market.usd_index.USD: {show(market.usd_index['USD'])} is not 1")
    for name, price in market.mark.items():
        instrument = _instrument(f"market.mark.{name}", name, findings)
        if instrument is None:
            continue
        if instrument.kind == InstrumentKind.SPOT:
            findings.append(f"market.mark.{name}: a spot pair has no mark; use [market.index]")
        elif instrument.kind == InstrumentKind.OPTION:
            if price > _LARGEST_OPTION_PRICE:
                findings.append(
                    f"market.mark.{name}: {show(price)} is not an option price in"
                    f" {instrument.base}, from 0 to {_LARGEST_OPTION_PRICE}"
                )
        elif price == 0:
            findings.append(f"market.mark.{name}: 0 is not a price above 0")
    for name in market.implied_vol:
        instrument = _instrument(f"market.implied_vol.{name}", name, findings)
        if instrument is not None and instrument.kind != InstrumentKind.OPTION:
            findings.append(f"market.implied_vol.{name}: not an option; only options have one")
    for name in market.forward:
        instrument = _instrument(f"market.forward.{name}", name, findings)
        if instrument is not None and (
            instrument.kind != InstrumentKind.FUTURE or not instrument.inverse
        ):
            findings.append(
                f"market.forward.{name}: not a coin-margined expiry such as BTC-USD-250328"
            )


def _check_currencies(file: PortfolioFile, findings: list[str]) -> None:
    for table, currencies in (("balances", file.balances), ("spot_offset", file.spot_offset)):
        for currency in currencies:
            if currency != "USD" and currency not in file.market.usd_index:
                findings.append(
                    f"{table}.{currency}: no USD price of {currency}; one of"
                    f" {', '.join(file.market.usd_index) or 'none'} or an entry in"
                    " [market.usd_index] is needed"
                )


def _check_leverage(file: PortfolioFile, findings: list[str]) -> None:
    """A leverage is an instrument's, or a currency's: its lowest initial margin as a borrowing."""
    for name in file.leverage:
        if "-" in name:
            _instrument(f"leverage.{name}", name, findings)
        elif name != "USD" and name not in file.market.usd_index:
            findings.append(
                f"leverage.{name}: neither an instrument id such as BTC-USDT-SWAP nor a currency"
                f" with a USD price ({', '.join(file.market.usd_index) or 'none'})"
            )


def time_ns(time: datetime) -> int:
    """Unix nanoseconds of `time`, exact to the microsecond."""
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def plain(number: Decimal) -> str:
    """A Decimal without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
