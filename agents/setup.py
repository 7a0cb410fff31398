"""What is known before the first second, and the accounts that agents ask for.

`Setup` holds first prices and size units; `AccountPlan` is an account for the simulation to open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from exchange.instrument import Instrument, InstrumentKind

AccountModeName = Literal["portfolio", "multi_currency", "spot_and_futures", "spot"]
"""The account modes of `accounts.account.AccountMode`, in lower case."""


@dataclass(frozen=True, slots=True)
class InitialPosition:
    """A derivative position that stands when the simulation starts.

    lots: signed. entry_price: in price units of the instrument.
    """

    instrument_id: str
    lots: int
    entry_price: float


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account as the simulation must open it.

    balances: currency -> amount; a negative amount is a loan drawn before the start.
    The positions of all plans together should sum to zero lots per instrument; what is left over
    the simulation gives to a counterparty of its own.
    """

    balances: dict[str, float]
    positions: tuple[InitialPosition, ...] = ()
    account_mode: AccountModeName = "portfolio"
    auto_borrow: bool = True


@dataclass(frozen=True, slots=True)
class MarketSetup:
    """One listed instrument before the start, for sizing accounts.

    price: first price, in quote currency (options: in coins). lots_per_bp: usual depth within one
    basis point and side, lots. usd_per_quote: USD value of the currency of `price`.
    """

    instrument: Instrument
    price: float
    lots_per_bp: float
    usd_per_quote: float = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What is known before the first second: markets, coin prices, margin rates.

    maintenance_rate(instrument_id, notional_usd) -> maintenance margin over notional of a lone
    position under the scenario's rules.
    """

    markets: dict[str, MarketSetup]
    usd_prices: dict[str, float]
    maintenance_rate: Callable[[str, float], float]

    def depth_unit_usd(self, instrument_id: str) -> float:
        """USD value of one unit of usual depth."""
        return self.lots_to_usd(instrument_id, self.markets[instrument_id].lots_per_bp)

    def lots_to_usd(self, instrument_id: str, lots: float, price: float | None = None) -> float:
        """USD notional of signed lots at a price (default: the first one)."""
        market = self.markets[instrument_id]
        at = market.price if price is None else price
        return lots * usd_per_lot(market.instrument, at, market.usd_per_quote)

    def usd_to_lots(self, instrument_id: str, usd: float, price: float | None = None) -> int:
        """Signed whole lots of a signed USD notional, rounded to nearest."""
        return round(usd / self.lots_to_usd(instrument_id, 1.0, price))


def usd_per_lot(instrument: Instrument, price: float, usd_per_quote: float = 1.0) -> float:
    """USD notional of one lot: coins x price, or the USD face of an inverse contract.

    For an option `price` is its premium in coins and `usd_per_quote` the coin's USD price."""
    units = float(instrument.units_per_lot)
    return units if instrument.inverse else units * price * usd_per_quote


def coins_per_lot(instrument: Instrument, price: float) -> float:
    """Coins of exposure in one lot; an inverse contract's depend on the price."""
    units = float(instrument.units_per_lot)
    return units / price if instrument.inverse else units


def trading_balances(
    setup: Setup, instrument_id: str, usd: float, account_mode: AccountModeName = "portfolio"
) -> AccountPlan:
    """Starting money for trading one instrument both ways: `usd` of its settlement currency; for
    spot `usd` of the coin and as much of the quote currency, since one is spent for the other."""
    instrument = setup.markets[instrument_id].instrument
    shares = {instrument.settle: 1.0}
    if instrument.kind == InstrumentKind.SPOT:
        shares = {instrument.base: 1.0, instrument.quote: 1.0}
    return AccountPlan(
        {currency: usd * share / setup.usd_prices[currency] for currency, share in shares.items()},
        account_mode=account_mode,
    )


def money(
    setup: Setup, currency: str, usd: float, account_mode: AccountModeName = "portfolio"
) -> AccountPlan:
    """An account with `usd` worth of one currency and nothing else."""
    return AccountPlan({currency: usd / setup.usd_prices[currency]}, account_mode=account_mode)
