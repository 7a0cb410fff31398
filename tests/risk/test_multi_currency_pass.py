"""The multi-currency pass over all accounts equals the report; tiers and short options by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from risk import account_kernels as ak
from risk.contracts import OPTION
from risk.margin import Portfolio, PositionInput
from risk.multi_currency_pass import multi_currency_margin, position_terms
from risk.stress import build_stress
from tests.risk.test_stress import (
    CONTRACTS,
    NAMES,
    RULES,
    SNAPSHOT,
    _arrays,
    _random_accounts,
    expect_reports,
)

TABLE = build_stress(CONTRACTS, SNAPSHOT, RULES)
ONE = np.ones(len(CONTRACTS))


def _pass(accounts: list[Portfolio]) -> np.ndarray:
    held, market = _arrays(accounts)
    result = np.empty((len(accounts), ak.FULL_SIZE))
    multi_currency_margin(held, market, position_terms(TABLE, CONTRACTS, ONE, RULES), result)
    return result


def test_the_pass_equals_the_report() -> None:
    accounts = [replace(a, mode="multi_currency") for a in _random_accounts(80)]
    expect_reports(accounts, _pass(accounts))


def test_a_tier_bound_belongs_to_the_lower_tier() -> None:
    swap = CONTRACTS[NAMES.index("BTC-USD-SWAP")]
    tiers = RULES.position_tiers
    group = RULES.group_of("BTC")
    # 100 USD a contract
    bound = tiers.notional.of(group) / 100.0
    assert bound == int(bound)
    accounts = [
        Portfolio(SNAPSHOT, {"BTC": 1e3}, (PositionInput(swap, size, 60_000.0),))
        for size in (bound, -bound, bound + 1.0)
    ]
    at, short, above = _pass(accounts)[:, ak.FULL_MMR]
    assert at == short == pytest.approx(bound * 100.0 * tiers.maintenance.of(group))
    rate = tiers.maintenance.of(group) + tiers.maintenance_step.of(group)
    assert above == pytest.approx((bound + 1.0) * 100.0 * rate)


def test_long_options_need_nothing_and_nothing_offsets() -> None:
    option = next(c for c in CONTRACTS if c.kind == OPTION)
    long, short, both = (
        Portfolio(SNAPSHOT, {"BTC": 5.0}, tuple(PositionInput(option, s, 0.05) for s in sizes))
        for sizes in ((10.0,), (-10.0,), ())
    )
    result = _pass([long, short, both])
    assert result[0, ak.FULL_MMR] == 0.0
    assert result[1, ak.FULL_IMR] >= result[1, ak.FULL_MMR] > 0.0
    assert result[2, ak.FULL_RATIO] == np.inf
