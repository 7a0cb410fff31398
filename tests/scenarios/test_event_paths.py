"""Paths out of bars: extremes are hit exactly, the rule inside a bar, scaling, bootstrap."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.bar_file import read_bar_file
from scenarios.bar_filling import bridge_bar, fill_in_thirds
from scenarios.bars import BarOptions, bars_in_window
from scenarios.errors import UserError
from scenarios.path_kinds import (
    BarPath,
    BootstrapPath,
    BridgedBarPath,
    Bridging,
    ScaledEventPath,
)
from scenarios.paths import PricePath, build_path
from scenarios.sampling import Window
from scenarios.streams import Streams
from tests.scenarios.path_tools import SECOND, hours, span, write_bars

MARCH = "2020-03-black-thursday"
CRASH = span("2020-03-12T06:00:00", "2020-03-13T05:00:00")


def build(parameters: object, window: Window, seed: int = 1, **options: object) -> PricePath:
    return build_path(parameters, window, Streams(seed), **options)  # type: ignore[arg-type]


@st.composite
def one_bar(draw: st.DrawFn) -> tuple[float, float, float, float]:
    low = draw(st.floats(0.001, 1e5))
    high = low * (1 + draw(st.floats(0, 0.5)))
    share = st.floats(0, 1)
    first, last = (min(max(low + draw(share) * (high - low), low), high) for _ in range(2))
    return first, high, low, last


@given(one_bar(), st.integers(1, 400))
@settings(max_examples=200)
def test_thirds_visit_the_bars_prices(bar: tuple[float, float, float, float], count: int) -> None:
    first, high, low, last = bar
    _, path = fill_in_thirds(np.array([0]), np.array([count]), np.array([bar]))
    assert len(path) == count
    assert path[0] == first
    if count >= 2:
        assert path[-1] == last
    if count >= 4:
        assert {high, low} <= set(path.tolist())
    slack = 1e-12 * high
    assert low - slack <= path.min() <= path.max() <= high + slack


def test_thirds_in_detail() -> None:
    # 9 samples; the high is nearer to the open, so it comes first.
    _, path = fill_in_thirds(np.array([0]), np.array([9]), np.array([[100.0, 102.0, 90.0, 95.0]]))
    assert path[[0, 3, 6, 8]].tolist() == [100, 102, 90, 95]
    assert path[1] == pytest.approx(100 * 1.02 ** (1 / 3))
    assert path[7] == pytest.approx((90 * 95) ** 0.5)
    _, other = fill_in_thirds(np.array([0]), np.array([9]), np.array([[100.0, 112.0, 99.0, 95.0]]))
    assert other[[3, 6]].tolist() == [99, 112]


@given(one_bar(), st.integers(4, 400), st.integers(0, 1000))
@settings(max_examples=200)
def test_bridges_hit_all_four_prices(
    bar: tuple[float, float, float, float], count: int, seed: int
) -> None:
    first, high, low, last = bar
    path = bridge_bar(np.array(bar), count, 1.0, Bridging(), np.random.default_rng(seed))
    if path is None:
        return  # no bridge left the body; the caller falls back to thirds
    assert len(path) == count
    assert (path[0], path.max(), path.min(), path[-1]) == (first, high, low, last)


def test_bridges_seldom_fail_on_bars_of_a_minute() -> None:
    bar = np.array([100.0, 100.5, 99.5, 100.2])
    generator = np.random.default_rng(1)
    failed = [bridge_bar(bar, 60, 1.0, Bridging(), generator) is None for _ in range(500)]
    assert not any(failed)


@pytest.mark.parametrize("kind", [BarPath, BridgedBarPath])
@pytest.mark.parametrize("event", ["2020-03-black-thursday", "2022-05-ust-depeg"])
def test_every_bar_of_an_event_is_hit_exactly(
    kind: type[BarPath] | type[BridgedBarPath], event: str
) -> None:
    window = CRASH
    if event.startswith("2022"):
        window = span("2022-05-10T12:00:00", "2022-05-12T00:00:00")
    path = build(kind(file=event), window)
    file = read_bar_file(event)
    for name in path.series:
        bars = bars_in_window(file, name, window.start_ns, window.end_ns, BarOptions())
        if bars.is_points:
            continue
        prices = path.of(name)
        for open_ns, end_ns, bar in zip(bars.open_ns, bars.end_ns, bars.prices, strict=True):
            inside = prices[path.row_at(int(open_ns)) : path.row_at(int(end_ns) - 1) + 1]
            assert (inside[0], inside.max(), inside.min(), inside[-1]) == tuple(bar)


def test_known_extremes_of_the_crash() -> None:
    path = build(BridgedBarPath(file=MARCH), CRASH)
    assert path.of("BTC-USDT").min() == 3782.13
    assert path.of("BTC-USDT-SWAP").min() == 3621.81
    assert path.of("ETH-USDT").min() == 86.0
    assert path.of("ETH-USDT-SWAP").max() < 200


def test_same_arguments_same_numbers_and_another_seed_others() -> None:
    one, two, other = (build(BridgedBarPath(file=MARCH), CRASH, seed) for seed in (5, 5, 6))
    assert (one.prices == two.prices).all()
    assert (one.of("BTC-USDT") != other.of("BTC-USDT")).mean() > 0.9


def test_a_later_start_and_fewer_series_see_the_same_prices() -> None:
    whole = build(BridgedBarPath(file=MARCH), CRASH)
    later = span("2020-03-12T20:17:03", "2020-03-13T02:30:00")
    part = build(BridgedBarPath(file=MARCH), later, series=["ETH-USDT"])
    at = whole.row_at(later.start_ns)
    assert (whole.of("ETH-USDT")[at : at + len(part)] == part.of("ETH-USDT")).all()


def test_coarse_sampling_keeps_what_fits(tmp_path: Path) -> None:
    write_bars(tmp_path / "b.csv", 300, [(100, 120, 90, 110), (110, 111, 80, 100)])
    for step_s, first_bar in ((300, [100]), (150, [100, 110]), (100, [100, 120, 110])):
        path = build(BarPath(file="b.csv"), hours(1 / 6, step_s), directory=tmp_path)
        assert path.of("BTC-USDT")[: len(first_bar)].tolist() == pytest.approx(first_bar)


def test_fine_sampling(tmp_path: Path) -> None:
    write_bars(tmp_path / "b.csv", 60, [(100, 120, 90, 110)])
    path = build(BridgedBarPath(file="b.csv"), hours(1 / 60, 0.1), directory=tmp_path)
    assert len(path) == 600
    assert (path.prices.min(), path.prices.max(), path.prices[-1, 0]) == (90, 120, 110)


def test_missing_minutes_stand_still(tmp_path: Path) -> None:
    lines = (tmp_path / "b.csv", 60, [(100, 101, 99, 100.5), (1, 1, 1, 1), (103, 104, 102, 103)])
    rows = write_bars(*lines).read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join(rows[:2] + rows[3:]) + "\n")
    for kind in (BarPath, BridgedBarPath):
        prices = build(kind(file="b.csv"), hours(3 / 60), directory=tmp_path).of("BTC-USDT")
        assert set(prices[60:120].tolist()) == {100.5}
        assert (prices[59], prices[120]) == (100.5, 103)


def test_noise_stays_within_the_bars_and_keeps_their_prices(tmp_path: Path) -> None:
    write_bars(tmp_path / "b.csv", 300, [(100, 120, 90, 110), (110, 111, 80, 100)])
    still = build(BarPath(file="b.csv"), hours(1 / 6), directory=tmp_path).of("BTC-USDT")
    noisy_kind = BarPath(file="b.csv", noise_annual_volatility=5.0)
    noisy = build(noisy_kind, hours(1 / 6), directory=tmp_path).of("BTC-USDT")
    assert (noisy != still).mean() > 0.9
    assert (noisy[:300].min(), noisy[:300].max()) == (90, 120)
    assert noisy[[0, 100, 200, 299]].tolist() == still[[0, 100, 200, 299]].tolist()


def test_hourly_closes_are_joined_by_lines() -> None:
    path = build(BarPath(file=MARCH), CRASH, series=["USDT-USD"])
    prices = path.of("USDT-USD")
    steps = np.abs(np.diff(np.log(prices)))
    assert steps.max() < 1e-4  # 3.9 % in a second if each bar were flat
    bars = read_bar_file(MARCH).bars["USDT-USD", "1h"]
    close = float(bars.prices[bars.open_ns == CRASH.start_ns, 3][0])
    assert prices[3599] == close


def test_series_that_do_not_cover_the_window_are_left_out_with_a_note() -> None:
    window = span("2020-03-10T00:00:00", "2020-03-10T06:00:00")
    path = build(BarPath(file=MARCH), window)
    assert path.series == ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
    assert path.notes[0] == (
        "BTC-USDT 2020-03-11T00:00:00Z to 2020-03-15T00:00:00Z: does not cover the window, left out"
    )


def test_window_without_bars_says_what_is_covered() -> None:
    with pytest.raises(UserError) as caught:
        build(BarPath(file=MARCH), span("2020-04-01T00:00:00", "2020-04-02T00:00:00"))
    assert str(caught.value).startswith(
        "2020-03-black-thursday: no series covers 2020-04-01T00:00:00Z to 2020-04-02T00:00:00Z; "
        "covered: BTC-USDT 2020-03-11T00:00:00Z to 2020-03-15T00:00:00Z; BTC-USDT-SWAP 2020-03-09"
    )
    with pytest.raises(UserError, match="BTC-USDT covers 2020-03-11T00:00:00Z to"):
        build(
            BarPath(file=MARCH, series=("BTC-USDT",)),
            span("2020-03-10T00:00:00", "2020-03-12T00:00:00"),
        )


def test_a_suspended_coin_can_be_held() -> None:
    window = span("2022-05-12T23:00:00", "2022-05-13T03:00:00")
    event = BarPath(file="2022-05-ust-depeg", series=("UST-USDT",))
    with pytest.raises(UserError, match="UST-USDT covers 2022-05-06T00:00:00Z to 2022-05-13T01:00"):
        build(event, window)
    held = build(replace(event, hold_last_price=True), window)
    after = held.of("UST-USDT")[7200:]
    assert len(set(after.tolist())) == 1
    assert held.notes == ("UST-USDT: held at its last price from 2022-05-13T01:00:00Z",)


def scaled(**changes: object) -> ScaledEventPath:
    return ScaledEventPath(file=MARCH, event_start="2020-03-12T06:00:00Z", **changes)  # type: ignore[arg-type]


def test_twice_as_fast_still_hits_every_extreme() -> None:
    real = build(BridgedBarPath(file=MARCH), CRASH, series=["BTC-USDT"])
    fast = build(scaled(speed=2.0), hours(11.5), series=["BTC-USDT"])
    assert (fast.prices.min(), fast.prices.max()) == (real.prices.min(), real.prices.max())
    trough_real, trough_fast = int(real.prices.argmin()), int(fast.prices.argmin())
    assert abs(trough_fast - trough_real / 2) < 900  # the same bar of 30 minutes
    assert abs(np.log(fast.prices[1000] / real.prices[2000])) < 0.02


def test_slow_motion_and_odd_speeds() -> None:
    real = build(BridgedBarPath(file=MARCH), CRASH, series=["BTC-USDT"])
    for speed in (0.5, 1.7, 30.0):
        path = build(scaled(speed=speed), hours(23 / speed), series=["BTC-USDT"])
        assert path.prices.min() == real.prices.min()


def test_size_scales_the_log_moves() -> None:
    real = build(scaled(), hours(23), series=["BTC-USDT"]).of("BTC-USDT")
    large = build(scaled(size=1.5), hours(23), series=["BTC-USDT"]).of("BTC-USDT")
    first = real[0]
    assert np.log(large.min() / first) == pytest.approx(1.5 * np.log(real.min() / first), rel=1e-9)
    mirrored = build(scaled(size=-1.0), hours(23), series=["BTC-USDT"]).of("BTC-USDT")
    assert mirrored.max() == pytest.approx(first**2 / real.min(), rel=1e-9)
    still = build(scaled(size=0.0), hours(1), series=["BTC-USDT"]).of("BTC-USDT")
    assert np.ptp(still) < 1e-9


def test_size_by_series() -> None:
    path = build(scaled(size=2.0, size_by_series={"USDT-USD": 0.0}), hours(23))
    assert np.ptp(path.of("USDT-USD")) < 1e-12
    with pytest.raises(UserError, match="size_by_series: SOL-USDT is not taken from 2020-03"):
        build(scaled(size_by_series={"SOL-USDT": 1.0}), hours(1))


def bootstrapped(**changes: object) -> BootstrapPath:
    times = {"event_start": "2020-03-12T06:00:00Z", "event_end": "2020-03-13T05:00:00Z"}
    return BootstrapPath(**{"file": MARCH, **times, **changes})  # type: ignore[arg-type]


def correlation(path: PricePath, seconds: int) -> float:
    pair = [np.diff(np.log(path.of(name)[::seconds])) for name in ("BTC-USDT", "ETH-USDT")]
    return float(np.corrcoef(pair)[0, 1])


def test_bootstrap_keeps_the_returns_and_their_correlation() -> None:
    event = build(BridgedBarPath(file=MARCH), CRASH)
    drawn = build(bootstrapped(keep_drift=True, block_s=600), hours(100))
    for name in ("BTC-USDT", "ETH-USDT"):
        original = np.diff(np.log(event.of(name)))
        returns = np.diff(np.log(drawn.of(name)))
        assert returns.std() == pytest.approx(original.std(), rel=0.25)
        known = np.sort(original)
        place = np.searchsorted(known, returns).clip(1, len(known) - 1)
        nearest = np.minimum(abs(known[place] - returns), abs(known[place - 1] - returns))
        assert nearest.max() < 1e-12
    assert correlation(drawn, 600) == pytest.approx(correlation(event, 600), abs=0.12)
    assert correlation(event, 600) > 0.5


def test_bootstrap_without_drift_and_with_other_prices() -> None:
    path = build(bootstrapped(initial_prices={"BTC-USDT": 60000.0}), hours(400, 10))
    assert path.of("BTC-USDT")[0] == 60000
    drift = np.log(path.of("BTC-USDT")[-1] / 60000) / 400
    assert abs(drift) < 0.02  # an hour; the event itself falls by 0.02 an hour in the mean
    with pytest.raises(UserError, match="initial_prices: SOL-USDT is not taken from"):
        build(bootstrapped(initial_prices={"SOL-USDT": 60000.0}), hours(1))


def test_bootstrap_block_must_fit() -> None:
    with pytest.raises(ValueError, match="block_s: 1800 is longer than the event, 600 s"):
        bootstrapped(event_end="2020-03-12T06:10:00Z")
    with pytest.raises(UserError, match="block_s: 600 needs 3 samples of the event, which has 2"):
        build(bootstrapped(event_end="2020-03-12T06:10:00Z", block_s=600), hours(1, 300))


def test_paths_are_made_quickly() -> None:
    import time

    started = time.process_time()
    build(
        BridgedBarPath(file=MARCH),
        span("2020-03-12T06:00:00", "2020-03-13T01:00:00"),
        series=["BTC-USDT"],
    )
    assert time.process_time() - started < 2.0  # measured: 0.09 s
    assert SECOND == 10**9
