"""Choosing bars: the finer step where it covers, seams, gaps, misprints, edges of the window."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.bar_file import STEPS_NS, BarFile, Bars, format_time, parse_time_ns, read_bar_file
from scenarios.bars import BarOptions, BarWindow, bars_in_window, merge_steps
from scenarios.errors import UserError

T0 = parse_time_ns("2020-03-12T00:00:00Z")
MINUTE = STEPS_NS["1m"]


def bars(step: str, minutes: list[int], series: str = "BTC-USDT") -> Bars:
    """Bars that open at these minutes; the price tells step and minute apart."""
    open_ns = T0 + np.array(minutes, np.int64) * MINUTE
    price = 100.0 + STEPS_NS[step] / MINUTE + np.array(minutes) / 1000
    return Bars(series, step, open_ns, np.stack([price, price + 1, price - 1, price], axis=1))


def file_of(*parts: Bars) -> BarFile:
    return BarFile("event.csv", "", {(b.series, b.step): b for b in parts})


def window(
    file: BarFile,
    start: int,
    end: int,
    *,
    hold_last_price: bool = False,
    clip_wicks: float | None = None,
) -> BarWindow:
    options = BarOptions(hold_last_price=hold_last_price, clip_wicks=clip_wicks)
    return bars_in_window(file, "BTC-USDT", T0 + start * MINUTE, T0 + end * MINUTE, options)


def spans(chosen: BarWindow) -> list[tuple[int, int]]:
    minutes = [(chosen.open_ns - T0) // MINUTE, (chosen.end_ns - T0) // MINUTE]
    return list(zip(*(m.tolist() for m in minutes), strict=True))


def test_finer_bars_win_where_they_cover() -> None:
    file = file_of(bars("30m", [0, 30, 60]), bars("10m", [0, 10, 20, 30, 40]))
    chosen = window(file, 0, 90)
    # The half hour from 30 lacks its last ten minutes: it is taken from the 30-minute bar.
    assert spans(chosen) == [(0, 10), (10, 20), (20, 30), (30, 60), (60, 90)]
    assert chosen.steps == {"10m": 3, "30m": 2}


def test_three_steps() -> None:
    file = file_of(bars("30m", [0, 30]), bars("10m", [0, 10, 20, 30, 40, 50]), bars("5m", [10, 15]))
    assert spans(window(file, 0, 60)) == [
        (0, 10), (10, 15), (15, 20), (20, 30), (30, 40), (40, 50), (50, 60),
    ]  # fmt: skip


def test_minutes_without_a_trade_are_no_hole() -> None:
    file = file_of(bars("10m", [0, 10]), bars("1m", [0, 1, 5, 9, 10, 15, 19]))
    assert window(file, 0, 20).steps == {"1m": 7}


def test_seam_of_march_2020() -> None:
    start, end = (parse_time_ns(f"2020-03-{d}T06:00:00Z") for d in (12, 13))
    file = read_bar_file("2020-03-black-thursday")
    chosen = bars_in_window(file, "BTC-USDT", start, end, BarOptions())
    seam = np.flatnonzero(np.diff(chosen.end_ns - chosen.open_ns))
    assert [format_time(int(chosen.open_ns[i + 1])) for i in seam] == ["2020-03-12T21:00:00Z"]
    assert chosen.steps == {"5m": 180, "30m": 18}


@given(st.data())
@settings(max_examples=150)
def test_merged_bars_never_overlap_and_cover_the_coarsest(data: st.DataObject) -> None:
    names = ["30m", "10m", "5m", "1m"]
    parts = []
    for name in names:
        width = STEPS_NS[name] // MINUTE
        chosen = data.draw(st.sets(st.integers(0, 120 // width - 1)), label=name)
        minutes = sorted(i * width for i in chosen)
        if name == "30m":
            minutes = [0, 30, 60, 90]
        if minutes:
            parts.append(bars(name, minutes))
    merged = merge_steps(parts)
    assert (merged.open_ns[1:] >= merged.end_ns[:-1]).all()
    for start in (0, 30, 60, 90):
        inside = (merged.open_ns >= T0 + start * MINUTE) & (
            merged.end_ns <= T0 + (start + 30) * MINUTE
        )
        assert inside.any()
        if "30m" in merged.step_of_bar[inside]:
            assert inside.sum() == 1


def test_window_inside_a_bar_keeps_the_whole_bar() -> None:
    assert spans(window(file_of(bars("30m", [0, 30, 60])), 40, 45)) == [(30, 60)]


def test_uncovered_window_says_what_is_covered() -> None:
    file = file_of(bars("5m", [0, 5, 10]))
    for start, end in ((20, 30), (0, 60), (-30, 15)):
        with pytest.raises(UserError) as caught:
            window(file, start, end)
        assert str(caught.value) == (
            "event.csv: BTC-USDT covers 2020-03-12T00:00:00Z to 2020-03-12T00:15:00Z, "
            f"not the window {format_time(T0 + start * MINUTE)} to {format_time(T0 + end * MINUTE)}"
        )


def test_edges_of_five_minutes_are_held() -> None:
    chosen = window(file_of(bars("5m", [0, 5, 10])), -5, 20)
    assert chosen.notes == (
        "BTC-USDT: held at its first price until 2020-03-12T00:00:00Z",
        "BTC-USDT: held at its last price from 2020-03-12T00:15:00Z",
    )


def test_suspended_series_may_be_held() -> None:
    chosen = window(file_of(bars("5m", [0, 5, 10])), 0, 600, hold_last_price=True)
    assert chosen.notes == ("BTC-USDT: held at its last price from 2020-03-12T00:15:00Z",)


def test_gap() -> None:
    file = file_of(bars("5m", [0, 5, 60, 65, 130, 135]))
    assert spans(window(file, 0, 70)) == [(0, 5), (5, 10), (60, 65), (65, 70)]
    message = (
        "event.csv: BTC-USDT has no bars from 2020-03-12T01:10:00Z to 2020-03-12T02:10:00Z; "
        "a gap may be 1800 s long (largest_gap_s)"
    )
    with pytest.raises(UserError) as caught:
        bars_in_window(
            file, "BTC-USDT", T0 + 60 * MINUTE, T0 + 135 * MINUTE, BarOptions(1800 * 10**9)
        )
    assert str(caught.value) == message


def test_window_that_opens_in_a_gap_starts_at_the_price_before_it() -> None:
    assert spans(window(file_of(bars("5m", [0, 5, 60, 65])), 30, 70)) == [
        (5, 10),
        (60, 65),
        (65, 70),
    ]


def test_window_that_ends_in_a_long_gap_is_refused() -> None:
    with pytest.raises(
        UserError, match="has no bars from 2020-03-12T00:10:00Z to 2020-03-12T02:00"
    ):
        window(file_of(bars("5m", [0, 5, 500])), 0, 120)


def test_window_inside_a_long_gap_is_refused() -> None:
    with pytest.raises(UserError, match="has no bars from 2020-03-12T01:40:00Z"):
        window(file_of(bars("5m", [0, 5, 500])), 100, 110)


def test_known_misprints_are_left_out() -> None:
    for event, series, time, high in (
        ("2020-03-black-thursday", "ETH-USDT-SWAP", "2020-03-13T02:00:00Z", 110.8),
        ("2022-05-ust-depeg", "USDC-USDT", "2022-05-11T20:00:00Z", 1.0051),
    ):
        start = parse_time_ns(time)
        chosen = bars_in_window(
            read_bar_file(event), series, start, start + 60 * MINUTE, BarOptions()
        )
        assert chosen.prices[0, 1] == high
        assert len(chosen.notes) == 1
        assert "is left out" in chosen.notes[0]


def test_wicks_are_clipped_on_request_only() -> None:
    prices = np.array([[100.0, 150.0, 50.0, 110.0], [110.0, 112.0, 108.0, 109.0]])
    times = T0 + np.array([0, 5], np.int64) * MINUTE
    file = file_of(Bars("BTC-USDT", "5m", times, prices))
    assert (window(file, 0, 10).prices == prices).all()
    clipped = window(file, 0, 10, clip_wicks=0.1)
    assert clipped.prices[0].tolist() == pytest.approx([100, 121, 100 / 1.1, 110])
    assert (clipped.prices[1] == prices[1]).all()
    assert clipped.notes == ("BTC-USDT: wicks of 1 bars clipped",)


def test_misplaced_decimal_point_is_noted(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "time,series,step,open,high,low,close\n"
        "2020-03-12T00:00:00Z,BTC-USDT,5m,100,110,90,105\n"
        "2020-03-12T00:05:00Z,BTC-USDT,5m,1050,1060,1040,1050\n"
    )
    chosen = window(read_bar_file("x.csv", tmp_path), 0, 10)
    assert chosen.notes == (
        "BTC-USDT: jumps from 105 to 1050 at 2020-03-12T00:05:00Z; is that right?",
    )


def test_series_of_single_prices_are_points() -> None:
    points = bars("30m", [0, 30, 60, 90])
    points.prices[:] = points.prices[:, :1]
    chosen = window(file_of(points), 60, 90)
    assert chosen.is_points
    # One bar before the window: the line that is under way when it opens.
    assert spans(chosen) == [(30, 60), (60, 90)]
    assert not window(file_of(bars("30m", [0, 30, 60, 90])), 60, 90).is_points


def test_unknown_series() -> None:
    with pytest.raises(UserError, match="no series ETH-USDT; it has BTC-USDT"):
        bars_in_window(file_of(bars("5m", [0])), "ETH-USDT", T0, T0 + MINUTE, BarOptions())
