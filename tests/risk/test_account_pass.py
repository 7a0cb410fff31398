"""The pass over all accounts against the margin kernel, unit by unit; eight numbers at once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

from risk import account_kernels as ak
from risk import eight
from risk import layout as at
from risk.borrowing import borrow_arrays
from risk.collateral import discount_arrays
from risk.contracts import OPTION
from risk.kernels import raw_charge, spot_in_use, unit_margin, weighted_rows
from risk.packed_rows import TENORS, packed
from risk.rules import load_rules
from risk.stress import build_stress
from tests.risk.samples import contract, market

# Nine expiries and the perpetuals are ten tenors: more than one block of eight.
EXPIRIES = tuple(f"2503{day:02d}" for day in range(20, 29))
FUTURES = tuple(f"BTC-USD-{expiry}" for expiry in EXPIRIES)
OPTIONS = tuple(
    f"BTC-USD-{expiry}-{strike}-{side}"
    for expiry in EXPIRIES
    for strike, side in ((50000, "P"), (60000, "C"), (60000, "P"), (80000, "C"))
)
PERPETUALS = tuple(
    f"{coin}-{quote}-SWAP" for coin in ("BTC", "ETH", "SOL") for quote in ("USDT", "USDC", "USD")
)
CONTRACTS = tuple(map(contract, (*PERPETUALS, *FUTURES, *OPTIONS, "ETH-USD-250328")))
SNAPSHOT = replace(
    market(
        {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "USDT": 0.98, "USDC": 0.97},
        mark={name: 60_000.0 + 90.0 * n for n, name in enumerate(FUTURES)}
        | {"ETH-USD-250328": 3_030.0},
        implied_vol=dict.fromkeys(OPTIONS, 0.6),
    ),
    time_ns=1_739_000_000 * 10**9,
)
CURRENCIES = ("BTC", "ETH", "SOL", "USDC", "USDT")
ACCOUNTS = 400


def _market(name: str) -> ak.MarketArrays:
    rules = load_rules(name)
    table = build_stress(CONTRACTS, SNAPSHOT, rules)
    number = {c: k for k, c in enumerate(CURRENCIES)}
    return ak.MarketArrays(
        rows=table.rows,
        mr7_long=table.mr7_long,
        mr7_short=table.mr7_short,
        value=table.value,
        settle=np.array([number[c.settle] for c in CONTRACTS]),
        is_option=np.array([int(c.kind == OPTION) for c in CONTRACTS]),
        unit_of=table.unit_of,
        unit_params=table.unit_params,
        unit_base=np.array([number[u.base] for u in table.units]),
        usd=np.array([SNAPSHOT.usd(c) for c in CURRENCIES]),
        discounts=discount_arrays(rules, CURRENCIES),
        borrows=borrow_arrays(rules, CURRENCIES),
        fee_rate=rules.fees.liquidation_borrow,
    )


def _wild(marks: ak.MarketArrays) -> ak.MarketArrays:
    """Other numbers in the places of a real table, so that every component is the largest often."""
    rng = np.random.default_rng(7)
    rows = marks.rows * np.exp(rng.normal(0.0, 1.0, marks.rows.shape))
    cells = rows[:, : at.EXTREME_UP + 1]
    cells += np.abs(cells).max(axis=1)[:, None] * rng.normal(0.0, 0.3, cells.shape)
    rows[:, at.THETA] = cells[:, at.EXTREME_UP] * rng.normal(0.0, 0.5, len(rows))
    return marks._replace(rows=rows, mr7_long=0.2 * marks.mr7_long, mr7_short=3.0 * marks.mr7_short)


def _accounts(marks: ak.MarketArrays) -> ak.AccountArrays:
    """Zero to nine positions of -3 to 3 or some thousand lots, funds of either sign, limits."""
    rng = np.random.default_rng(20_250_328)
    chosen = []
    for count in rng.integers(0, 10, ACCOUNTS):
        one = rng.choice(len(CONTRACTS), count, replace=False)
        chosen.append(one[np.argsort(marks.unit_of[one], kind="stable")])
    instrument = np.concatenate(chosen)
    balances = len(CURRENCIES) * ACCOUNTS
    lots = rng.integers(-3, 4, instrument.size) * rng.choice([1, 2_000], instrument.size)
    usd = np.tile(marks.usd, ACCOUNTS)
    limited = rng.random(balances) < 0.3
    return ak.AccountArrays(
        first_position=np.concatenate(([0], np.cumsum([one.size for one in chosen]))),
        instrument=instrument,
        lots=lots,
        first_balance=np.arange(0, balances + 1, len(CURRENCIES)),
        currency=np.tile(np.arange(len(CURRENCIES)), ACCOUNTS),
        amount=rng.normal(0.0, 1e5, balances) / usd,
        cap=np.where(limited, rng.uniform(0.0, 1.0, balances), np.inf),
    )


def _margins(held: ak.AccountArrays, marks: ak.MarketArrays, account: int) -> tuple[float, float]:
    """Maintenance and initial margin of the units, one kernel call each."""
    coins = held.amount[held.first_balance[account] :][: len(CURRENCIES)].copy()
    caps = held.cap[held.first_balance[account] :][: len(CURRENCIES)]
    mine = slice(held.first_position[account], held.first_position[account + 1])
    instrument, lots = held.instrument[mine], held.lots[mine].astype(np.float64)
    spot = lots * marks.value[instrument] * (1 - marks.is_option[instrument])
    np.add.at(coins, marks.settle[instrument], spot)
    maintenance, initial, out = 0.0, 0.0, np.zeros(at.OUT_SIZE)
    for unit in sorted(set(marks.unit_of[instrument].tolist())):
        here = marks.unit_of[instrument] == unit
        which, size, params = instrument[here], lots[here], marks.unit_params[unit]
        vector = weighted_rows(size, marks.rows[which])
        raw = raw_charge(size, marks.mr7_long[which], marks.mr7_short[which])
        base = marks.unit_base[unit]
        use = spot_in_use(vector[at.COIN_DELTA], coins[base], caps[base])
        unit_margin(vector, raw, use * params[at.U_TAKES_SPOT], marks.usd[base], params, out)
        maintenance += out[at.OUT_MMR]
        initial += params[at.U_INITIAL_FACTOR] * out[at.OUT_MMR]
    return maintenance, initial


@pytest.mark.parametrize("wild", [False, True])
@pytest.mark.parametrize("name", ["okx-2025", "okx-2024", "okx-2021"])
def test_units_have_the_margin_of_the_kernel(name: str, wild: bool) -> None:
    marks = _wild(_market(name)) if wild else _market(name)
    held = _accounts(marks)
    rich = held._replace(amount=held.amount + 1e12)  # no borrowing on top of the units' margin
    for funds in (held, rich):
        result = np.empty((ACCOUNTS, ak.FULL_SIZE))
        ak.full_margin(funds, marks, result)
        expected = np.array([_margins(funds, marks, account) for account in range(ACCOUNTS)])
        margins = result[:, [ak.FULL_MMR, ak.FULL_IMR]]
        if funds is rich:
            np.testing.assert_allclose(margins, expected, rtol=1e-12, atol=1e-9)
        else:
            assert np.all(margins >= expected * (1.0 - 1e-12))


def test_every_instrument_has_delta_in_one_tenor_only() -> None:
    marks = packed(_market("okx-2025"))
    assert marks.tenors == 16
    tenors = marks.rows[:, TENORS : TENORS + marks.tenors]
    assert np.all((tenors != 0.0).sum(axis=1) == 1)


@njit
def _all_operations(rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> tuple[bool, bool]:
    one, other = eight.load(rows, 0, 1), eight.load(rows, 1, 2)
    eight.store(out, 0, 0, one * 3.0)
    eight.store(out, 1, 0, one * other)
    eight.store(out, 2, 0, 2.0 + one + other)
    eight.store(out, 3, 0, one - other)
    eight.store(out, 4, 0, min(one, other))
    eight.store(out, 5, 0, max(one, other, 0.5))
    eight.store(out, 6, 0, -abs(one))
    eight.store(out, 7, 0, math.copysign(one, other))
    eight.store(out, 8, 0, eight.pick(rows[1], places, 1))
    eight.put(out[9], places, 1, one)
    return eight.any_above(one, other), eight.any_above(one, 9.0)


def test_eight_numbers_at_once() -> None:
    rows = np.random.default_rng(1).normal(0.0, 1.0, (2, 10))
    out = np.zeros((10, 10))
    places = np.array([0, 9, 3, 1, 4, 2, 8, 7, 5], np.uint32)
    some, none = _all_operations(rows, places, out)
    one, other = rows[0, 1:9], rows[1, 2:10]
    expected = (
        one * 3.0,
        one * other,
        2.0 + one + other,
        one - other,
        np.minimum(one, other),
        np.maximum(np.maximum(one, other), 0.5),
        -np.abs(one),
        np.copysign(one, other),
        rows[1, places[1:]],
    )
    assert np.array_equal(out[:9, :8], np.array(expected))
    assert np.array_equal(out[9, places[1:]], one)
    assert out[9, [0, 6]].tolist() == [0.0, 0.0]
    assert some
    assert not none


@njit
def _turn_and_sum(rows: np.ndarray, out: np.ndarray) -> None:
    eight.store(out, 0, 0, eight.totals(rows, 1, 2))
    eight.transpose(rows, 1, 2)


def test_eight_rows_at_once() -> None:
    rows = np.random.default_rng(2).normal(0.0, 1.0, (10, 11))
    before, out = rows.copy(), np.zeros((1, 8))
    _turn_and_sum(rows, out)
    lines = before[1:9, 2:10]
    halves = lines[:, :4] + lines[:, 4:]
    quarters = halves[:, :2] + halves[:, 2:]
    assert np.array_equal(out[0], quarters[:, 0] + quarters[:, 1])
    assert np.array_equal(rows[1:9, 2:10], lines.T)
    rows[1:9, 2:10] = lines
    assert np.array_equal(rows, before)


def _repeated(held: ak.AccountArrays, times: int) -> ak.AccountArrays:
    """The same accounts one after the other so many times."""

    def starts(first: np.ndarray) -> np.ndarray:
        return np.concatenate(([0], np.cumsum(np.tile(np.diff(first), times))))

    rows = {name: np.tile(array, times) for name, array in held._asdict().items()}
    rows["first_position"] = starts(held.first_position)
    rows["first_balance"] = starts(held.first_balance)
    return ak.AccountArrays(**rows)


@pytest.mark.parametrize("name", ["okx-2025", "okx-2021"])
def test_an_account_has_the_same_figures_in_any_block(name: str) -> None:
    marks = _market(name)
    held, blocks = _accounts(marks), 2 * ak.BLOCK // ACCOUNTS + 1
    many, alone = np.empty((blocks * ACCOUNTS, ak.FULL_SIZE)), np.empty((ACCOUNTS, ak.FULL_SIZE))
    ak.full_margin(_repeated(held, blocks), marks, many)
    for account in range(ACCOUNTS):
        ak.margin_range(held, marks, alone, account, account + 1)
    assert np.array_equal(many, np.tile(alone, (blocks, 1)))
