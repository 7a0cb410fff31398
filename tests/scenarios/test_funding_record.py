"""Recorded funding: what the shipped record says, what a run charges and shows, and wrong files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from accounts.funding_schedule import RateSchedule
from exchange.units import atoms_per_unit
from risk.rules import load_rules
from scenarios.bar_file import format_time, parse_time_ns
from scenarios.config import load_scenario
from scenarios.errors import UserError
from scenarios.funding_record import load_funding, read_rates
from scenarios.report_funding import funding_rows
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation
from tests.scenarios.path_tools import span

RECORD = Path(__file__).parents[2] / "scenarios" / "data" / "funding_8h.csv"
SMALL = Path(__file__).parent / "small_crash.toml"
SETTLEMENT = "2020-03-12T16:00:00Z"
AROUND = {"market.start": "2020-03-12T15:59:00Z", "market.end": "2020-03-12T16:00:10Z"}
SWAP = "BTC-USDT-SWAP"


def recorded(instrument: str, time: str) -> Decimal:
    """A rate of the shipped file, looked for line by line."""
    found = [
        Decimal(line.rsplit(",", 1)[1])
        for line in RECORD.read_text().splitlines()
        if line.startswith(f"{time},{instrument},")
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("days", "btc", "eth"),
    [
        (("2020-03-12T00:00:00", "2020-03-15T00:00:00"), -0.30, -0.28),
        (("2021-05-19T00:00:00", "2021-05-22T00:00:00"), -0.09, -0.36),
        (("2022-05-09T00:00:00", "2022-05-14T00:00:00"), -0.04, -0.08),
        (("2025-10-10T00:00:00", "2025-10-13T00:00:00"), -0.011, -0.013),
    ],
)
def test_lowest_funding_of_the_events(days: tuple[str, str], btc: float, eth: float) -> None:
    window = span(*days)
    rates = read_rates(RECORD.read_bytes(), "record")
    for name, lowest in ((SWAP, btc), ("ETH-USDT-SWAP", eth)):
        schedule = rates[name]
        assert list(schedule.times_ns) == sorted(set(schedule.times_ns))
        within = [
            rate
            for time, rate in zip(schedule.times_ns, schedule.rates_e8, strict=True)
            if window.start_ns <= time < window.end_ns
        ]
        assert min(within) / 1e6 == pytest.approx(lowest, rel=0.13)


def test_the_record_is_charged_shown_to_traders_and_in_the_report(tmp_path: Path) -> None:
    """To the atom: each holder pays the file's rate of the value at the mark."""
    simulations: list[Simulation] = []
    overrides = {**AROUND, "venue.funding_rates": "recorded"}
    run_scenario(SMALL, overrides=overrides, out=tmp_path, on_start=simulations.append)
    run = Run.load(tmp_path)
    rate = recorded(SWAP, SETTLEMENT)
    (row,) = run.funding.to_dicts()
    assert row["time_ns"] == parse_time_ns(SETTLEMENT)
    assert Decimal(row["rate_e8"]).scaleb(-8) == rate < 0
    kinds = pl.col("kind").cast(pl.String)
    booked = run.ledger.filter(kinds == "funding").rows(named=True)
    received = sum(r["atoms"] for r in booked if r["debit"] == "funding")
    assert received == pytest.approx(row["paid_atoms"], abs=len(booked))
    # the longs are paid: their lots, each of 0.0001 BTC, at the mark
    value = row["long_lots"] * Decimal("0.0001") * Decimal(str(row["mark"]))
    value *= atoms_per_unit("USDT")
    assert received == pytest.approx(float(-value * rate), abs=len(booked))
    assert set(run.summary["conservation_error_atoms"].values()) == {0}
    (shown,) = funding_rows(run)
    assert (shown["rate"], shown["source"]) == ("-0.015149 %", "recorded")
    assert shown["paid"].startswith("shorts paid ")
    view = simulations[0].markets[SWAP]
    following = recorded(SWAP, "2020-03-13T00:00:00Z")
    share = Decimal(10) / (8 * 3600)
    assert view.funding_rate() == pytest.approx(float(rate + share * (following - rate)), abs=2e-8)


def test_the_premium_stays_the_default(tmp_path: Path) -> None:
    run_scenario(SMALL, overrides=AROUND, out=tmp_path)
    run = Run.load(tmp_path)
    assert run.funding["rate_e8"][0] != recorded(SWAP, SETTLEMENT).scaleb(8)
    assert funding_rows(run)[0]["source"] == "premium"
    assert not any("Funding" in note for note in run.manifest["warnings"])


def test_estimate_is_a_straight_line_to_the_next_rate() -> None:
    schedule = RateSchedule((0, 80, 160), (100, -300, 500))
    seen = [schedule.estimate_e8(now) for now in (-5, 0, 20, 60, 79, 80, 81, 120, 160, 999)]
    assert seen == [100, 100, 0, -200, -295, -300, -290, 100, 500, 500]
    assert [schedule.charged_e8(time) for time in schedule.times_ns] == [100, -300, 500]
    with pytest.raises(AssertionError):
        schedule.charged_e8(79)


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("black-thursday", set()),
        ("leverage-flush", set()),
        ("ust-depeg", set()),
        ("usdc-depeg", set()),
        ("tariff-cascade", {"SOL", "XRP", "DOGE", "SUI", "AVAX", "LINK", "BNB"}),
    ],
)
def test_real_events_charge_the_record(name: str, without: set[str]) -> None:
    """Each has a rate for every settlement of BTC and ETH; coins without a record are noted."""
    scenario, _, folder = load_scenario(name)
    plan = load_funding(scenario, load_rules(scenario.rules), folder)
    left = {name.split("-")[0] for name, source in plan.sources.items() if source == "premium"}
    assert left == without
    assert set(plan.schedules) == set(plan.sources) - {f"{coin}-USDT-SWAP" for coin in without}
    assert len(plan.notes()) == bool(without)
    for instrument, schedule in plan.schedules.items():
        for time_ns, rate_e8 in zip(schedule.times_ns, schedule.rates_e8, strict=True):
            assert Decimal(rate_e8).scaleb(-8) == recorded(instrument, format_time(time_ns))


ROWS = "time,instrument,rate\n2020-03-12T08:00:00Z,BTC-USDT-SWAP,0.0001\n"
AT_16 = "2020-03-12T16:00:00.004Z,BTC-USDT-SWAP,{}\n"


def test_a_file_of_one_s_own(tmp_path: Path) -> None:
    """Found from the scenario's folder; milliseconds and digits beyond 1e-8 do not matter."""
    (tmp_path / "rates.csv").write_text(ROWS + AT_16.format("0.0012345678901"))
    scenario = tmp_path / "own.toml"
    scenario.write_text(SMALL.read_text() + '\n[venue]\nfunding_rates = "rates.csv"\n')
    run_scenario(scenario, overrides=AROUND, out=tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert run.funding["rate_e8"].to_list() == [123_457]
    assert funding_rows(run)[0]["source"] == "rates.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "{}: column time, instrument, rate missing; the first line needs time,instrument,rate",
        ),
        ("time,instrument,rate\n", "{}: no rates below the first line"),
        (b"time,instrument,rate\n\xff", "{} line 2: is not UTF-8 text"),
        (
            ROWS + "2020-03-12T16:00:00Z,BTC-USDT,0.0001\n",
            "{} line 3: column instrument: 'BTC-USDT' is not a perpetual such as BTC-USDT-SWAP",
        ),
        (
            ROWS + "12 March,BTC-USDT-SWAP,0.0001\n",
            "{} line 3: column time: '12 March' is not a UTC time as in 2020-03-12T16:00:00Z",
        ),
        (
            ROWS + "2020-03-12T08:00:30Z,BTC-USDT-SWAP,0.0001\n",
            "{} line 3: column time: 2020-03-12T08:00:30Z of BTC-USDT-SWAP is not after"
            " 2020-03-12T08:00:00Z, the row before it",
        ),
        *(
            (
                ROWS + AT_16.format(rate),
                f"{{}} line 3: column rate: '{rate}' is not a share of the position from -1 to 1,"
                " such as 0.0001 for 0.01 %",
            )
            for rate in ("nan", "inf", "1.5", "0,01 %".replace(",", "."), "")
        ),
        (
            ROWS + AT_16.format("-0.004"),
            "{}: BTC-USDT-SWAP at 2020-03-12T16:00:00Z: rate -0.004 is not within the rule set's"
            " cap, -0.00375 to 0.00375",
        ),
        (
            ROWS + "2020-03-12T15:00:00Z,BTC-USDT-SWAP,0.0001\n",
            "{}: BTC-USDT-SWAP at 2020-03-12T15:00:00Z: no settlement; the rule set settles every"
            " 8 h",
        ),
        (
            ROWS,
            "{} has no rate of BTC-USDT-SWAP for the settlement of 2020-03-12T16:00:00Z; it has 1"
            " from 2020-03-12T08:00:00Z to 2020-03-12T08:00:00Z",
        ),
        (
            ROWS.replace("BTC", "ETH"),
            "{} has rates of ETH-USDT-SWAP; the scenario's perpetuals are BTC-USDT-SWAP",
        ),
    ],
)
def test_wrong_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    overrides = {**AROUND, "venue.funding_rates": str(path)}
    with pytest.raises(UserError) as caught:
        run_scenario(SMALL, overrides=overrides, keep=False)
    assert str(caught.value) == "venue.funding_rates: " + message.format(path)


def test_no_such_file_and_no_record() -> None:
    with pytest.raises(UserError) as caught:
        run_scenario(SMALL, overrides={"venue.funding_rates": "premum"}, keep=False)
    assert str(caught.value).startswith("venue.funding_rates: ")
    assert str(caught.value).endswith(
        "premum: no such file; allowed: premium, recorded or a CSV file"
    )
    with pytest.raises(UserError) as caught:
        run_scenario("calm-day", overrides={"venue.funding_rates": "recorded"}, keep=False)
    assert str(caught.value).startswith(
        "venue.funding_rates: the shipped record has no rate of BTC-USDT-SWAP for the settlement of"
    )
