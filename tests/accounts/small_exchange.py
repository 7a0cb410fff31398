"""A small exchange for tests of risk control: prices by hand, books by hand, every event kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.account import Account, AccountMode
from accounts.clearing import ClearingHouse
from accounts.events import AccountState, RiskAction, StateChange
from accounts.insurance import InsuranceFunds
from accounts.liquidation_steps import Standing, standing
from accounts.risk_control import RiskControl
from exchange.instrument import Instrument, parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from exchange.units import atoms_per_unit
from risk.rules import RuleSet, load_rules

E8 = 10**8
SECOND_NS = 10**9
START_NS = 1_736_936_801 * SECOND_NS  # 15 January 2025, 10:26:41 UTC
RICH = 10**6  # coins of everything


def rules_with(name: str = "okx-2025", **tables: Mapping[str, Any]) -> RuleSet:
    """A rule set with some entries of some tables changed."""
    rules = load_rules(name)
    changed = {
        table: getattr(rules, table).model_copy(update=dict(entries))
        for table, entries in tables.items()
    }
    return rules.model_copy(update=changed)


class SmallExchange:
    """Instruments, a rich maker, a rich counterparty, and the events in order."""

    def __init__(
        self,
        *instrument_ids: str | Instrument,
        usd: Mapping[str, float],
        rules: RuleSet | None = None,
        forced_flow: bool = True,
        vol: float = 0.6,
    ) -> None:
        self.events: list[Any] = []
        instruments = [
            parse_instrument(name) if isinstance(name, str) else name for name in instrument_ids
        ]
        self.house = ClearingHouse(instruments, rules or rules_with(), self.events.append)
        self.funds = InsuranceFunds(self.house)
        self.risk = RiskControl(self.house, self.funds, forced_flow=forced_flow)
        self.vol = vol
        self.now_ns = START_NS
        self.usd = {"USDT": 1.0, "USDC": 1.0, **usd}
        self.publish()
        for currency in self.house.market.currencies:
            self.house.fund_pool(self.now_ns, currency, RICH * atoms_per_unit(currency))
        self.publish()
        rich = dict.fromkeys(self.house.market.currencies, float(RICH))
        self.maker = self.account("maker", **rich)
        self.counterparty = self.account("counterparty", **rich)

    # --- time and prices -----------------------------------------------------------------------

    def publish(self, seconds: float = 0.0, **usd: float) -> None:
        """Let time pass, then publish: USD prices named stay, named ones change."""
        self.now_ns += round(seconds * SECOND_NS)
        self.usd.update(usd)
        index = {name: round(price * E8) for name, price in self.usd.items()}
        vols = {
            listing.instrument.instrument_id: self.vol
            for listing in self.house.by_number
            if listing.is_option
        }
        self.house.publish(self.now_ns, index, {}, implied_vol=vols or None)

    def check(self, seconds: float = 1.0, **usd: float) -> list[Any]:
        """Publish and run risk control; the events of this check."""
        self.publish(seconds, **usd)
        seen = len(self.events)
        self.risk.check(self.now_ns)
        return self.events[seen:]

    # --- accounts ------------------------------------------------------------------------------

    def account(
        self,
        name: str,
        *,
        mode: AccountMode = AccountMode.PORTFOLIO,
        auto_borrow: bool = True,
        **coins: float,
    ) -> Account:
        """An account with balances in coins; a negative one is a loan from the counterparty."""
        account = self.house.open_account(name, mode=mode, auto_borrow=auto_borrow)
        for currency, amount in coins.items():
            self.add(account, currency, amount)
        return account

    def add(self, account: Account, currency: str, amount: float) -> None:
        """Deposit, or for a negative amount pass cash to the counterparty."""
        atoms = round(amount * atoms_per_unit(currency))
        if atoms > 0:
            self.house.deposit(self.now_ns, account, currency, atoms)
        elif atoms < 0:
            own = self.house.balance(account, currency)
            other = self.house.balance(self.counterparty, currency)
            self.house.ledger.post(self.now_ns, 1, own.cash, other.cash, -atoms, 0)
            self.house.book_cash(self.now_ns, own)
            self.house.book_cash(self.now_ns, other)

    def give(
        self, account: Account, name: str, lots: int, price: float, giver: Account | None = None
    ) -> None:
        """A position at an entry price, the other side with the counterparty (or `giver`)."""
        listing = self.house.listings[name]
        self.house.settlement.move(
            self.now_ns,
            listing,
            self.house.position(giver or self.counterparty, listing),
            self.house.position(account, listing),
            lots,
            round(price / float(listing.instrument.tick)),
            0,
        )

    def lots(self, account: Account, name: str) -> int:
        """Signed lots held."""
        position = account.positions.get(self.house.listings[name].number)
        return 0 if position is None else position.lots

    def cash(self, account: Account, currency: str) -> float:
        """Cash less debt, coins."""
        balance = account.balances[currency]
        atoms = self.house.ledger.balances[balance.cash] - balance.liability_atoms
        return atoms / atoms_per_unit(currency)

    def standing(self, account: Account) -> Standing:
        """Margin figures now."""
        return standing(self.house, account)

    # --- orders --------------------------------------------------------------------------------

    def order(
        self,
        account: Account,
        name: str,
        side: int,
        price: float,
        lots: int,
        order_type: OrderType = OrderType.LIMIT,
    ) -> list[Any]:
        """An ordinary order."""
        ticks = round(price / float(self.house.listings[name].instrument.tick))
        request = OrderRequest(name, Side(side), order_type, lots, ticks)
        return self.house.submit(self.now_ns, account.number, request)

    def quote(self, name: str, side: int, price: float, lots: int) -> None:
        """A resting order of the maker."""
        events = self.order(self.maker, name, side, price, lots)
        assert lots == 0 or type(events[0]).__name__ == "OrderAccepted", events

    def clear_quotes(self) -> None:
        """Cancel all orders of the maker."""
        self.house.cancel_all(self.now_ns, self.maker.number)

    def fill_pool(self, name: str, coins: float) -> Account:
        """Money for the pool behind an instrument."""
        listing = self.house.listings[name]
        if coins > 0.0:
            atoms = round(coins * atoms_per_unit(listing.instrument.settle))
            self.funds.contribute(self.now_ns, listing, atoms)
        return self.funds.pool(listing)

    # --- what must always hold -----------------------------------------------------------------

    def assert_sound(self) -> None:
        """Conservation, positions that cancel, funds not below zero, incremental == rebuilt."""
        assert not any(self.house.ledger.conservation_error().values())
        for listing in self.house.by_number:
            if not listing.is_spot:
                held = [a.positions.get(listing.number) for a in self.house.accounts]
                assert sum(p.lots for p in held if p is not None) == 0, listing
        for pool in self.funds.pools.values():
            for balance in pool.balances.values():
                assert self.house.ledger.balances[balance.cash] >= 0, pool.name
                assert balance.liability_atoms == 0, pool.name


def steps(events: list[Any], account: Account | None = None) -> list[RiskAction]:
    """The risk actions among events."""
    return [
        event
        for event in events
        if type(event) is RiskAction and (account is None or event.account == account.number)
    ]


def states(events: list[Any], account: Account) -> list[tuple[AccountState, AccountState]]:
    """The changes of an account's state."""
    return [
        (event.old, event.new)
        for event in events
        if type(event) is StateChange and event.account == account.number
    ]
