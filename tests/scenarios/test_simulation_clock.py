"""What the simulation's clock does at fixed times: expiry, other rules, funding, interest."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from scenarios.config import load_scenario
from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation

SMALL = Path(__file__).parent / "small_crash.toml"
FUTURE = "BTC-USDT-200313"
EXPIRING = f"""
name = "expiring"
title = "A delivery future on its last minutes"

[market]
path = {{ kind = "bars", file = "2020-03-black-thursday", series = ["BTC-USDT", "USDT-USD"] }}
start = 2020-03-13T07:57:00Z
end = 2020-03-13T08:02:00Z
instruments = ["BTC-USDT", "{FUTURE}"]

[[agents]]
kind = "market_maker"
instrument_id = "{FUTURE}"

[[agents]]
kind = "metaorder_taker"
instrument_id = "{FUTURE}"

[[agents]]
kind = "leveraged_trader"
instrument_id = "{FUTURE}"
accounts = 20
long_usd = 5e6
short_usd = 5e6
"""


def test_a_future_is_delivered_and_stops_trading(tmp_path: Path) -> None:
    file = tmp_path / "expiring.toml"
    file.write_text(EXPIRING)
    simulations: list[Simulation] = []
    summary = run_scenario(file, out=tmp_path / "run", on_start=simulations.append)
    run = Run.load(tmp_path / "run")
    (delivery,) = run.deliveries.to_dicts()
    assert delivery["instrument"] == FUTURE
    assert delivery["time_ns"] == simulations[0].house.listings[FUTURE].instrument.expiry_ns
    index = run.marks.filter(pl.col("instrument") == FUTURE)["index"]
    assert index.min() <= delivery["price"] <= index.max()
    assert delivery["long_lots"] > 0
    for account in simulations[0].house.accounts:
        assert all(position.lots == 0 for position in account.positions.values())
        assert not account.orders
    assert run.fills["time_ns"].max() <= delivery["time_ns"]
    assert set(summary["cancelled_orders"]) >= {"delivery"}
    assert set(summary["rejected_orders"]) >= {"instrument_expired"}
    assert set(summary["conservation_error_atoms"].values()) == {0}


def test_rules_change_while_positions_are_open(tmp_path: Path) -> None:
    """The older rules ask for more: more accounts break from then on, none before."""
    file = tmp_path / "changing.toml"
    change = 'rule_changes = [{ at = 2020-03-12T10:35:00Z, rules = "okx-2024" }]\n'
    file.write_text(change + SMALL.read_text())
    simulations: list[Simulation] = []
    changed = run_scenario(file, out=tmp_path / "changed", on_start=simulations.append)
    plain = run_scenario(SMALL, out=tmp_path / "plain")
    assert changed["liquidated_accounts"] > plain["liquidated_accounts"]
    before = pl.col("time_ns") < 1584009300 * 10**9
    fills = [Run.load(tmp_path / name).fills.filter(before) for name in ("changed", "plain")]
    assert fills[0].equals(fills[1])
    assert set(changed["conservation_error_atoms"].values()) == {0}
    # and what traders see goes on, although the tables behind it are new ones
    simulation = simulations[0]
    marks = simulation.house.market.mark_ticks
    for listing in simulation.house.by_number:
        if not listing.is_spot:
            view = simulation.markets[listing.instrument.instrument_id]
            assert view.mark_price() == marks[listing.number] * view.tick


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [{"at": "2020-03-12T09:00:00Z", "rules": "okx-2024"}],
            "rule_changes.0.at: 2020-03-12T09:00:00Z is not after 2020-03-12T10:34:00Z",
        ),
        (
            [
                {"at": "2020-03-12T10:36:00Z", "rules": "okx-2024"},
                {"at": "2020-03-12T10:35:00Z", "rules": "okx-2025"},
            ],
            "rule_changes.1.at: 2020-03-12T10:35:00Z is not after 2020-03-12T10:36:00Z",
        ),
        ([{"at": "soon", "rules": "okx-2024"}], "rule_changes.0.at: 'soon' is not a UTC time"),
        ([{"rules": "okx-2024"}], "rule_changes.0.at: missing"),
    ],
)
def test_wrong_rule_changes(changes: list[dict[str, str]], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(SMALL, {"rule_changes": changes})
    assert str(caught.value).startswith(message)


def test_unknown_rules_of_a_change() -> None:
    changes = [{"at": "2020-03-12T10:36:00Z", "rules": "okx-1999"}]
    with pytest.raises(UserError, match=r"rule_changes\.0\.rules: "):
        run_scenario(SMALL, overrides={"rule_changes": changes}, keep=False)


def test_funding_and_interest_at_their_hours(tmp_path: Path) -> None:
    overrides = ["market.start=2020-03-12T15:59:00Z", "market.end=2020-03-12T16:01:00Z"]
    run_scenario(SMALL, overrides=overrides, out=tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert run.funding["instrument"].cast(pl.String).to_list() == ["BTC-USDT-SWAP"]
    kinds = run.ledger["kind"].cast(pl.String)
    assert (kinds == "interest").any()
    funding = run.ledger.filter(kinds == "funding")
    into = funding.filter(pl.col("credit").cast(pl.String) == "funding")["atoms"].sum()
    out = funding.filter(pl.col("debit").cast(pl.String) == "funding")["atoms"].sum()
    assert abs(into - out) <= len(funding)  # half an atom of rounding per holder at most


def test_a_future_trades_at_its_carry(tmp_path: Path) -> None:
    """A quarter ahead at 20 % a year: the mark stands 4.9 % above the index within minutes."""
    file = tmp_path / "carry.toml"
    text = EXPIRING.replace(FUTURE, "BTC-USDT-200612").replace(
        "[[agents]]", "basis_yearly = 0.2\n\n[[agents]]", 1
    )
    file.write_text(text.replace("start = 2020-03-13T07:57", "start = 2020-03-13T07:45"))
    run_scenario(file, out=tmp_path / "run")
    last = Run.load(tmp_path / "run").marks.filter(pl.col("instrument") == "BTC-USDT-200612")[-1]
    years = 91 / 365
    assert last["last"][0] / last["index"][0] == pytest.approx(math.exp(0.2 * years), abs=0.01)
