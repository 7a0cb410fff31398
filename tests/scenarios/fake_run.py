"""A small made-up crash, for tests of everything that reads a run.

One perpetual on a real matching engine, two makers, noise, leveraged longs and some shorts, with a
toy margin rule. It emits every kind of event that the clearing side has, with plausible figures.
Nothing here models the exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from accounts.events import (
    AccountSnapshots,
    AccountState,
    Bankruptcy,
    Deleveraging,
    FundBalance,
    FundingPayment,
    LiquidationStage,
    MarginWarning,
    Marks,
    PostingKind,
    RiskAction,
    StateChange,
)
from accounts.ledger import Ledger
from exchange.events import CancelReason, Fill, OrderCancelled, OrderRejected, RejectReason
from exchange.instrument import parse_instrument
from exchange.matching import MatchingEngine
from exchange.order import OrderRequest, OrderType, Side
from scenarios.market_sample import sample_market
from scenarios.recorder import Recorder
from scenarios.run_directory import RunDirectory

START_NS = 1_583_971_200_000_000_000  # 2020-03-12T00:00:00Z
STEP_NS = 10_000_000_000
PERP = parse_instrument("BTC-USDT-SWAP")
SPOT = parse_instrument("BTC-USDT")
INSTRUMENTS = (PERP, SPOT)
FUND = "swap/BTC-USDT"
MAKERS, NOISE = 2, 2  # accounts 0 and 1 make markets, 2 is noise, the pool is the last account
E8 = 10**8


@dataclass
class Trader:
    """One account of the toy margin rule; cost is what the position paid, in atoms."""

    name: str
    cash: int
    lots: int = 0
    cost: int = 0
    state: AccountState = AccountState.HEALTHY
    trigger: int = 0


@dataclass
class FakeRun:
    """Emits the events of `steps` steps of ten seconds into `emit`."""

    emit: Callable[[Any], None]
    seed: int = 1
    steps: int = 1_200
    longs: int = 40
    traders: list[Trader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.ledger = Ledger()
        self.engine = MatchingEngine(PERP)
        self.now = START_NS
        self.impact = 0.0
        self.mark = 79_000
        self.last = self.mark
        self.action = 0
        self.last_mover, self.moved_ns = 0, 0
        self.resting: dict[int, list[int]] = {0: [], 1: []}
        money = [2_000_000_000] * 3
        names = ["market_maker/0", "market_maker/1", "noise/0"]
        names += [f"leveraged_long/{i}" for i in range(self.longs)] + ["short/0", "short/1"]
        money += [int(x) for x in self.rng.uniform(20_000, 400_000, self.longs)] + [900_000] * 2
        self.traders = [Trader(n, m * E8) for n, m in zip(names, money, strict=True)]
        self.traders.append(Trader("fund/" + FUND, 0))
        self.pool = len(self.traders) - 1

    @property
    def names(self) -> list[str]:
        """Names of the accounts, the pool's last."""
        return [t.name for t in self.traders]

    def cash(self, number: int) -> int:
        """Ledger account of a trader's USDT."""
        name = f"fund/{FUND}" if number == self.pool else f"cash/{self.traders[number].name}"
        return self.ledger.open(name, "USDT")

    def run(self) -> FakeRun:
        """The whole crash."""
        for number, trader in enumerate(self.traders[:-1]):
            self.ledger.deposit(self.now, self.cash(number), trader.cash)
        self.fund(5_000 * E8, 0)
        self.publish(7_900.0)
        self.requote(7_900.0)
        self.open_positions()
        for step in range(self.steps):
            self.now = START_NS + (step + 1) * STEP_NS
            self.step(step)
        return self

    def path(self, step: int) -> float:
        """Slow fall, crash, half a recovery."""
        x = step / self.steps
        points = [0, 0.3, 0.45, 0.55, 0.6, 0.75, 1]
        levels = [7_900, 7_500, 7_350, 5_600, 4_700, 5_500, 5_650]
        return float(np.interp(x, points, levels)) * (1 + 0.001 * float(self.rng.normal()))

    def step(self, step: int) -> None:
        """Price, makers, noise, risk, samples."""
        self.impact *= 0.97
        index = self.path(step)
        self.publish(index)
        self.requote(index * (1 + self.impact))
        if self.rng.random() < 0.02:
            request = OrderRequest(PERP.instrument_id, Side.BUY, OrderType.LIMIT, 100, self.mark)
            self.emit(OrderRejected(self.now, request, 5, RejectReason.INSUFFICIENT_MARGIN))
        for _ in range(int(self.rng.poisson(2))):
            side = Side.BUY if self.rng.random() < 0.5 else Side.SELL
            self.take(NOISE, side, int(self.rng.pareto(1.5) * 300) + 1, 0)
        for number in range(3, self.pool):
            self.check(number)
        self.unwind()
        if step % 6 == 0:
            self.sample(index)
        if step % 2880 == 1440:
            self.emit(
                FundingPayment(self.now, PERP.instrument_id, -30_000, self.mark, 10**5, 10**8)
            )
        batch = self.ledger.flush()
        if batch is not None:
            self.emit(batch)

    def publish(self, index: float) -> None:
        """Marks follow the index and half of what the book says."""
        self.mark = int((index + 0.5 * (self.last / 10 - index)) * 10)
        e8 = int(index * E8)
        usdt = E8 if self.now == START_NS else int(E8 * (1 + 0.001 * float(self.rng.normal())))
        self.emit(
            Marks(
                self.now, {"BTC-USDT": e8}, {"BTC": e8, "USDT": usdt}, [self.mark, int(index * 10)]
            )
        )

    def requote(self, fair: float) -> None:
        """Cancel and replace the makers' ladders; thin when the price runs."""
        thin = 0.05 if abs(self.impact) > 0.01 else 1.0
        for maker in range(MAKERS):
            for order_id in self.resting[maker]:
                self.out(self.engine.cancel(order_id, self.now, CancelReason.USER))
            self.resting[maker] = []
            for level in range(8):
                gap = (2 + maker + 3 * level**2) * (1 if thin == 1 else 8)
                lots = int(thin * (3_000 + 9_000 * level) * self.rng.uniform(0.5, 1.5)) + 1
                for side in (Side.BUY, Side.SELL):
                    ticks = int(fair * 10) - side * gap
                    self.place(
                        maker,
                        OrderRequest(PERP.instrument_id, side, OrderType.POST_ONLY, lots, ticks),
                    )

    def place(self, owner: int, request: OrderRequest, cause: int = 0) -> int:
        """Submit and settle; returns the lots filled."""
        order = self.engine.new_order(owner, request, self.now)
        order.cause_id, order.is_liquidation = cause, cause > 0
        events = self.engine.submit(order, self.now)
        self.out(events)
        if order.remaining_lots and owner in self.resting and order.order_id in self.engine.book:
            self.resting[owner].append(order.order_id)
        return sum(e.size_lots for e in events if type(e) is Fill)

    def take(self, owner: int, side: Side, lots: int, cause: int, limit: int | None = None) -> int:
        """An IOC order."""
        if limit is None:
            limit = int(self.mark * (1 + 0.03 * side))
        return self.place(
            owner, OrderRequest(PERP.instrument_id, side, OrderType.IOC, lots, limit), cause
        )

    def out(self, events: list[Any]) -> None:
        """Emit and settle the market's events."""
        for event in events:
            if type(event) is OrderCancelled and event.remaining_lots == 0:
                continue
            self.emit(event)
            if type(event) is Fill:
                self.last = event.price_ticks
                buyer, seller = event.maker.owner, event.taker.owner
                if event.taker.side > 0:
                    buyer, seller = seller, buyer
                self.settle(buyer, seller, event.price_ticks, event.size_lots, event.fill_id)

    def settle(self, buyer: int, seller: int, ticks: int, lots: int, reference: int) -> None:
        """Positions and postings of one trade."""
        value = PERP.value_atoms(ticks, lots)
        accounts = [
            self.ledger.open(f"cost/{self.traders[n].name}/{PERP.instrument_id}", "USDT")
            for n in (buyer, seller)
        ]
        self.ledger.post(self.now, PostingKind.TRADE, accounts[0], accounts[1], value, reference)
        for number, sign in ((buyer, 1), (seller, -1)):
            trader = self.traders[number]
            trader.lots += sign * lots
            trader.cost += sign * value
            if number != self.pool:
                fee = value // 2_000
                trader.cash -= fee
                self.ledger.post(
                    self.now,
                    PostingKind.FEE,
                    self.cash(number),
                    self.ledger.open("fees", "USDT"),
                    fee,
                    reference,
                )

    def open_positions(self) -> None:
        """Longs buy what the makers offer, at leverages between 2 and 12."""
        for number in range(3, self.pool):
            trader = self.traders[number]
            leverage = float(self.rng.uniform(2, 12))
            side = Side.SELL if trader.name.startswith("short") else Side.BUY
            wanted = int(trader.cash / E8 * leverage / (self.mark / 10) * 10_000)
            for _ in range(20):
                if wanted < 1:
                    break
                wanted -= self.take(number, side, wanted, 0)
                self.requote(7_900.0)

    def figures(self, trader: Trader) -> tuple[float, float, float]:
        """Equity, maintenance margin, ratio."""
        value = PERP.value_atoms(self.mark, trader.lots)
        equity = (trader.cash + value - trader.cost) / E8
        need = 0.03 * abs(value) / E8
        return equity, need, equity / need if need else float("inf")

    def check(self, number: int) -> None:
        """States and liquidation steps of one trader."""
        trader = self.traders[number]
        if trader.state == AccountState.BANKRUPT:
            return
        equity, need, ratio = self.figures(trader)
        stopped = 1.2 if trader.state >= AccountState.LIQUIDATING else 1.0
        new = AccountState.HEALTHY
        for level, state in ((3.0, 1), (1.5, 2), (stopped, 4)):
            new = AccountState(state) if ratio <= level else new
        if equity <= 0 < abs(trader.lots):
            new = AccountState.BANKRUPT
        if new != trader.state:
            if new >= AccountState.LIQUIDATING > trader.state:
                lately = self.now - self.moved_ns <= 60 * 10**9
                trader.trigger = self.last_mover if lately else 0
            action = self.action + 1 if new >= AccountState.LIQUIDATING else 0
            self.emit(
                StateChange(
                    self.now,
                    number,
                    trader.state,
                    new,
                    equity,
                    equity,
                    need,
                    1.3 * need,
                    ratio,
                    action,
                )
            )
            trader.state = new
            if new == AccountState.WARNED:
                self.emit(MarginWarning(self.now, number, ratio))
        if new == AccountState.LIQUIDATING:
            self.reduce(number, ratio)
        elif new == AccountState.BANKRUPT:
            self.take_over(number, equity)

    def reduce(self, number: int, ratio: float) -> None:
        """One step of standard reduction: a fifth of the position."""
        trader = self.traders[number]
        self.action += 1
        side = Side.SELL if trader.lots > 0 else Side.BUY
        lots = max(1, abs(trader.lots) // 5)
        trigger = trader.trigger
        limit = int(self.mark * (1 + 0.02 * side))
        before = self.last
        filled = self.take(number, side, lots, self.action, limit)
        notional = abs(PERP.value_atoms(self.mark, filled)) / E8
        if filled:
            self.impact += side * min(0.004, notional / 4e8)
            self.last_mover, self.moved_ns = self.action, self.now
        price = (before + self.last) / 20 if filled else 0.0
        slip = (self.mark / 10 - price) * -side * filled / 10_000 if filled else 0.0
        self.emit(
            RiskAction(
                self.now,
                self.action,
                trigger,
                number,
                LiquidationStage.STANDARD,
                "BTC",
                PERP.instrument_id,
                side,
                lots,
                filled,
                limit,
                price,
                self.mark / 10,
                0.97 * self.mark / 10,
                notional,
                slip,
                notional / 2_000,
                ratio,
                self.figures(trader)[2],
                "largest improvement of equity to margin",
            )
        )

    def take_over(self, number: int, equity: float) -> None:
        """The pool takes the position at the bankruptcy price; the fund pays, then the winners."""
        trader = self.traders[number]
        self.action += 1
        lots, side = trader.lots, Side.SELL if trader.lots > 0 else Side.BUY
        deficit = max(0.0, -equity)
        notional = abs(PERP.value_atoms(self.mark, lots)) / E8
        self.emit(
            RiskAction(
                self.now, self.action, trader.trigger, number, LiquidationStage.TAKE_OVER, "BTC",
                PERP.instrument_id, side, abs(lots), abs(lots), self.mark, self.mark / 10,
                self.mark / 10, self.mark / 10, notional, 0.0, 0.0, 0.0, float("inf"),
                "equity is used up",
            )
        )  # fmt: skip
        pool = self.traders[self.pool]
        paid = min(int(deficit * E8), pool.cash)
        first, second = (self.pool, number) if lots > 0 else (number, self.pool)
        self.settle(first, second, self.mark, abs(lots), self.action)
        residual = trader.cost
        self.ledger.post(
            self.now,
            PostingKind.REALISED,
            self.cash(number),
            self.ledger.open(f"cost/{trader.name}/{PERP.instrument_id}", "USDT"),
            residual,
            self.action,
        )
        trader.cash, trader.cost = 0, 0
        if paid:
            self.ledger.post(
                self.now,
                PostingKind.DEFICIT,
                self.cash(self.pool),
                self.cash(number),
                paid,
                self.action,
            )
            self.fund(-paid, self.action)
        rest = deficit - paid / E8
        shared = self.deleverage(number, lots, rest) if rest > 0 else 0.0
        uncovered = self.ledger.open("uncovered_loss", "USDT")
        missing = round((rest - shared) * E8)
        self.ledger.post(
            self.now, PostingKind.DEFICIT, uncovered, self.cash(number), missing, self.action
        )
        self.emit(
            Bankruptcy(
                self.now,
                self.action,
                number,
                equity,
                deficit,
                paid / E8,
                shared,
                0.0,
                rest - shared,
                {FUND: deficit},
            )
        )

    def deleverage(self, loser: int, lots: int, rest: float) -> float:
        """Half of the rest is paid by the first short with a profit."""
        for number in range(3, self.pool):
            trader = self.traders[number]
            if trader.lots * lots < 0:
                part = max(1, min(abs(trader.lots), abs(lots)) // 4)
                self.emit(
                    Deleveraging(
                        self.now,
                        self.action,
                        loser,
                        number,
                        PERP.instrument_id,
                        part if trader.lots < 0 else -part,
                        self.mark + 50,
                        self.mark,
                        rest / 2,
                    )
                )
                return rest / 2
        return 0.0

    def fund(self, change: int, reference: int) -> None:
        """Change the pool's balance and say so."""
        self.traders[self.pool].cash += change
        if change > 0:
            self.ledger.deposit(self.now, self.cash(self.pool), change)
        self.emit(
            FundBalance(self.now, FUND, "USDT", self.traders[self.pool].cash, change, reference)
        )

    def unwind(self) -> None:
        """The pool sells a little of what it took over."""
        lots = self.traders[self.pool].lots
        if lots > 0:
            self.take(self.pool, Side.SELL, max(1, lots // 10), self.action)

    def sample(self, index: float) -> None:
        """Market samples and account snapshots."""
        lots = sum(max(0, t.lots) for t in self.traders)
        e8 = int(index * E8)
        self.emit(
            sample_market(
                self.now,
                0,
                self.engine.book,
                index_e8=e8,
                mark_ticks=self.mark,
                last_ticks=self.last,
                open_interest_lots=lots,
            )
        )
        numbers = range(3, self.pool)
        equity, need, ratio = np.array([self.figures(self.traders[n]) for n in numbers]).T
        states = np.array([self.traders[n].state for n in numbers])
        self.emit(
            AccountSnapshots(
                self.now, np.array(numbers), states, equity, equity, need, 1.3 * need, ratio
            )
        )


def write_fake_run(
    path: Path, *, seed: int = 1, steps: int = 1_200, longs: int = 40, **options: Any
) -> Path:
    """A finished run folder of the made-up crash."""
    config = {"name": "made-up-crash", "steps": steps, "longs": longs}
    names: list[str] = []
    recorder: Recorder
    directory = RunDirectory.open(
        path,
        scenario="made-up-crash",
        seed=seed,
        config=config,
        instruments=INSTRUMENTS,
        account_names=names,
    )
    recorder = Recorder(path, INSTRUMENTS, **options)
    run = FakeRun(recorder, seed, steps, longs).run()
    directory.manifest["accounts"] = run.names
    digest = recorder.close()
    summary = {
        "scenario": "made-up-crash",
        "seed": seed,
        "event_hash": digest,
        "simulated_seconds": steps * 10.0,
        "wall_seconds": 1.0,
        "accounts": len(run.names),
        **recorder.summary.figures(),
        "conservation_error_atoms": run.ledger.conservation_error(),
    }
    directory.finish(summary, digest, recorder.rows)
    return path
