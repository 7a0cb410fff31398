"""Paths have the statistics of real ones: the table of the ecology, section 2, re-measured.

Tolerances are those of few seeds: the tail index of 4,000 returns rests on 40 of them (standard
error about 15 %), autocorrelations on clustered data (about 0.03).
"""

from pathlib import Path

import numpy as np
import pytest

from scenarios.bar_file import Bars, format_time, read_bar_file
from scenarios.path_kinds import AnyPath, BarPath, BridgedBarPath, Bridging, CalmPath
from scenarios.paths import build_path
from scenarios.sampling import Window
from scenarios.streams import Streams
from tests.scenarios.path_tools import FloatArray, acf, annual_volatility, decay, hill

DAY = 86400 * 10**9
MINUTE = 60 * 10**9
EVENTS = {
    "2021": ("2021-05-leverage-flush", "BTC-USDT"),
    "2023": ("2023-03-usdc-depeg", "BTC-USD"),
}


def measure(returns: FloatArray) -> dict[str, float]:
    """The columns of the table, of returns per minute."""
    size = np.abs(returns)
    return {
        "hill": hill(returns),
        "acf": acf(returns, 1),
        "size 1": acf(size, 1),
        "size 12": acf(size, 12),
        "size 60": acf(size, 60),
        "decay": decay(returns),
        "volatility": annual_volatility(returns, 60),
    }


def five_minute_bars(minutes: Bars, path: Path) -> Window:
    """Writes the 5-minute bars of 1-minute bars; returns their window."""
    count = len(minutes.open_ns) // 5
    lines = ["time,series,step,open,high,low,close"]
    for i in range(count):
        part = minutes.prices[5 * i : 5 * i + 5]
        bar = (part[0, 0], part[:, 1].max(), part[:, 2].min(), part[-1, 3])
        time = format_time(int(minutes.open_ns[5 * i]))
        lines.append(",".join([time, minutes.series, "5m", *(repr(float(p)) for p in bar)]))
    path.write_text("\n".join(lines) + "\n")
    first = int(minutes.open_ns[0])
    return Window(first, first + count * 5 * MINUTE)


def pooled(parameters: AnyPath, window: Window, seeds: int = 3) -> dict[str, float]:
    """Means over seeds."""
    found = []
    for seed in range(seeds):
        closes = build_path(parameters, window, Streams(seed)).prices[59::60, 0]
        found.append(measure(np.diff(np.log(closes))))
    return {key: float(np.mean([one[key] for one in found])) for key in found[0]}


def real(year: str) -> Bars:
    event, series = EVENTS[year]
    return read_bar_file(event).bars[series, "1m"]


@pytest.mark.parametrize(
    ("year", "table"),
    [
        ("2021", [1.92, 0.058, 0.46, 0.42, 0.20, 2.84]),
        ("2023", [2.87, 0.034, 0.30, 0.15, 0.17, 0.78]),
    ],
)
def test_real_figures_are_those_of_the_table(year: str, table: list[float]) -> None:
    found = measure(np.diff(np.log(real(year).prices[:, 3])))
    keys = ("hill", "acf", "size 1", "size 12", "size 60", "volatility")
    assert [found[key] for key in keys] == pytest.approx(table, abs=0.006)


@pytest.mark.parametrize(
    ("year", "table"),
    [
        ("2021", {"hill": 2.36, "acf": -0.014, "size 1": 0.41, "size 12": 0.38, "size 60": 0.20,
                  "decay": 0.21, "volatility": 3.15}),
        ("2023", {"hill": 3.11, "acf": 0.005, "size 1": 0.34, "size 12": 0.22, "size 60": 0.17,
                  "decay": 0.22, "volatility": 0.80}),
    ],
)  # fmt: skip
def test_bridged_bars(year: str, table: dict[str, float], tmp_path: Path) -> None:
    window = five_minute_bars(real(year), tmp_path / "five.csv")
    parameters = BridgedBarPath(file=str(tmp_path / "five.csv"), bridging=Bridging(total_sd=0.6))
    found = pooled(parameters, window)
    assert found["hill"] == pytest.approx(table["hill"], rel=0.15)
    assert found["volatility"] == pytest.approx(table["volatility"], rel=0.05)
    for key in ("acf", "size 1", "size 12", "size 60", "decay"):
        assert found[key] == pytest.approx(table[key], abs=0.06), key


def test_smaller_bridges_make_the_path_trend(tmp_path: Path) -> None:
    window = five_minute_bars(real("2021"), tmp_path / "five.csv")
    found = pooled(
        BridgedBarPath(file=str(tmp_path / "five.csv"), bridging=Bridging(total_sd=0.5)), window
    )
    assert 0.03 < found["acf"] < 0.10


def test_the_simple_rule_trends_within_bars(tmp_path: Path) -> None:
    """Straight lines between four prices are not what a real path looks like."""
    window = five_minute_bars(real("2021"), tmp_path / "five.csv")
    found = pooled(BarPath(file=str(tmp_path / "five.csv")), window, seeds=1)
    assert found["acf"] > 0.15


def test_calm_path_pooled() -> None:
    found = pooled(CalmPath(initial_prices={"BTC-USDT": 6e4}), Window(0, 12 * DAY), seeds=4)
    assert found["hill"] == pytest.approx(3.7, abs=0.5)
    assert abs(found["acf"]) < 0.03
    assert found["size 1"] == pytest.approx(0.33, abs=0.05)
    assert found["size 12"] == pytest.approx(0.20, abs=0.05)
    assert found["size 60"] == pytest.approx(0.13, abs=0.05)
    assert found["decay"] == pytest.approx(0.24, abs=0.07)
    assert 0.24 < found["volatility"] < 0.36
