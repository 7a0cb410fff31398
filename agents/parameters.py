"""Common ground of all agents: parameters, latency, and the accounts an agent starts with.

Parameters are frozen dataclasses of the standard library. Bounds, units and documentation sit in
`Annotated`, where `scenarios` turns them into a pydantic model and `docs/agents.md` is made from
them. A bad value is refused there, by the field's name and its range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Interval, Unit, doc

from agents.base import Agent, AgentContext
from agents.draws import Draws
from exchange.instrument import Instrument, InstrumentKind


@dataclass(frozen=True, slots=True)
class InitialPosition:
    """A derivative position that stands when the simulation starts."""

    instrument_id: str
    lots: int
    """signed"""
    entry_price: float
    """in price units of the instrument"""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account as the simulation must open it.

    balances: currency -> amount; a negative amount is a loan drawn before the start.
    The positions of all plans together should sum to zero lots per instrument; what is left over,
    the simulation gives to a counterparty of its own.
    """

    balances: dict[str, float]
    positions: tuple[InitialPosition, ...] = ()
    margin_mode: str = "portfolio_margin"


@dataclass(frozen=True, slots=True)
class MarketSetup:
    """One listed instrument before the start, for sizing accounts.

    price        first price, in quote currency (options: in coins)
    lots_per_bp  usual depth within one basis point and side, lots
    usd_per_quote  USD value of the quote currency
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
        market = self.markets[instrument_id]
        return self.lots_to_usd(instrument_id, market.lots_per_bp)

    def lots_to_usd(self, instrument_id: str, lots: float, price: float | None = None) -> float:
        """USD notional of signed lots at a price (default: the first one)."""
        market = self.markets[instrument_id]
        at = market.price if price is None else price
        return lots * usd_per_lot(market.instrument, at, market.usd_per_quote)

    def usd_to_lots(self, instrument_id: str, usd: float, price: float | None = None) -> int:
        """Signed whole lots of a signed USD notional, rounded to nearest."""
        return round(usd / self.lots_to_usd(instrument_id, 1.0, price))


def usd_per_lot(instrument: Instrument, price: float, usd_per_quote: float) -> float:
    """USD notional of one lot: coins x price, or the USD face of an inverse contract."""
    units = float(instrument.lot * instrument.contract_value * instrument.contract_multiplier)
    return units if instrument.inverse else units * price * usd_per_quote


def trading_balances(setup: Setup, instrument_id: str, usd: float, margin_mode: str) -> AccountPlan:
    """Starting money for trading one instrument both ways: its settlement currency, and for
    spot half coins, half quote currency."""
    instrument = setup.markets[instrument_id].instrument
    shares = {instrument.settle: 1.0}
    if instrument.kind == InstrumentKind.SPOT:
        shares = {instrument.base: 0.5, instrument.quote: 0.5}
    return AccountPlan(
        {currency: usd * share / setup.usd_prices[currency] for currency, share in shares.items()},
        margin_mode=margin_mode,
    )


@dataclass(frozen=True, kw_only=True)
class AgentParameters:
    """Fields that every kind of agent has. Subclasses add a literal `kind` and their own."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    hedged_outside: ClassVar[bool] = False
    """True for takers whose fills leave the impact memory alone: they do the opposite elsewhere."""

    kind: str = ""
    count: Annotated[
        int, Interval(ge=1, le=1000), doc("number of such agents, each with its own random stream")
    ] = 1
    latency_ms: Annotated[
        float, Interval(ge=0, le=60_000), Unit("ms"), doc("time of a message to or from the venue")
    ] = 20.0
    margin_mode: Annotated[str, doc("margin mode of the accounts")] = "portfolio_margin"

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        """Accounts of one agent at the start, at least one."""
        raise NotImplementedError

    def build(self, context: AgentContext) -> Agent:
        """The agent itself; `context.venues` has one connection per account plan, in order."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CapitalParameters(AgentParameters):
    """An agent with one account and plain starting money."""

    balances_usd: Annotated[
        dict[str, Annotated[float, Interval(ge=0)]],
        Unit("USD"),
        doc("currency -> USD value at the start"),
    ] = field(default_factory=lambda: {"USDT": 1_000_000.0})

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        balances = {
            currency: usd / setup.usd_prices[currency]
            for currency, usd in self.balances_usd.items()
        }
        return [AccountPlan(balances, margin_mode=self.margin_mode)]
