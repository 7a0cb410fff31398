"""Scenario files that are wrong, and the one line that a user gets for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.config import load_scenario, parse_scenario, shipped_scenarios
from scenarios.errors import UserError
from scenarios.run import run_scenario

SMALL = Path(__file__).parent / "small_crash.toml"

# (--set, beginning of the message); every one of them is tried on a small scenario
WRONG = [
    (
        "agents.0.count=0",
        "agents.0.count: 0 is not in 1..50",
    ),
    (
        "agents.0.wake_seconds=-1",
        "agents.0.wake_seconds: -1 is not in 0.05..600",
    ),
    (
        'agents.0.wake_seconds="fast"',
        "agents.0.wake_seconds: 'fast' is not a number",
    ),
    (
        "agents.0.wake_seconds=nan",
        "agents.0.wake_seconds: nan is not in 0.05..600",
    ),
    (
        "agents.0.wake_seconds=inf",
        "agents.0.wake_seconds: inf is not in 0.05..600",
    ),
    (
        "agents.0.latency_ms=99999999",
        "agents.0.latency_ms: 99999999 is not in 0..60000",
    ),
    (
        'agents.0.colour="red"',
        "agents.0.colour: not a field of this table; ",
    ),
    (
        'agents.0.kind="whale"',
        "agents.0.kind: 'whale' is not one of ",
    ),
    (
        "agents.0.kind=7",
        "agents.0.kind: '7' is not one of ",
    ),
    (
        'agents.99.kind="noise_trader"',
        "--set agents.99: not one of 0..8",
    ),
    (
        "agents=[]",
        "agents: needs at least 1 entries",
    ),
    (
        'agents="many"',
        "agents: 'many' is not a list",
    ),
    (
        "agents.7.long_usd=-5",
        "agents.7.long_usd: -5 is not in 0..1e+12",
    ),
    (
        "agents.7.median_leverage=0",
        "agents.7.median_leverage: 0 is not in 0.1..100",
    ),
    (
        "agents.7.collateral={USDT=0.5}",
        "agents.7: collateral: the shares must sum to 1",
    ),
    (
        "agents.0.offsets_bp=[1.0]",
        "agents.0.offsets_bp: needs at least 2 entries",
    ),
    (
        'agents.0.offsets_bp="wide"',
        "agents.0.offsets_bp: 'wide' is not a list",
    ),
    (
        'market.start="yesterday"',
        "market.start: 'yesterday' is not a UTC time as in 2020-03-12T10:30:00Z",
    ),
    (
        "market.start=2021-01-01T00:00:00Z",
        "market: end: 2020-03-12T10:40:00Z is not after start, 2021-01-01T00:00:00Z",
    ),
    (
        "market.end=2020-03-12T06:00:00Z",
        "market: end: 2020-03-12T06:00:00Z is not after start, 2020-03-12T10:34:00Z",
    ),
    (
        "market.end=5",
        "market.end: 5 is not a UTC time as in 2020-03-12T10:30:00Z",
    ),
    (
        "market.instruments=[]",
        "market.instruments: needs at least 1 entries",
    ),
    (
        'market.instruments=["BTC-USDT","BTC-USDT"]',
        "market: instruments: 'BTC-USDT' appears twice",
    ),
    (
        'market.instruments=["BTC"]',
        "market: instruments: 'BTC' is not an instrument id; write BASE-QUOTE, BASE-QUOTE",
    ),
    (
        'market.instruments=["BTC-USDT-SWAPP"]',
        "market: instruments: BTC-USDT-SWAPP: 'SWAPP' is neither SWAP nor a date yymmdd",
    ),
    (
        'market.instruments="BTC-USDT"',
        "market.instruments: 'BTC-USDT' is not a list",
    ),
    (
        "market.mark_interval_s=0",
        "market.mark_interval_s: 0 is not in 1..3600",
    ),
    (
        "market.mark_interval_s=100000",
        "market.mark_interval_s: 100000 is not in 1..3600",
    ),
    (
        "market.depth_usd_per_bp=0",
        "market.depth_usd_per_bp: 0 is not above 0 and at most 1e+15 (and 1 more problem)",
    ),
    (
        "market.depth_usd_per_bp={BTC-USDT=-4.0}",
        "market.depth_usd_per_bp: a table is not a number (and 1 more problem)",
    ),
    (
        "market.own_index_share=2",
        "market.own_index_share: 2 is not in 0..1 (and 1 more problem)",
    ),
    (
        "market.outside.components=0",
        "market.outside.components: 0 is not in 1..16",
    ),
    (
        "market.outside.speed=2",
        "market.outside.speed: not a field of this table; ",
    ),
    (
        'market.path.kind="rumour"',
        "market.path.kind: 'rumour' is not one of bars, bridged_bars, scaled_event, boots",
    ),
    (
        "market.path.file=7",
        "market.path.file: 7 is not text in quotes",
    ),
    (
        "market.path.largest_gap_s=-1",
        "market.path.largest_gap_s: -1 is not in 0..31622400",
    ),
    (
        "market.path.extra=1",
        "market.path.extra: not a field of this table; ",
    ),
    (
        "market.path=5",
        "market.path: 5 is not a table",
    ),
    (
        "market.colour=1",
        "market.colour: not a field of this table; ",
    ),
    (
        "venue.insurance_fund_usd=-1",
        "venue.insurance_fund_usd: -1 is not in 0..1e+12",
    ),
    (
        'venue.insurance_fund_usd="lots"',
        "venue.insurance_fund_usd: 'lots' is not a number",
    ),
    (
        "venue.lending_pool_usd=nan",
        "venue.lending_pool_usd: nan is not a finite number",
    ),
    (
        'venue.forced_liquidation="maybe"',
        "venue.forced_liquidation: 'maybe' is not true or false",
    ),
    (
        'recording.tables="some"',
        "recording.tables: 'some' is not 'all' or 'summary'",
    ),
    (
        "recording.market_sample_s=0",
        "recording.market_sample_s: 0 is not in 0.1..86400",
    ),
    (
        "seed=-1",
        "seed: -1 is not in 0..9223372036854775807",
    ),
    (
        "seed=1.5",
        "seed: 1.5 is not a whole number",
    ),
    (
        'seed="x"',
        "seed: 'x' is not a whole number",
    ),
    (
        'name="../evil"',
        "name: '../evil' is not letters, digits, '-', '_' or '.'",
    ),
    (
        'name=""',
        "name: '' is not letters, digits, '-', '_' or '.'",
    ),
    (
        'title=""',
        "title: is empty; text is needed",
    ),
    (
        "rules=5",
        "rules: 5 is not text in quotes",
    ),
    (
        "colour=1",
        "colour: not a field of this table; ",
    ),
    (
        "market=3",
        "market: 3 is not a table",
    ),
    (
        "venue=3",
        "venue: 3 is not a table",
    ),
    (
        "agents.0=5",
        "agents.0: 5 is not a table",
    ),
    (
        "=5",
        "--set: '=5' is not key=value",
    ),
    (
        "nonsense",
        "--set: 'nonsense' is not key=value",
    ),
    (
        "market.start.year=5",
        "--set market.start.year: market.start is no table",
    ),
    (
        "agents.zero.count=1",
        "--set agents.zero: not one of 0..8",
    ),
]


@pytest.mark.parametrize(("override", "message"), WRONG, ids=[o for o, _ in WRONG])
def test_wrong_field_is_named_with_what_is_allowed(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(SMALL, [override])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("agents.0.instrument_id=ETH-USDT", "agents.0.instrument_id: 'ETH-USDT' is not one of"),
        ("agents.5.spot_id=LTC-USDT", "agents.5.spot_id: 'LTC-USDT' is not one of the market's"),
        (
            "agents.7.collateral={DOGE=1.0}",
            "agents.7.collateral: 'DOGE' is not one of the market's",
        ),
    ],
)
def test_agents_name_only_what_is_listed(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(SMALL, [override])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "market.depth_usd_per_bp={BTC-USDT-SWPA=1e6}",
            "market.depth_usd_per_bp: 'BTC-USDT-SWPA' is not one of BTC-USDT, BTC-USDT-SWAP",
        ),
        ("market.own_index_share={FOO=1}", "market.own_index_share: 'FOO' is not one of BTC"),
        ("market.usual_volatility={ETH=1e-4}", "market.usual_volatility: 'ETH' is not one of BTC"),
        (
            "venue.insurance_fund_by_pool_usd={swap=1}",
            "venue.insurance_fund_by_pool_usd: 'swap' is not one of margin/BTC-USDT,"
            " swaps/BTC-USDT",
        ),
        (
            'market.instruments=["BTC-USDT","BTC-USDT-SWAP","BTC-USD-200312"]',
            "market.instruments: BTC-USD-200312 expires at 2020-03-12T08:00:00Z, not after"
            " market.start, 2020-03-12T10:34:00Z",
        ),
    ],
)
def test_a_name_without_effect_is_refused(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_scenario(SMALL, [override])
    assert str(caught.value) == message


def test_the_fund_of_one_pool() -> None:
    table = {"swaps/BTC-USDT": 3.0}
    scenario, _, _ = load_scenario(SMALL, {"venue.insurance_fund_by_pool_usd": table})
    assert scenario.venue.insurance_fund_by_pool_usd == table


def test_enough_cases() -> None:
    assert len(WRONG) >= 40


def test_every_shipped_scenario_loads() -> None:
    names = shipped_scenarios()
    assert {"black-thursday", "calm-day"} <= set(names)
    for name in names:
        scenario, tables, _ = load_scenario(name)
        assert scenario.name == name
        assert parse_scenario(tables) == scenario


def test_unknown_scenario_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"neither a file nor one of .*black-thursday"):
        load_scenario("black-friday")


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.read_bytes().replace(b"\n", b"\r\n"))
    assert load_scenario(path)[0] == load_scenario(SMALL)[0]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a device of Unix")
def test_a_file_without_an_end() -> None:
    with pytest.raises(UserError, match="/dev/zero: larger than"):
        load_scenario("/dev/zero")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = [", "is no TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"", "name: missing"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_scenario(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_scenario(tmp_path / "none.toml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_scenario(tmp_path)


def test_override_changes_only_its_field() -> None:
    plain, _, _ = load_scenario(SMALL)
    changed, tables, _ = load_scenario(SMALL, ["agents.0.latency_ms=7"])
    assert changed.agents[0].latency_ms == 7
    assert changed.agents[1:] == plain.agents[1:]
    assert changed.market == plain.market
    assert tables["agents"][0]["latency_ms"] == 7


def test_window_outside_the_data_says_what_is_covered() -> None:
    with pytest.raises(UserError, match="2020-03-1"):
        run_scenario(
            "black-thursday",
            overrides=["market.start=2022-11-08T00:00:00Z", "market.end=2022-11-09T00:00:00Z"],
            keep=False,
        )


def test_unknown_rule_set() -> None:
    with pytest.raises(UserError, match="rules: "):
        run_scenario("black-thursday", overrides=["rules=okx-1999"], keep=False)
