"""One account of a portfolio file: balances, positions, orders, and what follows from them.

A fill set is a list of open orders taken as filled at their price.

Source: portfolio-margin.md sections 4.3, 5.2, 16.3, 16.12 to 16.15; portfolio-file.md.
"""

from dataclasses import dataclass
from math import fsum

from tests.oracles import plain_tables as tables
from tests.oracles.plain_market import Instrument, Market, parse, parse_time
from tests.oracles.plain_unit import Unit, spot_in_use

DOLLAR_QUOTES = ("USDT", "USDC", "USD")


@dataclass(frozen=True)
class Order:
    """An open order; `contracts` is signed, coins for spot."""

    instrument: Instrument
    contracts: float
    price: float

    @property
    def set_name(self) -> str:
        """Return the fill set that holds the order: the sign of the delta that it adds."""
        falls = self.instrument.kind == "OPTION" and not self.instrument.call
        return "buys" if (self.contracts > 0.0) != falls else "sells"


class Account:
    """A portfolio file, read."""

    def __init__(self, portfolio: dict) -> None:
        self.rules = portfolio.get("rules", "okx-2025")
        self.mode = portfolio.get("mode", "portfolio")
        self.auto_borrow = portfolio.get("auto_borrow", True)
        allowed = tables.RULES[self.rules]["offset_modes"]
        self.offset_mode = portfolio.get("offset_mode", allowed[0])
        if self.offset_mode not in allowed:
            raise ValueError(f"offset_mode {self.offset_mode}: not one of {allowed}")
        self.market = Market(portfolio["market"], parse_time(portfolio["time"]))
        self.balances = {c: float(amount) for c, amount in portfolio.get("balances", {}).items()}
        # an instrument may appear twice after `filled`: lots of one position
        self.lots = [
            (parse(p["instrument"]), float(p["size"]), float(p["entry_price"]))
            for p in portfolio.get("positions", [])
        ]
        self.orders = [read_order(order) for order in portfolio.get("orders", [])]
        self.caps = portfolio.get("spot_offset", {})
        self.leverage = portfolio.get("leverage", {})
        self.isolated = portfolio.get("isolated", [])

    # --- fill sets ----------------------------------------------------------------------------

    def fill_sets(self, orders: list[Order]) -> dict[str, list[Order]]:
        """Return the four fill sets of `orders`."""
        return {
            "none": [],
            "buys": [o for o in orders if o.set_name == "buys"],
            "sells": [o for o in orders if o.set_name == "sells"],
            "all": list(orders),
        }

    def order_pnl(self, order: Order) -> float:
        """Return the profit against mark of a filled order, in its settlement currency."""
        return self.market.pnl(order.instrument, order.contracts, order.price)

    # --- equity -------------------------------------------------------------------------------

    def currencies(self) -> list[str]:
        """Return the currencies of `assets`, sorted (16.16)."""
        found = {"USDT", "USDC", *self.balances}
        found |= {instrument.settle for instrument, _, _ in self.lots}
        found |= {order.instrument.settle for order in self.orders}
        for instrument in [i for i, _, _ in self.lots] + [o.instrument for o in self.orders]:
            found.add(instrument.base)  # unit coins; the bases of spot orders are among them
        return sorted(found)

    def equity(self, currency: str, filled: list[Order] | None = None) -> float:
        """Return eq_c in coins after a fill set (4.1, 16.13)."""
        parts = [self.balances.get(currency, 0.0)]
        for instrument, contracts, entry in self.lots:
            if instrument.settle != currency:
                continue
            if instrument.kind == "OPTION":
                parts.append(contracts * instrument.value * self.market.mark(instrument))
            else:
                parts.append(self.market.pnl(instrument, contracts, entry))
        for order in filled or []:
            instrument = order.instrument
            if instrument.kind == "SPOT":
                if instrument.base == currency:
                    parts.append(order.contracts)
                if instrument.quote == currency:
                    parts.append(-order.contracts * order.price)
            elif instrument.settle == currency:
                parts.append(min(0.0, self.order_pnl(order)))
        return fsum(parts)

    def pending_loss(self, orders: list[Order]) -> float:
        """Return pendingOrderLoss of `orders` in USD (16.14)."""
        return fsum(
            max(0.0, -self.order_pnl(o)) * self.market.usd(o.instrument.settle) for o in orders
        )

    def fee(self, order: Order) -> float:
        """Return the taker fee of an order in USD."""
        return self.market.fee_usd(order.instrument, order.contracts, order.price)

    def discounted_equity(self, filled: list[Order] | None = None) -> float:
        """Return the discounted value of all currencies after a fill set, USD."""
        parts = []
        for currency in self.currencies():
            equity = self.equity(currency, filled)
            coins = tables.discounted(currency, equity) if equity > 0.0 else equity
            if coins != 0.0:
                parts.append(coins * self.market.usd(currency))
        return fsum(parts)

    def adjusted_equity(self, filled: list[Order] | None = None) -> float:
        """Return adjEq: the discounted equity less pending losses and fees of all orders."""
        fees = fsum(self.fee(order) for order in self.orders)
        return self.discounted_equity(filled) - self.pending_loss(self.orders) - fees

    def total_equity(self) -> float:
        """Return the undiscounted USD value of all equity."""
        return fsum(
            self.equity(c) * self.market.usd(c) for c in self.currencies() if self.equity(c)
        )

    # --- borrowing ----------------------------------------------------------------------------

    def borrowed(self, currency: str, filled: list[Order] | None = None) -> float:
        """Return the coins owed after a fill set: |min(0, eq_c)|."""
        return abs(min(0.0, self.equity(currency, filled)))

    def borrow_imr(self, currency: str) -> float:
        """Return the initial margin of actual and potential borrowing, USD."""
        sets = self.fill_sets(self.orders).values()
        amount = max(self.borrowed(currency, filled) for filled in sets)
        if amount == 0.0:
            return 0.0
        return amount * self.market.usd(currency) * tables.borrow_rates(currency, amount)[1]

    def borrow_mmr(self, currency: str) -> float:
        """Return the maintenance margin of actual borrowing, USD."""
        amount = self.borrowed(currency)
        if amount == 0.0:
            return 0.0
        return amount * self.market.usd(currency) * tables.borrow_rates(currency, amount)[0]

    def liquidation_fee(self) -> float:
        """Return the fee term of the margin ratio, USD (16.15)."""
        parts = []
        for currency in self.currencies():
            amount = self.borrowed(currency)
            if amount > 0.0:
                rate = tables.borrow_rates(currency, amount)[0]
                parts.append(amount * self.market.usd(currency) * (1.0 + rate))
        return fsum(parts) * tables.LIQUIDATION_FEE

    # --- risk units ---------------------------------------------------------------------------

    def unit_name(self, instrument: Instrument) -> str:
        """Return the risk unit of an instrument."""
        if tables.RULES[self.rules]["units"] == "coin":
            return instrument.base
        if instrument.kind == "SPOT":
            quote = {"usdt": "USDT", "usdc": "USDC", "coin": "USD"}.get(
                self.offset_mode, instrument.quote
            )
            return f"{instrument.base}-{quote}"
        return f"{instrument.base}-{instrument.quote}"

    def unit_names(self) -> list[str]:
        """Return the units of all positions and orders, sorted."""
        instruments = [i for i, _, _ in self.lots] + [o.instrument for o in self.orders]
        return sorted({self.unit_name(i) for i in instruments})

    def holds_spot(self, unit: str) -> bool:
        """Return whether the unit is the place of its coin's spot."""
        if self.offset_mode == "merged":
            return True
        places = {"usdt": "USDT", "usdc": "USDC", "coin": "USD", "derivatives_only": None}
        return unit.split("-")[1] == places[self.offset_mode]

    def unit_orders(self, unit: str) -> list[Order]:
        """Return the unit's open orders: derivatives, and spot against the dollars (16.12)."""
        return [
            o
            for o in self.orders
            if self.unit_name(o.instrument) == unit
            and (o.instrument.kind != "SPOT" or o.instrument.quote in DOLLAR_QUOTES)
        ]

    def unit(self, name: str, filled: list[Order] | None = None) -> Unit:
        """Return the risk unit after a fill set of the unit's orders."""
        base = name.split("-")[0]
        holdings: dict[str, float] = {}
        for instrument, contracts, _ in self.lots:
            if self.unit_name(instrument) == name:
                holdings[instrument.id] = holdings.get(instrument.id, 0.0) + contracts
        spot = self.unit_spot_equity(base)
        for order in filled or []:
            if order.instrument.kind == "SPOT":
                spot += order.contracts
            else:
                identifier = order.instrument.id
                holdings[identifier] = holdings.get(identifier, 0.0) + order.contracts
        bare = Unit(self.market, self.rules, base, holdings, 0.0)
        if not self.holds_spot(name):
            return bare
        cap = float(self.caps.get(base, tables.INFINITY))
        use = spot_in_use(bare.delta() / self.market.usd(base), spot, cap)
        return Unit(self.market, self.rules, base, holdings, use)

    def unit_spot_equity(self, base: str) -> float:
        """Return eqS: cash and the profit of coin-settled perpetuals and futures (16.3)."""
        parts = [self.balances.get(base, 0.0)]
        for instrument, contracts, entry in self.lots:
            if instrument.settle == base and instrument.kind in ("SWAP", "FUTURES"):
                parts.append(self.market.pnl(instrument, contracts, entry))
        return fsum(parts)

    def unit_imr(self, name: str) -> float:
        """Return 1.3 x the largest MMR over the four fill sets of the unit's orders."""
        sets = self.fill_sets(self.unit_orders(name)).values()
        return tables.IMR_FACTOR * max(
            self.unit(name, filled).components()["mmr"] for filled in sets
        )


def read_order(order: dict) -> Order:
    """Return the order of a portfolio file's [[orders]] entry."""
    sign = {"buy": 1.0, "sell": -1.0}[order["side"]]
    return Order(parse(order["instrument"]), sign * float(order["size"]), float(order["price"]))
