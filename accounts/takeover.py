"""Take-over: positions move to the pools at the bankruptcy price, balances are converted.

Source: liquidation-and-losses.md sections 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.bankruptcy import (
    NO_BANKRUPTCY_PRICE,
    bankruptcy_ticks,
    charge_usd,
    open_positions,
)
from accounts.events import (
    AccountState,
    Bankruptcy,
    LiquidationStage,
    PostingKind,
    RiskAction,
)
from accounts.insurance import TREASURY, InsuranceFunds, usd_of
from accounts.waterfall import LAYERS
from exchange.events import CancelReason
from risk import order_tables as t

if TYPE_CHECKING:
    from accounts.account import Account, Position
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from accounts.waterfall import Waterfall

RATE_E8 = 10**8


class TakeOver:
    """Moves positions to the pools and settles what an account cannot pay.

    held: (pool, instrument number) -> take-over that brought the position there last.
    """

    def __init__(self, house: ClearingHouse, funds: InsuranceFunds, waterfall: Waterfall) -> None:
        self.house = house
        self.funds = funds
        self.waterfall = waterfall
        self.held: dict[tuple[str, int], int] = {}

    def position(
        self,
        now_ns: int,
        account: Account,
        position: Position,
        action_id: int,
        trigger_id: int,
        reason: str,
    ) -> None:
        """Take over one position at its bankruptcy price; winners get it if the pool is weak."""
        ticks = bankruptcy_ticks(self.house, position)
        listing = self.house.by_number[position.number]
        self.house.cancel_all(
            now_ns,
            account.number,
            listing.instrument.instrument_id,
            CancelReason.RISK_CONTROL,
            action_id,
        )
        self._move(now_ns, account, position, ticks, action_id, trigger_id, reason)
        pool = self.funds.pool(listing)
        self.waterfall.deleverage(now_ns, pool, listing, 0, account.number, action_id)

    def _move(
        self,
        now_ns: int,
        account: Account,
        position: Position,
        ticks: int,
        action_id: int,
        trigger_id: int,
        reason: str,
    ) -> None:
        """Pass a position to its pool, off the book."""
        house = self.house
        listing = house.by_number[position.number]
        mark = int(house.market.mark_ticks[listing.number])
        before = float(house.exposures.figures(account.number)[t.T_RATIO])
        lots, pool = position.lots, self.funds.pool(listing)
        held = house.position(pool, listing)
        ticks = self._payable(listing, held, lots, mark if ticks == NO_BANKRUPTCY_PRICE else ticks)
        house.settlement.move(now_ns, listing, position, held, lots, ticks, action_id)
        self.held[pool.name, listing.number] = action_id
        self.funds.report(now_ns, pool, action_id)
        after = float(house.exposures.figures(account.number)[t.T_RATIO])
        tick, instrument = float(listing.instrument.tick), listing.instrument
        value = instrument.value_atoms(max(mark, 1), abs(lots))
        at_price = instrument.value_atoms(max(ticks, 1), abs(lots))
        side = -1 if lots > 0 else 1
        worse = (at_price - value) * side * (-1 if instrument.inverse else 1)
        currency = instrument.settle
        house.emit(
            RiskAction(
                now_ns,
                action_id,
                trigger_id,
                account.number,
                LiquidationStage.TAKE_OVER,
                instrument.base,
                instrument.instrument_id,
                side,
                abs(lots),
                abs(lots),
                ticks,
                ticks * tick,
                mark * tick,
                ticks * tick,
                usd_of(house, currency, value),
                usd_of(house, currency, worse),
                0.0,
                before,
                after,
                reason,
            )
        )

    def _payable(self, listing: Listing, held: Position, lots: int, ticks: int) -> int:
        """The price, lowered to what the pool can pay at once: premium, or a loss it would realise.

        A pool that buys options pays for them; one that holds the other side closes it.
        """
        if not listing.is_option or lots < 0:
            return ticks
        cash = self.house.ledger.balances[held.settle.cash]
        instrument = listing.instrument
        most = cash * instrument.value_denominator // (lots * instrument.value_numerator)
        return min(ticks, most)

    def account(
        self, now_ns: int, account: Account, action_id: int, trigger_id: int, reason: str
    ) -> None:
        """Take over a whole account: orders, positions, balances, then the deficit."""
        house = self.house
        account.blocked = True
        account.state = AccountState.BANKRUPT
        house.cancel_all(now_ns, account.number, None, CancelReason.RISK_CONTROL, action_id)
        equity = float(house.exposures.figures(account.number)[t.T_EQUITY])
        shares = self._shares(account)
        # A move takes from the equity just its own share, so the prices of the others stand; they
        # are fixed beforehand all the same, so that rounding cannot creep from one into the next.
        prices = [(p, bankruptcy_ticks(house, p)) for p in open_positions(account)]
        for position, ticks in prices:
            self._move(now_ns, account, position, ticks, action_id, trigger_id, reason)
        self._convert(now_ns, account, action_id)
        split = self.waterfall.settle(
            now_ns, account, self._missing(account), shares, action_id, action_id
        )
        fund, winners, social, uncovered = (split.usd(house, layer) for layer in LAYERS)
        house.emit(
            Bankruptcy(
                now_ns,
                action_id,
                account.number,
                equity,
                fund + winners + social + uncovered,
                fund,
                winners,
                social,
                uncovered,
                split.pools_usd,
                split.atoms(),
            )
        )

    def _shares(self, account: Account) -> list[tuple[Listing, float]]:
        """Share of each position's pool in the account's risk, by raw MR7 charge."""
        by_number = self.house.by_number
        positions = open_positions(account)
        charges = [charge_usd(self.house, position) for position in positions]
        total = sum(charges)
        if total > 0.0:
            return [
                (by_number[position.number], charge / total)
                for position, charge in zip(positions, charges, strict=True)
            ]
        if positions:
            return [(by_number[p.number], 1.0 / len(positions)) for p in positions]
        return self._shares_of_past(account)

    def _shares_of_past(self, account: Account) -> list[tuple[Listing, float]]:
        """Shares where no position is left: by realised losses, else the owed margin pairs."""
        by_number = self.house.by_number
        losses = [
            (by_number[number], -usd_of(self.house, p.settle.currency, p.realised_atoms))
            for number, p in account.positions.items()
            if p.realised_atoms < 0
        ]
        total = sum(loss for _, loss in losses)
        if total > 0.0:
            return [(listing, loss / total) for listing, loss in losses]
        owed = self._missing(account)
        pairs = [
            listing
            for listing in by_number
            if listing.is_spot
            and (listing.instrument.base in owed or listing.instrument.quote in owed)
        ]
        return [(listing, 1.0 / len(pairs)) for listing in pairs]

    def _net(self, account: Account) -> dict[str, int]:
        ledger = self.house.ledger
        return {
            currency: ledger.balances[balance.cash] - balance.liability_atoms
            for currency, balance in sorted(account.balances.items())
        }

    def _missing(self, account: Account) -> dict[str, int]:
        return {currency: -net for currency, net in self._net(account).items() if net < 0}

    def _convert(self, now_ns: int, account: Account, action_id: int) -> None:
        """Turn what the account has into what it owes, at the index less the discount."""
        house, market, ledger = self.house, self.house.market, self.house.ledger
        for debt, missing in self._missing(account).items():
            for held, net in sorted(
                self._net(account).items(), key=lambda item: -market.discount_rate(*item)
            ):
                rate = round(market.discount_rate(held, net) * RATE_E8)
                if missing <= 0 or net <= 0 or rate <= 0:
                    continue
                worth = market.usd_index_e8[held] * rate * market.atoms[debt]
                cost = market.usd_index_e8[debt] * RATE_E8 * market.atoms[held]
                needed = -(-missing * cost // worth)
                given = min(net, needed)
                received = missing if given == needed else given * worth // cost
                kind = int(PostingKind.CONVERSION)
                source, target = account.balances[held], account.balances[debt]
                ledger.post(
                    now_ns, kind, source.cash, ledger.open(TREASURY, held), given, action_id
                )
                ledger.post(
                    now_ns, kind, ledger.open(TREASURY, debt), target.cash, received, action_id
                )
                house.book_cash(now_ns, source)
                house.book_cash(now_ns, target)
                missing -= received
