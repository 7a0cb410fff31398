"""Stress rows, their rounding, and the pass over all accounts.  Source: design.md 3 and 5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import account_kernels as ak
from risk import layout as at
from risk.black76 import option_value
from risk.borrowing import borrow_arrays
from risk.collateral import discount_arrays
from risk.contracts import OPTION, Contract
from risk.margin import Portfolio, PositionInput, margin_report
from risk.risk_unit import pack_unit_params, signed_shocks
from risk.rules import load_rules
from risk.stress import StressTable, build_stress, rounded
from tests.risk.samples import contract, market, random_account

RULES = load_rules("okx-2025")
EXPIRIES = ("250328", "250627")
NAMES = (
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "BTC-USD-250328",
    "BTC-USDT-250627",
    "BTC-USD-250328-60000-C",
    "BTC-USD-250328-50000-P",
    "BTC-USD-250627-80000-C",
    "ETH-USDT-SWAP",
    "ETH-USD-SWAP",
    "SOL-USDT-SWAP",
    "SOL-USD-SWAP",
)
CONTRACTS = tuple(contract(name) for name in NAMES)
SNAPSHOT = replace(
    market(
        {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "USDT": 0.999, "USDC": 0.97},
        mark={"BTC-USD-250328": 60_500.0, "BTC-USDT-250627": 61_500.0},
        implied_vol={name: 0.6 for name in NAMES if name.count("-") == 4},
    ),
    time_ns=1_739_000_000 * 10**9,
)
LOTS_PER_CONTRACT = np.array([100.0 if "USDT" in n else 1.0 for n in NAMES])
LIMIT = 2**30
# lots worth the same USD in every instrument, which is how a venue sets its limits
USD_PER_CONTRACT = {"BTC-USDT": 600.0, "BTC-USDC": 6.0, "BTC-USD-": 600.0, "ETH-USDT": 300.0}
LIMITS = np.array(
    [
        2e9 / USD_PER_CONTRACT.get(n[:8], 100.0) * k
        for n, k in zip(NAMES, LOTS_PER_CONTRACT, strict=True)
    ]
)


def _rounded_table() -> tuple[StressTable, object]:
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    return table, rounded(table, LOTS_PER_CONTRACT, LIMIT)


@pytest.mark.parametrize("size", [0.0, 5e-324, 1e-310, 1e-290, 1e-201])
def test_what_is_next_to_nothing_rounds_to_nothing(size: float) -> None:
    # an option far out of the money: its quantum would be below the smallest float
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    table.rows[:, at.THETA] = size
    rows = rounded(table, LOTS_PER_CONTRACT, 1.0)
    assert np.isfinite(rows.rows).all()
    assert not rows.rows[:, at.THETA].any()


def test_rounded_rows_are_close_and_multiples_of_their_quantum() -> None:
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    rows = rounded(table, LOTS_PER_CONTRACT, LIMITS)
    per_lot = table.rows / LOTS_PER_CONTRACT[:, None]
    grain = rows.quantum[table.unit_of]
    assert np.array_equal(rows.rows / grain, np.rint(rows.rows / grain))
    assert np.abs(rows.rows - per_lot).max() <= 0.5 * grain.max()
    assert np.all(np.log2(rows.quantum) == np.rint(np.log2(rows.quantum)))
    # a full account stays where every multiple of the quantum is a float
    full = np.zeros_like(rows.quantum)
    np.add.at(full, table.unit_of, np.abs(rows.rows) * LIMITS[:, None])
    assert np.all(full <= rows.quantum * 2.0**53)
    big = np.abs(per_lot) > 1e-3 * np.abs(per_lot).max(axis=0)
    assert np.all(np.abs(rows.rows - per_lot)[big] <= 1e-5 * np.abs(per_lot)[big])


@given(
    st.lists(
        st.tuples(st.integers(0, len(NAMES) - 1), st.integers(-LIMIT, LIMIT)),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: pair[0],
    ),
    st.randoms(),
)
@settings(max_examples=200)
def test_sums_of_rounded_rows_do_not_depend_on_order(
    held: list[tuple[int, int]], random: object
) -> None:
    table, rows = _rounded_table()
    one = [h for h in held if table.unit_of[h[0]] == table.unit_of[held[0][0]]]

    def total(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        vector = np.zeros(table.rows.shape[1])
        for i, lots in pairs:
            vector += float(lots) * rows.rows[i]  # type: ignore[attr-defined]
        return vector

    shuffled = list(one)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    halves = [(i, lots - lots // 2) for i, lots in one] + [(i, lots // 2) for i, lots in shuffled]
    assert np.array_equal(total(one), total(shuffled))
    assert np.array_equal(total(one), total(halves))


def test_layout_of_a_row() -> None:
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    btc = table.units[0]
    assert (btc.name, btc.first_column, len(btc.expiries_ns)) == ("BTC", 0, 2)
    assert table.units[1].first_column == at.FIRST_LINEAR
    row = dict(zip(NAMES, table.rows, strict=True))
    call = row["BTC-USD-250328-60000-C"]
    assert call[at.CASH_USD] == call[at.USD_DELTA] == call[at.EXPIRIES + at.EXPIRY_DELTA] > 0.0
    assert call[at.PERPETUALS] == call[at.CASH_USDT] == 0.0
    assert call[at.EXPIRIES + at.EXPIRY_VEGA] > 0.0 > call[at.THETA]
    perpetual = row["BTC-USDT-SWAP"]
    assert perpetual[at.CASH_USDT] == perpetual[at.PERPETUALS] == perpetual[at.USD_DELTA]
    assert perpetual[at.SAME] == 0.0
    assert perpetual[at.SAME + 5] == perpetual[at.UP_POINTS + 5] > 0.0
    assert perpetual[at.EXTREME_UP] == -perpetual[at.EXTREME_DOWN] > 0.0
    assert perpetual[at.COIN_DELTA] == pytest.approx(0.01)


@pytest.mark.parametrize("volatility", [(0.6, 0.6), (0.6, 0.61), (0.0, 0.0), (3.0, 3.0)])
@pytest.mark.parametrize("days_left", [40.0, 0.5, 0.0])
def test_a_call_and_a_put_at_one_strike_have_the_rows_of_each_alone(
    volatility: tuple[float, float], days_left: float
) -> None:
    """Neighbours share their out-of-the-money values only where nothing else differs."""
    names = [f"BTC-USD-250328-{k}-{kind}" for k in (20_000, 60_000, 90_000) for kind in "CP"]
    given = dict(zip(names, 3 * volatility, strict=True))
    contracts = [contract(name) for name in names]
    time_ns = contracts[0].expiry_ns - round(days_left * 86_400e9)
    snapshot = replace(SNAPSHOT, implied_vol=given, time_ns=time_ns)
    shocks = signed_shocks(RULES, 0)
    together = build_stress(contracts, snapshot, RULES)
    for number, one in enumerate(contracts):
        alone = build_stress([one], snapshot, RULES)
        assert np.array_equal(together.rows[number], alone.rows[0])
        assert together.mark[number] == alone.mark[0]
        years = (one.expiry_ns - time_ns) / 86_400e9 / 365.0
        forward, sigma = snapshot.forward_price(one), given[names[number]]
        terms = one.strike, years, sigma, one.is_call
        value = option_value(forward, *terms)
        cells = [option_value(max(forward + a * 60_000.0, 600.0), *terms) for a in shocks]
        expected = one.coins_per_contract * (np.array(cells) - value)
        assert np.array_equal(together.rows[number, at.SAME : at.SAME + at.SHOCKS], expected)


def test_a_linear_contract_of_another_quote_is_refused() -> None:
    odd = Contract("BTC-EUR-SWAP", 1, "BTC", "EUR", "EUR", False, 0.01)
    snapshot = replace(SNAPSHOT, usd_index={**SNAPSHOT.usd_index, "EUR": 1.1})
    with pytest.raises(ValueError, match="BTC-EUR-SWAP: a linear contract must be quoted in"):
        build_stress((odd,), snapshot, RULES)


def test_packed_parameters_of_one_unit() -> None:
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    for number, unit in enumerate(table.units):
        alone = pack_unit_params(RULES, unit, SNAPSHOT.time_ns, 0.999, 0.97)
        assert np.array_equal(alone, table.unit_params[number][: alone.size])


CURRENCIES = ("BTC", "ETH", "SOL", "USDC", "USDT")


def _arrays(accounts: Sequence[Portfolio]) -> tuple[ak.AccountArrays, ak.MarketArrays]:
    """The accounts as the pass over all accounts takes them, unrounded and in contracts."""
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    number = {c: k for k, c in enumerate(CURRENCIES)}
    row = {c.instrument_id: k for k, c in enumerate(CONTRACTS)}
    instrument: list[int] = []
    lots: list[int] = []
    amount: list[float] = []
    first_position, first_balance = [0], [0]
    for account in accounts:
        funds = dict.fromkeys(CURRENCIES, 0.0) | dict(account.balances)
        held = sorted(account.positions, key=lambda p: table.unit_of[row[p.contract.instrument_id]])
        for position in held:
            c = position.contract
            instrument.append(row[c.instrument_id])
            lots.append(int(position.size))
            units = position.size * c.coins_per_contract
            if c.inverse:
                funds[c.settle] += units / position.entry_price
            elif c.kind != OPTION:
                funds[c.settle] -= units * position.entry_price
        amount += [funds[c] for c in CURRENCIES]
        first_position.append(len(instrument))
        first_balance.append(len(amount))
    held_arrays = ak.AccountArrays(
        np.array(first_position),
        np.array(instrument, np.int64),
        np.array(lots, np.int64),
        np.array(first_balance),
        np.tile(np.arange(len(CURRENCIES)), len(accounts)),
        np.array(amount),
        np.full(len(amount), math.inf),
    )
    market_arrays = ak.MarketArrays(
        table.rows,
        table.mr7_long,
        table.mr7_short,
        table.value,
        np.array([number[c.settle] for c in CONTRACTS]),
        np.array([int(c.kind == OPTION) for c in CONTRACTS]),
        table.unit_of,
        table.unit_params,
        np.array([number[u.base] for u in table.units]),
        np.array([SNAPSHOT.usd(c) for c in CURRENCIES]),
        discount_arrays(RULES, CURRENCIES),
        borrow_arrays(RULES, CURRENCIES),
        RULES.fees.liquidation_borrow,
    )
    return held_arrays, market_arrays


def _random_accounts(count: int) -> list[Portfolio]:
    rng = np.random.default_rng(7)
    accounts = []
    for _ in range(count):
        chosen = rng.choice(len(CONTRACTS), rng.integers(0, 7), replace=False)
        positions = tuple(
            PositionInput(
                CONTRACTS[k],
                float(rng.integers(-500, 500)),
                0.05 if CONTRACTS[k].kind == OPTION else float(np.exp(rng.normal(8.0, 1.0))),
            )
            for k in chosen
        )
        balances = {c: float(rng.normal(0.0, 1e5) / SNAPSHOT.usd(c)) for c in CURRENCIES}
        accounts.append(Portfolio(SNAPSHOT, balances, positions))
    return accounts


def expect_reports(accounts: list[Portfolio], rows: np.ndarray) -> None:
    """Assert that rows of FULL_* figures are those of the accounts' margin reports."""
    for account, row in zip(accounts, rows, strict=True):
        report = margin_report(account, RULES)
        expected = (
            report.total_mmr,
            report.total_imr,
            report.eq,
            report.margin_ratio,
            report.total_equity,
        )
        assert row.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_full_margin_equals_the_report() -> None:
    accounts = _random_accounts(60)
    held, market_arrays = _arrays(accounts)
    result = np.empty((len(accounts), ak.FULL_SIZE))
    ak.full_margin(held, market_arrays, result)
    expect_reports(accounts, result)
    threaded = np.empty_like(result)
    ak.full_margin(held, market_arrays, threaded, threads=3)
    assert np.array_equal(result, threaded)


def test_rounding_moves_margins_by_less_than_one_in_a_hundred_thousand() -> None:
    accounts = _random_accounts(60)
    held, exact = _arrays(accounts)
    table = build_stress(CONTRACTS, SNAPSHOT, RULES)
    rows = rounded(table, np.ones(len(CONTRACTS)), LIMITS / LOTS_PER_CONTRACT)
    coarse = exact._replace(rows=rows.rows, mr7_long=rows.mr7_long, mr7_short=rows.mr7_short)
    left, right = (np.empty((len(accounts), ak.FULL_SIZE)) for _ in range(2))
    ak.full_margin(held, exact, left)
    ak.full_margin(held, coarse, right)
    assert right[:, ak.FULL_MMR].tolist() == pytest.approx(
        left[:, ak.FULL_MMR].tolist(), rel=1e-5, abs=1e-3
    )


def test_unit_margin_of_random_accounts_is_that_of_the_oracle_seeds() -> None:
    """The explanation of a report adds up: components give the margin, sets the initial one."""
    for seed in range(40):
        report = margin_report(random_account(seed), RULES)
        for unit in report.risk_units:
            first = max(unit.mr1, unit.mr2, unit.mr6)
            scenario = first + unit.mr3 + unit.mr4 + unit.mr5 + unit.mr9
            assert unit.mmr == pytest.approx(max(scenario, unit.mr7))
            if unit.binding:
                assert (unit.binding == "mr7") == (unit.mr7 > scenario)
            largest = {f.name: f.mmr for f in unit.fill_sets}[unit.binding_set]
            assert unit.imr == 1.3 * largest
            assert largest == max(f.mmr for f in unit.fill_sets)
