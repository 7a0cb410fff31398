"""Numbers that the venue cannot count are refused by name, not by a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.venue_limits import LARGEST_BOOKING_ATOMS, bookable

SCENARIO = """
name = "limits"
title = "A short calm"
[market]
start = 2025-06-02T12:00:00Z
end = 2025-06-02T12:00:02Z
instruments = ["BTC-USDT", "BTC-USDT-SWAP"]
[market.path]
kind = "legs"
initial_prices = { BTC-USDT = 100_000.0 }
legs = [{ at_s = 1.0, factor = 1.0 }]
[[agents]]
kind = "market_maker"
instrument_id = "BTC-USDT-SWAP"
[[agents]]
kind = "leveraged_trader"
accounts = 2
long_usd = 1e5
short_usd = 1e5
"""
TOO_MUCH = [
    ({"venue.lending_pool_usd": 1e12}, "venue.lending_pool_usd: 1.* USD cannot be booked"),
    ({"venue.insurance_fund_usd": 1e12}, "venue.insurance_fund_usd: 1.* USDT cannot be booked"),
    ({"market.depth_usd_per_bp": 1e15}, "money of market_maker/0: .* at most 92,233,720,368 USDT"),
    ({"agents.1.long_usd": 1e12}, "the other side of all first positions: .* cannot be booked"),
    (
        {"market.path.initial_prices": {"BTC-USDT": 1e11}},
        r"market.path: BTC-USDT reaches 1e\+11 at 2025-06-02T12:00:00Z; 0.1 .* to 4e\+10",
    ),
    (
        {"market.path.initial_prices": {"BTC-USDT": 1e-5}},
        r"market.path: BTC-USDT reaches 1e-05 at .*the tick of BTC-USDT",
    ),
]


@pytest.mark.parametrize(("change", "message"), TOO_MUCH)
def test_too_much_is_refused_and_leaves_no_folder(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    (tmp_path / "limits.toml").write_text(SCENARIO)
    with pytest.raises(UserError, match=message):
        run_scenario(tmp_path / "limits.toml", overrides=change, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_marks_are_not_stale_before_the_next_one(tmp_path: Path) -> None:
    scenario, rules = tmp_path / "limits.toml", tmp_path / "patient.toml"
    scenario.write_text(SCENARIO)
    end = {"market.end": "2025-06-02T12:01:00Z"}
    message = "market.mark_interval_s: 11 is above 10, the age from which a mark is stale"
    with pytest.raises(UserError, match=message):
        run_scenario(scenario, overrides={**end, "market.mark_interval_s": 11}, keep=False)
    run = run_scenario(scenario, overrides={**end, "market.mark_interval_s": 10}, keep=False)
    assert run["rejected_orders"] == {}
    rules.write_text('name = "patient"\nextends = "okx-2025"\n[liquidation]\nstale_mark_s = 30\n')
    slow = {**end, "market.mark_interval_s": 30, "rules": str(rules)}
    assert run_scenario(scenario, overrides=slow, keep=False)["rejected_orders"] == {}


def test_the_largest_booking() -> None:
    largest = LARGEST_BOOKING_ATOMS / 1e8
    assert bookable("x", -0.1234567891, "USDT") == -12345678
    assert bookable("x", largest * 0.999, "USDT") <= LARGEST_BOOKING_ATOMS
    with pytest.raises(UserError, match=r"x: 9\.2.* at most 92,233,720,368 USDT"):
        bookable("x", -largest * 1.001, "USDT")


def test_the_scenario_itself_runs(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text(SCENARIO)
    assert run_scenario(tmp_path / "limits.toml", out=tmp_path / "run")["accounts"] > 3
