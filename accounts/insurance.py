"""Insurance funds: one pool per business line and underlying, each with an account of its own.

A pool's account holds its money and the positions it has taken over; they are marked and settled
like any other. A pool never goes below zero: what it cannot pay falls through to the next layer of
the waterfall (`accounts.waterfall`), in the last resort to `uncovered_loss`.

Source: portfolio-margin.md section 10.6; liquidation-and-losses.md sections 3 and 4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from accounts.account import Account, Position
from accounts.events import FundBalance, FundBooking, PostingKind
from exchange.instrument import Instrument, InstrumentKind
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

FUND_PREFIX = "fund/"
"""Names of the pools' accounts begin with it."""
UNCOVERED = "uncovered_loss"
TREASURY = "treasury"
DAY_NS = 86_400_000_000_000
BOOKING_NS = DAY_NS // 3  # 08:00 UTC
HOUR_NS = 3_600_000_000_000
NOTHING: Mapping[str, int] = {}
_LINES = {
    InstrumentKind.SPOT: "margin",
    InstrumentKind.PERPETUAL: "swaps",
    InstrumentKind.FUTURE: "futures",
    InstrumentKind.OPTION: "options",
}


def pool_name(instrument: Instrument) -> str:
    """The pool that stands behind an instrument. Source: 10.6."""
    return f"{_LINES[instrument.kind]}/{instrument.family}"


class InsuranceFunds:
    """The pools of the exchange, opened when first needed."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        self.pools: dict[str, Account] = {}
        self.settles: dict[str, str] = {}  # pool -> currency of its contributions
        self._reported: dict[tuple[str, str], int] = {}
        self._peaks: dict[str, deque[tuple[int, float]]] = {}
        self._accrued: dict[tuple[str, str], int] = {}  # (pool, currency) -> ledger account
        self._next_booking_ns = 0

    def pool(self, listing: Listing) -> Account:
        """The pool behind an instrument, opened if new."""
        name = pool_name(listing.instrument)
        pool = self.pools.get(name)
        if pool is None:
            pool = self.house.open_account(f"{FUND_PREFIX}{name}")
            pool.is_fund = True
            self.pools[name] = pool
            self.settles[name] = listing.instrument.settle
            self._peaks[name] = deque()
            for currency in sorted({listing.instrument.settle, listing.instrument.base}):
                self._backed(pool, currency)
        return pool

    def _backed(self, pool: Account, currency: str) -> None:
        """Open a pool's balance; what it lacks goes to uncovered_loss instead of being borrowed."""
        balance = self.house.balance(pool, currency)
        balance.backstop = self.house.ledger.open(UNCOVERED, currency)

    # --- money in ------------------------------------------------------------------------------

    def contribute(self, now_ns: int, listing: Listing, atoms: int) -> None:
        """The venue puts `atoms` of the settlement currency into a pool."""
        pool = self.pool(listing)
        self.house.deposit(now_ns, pool, listing.instrument.settle, atoms)
        self.report(now_ns, pool, 0, FundBooking.PLATFORM_REVENUE)

    def accrue(self, now_ns: int, listing: Listing, fee_atoms: int, reference: int) -> None:
        """Set aside the pool's share of a liquidation fee; it is booked at the end of the day."""
        share = int(fee_atoms * self.house.rules.insurance.liquidation_fee_share)
        if share <= 0:
            return
        pool, currency = self.pool(listing), listing.instrument.settle
        name = pool.name.removeprefix(FUND_PREFIX)
        account = self.house.ledger.open(f"accrued/{name}", currency)
        self._accrued[name, currency] = account
        self.house.ledger.post(
            now_ns, int(PostingKind.FUND), listing.fee_ledger, account, share, reference
        )

    def book_day(self, now_ns: int) -> bool:
        """Once a day, at the first call from 08:00 UTC on: book what accrued. True if booked."""
        if now_ns < self._next_booking_ns:
            return False
        first = self._next_booking_ns == 0
        self._next_booking_ns = now_ns - (now_ns - BOOKING_NS) % DAY_NS + DAY_NS
        if first:
            return False
        for (name, currency), account in self._accrued.items():
            atoms = self.house.ledger.balances[account]
            if atoms > 0:
                pool = self.pools[name]
                self._backed(pool, currency)
                balance = pool.balances[currency]
                kind = int(PostingKind.FUND)
                self.house.ledger.post(now_ns, kind, account, balance.cash, atoms, 0)
                self.house.book_cash(now_ns, balance)
                self.report(now_ns, pool, 0, FundBooking.REGULAR_UPDATE)
        return True

    # --- money out -----------------------------------------------------------------------------

    def pay(self, now_ns: int, pool: Account, currency: str, atoms: int, reference: int) -> int:
        """Atoms of `currency` that the pool can pay now, taken to the treasury, <= `atoms`."""
        kind = int(PostingKind.DEFICIT)
        kept = self.reserved(pool)
        paid = collect(self.house, now_ns, pool, currency, atoms, kind, reference, kept)
        self.report(now_ns, pool, reference, FundBooking.BANKRUPTCY_LOSS)
        return paid

    def report(
        self,
        now_ns: int,
        pool: Account,
        reference: int,
        booking: FundBooking = FundBooking.LIQUIDATION_BALANCE_DEPOSIT,
    ) -> None:
        """Emit the pool's balances that have changed since the last report."""
        for currency, balance in sorted(pool.balances.items()):
            atoms = self.house.ledger.balances[balance.cash]
            before = self._reported.get((pool.name, currency), 0)
            if atoms != before:
                assert atoms >= 0, f"{pool.name} is below zero: {atoms} {currency}"
                self._reported[pool.name, currency] = atoms
                self.house.emit(
                    FundBalance(
                        now_ns, pool.name, currency, atoms, atoms - before, reference, booking
                    )
                )

    def report_all(self, now_ns: int) -> None:
        """Emit what funding, expiries and interest have done to the pools meanwhile. O(pools)."""
        for pool in self.pools.values():
            self.report(now_ns, pool, 0)

    def reserved(self, pool: Account) -> dict[str, int]:
        """Atoms per currency that stand against short options of a pool: premium is not profit."""
        kept: dict[str, int] = {}
        for position in pool.positions.values():
            if position.lots < 0 and self.house.by_number[position.number].is_option:
                mark = int(self.house.market.mark_ticks[position.number])
                value = -position.instrument.value_atoms(mark, position.lots)
                kept[position.settle.currency] = kept.get(position.settle.currency, 0) + value
        return kept

    def closing_money(self, pool: Account, position: Position) -> int:
        """Atoms that a pool can spend on closing a position: free money and what stands for it."""
        settle, own = position.settle, 0
        if position.lots < 0 and self.house.by_number[position.number].is_option:
            mark = int(self.house.market.mark_ticks[position.number])
            own = -position.instrument.value_atoms(mark, position.lots)
        kept = self.reserved(pool).get(settle.currency, 0) - own
        return max(0, self.house.ledger.balances[settle.cash] - kept)

    def free(self, pool: Account, currency: str) -> int:
        """Atoms of a currency that a pool can pay out."""
        balance = pool.balances.get(currency)
        if balance is None:
            return 0
        kept = self.reserved(pool).get(currency, 0)
        return max(0, self.house.ledger.balances[balance.cash] - kept)

    # --- what a pool is worth ------------------------------------------------------------------

    def cash_usd(self, pool: Account) -> float:
        """Money of a pool in USD, without the positions it holds."""
        market, total = self.house.market, 0.0
        for currency, balance in pool.balances.items():
            atoms = self.house.ledger.balances[balance.cash]
            if atoms:
                total += atoms * market.scales[balance.number] * market.usd[currency]
        return total

    def worth(self, pool: Account) -> float:
        """A pool's money and positions at mark, in coins of its settlement currency.

        Not in USD: a pool that holds bitcoin has lost nothing when bitcoin falls.
        """
        usd = self.cash_usd(pool)
        if any(position.lots for position in pool.positions.values()):
            usd = float(self.house.exposures.figures(pool.number)[t.T_EQUITY])
        return usd / self.house.market.usd[self.settles[pool.name.removeprefix(FUND_PREFIX)]]

    def sample(self, now_ns: int) -> None:
        """Remember what the pools are worth now: their peaks decide deleveraging. O(pools)."""
        horizon = now_ns - round(self.house.rules.deleveraging.peak_hours * HOUR_NS)
        for name, pool in self.pools.items():
            worth, peaks = self.worth(pool), self._peaks[name]
            while peaks and peaks[0][0] < horizon:
                peaks.popleft()
            while peaks and peaks[-1][1] <= worth:
                peaks.pop()
            peaks.append((now_ns, worth))

    def peak(self, pool: Account) -> float:
        """The most that a pool was worth in the last hours (parameter), coins."""
        peaks = self._peaks[pool.name.removeprefix(FUND_PREFIX)]
        return peaks[0][1] if peaks else self.worth(pool)


def collect(
    house: ClearingHouse,
    now_ns: int,
    account: Account,
    currency: str,
    atoms: int,
    kind: int,
    reference: int,
    kept: Mapping[str, int] = NOTHING,
) -> int:
    """Take up to `atoms` of `currency` out of an account's cash into the treasury; what was got.

    kept: atoms per currency that stay where they are.

    Cash in other currencies is converted at the index through the treasury, rounded against the
    account. Nothing is borrowed. O(balances).
    """
    ledger, usd, per_coin = house.ledger, house.market.usd_index_e8, house.market.atoms
    paid = 0
    for held in sorted(account.balances, key=lambda name: (name != currency, name)):
        missing = atoms - paid
        if missing <= 0:
            break
        balance = account.balances[held]
        there = ledger.balances[balance.cash] - kept.get(held, 0)
        if there <= 0:
            continue
        worth_of_held = usd[held] * per_coin[currency]
        worth_of_asked = usd[currency] * per_coin[held]
        needed = -(-missing * worth_of_asked // worth_of_held)
        given = min(there, needed)
        worth = missing if given == needed else given * worth_of_held // worth_of_asked
        ledger.post(now_ns, kind, balance.cash, ledger.open(TREASURY, held), given, reference)
        house.book_cash(now_ns, balance)
        paid += worth
    return paid


def usd_of(house: ClearingHouse, currency: str, atoms: int) -> float:
    """Atoms of a currency in USD at the index, for reading."""
    number = house.market.currency_number[currency]
    return atoms * house.market.scales[number] * house.market.usd[currency]
