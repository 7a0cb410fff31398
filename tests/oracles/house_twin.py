"""A clearing house with one random account, and the same account as a portfolio file.

`Trial` makes the account; `Trial.portfolio()` says what it holds in the words of
portfolio-file.md, so that the plain calculator can be asked the same question.

Source: portfolio-margin.md sections 9.7, 16.17; portfolio-file.md.
"""

from datetime import UTC, datetime
from random import Random

from accounts.account import AccountMode
from accounts.clearing import ClearingHouse
from accounts.listing import Listing
from exchange.events import OrderRejected
from exchange.instrument import InstrumentKind, parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk.rules import load_rules

NOW_NS = 1_740_000_000 * 10**9  # 2025-02-19 21:20 UTC
INSTRUMENTS = (
    "BTC-USDT",
    "BTC-USDC",
    "ETH-USDT",
    "LINK-USDT",
    "USDC-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "ETH-USDT-SWAP",
    "ETH-USD-SWAP",
    "LINK-USDT-SWAP",
    "BTC-USDT-250328",
    "BTC-USD-250328",
    "ETH-USD-250627",
    "BTC-USD-250221-97000-C",
    "BTC-USD-250221-90000-P",
    "BTC-USD-250328-100000-C",
    "BTC-USD-250328-80000-P",
    "BTC-USD-250627-120000-C",
    "ETH-USD-250328-3300-P",
    "ETH-USD-250627-4000-C",
)
USD = {"BTC": 97_000.0, "ETH": 3_300.0, "LINK": 22.0, "USDT": 1.0, "USDC": 1.0}
TYPES = (OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.IOC, OrderType.FOK)
LIMIT = {"position_limit_lots": 2**24}
RICH = 10**9  # units: more, in atoms, does not fit an int64


class Trial:
    """One clearing house, an account with random holdings, and a bank that took the other side."""

    def __init__(
        self,
        rng: Random,
        *,
        auto_borrow: bool = True,
        mode: AccountMode = AccountMode.PORTFOLIO,
    ) -> None:
        self.rng = rng
        # the limit sets the step that stress rows are rounded to; a lower one is a finer step
        instruments = [
            parse_instrument(name, **({} if name.count("-") == 1 else LIMIT))
            for name in INSTRUMENTS
        ]
        self.house = ClearingHouse(instruments, load_rules("okx-2025"), recording=False)
        self.usd = {
            name: round(usd * rng.uniform(0.9, 1.1), 6 if usd < 2 else 2)
            for name, usd in USD.items()
        }
        for stable in ("USDT", "USDC"):
            self.usd[stable] = rng.choice((1.0, 0.9995, 0.985, round(rng.uniform(0.9, 1.02), 4)))
        self.auto_borrow = auto_borrow
        self.account = self.house.open_account("trader", mode=mode, auto_borrow=self.auto_borrow)
        self.bank = self.house.open_account("bank")
        for currency in USD:
            atoms = self.house.market.atoms[currency]
            self.house.fund_pool(NOW_NS, currency, RICH * atoms)
            self.house.deposit(NOW_NS, self.bank, currency, RICH * atoms)
        options = [name for name in INSTRUMENTS if name.count("-") == 4]
        self.house.publish(
            NOW_NS,
            {name: round(usd * 1e8) for name, usd in self.usd.items()},
            {
                f"{c}-{q}": round(self.usd[c] / self.usd[q] * rng.uniform(0.999, 1.001) * 1e8)
                for c in ("BTC", "ETH", "LINK")
                for q in ("USDT", "USDC")
            },
            implied_vol={name: round(rng.uniform(0.2, 1.2), 3) for name in options},
            forward={"BTC-USD-250328": round(self.usd["BTC"] * 1.01, 1)},
        )
        self.scale = 10.0 ** rng.uniform(3.0, 6.5)
        self._fund()

    def _listing(self, name: str) -> Listing:
        return self.house.listings[name]

    def _lots(self, listing: Listing) -> int:
        instrument = listing.instrument
        usd = self.scale * 10.0 ** self.rng.uniform(-2.0, 0.3)
        units = float(instrument.units_per_lot)
        per_lot = units if instrument.inverse else units * self.usd[instrument.base]
        return min(max(1, round(usd / per_lot)), instrument.position_limit_lots // 32)

    def _ticks(self, listing: Listing, spread: float) -> int:
        """Return a price near the mark, on the tick grid and within the price limits."""
        mark = int(self.house.market.mark_ticks[listing.number])
        ticks = round(mark * self.rng.uniform(1.0 - spread, 1.0 + spread))
        ticks = min(max(ticks, listing.low_ticks, 1), listing.high_ticks)
        return max(listing.instrument.floor_to_grid(ticks), 1)

    def _fund(self) -> None:
        rng, house = self.rng, self.house
        for currency, usd in self.usd.items():
            if rng.random() < 0.5:
                coins = self.scale * 10.0 ** rng.uniform(-2.0, 0.5) / usd
                house.deposit(
                    NOW_NS,
                    self.account,
                    currency,
                    max(1, round(coins * house.market.atoms[currency])),
                )
        names = rng.sample(INSTRUMENTS, rng.choice((0, 1, 2, 3, 5, 8)))
        for name in names:
            listing = self._listing(name)
            if listing.is_spot and not self.auto_borrow:
                continue  # would borrow
            house.settlement.move(
                NOW_NS,
                listing,
                house.position(self.bank, listing),
                house.position(self.account, listing),
                rng.choice((1, -1)) * self._lots(listing),
                self._ticks(listing, 0.1),
                0,
            )
        for currency in ("BTC", "ETH", "LINK"):
            if rng.random() < 0.2:
                balance = house.balance(self.account, currency)
                cap = round(self.scale / self.usd[currency] * rng.choice((0.0, 0.01, 0.3)), 6)
                self.account.spot_caps = {**self.account.spot_caps, currency: cap}
                house.exposures.set_cap(balance.row, cap)

    # --- the same account in the words of a portfolio file ------------------------------------

    def portfolio(self) -> dict:
        """Return the account as a portfolio file."""
        account, market = self.account, self.house.market
        snapshot = market.snapshot()
        balances = {}
        for currency, balance in account.balances.items():
            atoms = self.house.ledger.balances[balance.cash] - balance.liability_atoms
            balances[currency] = atoms / market.atoms[currency]
        return {
            "rules": "okx-2025",
            "mode": "portfolio",
            "auto_borrow": self.auto_borrow,
            "time": datetime.fromtimestamp(NOW_NS // 10**9, UTC),
            "market": {
                "usd_index": snapshot.usd_index,
                "index": snapshot.index,
                "mark": snapshot.mark,
                "implied_vol": snapshot.implied_vol,
                "forward": snapshot.forward,
            },
            "balances": balances,
            "positions": [
                {
                    "instrument": p.instrument.instrument_id,
                    "entry_price": p.entry_price or 1.0,
                    "size": float(p.lots * p.instrument.lot),
                }
                for p in account.positions.values()
                if p.lots and p.instrument.kind != InstrumentKind.SPOT
            ],
            "orders": [
                self._order(
                    self._listing(o.instrument.instrument_id),
                    int(o.side),
                    o.remaining_lots,
                    o.price_ticks,
                )
                for o in account.orders.values()
            ],
            "spot_offset": dict(account.spot_caps),
            "leverage": dict(account.leverage),
        }

    def _order(self, listing: Listing, side: int, lots: int, ticks: int) -> dict:
        instrument = listing.instrument
        return {
            "instrument": instrument.instrument_id,
            "side": "buy" if side > 0 else "sell",
            "size": float(lots * instrument.lot),
            "price": float(ticks * instrument.tick),
        }

    def draw_order(self) -> tuple[OrderRequest, dict]:
        """Return a random order: the venue's request, and the portfolio file's words for it."""
        rng = self.rng
        name = rng.choice(INSTRUMENTS)
        held = [p for p in self.account.positions.values() if p.lots]
        if held and rng.random() < 0.3:
            name = rng.choice(held).instrument.instrument_id
        listing = self._listing(name)
        side, kind = rng.choice((Side.BUY, Side.SELL)), rng.choice(TYPES)
        lots, ticks = self._lots(listing), self._ticks(listing, 0.04)
        word = {OrderType.LIMIT: "limit", OrderType.IOC: "ioc", OrderType.FOK: "fok"}[kind]
        request = OrderRequest(name, side, kind, lots, ticks)
        return request, {**self._order(listing, int(side), lots, ticks), "type": word}

    def submit(self, request: OrderRequest) -> OrderRejected | None:
        """Send the order to the clearing house; return its refusal, if it refuses."""
        first = self.house.submit(NOW_NS, self.account.number, request)[0]
        return first if isinstance(first, OrderRejected) else None
