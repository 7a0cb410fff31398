"""The state before the first second: prices, pools, accounts with their balances and positions.

Positions that stand at the start come from one counterparty account, which also takes what the
plans leave over, so that positions sum to zero; a negative starting balance is a loan drawn from
the counterparty's cash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.account import Account, AccountMode
from accounts.events import PostingKind
from accounts.insurance import FUND_PREFIX
from exchange.instrument import InstrumentKind
from exchange.units import atoms_per_unit
from scenarios.venue_limits import bookable

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.insurance import InsuranceFunds
    from agents.setup import AccountPlan
    from scenarios.config import VenueTable

COUNTERPARTY = "counterparty"
OPENING = int(PostingKind.TRADE)


def fund_venue(now_ns: int, house: ClearingHouse, venue: VenueTable) -> None:
    """Put the venue's money into lending pools."""
    for currency in house.market.currencies:
        amount = venue.lending_pool_usd / house.market.usd[currency]
        atoms = bookable("venue.lending_pool_usd", amount, currency)
        if atoms > 0:
            house.fund_pool(now_ns, currency, atoms)


def fill_funds(now_ns: int, funds: InsuranceFunds, venue: VenueTable) -> None:
    """Put the venue's money into every insurance pool behind a listed instrument, once."""
    house = funds.house
    filled: set[str] = set()
    for listing in house.by_number:
        name = funds.pool(listing).name
        if name in filled:
            continue
        filled.add(name)
        usd = venue.insurance_fund_by_pool_usd.get(
            name.removeprefix(FUND_PREFIX), venue.insurance_fund_usd
        )
        settle = listing.instrument.settle
        atoms = bookable("venue.insurance_fund_usd", usd / house.market.usd[settle], settle)
        if atoms > 0:
            funds.contribute(now_ns, listing, atoms)


def open_counterparty(
    now_ns: int, house: ClearingHouse, plans: list[AccountPlan], name: str = COUNTERPARTY
) -> Account:
    """The other side of all starting positions and loans, with money for what they may cost."""
    account = house.open_account(name)
    needed: dict[str, float] = {}
    for plan in plans:
        for currency, amount in plan.balances.items():
            needed[currency] = needed.get(currency, 0.0) + max(0.0, -amount)
        for position in plan.positions:
            listing = house.listings[position.instrument_id]
            instrument = listing.instrument
            ticks = max(1, round(position.entry_price / float(instrument.tick)))
            value = abs(instrument.value_atoms(ticks, position.lots))
            settle = instrument.settle
            needed[settle] = needed.get(settle, 0.0) + value / atoms_per_unit(settle)
    for currency, amount in sorted(needed.items()):
        atoms = bookable(f"{name}, the other side of all first positions", amount, currency)
        if atoms > 0:
            house.deposit(now_ns, account, currency, atoms)
    return account


def open_account(
    now_ns: int, house: ClearingHouse, name: str, plan: AccountPlan, counterparty: Account
) -> Account:
    """An account with the balances and positions of its plan."""
    account = house.open_account(
        name, mode=AccountMode[plan.account_mode.upper()], auto_borrow=plan.auto_borrow
    )
    for currency, amount in plan.balances.items():
        atoms = bookable(f"money of {name}", amount, currency)
        if atoms > 0:
            house.deposit(now_ns, account, currency, atoms)
        elif atoms < 0:
            own, other = house.balance(account, currency), house.balance(counterparty, currency)
            house.ledger.post(now_ns, OPENING, own.cash, other.cash, -atoms, 0)
            house.book_cash(now_ns, own)
            house.book_cash(now_ns, other)
    for position in plan.positions:
        listing = house.listings[position.instrument_id]
        if listing.instrument.kind == InstrumentKind.SPOT or position.lots == 0:
            continue
        ticks = max(1, round(position.entry_price / float(listing.instrument.tick)))
        house.settlement.move(
            now_ns,
            listing,
            house.position(counterparty, listing),
            house.position(account, listing),
            position.lots,
            ticks,
            0,
        )
    return account
