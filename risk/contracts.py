"""What margin has to know of a contract and of the market, and nothing more.

`risk` does not know `exchange`; the caller builds a `Contract` from its instrument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

SPOT = 0
PERPETUAL = 1
FUTURE = 2
OPTION = 3

KIND_NAMES = ("SPOT", "SWAP", "FUTURES", "OPTION")

NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND
DAYS_PER_YEAR = 365.0


class MarketDataError(ValueError):
    """A price that the calculation needs is missing or not usable; the message names it."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One tradable contract as margin sees it.

    kind: 0 spot, 1 perpetual, 2 future, 3 option (the numbers of `exchange.InstrumentKind`).
    coins_per_contract: linear and option ctVal x ctMult in coins; inverse the USD face; spot 1.0.
    expiry_ns: unix ns, None for spot and perpetuals. strike in USD, only for options.
    taker_fee_rate: a fraction of the notional.
    """

    instrument_id: str
    kind: int
    base: str
    quote: str
    settle: str
    inverse: bool
    coins_per_contract: float
    expiry_ns: int | None = None
    strike: float = 0.0
    is_call: bool = False
    taker_fee_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in (SPOT, PERPETUAL, FUTURE, OPTION):
            raise ValueError(f"{self.instrument_id}: kind must be 0, 1, 2 or 3, not {self.kind}")
        if not self.coins_per_contract > 0.0:
            raise ValueError(f"{self.instrument_id}: coins_per_contract must be positive")
        if self.kind in (FUTURE, OPTION) and self.expiry_ns is None:
            raise ValueError(f"{self.instrument_id}: a future or an option needs expiry_ns")
        if self.kind == OPTION and not self.strike > 0.0:
            raise ValueError(f"{self.instrument_id}: an option needs a positive strike")

    @property
    def pair(self) -> str:
        """The index that the contract follows, for instance `BTC-USDT`."""
        return f"{self.base}-{self.quote}"


def days_to_expiry(expiry_ns: int, time_ns: int) -> float:
    """Days from `time_ns` to the expiry, negative after it.  Source: 16 (head)."""
    return (expiry_ns - time_ns) / NS_PER_DAY


def expiry_code(expiry_ns: int) -> str:
    """The `yymmdd` of an instrument id."""
    return datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, UTC).strftime("%y%m%d")


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """All prices at one moment.

    usd_index: USD per unit of a currency (USD itself is always 1).
    index: pair -> price in its quote currency; a missing pair is usd(base) / usd(quote).
    mark: instrument -> price in the quote currency (options in coin; optional for options).
    implied_vol: option -> a fraction a year (0.55 = 55 %).
    forward: `BASE-USD-yymmdd` -> USD, optional.
    """

    time_ns: int
    usd_index: Mapping[str, float]
    index: Mapping[str, float] = field(default_factory=dict)
    mark: Mapping[str, float] = field(default_factory=dict)
    implied_vol: Mapping[str, float] = field(default_factory=dict)
    forward: Mapping[str, float] = field(default_factory=dict)

    def usd(self, currency: str) -> float:
        """USD per unit of `currency`; MarketDataError when it is not known.  Source: 16 (head)."""
        if currency == "USD":
            return 1.0
        price = self.usd_index.get(currency)
        if price is None:
            raise MarketDataError(f"market.usd_index.{currency} is missing")
        return price

    def index_price(self, base: str, quote: str) -> float:
        """Index of a pair in its quote currency.  Source: 16.4."""
        given = self.index.get(f"{base}-{quote}")
        return self.usd(base) / self.usd(quote) if given is None else given

    def mark_price(self, contract: Contract) -> float:
        """Mark of a perpetual or a future, in its quote currency."""
        price = self.mark.get(contract.instrument_id)
        if price is None:
            raise MarketDataError(f'market.mark."{contract.instrument_id}" is missing')
        return price

    def volatility(self, contract: Contract) -> float:
        """Implied volatility of an option, a fraction a year."""
        vol = self.implied_vol.get(contract.instrument_id)
        if vol is None:
            raise MarketDataError(f'market.implied_vol."{contract.instrument_id}" is missing')
        return vol

    def forward_price(self, contract: Contract) -> float:
        """Forward of an option in USD: given, else the coin-margined future, else the index.

        Source: 16.1.
        """
        assert contract.expiry_ns is not None
        name = f"{contract.base}-USD-{expiry_code(contract.expiry_ns)}"
        price = self.forward.get(name)
        if price is None:
            price = self.mark.get(name)
        return self.usd(contract.base) if price is None else price
