"""Runs written by hand, event by event, for tests whose figures are worked out on paper."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accounts.events import (
    AccountState,
    Bankruptcy,
    LiquidationStage,
    Marks,
    RiskAction,
    StateChange,
)
from scenarios.market_sample import DEPTH_BANDS_BPS, MarketSample
from scenarios.recorder import Recorder
from scenarios.run_directory import Run, RunDirectory
from tests.scenarios.fake_run import INSTRUMENTS

T0 = 1_583_971_200_000_000_000
SECOND = 10**9
E8 = 10**8


def at(seconds: float) -> int:
    """A moment, seconds after the start."""
    return T0 + round(seconds * SECOND)


def marks(seconds: float, price: float, usdt: float = 1.0) -> Marks:
    """Published prices: BTC-USDT-SWAP and BTC-USDT at `price`."""
    index = round(price * E8)
    return Marks(
        at(seconds),
        {"BTC-USDT": index},
        {"BTC": index, "USDT": round(usdt * E8)},
        [round(price * 10), round(price * 10)],
    )


def sample(
    seconds: float, price: float, depth_lots: int = 100_000, *, interest: int = 1_000_000
) -> MarketSample:
    """A market sample of the perpetual with `depth_lots` in every band; spread two ticks."""
    ticks = round(price * 10)
    depth = tuple([depth_lots] * len(DEPTH_BANDS_BPS))
    index = round(price * E8)
    return MarketSample(
        at(seconds), 0, index, ticks, ticks, ticks - 1, ticks + 1, depth, depth, interest
    )


def action(
    seconds: float, number: int, account: int, trigger: int = 0, **changes: Any
) -> RiskAction:
    """A forced sale of 10,000 lots (1 BTC) at 7,000, mark 7,010, bankruptcy price 6,900."""
    fields: dict[str, Any] = {
        "time_ns": at(seconds),
        "action_id": number,
        "trigger_id": trigger,
        "account": account,
        "stage": LiquidationStage.STANDARD,
        "unit": "BTC",
        "instrument_id": "BTC-USDT-SWAP",
        "side": -1,
        "wanted_lots": 20_000,
        "filled_lots": 10_000,
        "limit_ticks": 69_000,
        "average_price": 7_000.0,
        "mark_price": 7_010.0,
        "bankruptcy_price": 6_900.0,
        "notional_usd": 7_010.0,
        "slippage_usd": 10.0,
        "fee_usd": 3.5,
        "ratio_before": 0.95,
        "ratio_after": 1.05,
        "reason": "largest improvement",
    }
    return RiskAction(**{**fields, **changes})


def falls(seconds: float, account: int, ratio: float = 0.95) -> StateChange:
    """An account breaks."""
    return StateChange(
        at(seconds), account, AccountState.WARNED, AccountState.LIQUIDATING, 950.0, 950.0, 1_000.0,
        1_300.0, ratio, 1,
    )  # fmt: skip


def bankrupt(seconds: float, number: int, account: int, **changes: Any) -> Bankruptcy:
    """A deficit of 100 USD: the fund pays 60, winners 25, nobody 15."""
    fields: dict[str, Any] = {
        "time_ns": at(seconds), "action_id": number, "account": account, "equity_usd": -100.0,
        "deficit_usd": 100.0, "fund_usd": 60.0, "deleveraging_usd": 25.0, "socialised_usd": 0.0,
        "uncovered_usd": 15.0, "pools": {"swaps/BTC-USDT": 60.0},
    }  # fmt: skip
    return Bankruptcy(**{**fields, **changes})


def write_run(path: Path, events: Iterable[Any], names: Iterable[str] = (), **options: Any) -> Run:
    """A finished run of these events. Prices at the first moment are added in front."""
    accounts = list(names) or [f"trader/{n}" for n in range(10)]
    directory = RunDirectory.open(
        path, scenario="hand", seed=1, config={"name": "hand"}, instruments=INSTRUMENTS,
        account_names=accounts,
    )  # fmt: skip
    recorder = Recorder(path, INSTRUMENTS, **options)
    for event in events:
        recorder(event)
    digest = recorder.close()
    summary = {
        "scenario": "hand", "seed": 1, "event_hash": digest, "simulated_seconds": 60.0,
        "wall_seconds": 0.1, "accounts": len(accounts), **recorder.summary.figures(),
        "conservation_error_atoms": {"USDT": 0},
    }  # fmt: skip
    directory.finish(summary, digest, recorder.rows)
    return Run.load(path)
