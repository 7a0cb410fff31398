"""Who pays what a bankrupt account cannot: the pool, the winners, the day's profits, nobody.

The account's positions are with the pools already, and its balances are converted; what is still
missing is its deficit. Each instrument's pool answers for its share of it.

Source: liquidation-and-losses.md section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accounts.events import PostingKind
from accounts.insurance import FUND_PREFIX, TREASURY, UNCOVERED, InsuranceFunds, collect, usd_of

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.deleveraging import Deleverager
    from accounts.listing import Listing

LAYERS = ("fund", "deleveraging", "socialised", "uncovered")


@dataclass(slots=True)
class Split:
    """Atoms per currency and layer; the layers of a currency sum to its deficit."""

    deficit: dict[str, int]
    layers: dict[str, dict[str, int]] = field(default_factory=dict)
    pools_usd: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for currency in self.deficit:
            self.layers[currency] = dict.fromkeys(LAYERS, 0)

    def usd(self, house: ClearingHouse, layer: str) -> float:
        """One layer of all currencies in USD."""
        return sum(usd_of(house, c, parts[layer]) for c, parts in self.layers.items())

    def atoms(self) -> dict[str, tuple[int, int, int, int, int]]:
        """currency -> (deficit, fund, deleveraging, socialised, uncovered)."""
        rows = {}
        for currency, total in self.deficit.items():
            fund, winners, social, uncovered = (self.layers[currency][name] for name in LAYERS)
            assert fund + winners + social + uncovered == total, (currency, total)
            rows[currency] = (total, fund, winners, social, uncovered)
        return rows


class Waterfall:
    """Settles deficits through all layers."""

    def __init__(
        self, house: ClearingHouse, funds: InsuranceFunds, deleverager: Deleverager
    ) -> None:
        self.house = house
        self.funds = funds
        self.deleverager = deleverager
        self._day_start: dict[tuple[int, int], int] = {}

    def start_day(self) -> None:
        """Remember all realised profits: losses are socialised over what comes after."""
        if self.house.rules.deleveraging.socialise_losses:
            self._day_start = {
                (account.number, number): position.realised_atoms
                for account in self.house.accounts
                for number, position in account.positions.items()
                if position.realised_atoms
            }

    def settle(
        self,
        now_ns: int,
        account: Account,
        deficit: dict[str, int],
        shares: list[tuple[Listing, float]],
        action_id: int,
        trigger_id: int,
    ) -> Split:
        """Bring every negative balance of `account` to zero; who paid how much."""
        split = Split(deficit)
        left = dict(deficit)
        for place, (listing, share) in enumerate(shares):
            last = place == len(shares) - 1
            parts = {
                currency: left[currency] if last else min(left[currency], round(atoms * share))
                for currency, atoms in deficit.items()
            }
            self._pool_pays(now_ns, account, listing, parts, left, split, action_id, trigger_id)
        for currency, atoms in left.items():
            if atoms > 0 and self.house.rules.deleveraging.socialise_losses:
                got = self._socialise(now_ns, account, currency, atoms, action_id)
                split.layers[currency]["socialised"] += got
                left[currency] -= got
        for currency, atoms in left.items():
            ledger, balance = self.house.ledger, account.balances[currency]
            uncovered = ledger.open(UNCOVERED, currency)
            ledger.post(now_ns, int(PostingKind.DEFICIT), uncovered, balance.cash, atoms, action_id)
            self.house.book_cash(now_ns, balance)
            split.layers[currency]["uncovered"] += atoms
        return split

    def _pool_pays(
        self,
        now_ns: int,
        account: Account,
        listing: Listing,
        parts: dict[str, int],
        left: dict[str, int],
        split: Split,
        action_id: int,
        trigger_id: int,
    ) -> None:
        """One pool's share: deleverage first where it cannot pay, then pay what it can."""
        house, pool = self.house, self.funds.pool(listing)
        settle = listing.instrument.settle
        owed = sum(self._worth(currency, atoms, settle) for currency, atoms in parts.items())
        won = self.deleverage(now_ns, pool, listing, owed, account.number, trigger_id)
        for currency, part in parts.items():
            got = self.funds.pay(now_ns, pool, currency, part, action_id)
            assert got == part or not any(self.funds.free(pool, held) for held in pool.balances), (
                "the next layer came too early"
            )
            if got == 0:
                continue
            self._give(now_ns, account, currency, got, action_id)
            from_winners = min(got, self._worth(settle, won, currency))
            won = max(0, won - self._worth(currency, from_winners, settle))
            split.layers[currency]["deleveraging"] += from_winners
            split.layers[currency]["fund"] += got - from_winners
            name = pool.name.removeprefix(FUND_PREFIX)
            paid = usd_of(house, currency, got - from_winners)
            split.pools_usd[name] = split.pools_usd.get(name, 0.0) + paid
            left[currency] -= got

    def deleverage(
        self,
        now_ns: int,
        pool: Account,
        listing: Listing,
        owed_atoms: int,
        loser: int,
        trigger_id: int,
    ) -> int:
        """Close the pool's position against winners if it is time; what they gave up, atoms."""
        position = pool.positions.get(listing.number)
        if position is None or position.lots == 0:
            return 0
        if self.deleverager.active(pool):
            reason = "the pool is exhausted or far below its peak"
        elif self.deleverager.short_of(pool, listing, owed_atoms):
            reason = "the loss is larger than the pool"
        else:
            return 0
        return self.deleverager.reduce(now_ns, pool, listing, owed_atoms, loser, trigger_id, reason)

    def _worth(self, currency: str, atoms: int, other: str) -> int:
        """Atoms of a currency in atoms of another at the index, rounded up."""
        if currency == other:
            return atoms
        market = self.house.market
        worth = atoms * market.usd_index_e8[currency] * market.atoms[other]
        return -(-worth // (market.usd_index_e8[other] * market.atoms[currency]))

    def _give(self, now_ns: int, account: Account, currency: str, atoms: int, ref: int) -> None:
        """From the treasury to the account."""
        ledger, balance = self.house.ledger, account.balances[currency]
        treasury = ledger.open(TREASURY, currency)
        ledger.post(now_ns, int(PostingKind.DEFICIT), treasury, balance.cash, atoms, ref)
        self.house.book_cash(now_ns, balance)

    def _socialise(
        self, now_ns: int, account: Account, currency: str, atoms: int, action_id: int
    ) -> int:
        """Take up to `atoms` from the day's winners in proportion to realised profit; what came."""
        house = self.house
        gains: list[tuple[Account, float]] = []
        for other in house.accounts:
            if other.is_fund or other is account:
                continue
            gain = sum(
                usd_of(
                    house,
                    position.settle.currency,
                    position.realised_atoms - self._day_start.get((other.number, number), 0),
                )
                for number, position in other.positions.items()
            )
            if gain > 0.0:
                gains.append((other, gain))
        total = sum(gain for _, gain in gains)
        scale = house.market.scales[house.market.currency_number[currency]]
        per_usd = 1.0 / (house.market.usd[currency] * scale)
        got = 0
        for other, gain in gains:
            # nobody pays more than he gained today, nor money he does not have
            part = min(atoms - got, int(atoms * gain / total), int(gain * per_usd))
            kind = int(PostingKind.SOCIALISED)
            got += collect(house, now_ns, other, currency, part, kind, action_id)
        self._give(now_ns, account, currency, got, action_id)
        return got
