"""Forced repayment: an account with auto-borrow off may not owe more than the interest-free limit.

What it owes beyond that (realised losses, fees, unrealised losses of a currency) is bought back
with what it owns, the largest holding first, by IOC orders in the spot books within the first
slippage limit. Whatever the books do not give is tried again at the next call.

Source: portfolio-margin.md sections 8.2, 8.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from risk.borrowing import interest_free_limit

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing


@dataclass(frozen=True, slots=True)
class Repayment:
    """One forced spot order: what was owed beyond the limit, and what the order bought of it."""

    account: int
    currency: str
    excess_atoms: int
    instrument_id: str
    wanted_lots: int
    filled_lots: int


def force_repayments(house: ClearingHouse, now_ns: int) -> list[Repayment]:
    """Repay for every account with auto-borrow off; call hourly, before interest. O(accounts)."""
    done: list[Repayment] = []
    for account in house.accounts:
        if account.auto_borrow or account.is_fund or account.blocked:
            continue
        for currency in list(account.balances):
            excess = excess_atoms(house, account, currency)
            if excess > 0:
                done += _repay(house, now_ns, account, currency, excess)
    return done


def excess_atoms(house: ClearingHouse, account: Account, currency: str) -> int:
    """Atoms that the account owes in a currency beyond its interest-free limit. O(1)."""
    owed = -_equity(house, account, currency)
    if owed <= 0:
        return 0
    market = house.market
    equities: dict[str, float] = {
        c: _equity(house, account, c) / market.atoms[c]
        for c in ("USDT", "USDC")
        if c in account.balances
    }
    limit = interest_free_limit(house.rules, currency, equities)
    return max(0, owed - round(limit * market.atoms[currency]))


def _equity(house: ClearingHouse, account: Account, currency: str) -> int:
    house.exposures.figures(account.number)
    row = house.exposures.currencies[account.balances[currency].row]
    return int(row[t.C_CASH] + row[t.C_FUTURES] + row[t.C_OPTIONS])


def _repay(
    house: ClearingHouse, now_ns: int, account: Account, currency: str, excess: int
) -> list[Repayment]:
    """Send orders, dearest holding first, until the excess is bought or nothing is left to sell."""
    done: list[Repayment] = []
    for asset in _assets(house, account):
        listing, side = _market_for(house, asset, currency)
        if listing is None:
            continue
        wanted = _lots(house, account, listing, side, excess)
        if wanted <= 0:
            continue
        ticks = _limit(house, listing, side)
        request = OrderRequest(listing.instrument.instrument_id, side, OrderType.IOC, wanted, ticks)
        order = house.submit_forced(now_ns, account, listing, request, 0)[0].order
        filled = wanted - order.remaining_lots
        name = listing.instrument.instrument_id
        done.append(Repayment(account.number, currency, excess, name, wanted, filled))
        excess = excess_atoms(house, account, currency)
        if excess <= 0:
            break
    return done


def _assets(house: ClearingHouse, account: Account) -> list[str]:
    """Currencies that the account owns, by their USD value, largest first."""
    market, owned = house.market, []
    for currency, balance in account.balances.items():
        free = min(
            house.ledger.balances[balance.cash] - balance.liability_atoms,
            _equity(house, account, currency),
        )
        if free > 0:
            owned.append((-free * market.scales[balance.number] * market.usd[currency], currency))
    return [currency for _, currency in sorted(owned)]


def _market_for(house: ClearingHouse, asset: str, currency: str) -> tuple[Listing | None, Side]:
    """The spot book that turns an asset into the currency, and the side to take there."""
    selling = house.listings.get(f"{asset}-{currency}")
    if selling is not None and not selling.state:
        return selling, Side.SELL
    buying = house.listings.get(f"{currency}-{asset}")
    if buying is not None and not buying.state:
        return buying, Side.BUY
    return None, Side.BUY


def _limit(house: ClearingHouse, listing: Listing, side: Side) -> int:
    """Worst price of the order: the mark, and the first slippage of a forced order."""
    rate = house.market.slippage_rate(listing.number)
    mark = int(house.market.mark_ticks[listing.number])
    return max(1, round(mark * (1.0 + int(side) * rate)))


def _lots(house: ClearingHouse, account: Account, listing: Listing, side: Side, excess: int) -> int:
    """Lots that bring the excess in, rounded up, within what the account owns and can pay."""
    instrument, ticks = listing.instrument, _limit(house, listing, side)
    value = max(1, instrument.value_atoms(ticks, 1))
    if side > 0:
        needed = -(-excess // listing.base_atoms_per_lot)
        free = _equity(house, account, instrument.quote)
        fee = 1.0 + float(instrument.taker_fee_rate)
        return min(needed, int(free / (value * fee)))
    needed = int(excess / (value * (1.0 - float(instrument.taker_fee_rate)))) + 1
    return min(needed, _equity(house, account, instrument.base) // listing.base_atoms_per_lot)
