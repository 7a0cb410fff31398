"""Invariant 9: nobody enriches himself by trading with himself.

A circle of accounts trades only with each other, at prices of its own choice as far as the rules
let it, with an ample fund behind every instrument to be robbed. At constant index and volatility
the circle cannot end with more than it began; under moves of the index its joint gain is what the
pools, the treasury and nobody (uncovered) have lost.

Positions left at the end are valued at the index: the circle may have pushed the marks.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from accounts.account import Account
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from tests.accounts.small_exchange import SmallExchange, rules_with

NAMES = (
    "BTC-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "BTC-USD-250328-50000-C",
    "BTC-USD-250328-45000-P",
)
ROUNDING_USD = 0.05  # half atoms of value, whole ticks of take-over prices
SEEDS = 300


class Circle:
    """Accounts that know only each other."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        rules = rules_with(
            liquidation={"cool_down_s": 0.0, "attempts": random.choice([1, 5])},
            deleveraging={"policy": random.choice(["queue", "pro_rata", "capped_pro_rata"])},
        )
        self.exchange = SmallExchange(*NAMES, usd={"BTC": 50_000.0}, rules=rules)
        for name in NAMES:
            coins = 10.0 if self.exchange.house.listings[name].is_option else 500_000.0
            self.exchange.fill_pool(name, coins)
        self.members = [
            self.exchange.account(
                f"member {n}",
                USDT=random.choice([50.0, 5_000.0, 50_000.0]),
                BTC=random.choice([0.001, 0.3]),
            )
            for n in range(3)
        ]
        self.exchange.publish()

    def worth(self, accounts: Iterable[Account] | None = None) -> float:
        """Joint equity with every linear and inverse position at the index."""
        exchange, total = self.exchange, 0.0
        market = exchange.house.market
        for account in self.members if accounts is None else accounts:
            total += exchange.standing(account).equity
            for position in account.positions.values():
                listing = exchange.house.by_number[position.number]
                if position.lots == 0 or listing.is_option:
                    continue
                instrument = listing.instrument
                tick = float(instrument.tick)
                mark = float(market.terms[position.number, t.M_REFERENCE]) * tick
                index = market.usd[instrument.base] / market.usd[instrument.quote]
                size = position.lots * float(instrument.units_per_lot)
                if instrument.inverse:
                    total += size * (1.0 / mark - 1.0 / index) * market.usd[instrument.base]
                else:
                    total += size * (index - mark) * market.usd[instrument.quote]
        return total

    def ledger_usd(self, *names: str) -> float:
        """What stands in ledger accounts of these names, at the index."""
        ledger, market = self.exchange.house.ledger, self.exchange.house.market
        total = 0.0
        for name, currency, atoms in zip(
            ledger.names, ledger.currencies, ledger.balances, strict=True
        ):
            if name in names or (name.startswith("accrued/") and "fees" in names):
                scale = market.scales[market.currency_number[currency]]
                total += atoms * scale * market.usd[currency]
        return total

    def trade(self) -> None:
        """A random order of a random member, often as large as the margin check lets through."""
        random, house = self.random, self.exchange.house
        account: Account = random.choice(self.members)
        listing = house.listings[random.choice(NAMES)]
        reference = float(house.market.terms[listing.number, t.M_REFERENCE])
        away = random.choice([0.0, 0.002, 0.018, 0.5 if listing.is_option else 0.01])
        ticks = max(1, round(reference * (1.0 + random.choice([-1, 1]) * away)))
        ticks = listing.instrument.floor_to_grid(ticks)
        lots = max(
            1, round(10 ** random.uniform(1.0, 5.7) / house.market.terms[listing.number, t.M_USD])
        )
        for _ in range(6):  # refused: try half
            request = OrderRequest(
                listing.instrument.instrument_id, Side(random.choice([1, -1])),
                random.choice([OrderType.LIMIT, OrderType.LIMIT, OrderType.IOC]), lots, ticks,
            )  # fmt: skip
            events = house.submit(self.exchange.now_ns, account.number, request)
            if type(events[0]).__name__ != "OrderRejected":
                return
            lots = max(1, lots // 2)

    def play(self, gaps: tuple[float, ...]) -> None:
        """Trade and check; the index moves by the gaps."""
        for gap in gaps:
            for _ in range(8):
                self.trade()
            self.exchange.usd["BTC"] *= 1.0 + gap
            self.exchange.check()
            if self.random.random() < 0.2:
                for account in self.members:
                    self.exchange.house.cancel_all(self.exchange.now_ns, account.number)
        for account in self.members:
            self.exchange.house.cancel_all(self.exchange.now_ns, account.number)
        self.exchange.assert_sound()


def gain_under_moves(circle: Circle, seed: int) -> tuple[float, float, float]:
    """Play gaps of the index that end where they began: what the circle gained, what others lost
    (less fees), and the fees it paid, USD.
    """
    random = Random(-seed)
    gaps = [random.choice([0.0, 0.0, -0.05, 0.05, -0.3, 0.4]) for _ in range(14)]
    back = 1.0
    for gap in gaps:
        back *= 1.0 + gap
    pools = circle.exchange.funds.pools.values()
    start, pools_start = circle.worth(), circle.worth(pools)
    circle.play((*gaps, 1.0 / back - 1.0))
    gain, pools_gain = circle.worth() - start, circle.worth(pools) - pools_start
    fees = circle.ledger_usd("fees")
    others = circle.ledger_usd("treasury", "uncovered_loss", "rounding")
    return gain, -pools_gain - fees - others, fees


@pytest.mark.parametrize("block", range(5))
def test_no_gain_at_constant_index(block: int) -> None:
    for seed in range(block * SEEDS // 5, (block + 1) * SEEDS // 5):
        circle = Circle(seed)
        start = circle.worth()
        circle.play((0.0,) * 15)
        assert circle.worth() <= start + ROUNDING_USD, seed


@pytest.mark.parametrize("block", range(5))
def test_gain_under_moves_is_what_others_lost(block: int) -> None:
    # The index ends where it began, so that holding coins gains nothing. What the circle gains the
    # pools have lost (deficits and the positions they took over), the treasury (conversions), or
    # nobody covers.
    for seed in range(block * SEEDS // 5, (block + 1) * SEEDS // 5):
        gain, lost, fees = gain_under_moves(Circle(seed), seed)
        assert fees >= 0.0
        assert gain == pytest.approx(lost, abs=ROUNDING_USD), seed
