"""How fast is margin: all accounts at once, the stress table of a mark, one report.

`python benchmarks/margin.py` prints one JSON object. The re-margin of 100,000 accounts with 5
positions each out of 100 instruments is timed against a plain Python loop in the same run (over a
sample of the accounts, whose results must agree), and against the time that memory alone would
take to deliver the input.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk import account_kernels as ak
from risk.borrowing import borrow_arrays
from risk.collateral import discount_arrays
from risk.contracts import FUTURE, NS_PER_DAY, OPTION, PERPETUAL, Contract, MarketSnapshot
from risk.margin import Portfolio, PositionInput, margin_report
from risk.rules import load_rules
from risk.stress import StressPlan, StressTable

ACCOUNTS, POSITIONS, INSTRUMENTS = 100_000, 5, 100
STRESS_INSTRUMENTS = 200
SAMPLE = 400
COINS = {
    "BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "XRP": 0.5, "LTC": 80.0, "BNB": 600.0,
    "DOGE": 0.1, "ADA": 0.4, "AVAX": 30.0, "LINK": 15.0, "SUI": 1.2, "DASH": 30.0,
}  # fmt: skip
CURRENCIES = ("USDT", "USDC", *COINS)
RULES = load_rules("okx-2025")


def contracts(count: int, options: int) -> tuple[Contract, ...]:
    """`count` contracts, `options` of them options of BTC and ETH; sizes near 1,000 USD."""
    made: list[Contract] = []
    expiries = [NS_PER_DAY * days + NS_PER_DAY // 3 for days in (7, 30, 90, 180)]
    for coin, price in COINS.items():
        for quote in ("USDT", "USDC", "USD"):
            inverse = quote == "USD"
            settle, amount = (coin, 1_000.0) if inverse else (quote, 1_000.0 / price)
            for expiry in (None, *expiries[: 1 if quote == "USDC" else 3]):
                name = f"{coin}-{quote}-{'SWAP' if expiry is None else expiry // NS_PER_DAY}"
                kind = PERPETUAL if expiry is None else FUTURE
                made.append(Contract(name, kind, coin, quote, settle, inverse, amount, expiry))
    listed: list[Contract] = []
    strikes = np.linspace(0.6, 1.5, max(1, options // 16))
    for coin in ("BTC", "ETH"):
        for expiry in expiries:
            for strike in strikes * COINS[coin]:
                for call in (True, False):
                    name = f"{coin}-USD-{expiry // NS_PER_DAY}-{strike:.0f}-{'C' if call else 'P'}"
                    listed.append(
                        Contract(name, OPTION, coin, "USD", coin, False, 0.1, expiry, strike, call)
                    )
    return (*made[: count - options], *listed[:options])


def snapshot(listed: tuple[Contract, ...]) -> MarketSnapshot:
    """Marks near the index, volatilities of 60 %."""
    linear = [c for c in listed if c.kind != OPTION]
    return MarketSnapshot(
        0,
        {**COINS, "USDT": 0.999, "USDC": 1.0},
        mark={c.instrument_id: COINS[c.base] * 1.001 for c in linear},
        implied_vol={c.instrument_id: 0.6 for c in listed if c.kind == OPTION},
    )


def best_of(
    runs: int, work: Callable[[], object], clock: Callable[[], float] = time.thread_time
) -> float:
    """Shortest time of `runs` runs, seconds; CPU time of this thread, so that others on the
    machine do not count."""
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def random_accounts(table: StressTable, settle: NDArray[np.int64]) -> ak.AccountArrays:
    """Accounts with POSITIONS different instruments each and the balances that these touch."""
    rng = np.random.default_rng(20_250_115)
    count = len(table.contracts)
    chosen = np.argsort(rng.random((ACCOUNTS, count)), axis=1)[:, :POSITIONS]
    order = np.argsort(table.unit_of[chosen], axis=1, kind="stable")
    instrument = np.take_along_axis(chosen, order, axis=1)
    base = np.array([CURRENCIES.index(c.base) for c in table.contracts])
    touched = np.zeros((ACCOUNTS, len(CURRENCIES)), bool)
    touched[:, CURRENCIES.index("USDT")] = True
    rows = np.repeat(np.arange(ACCOUNTS), POSITIONS)
    touched[rows, settle[instrument.ravel()]] = True
    touched[rows, base[instrument.ravel()]] = True
    currency = np.nonzero(touched)[1]
    prices = np.array([{**COINS, "USDT": 1.0, "USDC": 1.0}[c] for c in CURRENCIES])
    amount = np.abs(rng.normal(0.0, 20_000.0, currency.size)) / prices[currency]
    return ak.AccountArrays(
        first_position=np.arange(0, ACCOUNTS * POSITIONS + 1, POSITIONS),
        instrument=instrument.ravel().astype(np.int64),
        lots=rng.integers(-20, 20, ACCOUNTS * POSITIONS),
        first_balance=np.concatenate(([0], np.cumsum(touched.sum(axis=1)))),
        currency=currency.astype(np.int64),
        amount=amount,
        cap=np.full(currency.size, np.inf),
    )


def market_arrays(table: StressTable, settle: NDArray[np.int64]) -> ak.MarketArrays:
    """The mark, one lot a contract; positions count with their value, entered at zero cost."""
    usd = {**COINS, "USDT": 0.999, "USDC": 1.0}
    return ak.MarketArrays(
        rows=table.rows,
        mr7_long=table.mr7_long,
        mr7_short=table.mr7_short,
        value=table.value * 0.01,  # most of the value was paid at entry
        settle=settle,
        is_option=np.array([int(c.kind == OPTION) for c in table.contracts]),
        unit_of=table.unit_of,
        unit_params=table.unit_params,
        unit_base=np.array([CURRENCIES.index(unit.base) for unit in table.units]),
        usd=np.array([usd[c] for c in CURRENCIES]),
        discounts=discount_arrays(RULES, CURRENCIES),
        borrows=borrow_arrays(RULES, CURRENCIES),
        fee_rate=RULES.fees.liquidation_borrow,
    )


@dataclass(frozen=True)
class Remargin:
    """Times of one pass over all accounts, seconds; wall times where they say so."""

    kernel: float
    wall: float
    threads_wall: float
    python: float
    python_wall: float
    bytes_read: int


def remargin() -> Remargin:
    """Time the pass over all accounts, and the plain loop on a sample that must agree."""
    from plain_loop import PlainLoop

    listed = contracts(INSTRUMENTS, 32)
    plan = StressPlan.of(listed, RULES)
    table = plan.evaluate(0, plan.prices(snapshot(listed)), 0.999, 1.0)
    settle = np.array([CURRENCIES.index(c.settle) for c in listed])
    held, market = random_accounts(table, settle), market_arrays(table, settle)
    result = np.empty((ACCOUNTS, ak.FULL_SIZE))
    ak.full_margin(held, market, result)
    kernel = best_of(10, lambda: ak.full_margin(held, market, result))
    pass_over = ak.full_margin
    wall = best_of(10, lambda: pass_over(held, market, result), time.perf_counter)
    threads = best_of(10, lambda: pass_over(held, market, result, threads=2), time.perf_counter)
    loop = PlainLoop(held, market)
    share = ACCOUNTS / SAMPLE

    def sample() -> None:
        for account in range(SAMPLE):
            loop.margin(account)

    python, python_wall = best_of(3, sample), best_of(3, sample, time.perf_counter)
    for account in range(SAMPLE):
        assert np.allclose(loop.margin(account), result[account, :3], rtol=1e-9, atol=1e-6)
    read = sum(array.nbytes for array in held) + result.nbytes
    return Remargin(kernel, wall, threads, python * share, python_wall * share, read)


def memory_bandwidth() -> float:
    """Bytes a second that one core reads and writes when it only copies."""
    source = np.ones(16_000_000)
    target = np.empty_like(source)
    return 2.0 * source.nbytes / best_of(5, lambda: np.copyto(target, source))


def stress_ms(count: int, options: int) -> float:
    """Milliseconds for the stress table of a new mark."""
    listed = contracts(count, options)
    plan = StressPlan.of(listed, RULES)
    prices = plan.prices(snapshot(listed))
    plan.evaluate(0, prices, 0.999, 1.0)
    return 1e3 * best_of(50, lambda: plan.evaluate(0, prices, 0.999, 1.0))


def report_ms() -> float:
    """Milliseconds for the full report of an account with twelve positions."""
    listed = contracts(60, 8)[:4] + contracts(60, 8)[-8:]
    positions = tuple(PositionInput(c, 3.0, 1.0) for c in listed)
    account = Portfolio(snapshot(listed), {"USDT": 1e6, "BTC": 1.0}, positions)
    margin_report(account, RULES)
    return 1e3 * best_of(20, lambda: margin_report(account, RULES))


def main() -> None:
    """Print all figures as one JSON object."""
    times = remargin()
    limit = times.bytes_read / memory_bandwidth()
    figures = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "accounts": ACCOUNTS,
        "positions_per_account": POSITIONS,
        "instruments": INSTRUMENTS,
        "full_remargin_ms": round(1e3 * times.kernel, 2),
        "full_remargin_wall_ms": round(1e3 * times.wall, 2),
        "full_remargin_two_threads_wall_ms": round(1e3 * times.threads_wall, 2),
        "plain_python_loop_ms": round(1e3 * times.python, 1),
        "speedup_one_core": round(times.python / times.kernel, 1),
        "speedup_two_threads": round(times.python_wall / times.threads_wall, 1),
        "ns_per_position": round(1e9 * times.kernel / (ACCOUNTS * POSITIONS), 1),
        "memory_bandwidth_limit_ms": round(1e3 * limit, 2),
        "bytes_read_mb": round(times.bytes_read / 1e6, 1),
        "stress_table_instruments": STRESS_INSTRUMENTS,
        "stress_table_half_options_ms": round(stress_ms(STRESS_INSTRUMENTS, 100), 3),
        "stress_table_no_options_ms": round(stress_ms(100, 0), 3),
        "margin_report_ms": round(report_ms(), 3),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
