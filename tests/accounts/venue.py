"""A small clearing house for tests: instruments, prices and accounts in one call."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.account import Account
from accounts.clearing import ClearingHouse
from exchange.events import OrderRejected
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side, StpMode
from exchange.units import to_atoms
from risk import order_tables as t
from risk.rules import load_rules

NOW_NS = 1_740_000_000 * 10**9  # 2025-02-19 21:20 UTC
E8 = 10**8
USD = {"BTC": "100000", "ETH": "4000", "USDT": "1", "USDC": "1", "DASH": "40"}


class Venue:
    """A clearing house at round prices; amounts are written as decimal strings."""

    def __init__(
        self,
        instruments: Sequence[str],
        usd: Mapping[str, str] | None = None,
        *,
        volatility: float = 0.5,
        overrides: Mapping[str, Any] | None = None,
        rules: str = "okx-2025",
    ) -> None:
        self.now_ns = NOW_NS
        self.events: list[Any] = []
        self.house = ClearingHouse(
            [parse_instrument(name, **(overrides or {})) for name in instruments],
            load_rules(rules),
            self.events.append,
        )
        self.volatility = volatility
        self.usd = {c: to_atoms(p, "BTC") for c, p in (USD if usd is None else usd).items()}
        self.marks()

    def marks(self, **usd: str) -> None:
        """Publish new prices: USD per coin."""
        self.usd |= {currency: to_atoms(price, "BTC") for currency, price in usd.items()}
        options = [n for n, listing in self.house.listings.items() if listing.is_option]
        self.house.publish(
            self.now_ns, self.usd, {}, implied_vol=dict.fromkeys(options, self.volatility)
        )

    def account(self, name: str, *, auto_borrow: bool = True, **balances: str) -> Account:
        """Open an account with balances in units of their currencies."""
        account = self.house.open_account(name, auto_borrow=auto_borrow)
        for currency, amount in balances.items():
            self.house.deposit(self.now_ns, account, currency, to_atoms(amount, currency))
        return account

    def lend(self, **amounts: str) -> None:
        """Put money into the lending pools."""
        for currency, amount in amounts.items():
            self.house.fund_pool(self.now_ns, currency, to_atoms(amount, currency))

    def send(
        self,
        account: Account,
        instrument_id: str,
        size: str,
        price: str | None = None,
        order_type: OrderType = OrderType.LIMIT,
        stp_mode: StpMode = StpMode.CANCEL_MAKER,
    ) -> list[Any]:
        """Submit an order: size in contracts (spot: coins), negative to sell; price in units."""
        instrument = self.house.listings[instrument_id].instrument
        lots = instrument.size_lots(size)
        request = OrderRequest(
            instrument_id,
            Side.BUY if lots > 0 else Side.SELL,
            order_type,
            abs(lots),
            None if price is None else instrument.price_ticks(price),
            stp_mode=stp_mode,
        )
        self.now_ns += 1
        return self.house.submit(self.now_ns, account.number, request)

    def rests(self, account: Account, instrument_id: str, size: str, price: str) -> int:
        """Submit a limit order that must be accepted; its id."""
        events = self.send(account, instrument_id, size, price)
        assert not isinstance(events[0], OrderRejected), events[0]
        order_id: int = events[0].order.order_id
        return order_id

    def trade(
        self, buyer: Account, seller: Account, instrument_id: str, size: str, price: str
    ) -> None:
        """Let the buyer take what the seller offers."""
        self.rests(seller, instrument_id, f"-{size}", price)
        self.rests(buyer, instrument_id, size, price)

    def cash(self, account: Account, currency: str) -> int:
        """Net balance in atoms: cash less liability."""
        balance = self.house.balance(account, currency)
        return self.house.ledger.balances[balance.cash] - balance.liability_atoms

    def position(self, account: Account, instrument_id: str) -> tuple[int, int]:
        """Lots and cost atoms."""
        position = self.house.position(account, self.house.listings[instrument_id])
        return position.lots, position.cost_atoms

    def check(self) -> None:
        """Assert what must hold after every event."""
        check_house(self.house)


def check_house(house: ClearingHouse) -> None:
    """Assert the exact invariants of liquidation-and-losses.md section 5.

    Conservation; positions sum to zero and their cost is what the ledger says; exposure tables
    equal a rebuild bit for bit; books valid; orders in the books, in the accounts and in the tables
    the same.
    """
    assert all(error == 0 for error in house.ledger.conservation_error().values())
    in_books = 0
    for listing in house.by_number:
        listing.engine.book._check()
        in_books += len(listing.engine.book)
        positions = [
            a.positions[listing.number] for a in house.accounts if listing.number in a.positions
        ]
        assert sum(p.lots for p in positions) == 0, listing.instrument.instrument_id
        for position in positions:
            if not listing.is_spot and not listing.is_option:
                assert house.ledger.balances[position.ledger] == position.cost_atoms
            if position.lots == 0:
                assert position.cost_atoms == 0
    assert in_books == house.exposures.open_orders()
    for account in house.accounts:
        for order in account.orders.values():
            listing = house.listings[order.instrument.instrument_id]
            assert listing.engine.book.get(order.order_id) is order
            row = house.exposures.orders[order.slot].tolist()
            assert row[t.O_POSITION] == account.positions[listing.number].row
            assert row[t.O_SIDE : t.O_LOTS + 1] == [
                order.side,
                order.price_ticks,
                order.remaining_lots,
            ]
        for position in account.positions.values():
            here = sum(o.instrument is position.instrument for o in account.orders.values())
            assert house.exposures.positions[position.row, t.P_ORDERS] == here
        _check_balances(house, account)
        _check_tables(house, account)


def _check_balances(house: ClearingHouse, account: Account) -> None:
    for balance in account.balances.values():
        cash = house.ledger.balances[balance.cash]
        assert cash >= 0, (account.name, balance)
        assert balance.liability_atoms >= 0
        assert cash == 0 or balance.liability_atoms == 0, (account.name, balance)


def _check_tables(house: ClearingHouse, account: Account) -> None:
    """The incremental figures and sums of an account equal a rebuild, bit for bit."""
    exposures = house.exposures
    figures = exposures.figures(account.number).copy()
    tables = ("positions", "unit_sums", "currencies", "currency_sums")
    before = {name: getattr(exposures, name).copy() for name in tables}
    exposures.recompute(account.number)
    assert figures.tolist() == exposures.account_sums[account.number].tolist()
    for name, table in before.items():
        assert (table == getattr(exposures, name)).all(), name
