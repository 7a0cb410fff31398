"""`selloff run --live`: what the picture shows, what it costs, and that it changes nothing."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text
from typer.testing import CliRunner

from accounts.events import AccountState
from scenarios import run_command
from scenarios.cli import app
from scenarios.live import DRAWING_SHARE, FRAME_SECONDS, LiveRun
from scenarios.live_screen import bar, chart, draw, quote, short_usd, squeeze
from scenarios.run import run_scenario
from scenarios.simulation import Simulation

SMALL = Path(__file__).parent / "small_crash.toml"
SHOWN = (
    *("BTC-USDT-SWAP", "mark", "last", "depth 1 %", "bids", "asks", "real time", "healthy"),
    *("liquidating", "bankrupt", "fund cash", "forced, last first", "reduction"),
)


class Watched:
    """The small crash watched to its end, with frames on a clock that goes on by itself."""

    def __init__(self) -> None:
        self.screen = Console(
            record=True, width=80, height=24, force_terminal=True, file=io.StringIO()
        )
        self.seconds = 0.0
        self.pictures: list[str] = []
        with Live(Text(), console=self.screen, auto_refresh=False) as live:
            self.run = LiveRun("small-crash", self.screen, live, self.clock)
            self.summary = run_scenario(
                SMALL, keep=False, on_start=self.start, on_progress=self.run.on_progress
            )

    def clock(self) -> float:
        self.seconds += 0.01  # so that a frame seems to take 0.01 s: it may come every 0.5 s
        return self.seconds

    def start(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.run.watch(simulation)


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


def test_watching_changes_nothing(watched: Watched) -> None:
    assert run_scenario(SMALL, keep=False)["event_hash"] == watched.summary["event_hash"]


def test_counts_are_those_of_the_clearing_house_and_the_summary(watched: Watched) -> None:
    run, summary = watched.run, watched.summary
    accounts = [a for a in watched.simulation.house.accounts if not a.is_fund]
    for state in AccountState:
        assert run.states[state] == sum(a.state == state for a in accounts), state
    assert len(run.liquidated) == summary["liquidated_accounts"] > 0
    assert run.deficit_usd == pytest.approx(summary["bad_debt_usd"])
    stages = summary["liquidated_notional_usd"]
    traders = sum(v for k, v in stages.items() if k not in ("fund_unwind", "deleveraging"))
    assert run.forced_usd == pytest.approx(traders) == pytest.approx(sum(run.flow))
    # The summary takes each pool at the price of its currency when it last changed.
    assert run.frame().fund_usd == pytest.approx(summary["insurance_fund_usd"]["end"], rel=1e-2)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (132, 43), (240, 70)])
def test_picture_fits_and_says_it_all(watched: Watched, width: int, height: int) -> None:
    picture = draw(watched.run.frame(), width, height)
    lines = picture.plain.split("\n")
    assert len(lines) <= height
    too_wide = [line for line in lines if len(line) > width]
    assert not too_wide
    for words in SHOWN:
        assert words in picture.plain, words
    assert sum("█" in line for line in lines) >= 6  # the chart is there
    out = Console(record=True, width=width, height=height, file=io.StringIO())
    out.print(picture)
    assert out.export_text().rstrip("\n") == picture.plain.rstrip("\n")  # nothing wraps


def test_a_small_terminal_gets_the_figures(watched: Watched) -> None:
    lines = draw(watched.run.frame(), 30, 8).plain.split("\n")
    assert len(lines) <= 8 and all(len(line) <= 30 for line in lines)
    assert "liquidated" in lines[2]


def test_frames_were_drawn_on_the_console(watched: Watched) -> None:
    text = watched.screen.export_text()
    assert text.count("forced, last first") >= watched.run.frames >= 3


def test_drawing_takes_its_share_of_the_clock_and_no_more(watched: Watched) -> None:
    run = watched.run
    assert run.drawing_seconds <= DRAWING_SHARE * watched.seconds + 2 * FRAME_SECONDS
    assert run._next_frame - watched.seconds <= max(FRAME_SECONDS, 0.03 / DRAWING_SHARE)


def test_amounts_and_prices_in_few_characters() -> None:
    assert [short_usd(x) for x in (0, 950, 999.7, 12_345, 4.56e6, 99.97e6, 1.2e9)] == [
        "0", "950", "1.00 k", "12.3 k", "4.56 M", "100 M", "1.20 B"
    ]  # fmt: skip
    assert [quote(x) for x in (0.0, math.nan, 0.05, 0.5, 99.5, 61_234.56)] == [
        "-", "-", "0.050000", "0.5000", "99.50", "61,234.6"
    ]  # fmt: skip
    assert bar(0.5, 4) == "██░░" and bar(7.0, 2) == "██" and bar(-1.0, 2) == "░░"


def test_long_names_keep_their_ends(watched: Watched) -> None:
    frame = watched.run.frame()
    step = frame.forced[-1]
    long = "a_very_long_name_of_a_population_of_traders/0/123"
    option = "BTC-USD-250620-100000-C"
    frame.forced = [replace(step, account=long, instrument_id=option)]
    narrow, wide = draw(frame, 80, 24).plain, draw(frame, 120, 30).plain
    assert "traders/0/123" in narrow and "100000-C" in narrow
    assert option in wide


def test_squeeze_keeps_sums_and_last_values() -> None:
    nan = math.nan
    assert squeeze([1, 2, 3, 4], 2, 8, total=True) == [10]
    assert squeeze([1, 2, 3, 4, 5, 6], 2, 8, total=True) == [10, 11]
    assert squeeze([1.0, 2.0, nan, 4.0], 4, 4, total=False) == [1.0, 2.0, 2.0, 4.0]
    assert squeeze([1.0, 2.0], 8, 4, total=False) == [1.0, 1.0, 2.0, 2.0]
    assert math.isnan(squeeze([nan, 2.0], 4, 4, total=False)[0])


def test_chart_goes_from_the_lowest_block_to_the_highest() -> None:
    assert chart([0.0, 0.5, 1.0], 1) == ["▁▅█"]
    top, bottom = chart([0.0, 1.0], 2)
    assert (top, bottom) == (" █", "▁█")
    assert chart([5.0, 5.0], 2) == ["  ", "▁▁"]
    assert chart([math.nan], 2) == ["", ""]


def test_without_a_terminal_it_is_an_ordinary_run(tmp_path: Path) -> None:
    end = "market.end=2020-03-12T10:34:20Z"
    arguments = ["run", str(SMALL), "--live", "--set", end, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert "results:" in done.output


@pytest.mark.parametrize("live", [False, True])
def test_ctrl_c_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "run_scenario", interrupted)
    monkeypatch.setattr(run_command, "can_draw", lambda _: True)
    done = CliRunner().invoke(app, ["run", str(SMALL), *(["--live"] if live else [])])
    assert done.exit_code == 130
    assert done.stderr.splitlines() == ["error: stopped at preparing; nothing was finished"]
