"""Single-currency mode (spot and futures), from its definition alone: each currency for itself.

What is settled in a currency needs its margin there, by position tiers; that currency's equity, in
full and less the losses and fees of its own orders, has to cover it. Nothing offsets or is lent.

Source: portfolio-margin.md sections 2.1, 11.8, 16.12 to 16.14, 16.18.
"""

from dataclasses import dataclass
from math import fsum, inf

from tests.oracles import plain_tables as tables
from tests.oracles.plain_account import Account, Order
from tests.oracles.plain_margin import tier_margin
from tests.oracles.plain_market import Instrument


@dataclass(frozen=True)
class Alone:
    """One currency of an account, USD; `smallest` is its least equity over the fill sets."""

    currency: str
    maintenance: float
    initial: float
    equity: float
    smallest: float

    @property
    def ratio(self) -> float:
        """Return equity over maintenance margin."""
        return self.equity / self.maintenance if self.maintenance else inf


def currencies_alone(account: Account) -> list[Alone]:
    """Return the currencies in which something needs margin."""
    found = [_alone(account, currency) for currency in account.currencies()]
    return [one for one in found if one.initial > 0.0]


def _alone(account: Account, currency: str) -> Alone:
    own = [o for o in account.orders if o.instrument.settle == currency]
    instruments = {i for i, _, _ in account.lots if i.settle == currency}
    instruments |= {o.instrument for o in own if o.instrument.kind != "SPOT"}
    sets = list(account.fill_sets(account.orders).values())
    usd = account.market.usd(currency)
    pending = account.pending_loss(own) + fsum(account.fee(o) for o in own)
    return Alone(
        currency,
        fsum(_margins(account, i, [])[0] for i in instruments),
        fsum(max(_margins(account, i, filled)[1] for filled in sets) for i in instruments),
        account.equity(currency) * usd - pending,
        min(account.equity(currency, filled) for filled in sets) * usd - pending,
    )


def _margins(account: Account, instrument: Instrument, filled: list[Order]) -> tuple[float, float]:
    """Return maintenance and initial margin of one instrument after a fill set, USD."""
    held = [contracts for i, contracts, _ in account.lots if i == instrument]
    held += [order.contracts for order in filled if order.instrument == instrument]
    leverage = float(account.leverage.get(instrument.id, tables.DEFAULT_LEVERAGE))
    return tier_margin(account.market, account.rules, instrument, fsum(held), leverage)
