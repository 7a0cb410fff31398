"""The portfolio file: one account and one market snapshot, as TOML or JSON.

The models below check every field by itself; `scenarios.portfolio_checks` then checks what the
fields mean together (lots, missing marks, expiries, duplicates).

Source: portfolio-file.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, ValidationError

from exchange.instrument import Instrument, InstrumentKind
from risk.contracts import Contract, MarketSnapshot
from risk.portfolio import IsolatedInput, OrderInput, Portfolio, PositionInput
from scenarios.portfolio_checks import check_portfolio, time_ns
from scenarios.structured_file import read_structured_file
from scenarios.validation_errors import as_user_error, not_allowed

SMALLEST_PRICE = Decimal("1e-12")
LARGEST_PRICE = Decimal("1e12")
LARGEST_AMOUNT = Decimal("1e15")
LARGEST_VOLATILITY = Decimal("10")
LARGEST_LEVERAGE = Decimal("125")
FIRST_YEAR, LAST_YEAR = 2010, 2100

_CURRENCY = re.compile(r"[A-Z0-9]{1,20}")
_PAIR = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{1,20}")


def decimal_between(value: object, low: Decimal, high: Decimal, allowed: str) -> Decimal:
    """`value` as a Decimal of at least `low` and at most `high`; booleans and text are refused."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise not_allowed(value, allowed)
    # A float (of a document made in Python) means the digits that it prints.
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or not low <= number <= high:
        raise not_allowed(value, allowed)
    return number


_PRICE_RANGE = "a price from 1e-12 to 1e12"
_AMOUNT_RANGE = "a number from -1e15 to 1e15"
_SIZE_RANGE = "a number of contracts"
_ORDER_SIZE_RANGE = "a number of contracts (spot: coins) above 0"
_VOLATILITY_RANGE = "a volatility as a fraction a year, from 0 to 10 (0.55 for 55 %)"
_COINS_RANGE = "a number of coins from 0 to 1e15"
_LEVERAGE_RANGE = "a leverage from 1 to 125"


def _price(value: object) -> Decimal:
    return decimal_between(value, SMALLEST_PRICE, LARGEST_PRICE, _PRICE_RANGE)


def _mark(value: object) -> Decimal:
    # An option may be worth nothing; that other marks are above 0 is checked with the instrument.
    return decimal_between(value, Decimal(0), LARGEST_PRICE, "a price from 0 to 1e12")


def _amount(value: object) -> Decimal:
    return decimal_between(value, -LARGEST_AMOUNT, LARGEST_AMOUNT, _AMOUNT_RANGE)


def _size(value: object) -> Decimal:
    return decimal_between(value, -LARGEST_AMOUNT, LARGEST_AMOUNT, _SIZE_RANGE)


def _order_size(value: object) -> Decimal:
    return decimal_between(value, SMALLEST_PRICE, LARGEST_AMOUNT, _ORDER_SIZE_RANGE)


def _volatility(value: object) -> Decimal:
    return decimal_between(value, Decimal(0), LARGEST_VOLATILITY, _VOLATILITY_RANGE)


def _coins(value: object) -> Decimal:
    return decimal_between(value, Decimal(0), LARGEST_AMOUNT, _COINS_RANGE)


def _leverage(value: object) -> Decimal:
    return decimal_between(value, Decimal(1), LARGEST_LEVERAGE, _LEVERAGE_RANGE)


def _time(value: object) -> datetime:
    allowed = "a time with a zone, such as 2025-01-15T10:26:41Z"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise not_allowed(value, allowed) from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise not_allowed(value, allowed)
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise not_allowed(value, f"a time from {FIRST_YEAR} to {LAST_YEAR}")
    return value


def _currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise not_allowed(value, "a currency code such as BTC")
    return value


def _pair(value: object) -> str:
    if not isinstance(value, str) or not _PAIR.fullmatch(value):
        raise not_allowed(value, "a pair such as BTC-USDT")
    return value


Price = Annotated[Decimal, PlainValidator(_price)]
Mark = Annotated[Decimal, PlainValidator(_mark)]
Amount = Annotated[Decimal, PlainValidator(_amount)]
Size = Annotated[Decimal, PlainValidator(_size)]
OrderSize = Annotated[Decimal, PlainValidator(_order_size)]
Volatility = Annotated[Decimal, PlainValidator(_volatility)]
Coins = Annotated[Decimal, PlainValidator(_coins)]
Leverage = Annotated[Decimal, PlainValidator(_leverage)]
Time = Annotated[datetime, PlainValidator(_time)]
Currency = Annotated[str, PlainValidator(_currency)]
Pair = Annotated[str, PlainValidator(_pair)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketTable(_Table):
    """Prices at `time`: USD per unit, index of pairs, marks, volatilities, forwards."""

    usd_index: dict[Currency, Price] = Field(description="a table of USD prices per currency")
    index: dict[Pair, Price] = {}
    mark: dict[str, Mark] = {}
    implied_vol: dict[str, Volatility] = {}
    forward: dict[str, Price] = {}


class PositionEntry(_Table):
    """One position: contracts with a sign, average entry price (options in coin)."""

    instrument: str = Field(description="an instrument id such as BTC-USDT-SWAP")
    size: Size = Field(description=_SIZE_RANGE)
    entry_price: Price = Field(description=_PRICE_RANGE)


class OrderEntry(_Table):
    """One open order: contracts (spot: base coins) and limit price."""

    instrument: str = Field(description="an instrument id such as BTC-USDT-SWAP")
    side: Literal["buy", "sell"] = Field(description="'buy' or 'sell'")
    size: OrderSize = Field(description=_ORDER_SIZE_RANGE)
    price: Price = Field(description=_PRICE_RANGE)


class IsolatedEntry(PositionEntry):
    """One isolated position with its own margin, in the settlement currency."""

    margin: Coins = Field(description=_COINS_RANGE)


class PortfolioFile(_Table):
    """The whole file, every field valid by itself."""

    rules: str = "okx-2025"
    mode: Literal["portfolio", "multi_currency"] = "portfolio"
    auto_borrow: StrictBool = True
    time: Time = Field(description="a time with a zone, such as 2025-01-15T10:26:41Z,")
    market: MarketTable = Field(description="a table with usd_index and marks")
    balances: dict[Currency, Amount] = {}
    positions: tuple[PositionEntry, ...] = ()
    orders: tuple[OrderEntry, ...] = ()
    spot_offset: dict[Currency, Coins] = {}
    leverage: dict[str, Leverage] = {}
    isolated: tuple[IsolatedEntry, ...] = ()
    offset_mode: Literal["merged", "derivatives_only", "usdt", "usdc", "coin"] | None = None


def parse_portfolio_file(document: dict[str, Any]) -> PortfolioFile:
    """The model of a document read from TOML or JSON.

    Raises:
        UserError: the first field that is wrong, its value, and what is allowed.
    """
    try:
        return PortfolioFile.model_validate(document)
    except ValidationError as error:
        raise as_user_error(error, PortfolioFile) from None


@dataclass(frozen=True, slots=True)
class LoadedPortfolio:
    """A portfolio file, checked.

    portfolio: what `risk.margin.margin_report` takes. rules: name of a rule set or its path; a
    path in the file is relative to the file. instruments: by id, those held or ordered.
    """

    portfolio: Portfolio
    rules: str
    instruments: dict[str, Instrument]


def load(path: str | Path) -> LoadedPortfolio:
    """The portfolio file at `path`, everything in it checked.

    Raises:
        UserError: the first thing that is wrong, its value, and what is allowed.
    """
    file = parse_portfolio_file(read_structured_file(path))
    instruments = check_portfolio(file)
    beside = Path(path).parent / file.rules
    is_path = file.rules.endswith(".toml") and beside.exists()
    rules = str(beside) if is_path else file.rules
    return LoadedPortfolio(_portfolio(file, instruments), rules, instruments)


def load_portfolio(path: str | Path) -> Portfolio:
    """The account and market of a portfolio file, for `risk.margin.margin_report`.

    Raises:
        UserError: as `load`.
    """
    return load(path).portfolio


def contract_of(instrument: Instrument) -> Contract:
    """What margin has to know of an instrument."""
    size = instrument.contract_value * instrument.contract_multiplier
    is_spot = instrument.kind == InstrumentKind.SPOT
    return Contract(
        instrument_id=instrument.instrument_id,
        kind=int(instrument.kind),
        base=instrument.base,
        quote=instrument.quote,
        settle=instrument.settle,
        inverse=instrument.inverse,
        coins_per_contract=1.0 if is_spot else float(size),
        expiry_ns=instrument.expiry_ns,
        strike=float(instrument.strike or 0),
        is_call=instrument.option_type == "C",
        taker_fee_rate=float(instrument.taker_fee_rate),
    )


def market_snapshot(file: PortfolioFile) -> MarketSnapshot:
    """The prices of a portfolio file as floats."""
    market = file.market
    return MarketSnapshot(
        time_ns=time_ns(file.time),
        usd_index=_floats(market.usd_index),
        index=_floats(market.index),
        mark=_floats(market.mark),
        implied_vol=_floats(market.implied_vol),
        forward=_floats(market.forward),
    )


def _portfolio(file: PortfolioFile, instruments: dict[str, Instrument]) -> Portfolio:
    contracts = {name: contract_of(instrument) for name, instrument in instruments.items()}
    return Portfolio(
        market=market_snapshot(file),
        balances=_floats(file.balances),
        positions=tuple(
            PositionInput(contracts[p.instrument], float(p.size), float(p.entry_price))
            for p in file.positions
        ),
        orders=tuple(
            OrderInput(
                contracts[o.instrument],
                float(o.size if o.side == "buy" else -o.size),
                float(o.price),
            )
            for o in file.orders
        ),
        isolated=tuple(
            IsolatedInput(
                contracts[i.instrument], float(i.size), float(i.entry_price), float(i.margin)
            )
            for i in file.isolated
        ),
        mode=file.mode,
        auto_borrow=file.auto_borrow,
        spot_offset=_floats(file.spot_offset),
        leverage=_floats(file.leverage),
        offset_mode=file.offset_mode,
    )


def _floats(table: dict[str, Decimal]) -> dict[str, float]:
    return {name: float(value) for name, value in table.items()}
