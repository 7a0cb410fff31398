"""Random cascades: portfolios of all products, torn books, gaps, stale marks; what must hold
throughout.

One seed is one cascade. Traders hold positions against each other, so that every loss is
somebody's gain.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np

from accounts.account import Account, AccountMode
from accounts.events import (
    AccountState,
    Bankruptcy,
    Deleveraging,
    FundBalance,
    LiquidationStage,
    RiskAction,
    StateChange,
)
from exchange.events import Fill
from exchange.instrument import InstrumentKind, parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from tests.accounts.small_exchange import SmallExchange, rules_with

NAMES = (
    "BTC-USDT",
    "ETH-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "ETH-USDT-SWAP",
    "BTC-USDT-250328",
    "BTC-USD-250328",
    "BTC-USD-250328-50000-C",
    "BTC-USD-250328-45000-P",
)
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0}
HEDGES = (LiquidationStage.PEG_HEDGE, LiquidationStage.DELTA_HEDGE)
SETTLED = (AccountState.HEALTHY, AccountState.WARNED, AccountState.ORDER_CONTROL)
MOST_CHECKS = 400


class Cascade:
    """One random exchange on its way down."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        rules = rules_with(
            liquidation={
                "cool_down_s": random.choice([0.0, 1.0]),
                "max_steps": random.choice([5, 40, 40]),
                "attempts": random.choice([1, 5]),
            },
            deleveraging={
                "policy": random.choice(["queue", "pro_rata", "capped_pro_rata"]),
                "bankruptcy_price_only": random.random() < 0.3,
                "socialise_losses": random.random() < 0.3,
            },
        )
        self.gap = random.choice([0.05, 0.2, 0.5, 0.9])
        fee = random.choice([None, None, None, "0.05"])  # larger than many a margin
        names = [name for name in NAMES if random.random() < 0.7] or list(NAMES[2:3])
        instruments = [
            parse_instrument(name, taker_fee_rate=fee) if fee else parse_instrument(name)
            for name in names
        ]
        self.exchange = SmallExchange(
            *instruments, usd=PRICES, rules=rules, vol=random.choice([0.3, 0.8])
        )
        self.names = names
        for name in names:
            self.exchange.fill_pool(name, random.choice([0.0, 0.0, 0.5, 5_000.0]))
        self.traders = [self._trader(n) for n in range(random.randint(2, 5))]
        self._positions()
        self._top_up()

    # --- the start -----------------------------------------------------------------------------

    def _trader(self, number: int) -> Account:
        random = self.random
        mode = AccountMode.PORTFOLIO
        if random.random() < 0.25:
            mode = random.choice([AccountMode.MULTI_CURRENCY, AccountMode.SPOT_AND_FUTURES])
        account = self.exchange.account(
            f"trader {number}", mode=mode, auto_borrow=random.random() < 0.9
        )
        self.exchange.add(account, "USDT", random.choice([1.0, 300.0, 3_000.0, 20_000.0]))
        smallest = -0.2 if mode != AccountMode.SPOT_AND_FUTURES else 0.1
        for currency, size in (("BTC", 0.5), ("ETH", 5.0), ("USDC", 5_000.0)):
            if currency in self.exchange.house.market.currency_number and random.random() < 0.4:
                self.exchange.add(account, currency, size * random.choice([smallest, 0.01, 1.0]))
        return account

    def _positions(self) -> None:
        random, exchange = self.random, self.exchange
        for name in self.names:
            listing = exchange.house.listings[name]
            if listing.instrument.kind == InstrumentKind.SPOT:
                continue
            price = float(exchange.house.market.terms[listing.number, t.M_REFERENCE])
            price *= float(listing.instrument.tick)
            per_lot = float(exchange.house.market.terms[listing.number, t.M_USD])
            for _ in range(random.randint(0, 3)):
                one, other = random.sample(self.traders, 2)
                usd = 10 ** random.uniform(0.5, 5.0)  # from dust to far too much
                lots = max(1, round(usd / per_lot))
                entry = price * random.uniform(0.8, 1.25)
                exchange.give(one, name, lots, entry, giver=other)

    def _top_up(self) -> None:
        """Bring most traders to a margin ratio near the thresholds: work for the stages."""
        self.exchange.publish()
        for account in self.traders:
            now = self.exchange.standing(account)
            wanted = self.random.uniform(0.9, 2.5) * now.requirement - now.adjusted
            if wanted > 0.0 and self.random.random() < 0.85:
                self.exchange.add(account, "USDT", round(wanted, 2))

    # --- moving --------------------------------------------------------------------------------

    def books(self) -> None:
        """Tear down the maker's quotes and put up others: none, one-sided, thin or deep."""
        exchange, random = self.exchange, self.random
        exchange.clear_quotes()
        for name in self.names:
            listing = exchange.house.listings[name]
            reference = float(exchange.house.market.terms[listing.number, t.M_REFERENCE])
            per_lot = float(exchange.house.market.terms[listing.number, t.M_USD])
            for side in (1, -1):
                if random.random() < 0.3:
                    continue
                away = random.choice([0.0002, 0.0005, 0.003, 0.015, 0.05])
                ticks = reference * (1.0 - side * away)
                grid = listing.instrument
                price = (
                    grid.floor_to_grid(math.floor(ticks))
                    if side > 0
                    else grid.ceil_to_grid(math.ceil(ticks))
                )
                lots = max(1, round(10 ** random.uniform(0.0, 5.5) / per_lot))
                if price > 0:
                    request = OrderRequest(name, Side(side), OrderType.LIMIT, lots, price)
                    exchange.house.submit(exchange.now_ns, exchange.maker.number, request)

    def orders(self) -> None:
        """Some traders send orders of their own."""
        exchange, random = self.exchange, self.random
        for account in self.traders:
            if random.random() < 0.3:
                name = random.choice(self.names)
                listing = exchange.house.listings[name]
                reference = float(exchange.house.market.terms[listing.number, t.M_REFERENCE])
                per_lot = float(exchange.house.market.terms[listing.number, t.M_USD])
                side = random.choice([1, -1])
                ticks = max(1, round(reference * (1.0 - side * 0.01)))
                request = OrderRequest(
                    name, Side(side), random.choice([OrderType.LIMIT, OrderType.IOC]),
                    max(1, round(10 ** random.uniform(0.0, 4.0) / per_lot)), ticks,
                )  # fmt: skip
                exchange.house.submit(exchange.now_ns, account.number, request)

    def step(self) -> None:
        """One random move, or time without a mark, then a check with all invariants."""
        exchange, random = self.exchange, self.random
        if random.random() < 0.1:
            exchange.now_ns += 11 * 10**9  # stale: nothing may be forced
            before = len(exchange.events)
            exchange.risk.check(exchange.now_ns)
            assert exchange.events[before:] == []
        for coin in PRICES:
            gap = random.choice([0.0, 0.0, 0.002, 0.005, 0.01, 0.03, 0.05, self.gap])
            exchange.usd[coin] *= 1.0 - gap if random.random() < 0.7 else 1.0 + gap
            exchange.usd[coin] = max(exchange.usd[coin], 1.0)
        if random.random() < 0.1:
            exchange.usd["USDT"] = random.choice([1.0, 0.97, 0.8])
        exchange.publish(random.choice([0.5, 1.0, 30.0, 30_000.0]))
        self.books()
        self.orders()
        self.check()

    def finish(self) -> None:
        """Prices stand still: every liquidation must end."""
        for _ in range(MOST_CHECKS):
            if all(a.state != AccountState.LIQUIDATING for a in self.traders):
                return
            self.exchange.publish(1.0)
            self.check()
        raise AssertionError("a liquidation does not end")

    # --- what must hold ------------------------------------------------------------------------

    def check(self) -> None:
        """Run risk control once and test everything about it."""
        exchange = self.exchange
        accounts = list(exchange.house.accounts)
        lots = {a.number: {n: p.lots for n, p in a.positions.items()} for a in accounts}
        cash = {a.number: self._cash(a) for a in accounts}
        states = {a.number: a.state for a in accounts}
        before = len(exchange.events)
        exchange.risk.check(exchange.now_ns)
        events = exchange.events[before:]
        exchange.assert_sound()
        self._test_events(events)
        self._test_positions(events, lots)
        self._test_untouched(events, lots, cash, states)
        self._test_figures()
        for account in self.traders:
            if account.state == AccountState.BANKRUPT:
                assert not account.orders
                assert all(p.lots == 0 for p in account.positions.values())
                assert all(b.liability_atoms == 0 for b in account.balances.values())

    def _cash(self, account: Account) -> dict[str, int]:
        ledger = self.exchange.house.ledger
        return {
            name: ledger.balances[b.cash] - b.liability_atoms
            for name, b in account.balances.items()
        }

    def _test_events(self, events: list[Any]) -> None:
        ids = set()
        for event in events:
            if type(event) is RiskAction:
                ids.add(event.action_id)
                assert event.trigger_id < event.action_id
                assert 0 <= event.filled_lots <= event.wanted_lots
                assert math.isfinite(event.notional_usd + event.slippage_usd + event.fee_usd)
                complete = event.filled_lots == event.wanted_lots
                if (
                    event.stage <= LiquidationStage.REPAYMENT
                    and complete
                    and event.ratio_before > 0
                ):
                    assert event.ratio_after > event.ratio_before, event
            elif type(event) is FundBalance:
                assert event.atoms >= 0
            elif type(event) is Bankruptcy:
                for total, *parts in event.split_atoms.values():
                    assert sum(parts) == total
                    assert min(parts) >= 0
            elif type(event) is Deleveraging:
                assert event.price_ticks >= 0

    def _test_positions(self, events: list[Any], lots: dict[int, dict[int, int]]) -> None:
        """No reduction turns a sign, no winner grows; hedges and pools may open positions."""
        house = self.exchange.house
        opened, own = set(), set()
        for event in events:
            if type(event) is RiskAction and event.stage in HEDGES:
                opened.add((event.account, house.listings[event.instrument_id].number))
            elif type(event) is Fill:
                number = house.listings[event.instrument.instrument_id].number
                own.add((event.maker.owner, number))
        for account in self.traders:
            for number, position in account.positions.items():
                held = lots[account.number].get(number, 0)
                if (account.number, number) in opened | own:
                    continue
                assert position.lots * held >= 0, (account.name, number, held, position.lots)
                assert abs(position.lots) <= abs(held), (account.name, number)

    def _test_untouched(
        self,
        events: list[Any],
        lots: dict[int, dict[int, int]],
        cash: dict[int, dict[str, int]],
        states: dict[int, AccountState],
    ) -> None:
        """Accounts that are not flagged keep what they have, deleveraging and makers excepted."""
        touched = {e.winner for e in events if type(e) is Deleveraging}
        touched |= {e.maker.owner for e in events if type(e) is Fill}
        social = any(e.socialised_usd > 0.0 for e in events if type(e) is Bankruptcy)
        for account in self.traders:
            if account.number in touched or states[account.number] not in SETTLED or social:
                continue
            fell = any(
                type(e) is StateChange
                and e.account == account.number
                and e.new == AccountState.LIQUIDATING
                for e in events
            )
            if account.state in SETTLED and not fell:
                now = {n: p.lots for n, p in account.positions.items() if p.lots}
                assert now == {n: v for n, v in lots[account.number].items() if v}
                assert self._cash(account) == cash[account.number]

    def _test_figures(self) -> None:
        """What is kept up to date piece by piece equals a rebuild, to the last bit."""
        exposures = self.exchange.house.exposures
        kept = exposures.all_figures().copy()
        assert not np.isnan(kept[:, : t.T_FEE + 1]).any()
        exposures.accounts[: len(kept), t.A_VERSION] = t.NONE
        anew = exposures.all_figures()
        assert (kept[:, : t.T_FEE + 1] == anew[:, : t.T_FEE + 1]).all()


def run_cascade(seed: int, moves: int = 6) -> Cascade:
    """Play one cascade to its end."""
    cascade = Cascade(seed)
    for _ in range(moves):
        cascade.step()
    cascade.finish()
    return cascade
