"""One entry for several instruments."""

from __future__ import annotations

import pytest

from scenarios.agent_tables import expand_agents
from scenarios.config import load_scenario, parse_scenario
from scenarios.errors import UserError

BOOKS = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]


def entry(**fields: object) -> dict[str, object]:
    return {"kind": "leveraged_trader", **fields}


def test_lists_become_entries_and_scalars_are_common() -> None:
    tables, numbers = expand_agents(
        {
            "agents": [
                entry(instrument_id=BOOKS, long_usd=[3e8, 2e8], buffer=0.1),
                {"kind": "market_maker", "offsets_bp": [0.0, 1.0, 2.0]},
            ]
        }
    )
    assert tables["agents"] == [
        entry(instrument_id=BOOKS[0], long_usd=3e8, buffer=0.1),
        entry(instrument_id=BOOKS[1], long_usd=2e8, buffer=0.1),
        {"kind": "market_maker", "offsets_bp": [0.0, 1.0, 2.0]},
    ]
    assert numbers == [0, 0, 1]


def test_lists_of_unequal_length_are_named() -> None:
    with pytest.raises(UserError, match=r"agents\.0\.long_usd: has 1 values.*instrument_id has 2"):
        expand_agents({"agents": [entry(instrument_id=BOOKS, long_usd=[3e8])]})


def test_errors_name_the_entry_of_the_file() -> None:
    _, tables, _ = load_scenario("calm-day")
    tables["agents"].insert(0, {"kind": "market_maker", "instrument_id": BOOKS})
    tables["agents"][1]["count"] = 0
    with pytest.raises(UserError, match=r"agents\.1\.count: 0 is not in 1\.\."):
        parse_scenario(tables)


def test_what_is_no_agent_is_left_to_the_validation() -> None:
    assert expand_agents({"agents": [3, {"kind": 5}, {}]})[0]["agents"] == [3, {"kind": 5}, {}]
    assert expand_agents({"agents": "x"}) == ({"agents": "x"}, [])


def test_market_tables_by_coin_and_the_path_of_implied_volatility() -> None:
    scenario, _, _ = load_scenario(
        "leverage-flush",
        [
            "market.usual_volatility={ETH=1e-4}",
            "market.own_index_share={BTC=1.0}",
            "market.implied_vol_legs=[{at_s=100.0,factor=3.0},{at_s=200.0,factor=2.0}]",
        ],
    )
    market = scenario.market
    assert market.outside_of("ETH").usual_volatility == 1e-4
    assert market.outside_of("BTC") == market.outside
    assert (market.index_share("BTC"), market.index_share("ETH")) == (1.0, 0.1)
    assert [market.implied_vol_factor(s) for s in (0, 50, 100, 150, 1000)] == [1, 2, 3, 2.5, 2]
    with pytest.raises(UserError, match="implied_vol_legs: 50 is not after 100"):
        load_scenario(
            "calm-day",
            ["market.implied_vol_legs=[{at_s=100.0,factor=3.0},{at_s=50.0,factor=2.0}]"],
        )
