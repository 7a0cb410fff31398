"""`selloff validate`: bands, errors, the collector, the page and the last line."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scenarios.acceptance import Part, bands_held
from scenarios.bands import BANDS, Measured, measure
from scenarios.cli import app
from scenarios.errors import UserError
from scenarios.fact_collector import DEPTH_BPS, DayFacts
from scenarios.facts import Metaorder
from scenarios.validate import simulate_day, validate_command, verdict
from scenarios.validate_page import render_page

HALF_HOUR = ["market.end=2025-06-02T00:30:00Z"]


def made_up_day(seed: int) -> DayFacts:
    """Student returns with clustered volatility, split signs, square-root impact."""
    source = np.random.default_rng(seed)
    log_vol = np.zeros(1440)
    for i in range(1, 1440):
        log_vol[i] = 0.98 * log_vol[i - 1] + 0.1 * source.normal()
    returns = 5e-4 * np.exp(log_vol) * source.normal(size=1440)
    volumes = np.exp(1.0 + 0.7 * log_vol + 0.5 * source.normal(size=1440))
    signs = np.repeat(source.choice([-1.0, 1.0], 3000), source.integers(1, 30, size=3000))
    orders = [
        Metaorder(1, q, float(0.8 * q**0.5 + 1e-3 * source.normal()), 20)
        for q in 1e-4 * (1 - source.random(300)) ** -0.8
    ]
    depth = np.array(DEPTH_BPS, dtype=np.float64)
    return DayFacts(
        seed, 86_400.0, returns, volumes, signs, orders, depth, 0.9, 1000, 980, 0, 5000,
        np.exp(np.cumsum(returns)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def day() -> DayFacts:
    return simulate_day("calm-day", HALF_HOUR, 1)


def test_the_bands_are_the_twelve_of_the_specification() -> None:
    assert [band.number for band in BANDS] == list(range(1, 13))
    assert [(b.low, b.high) for b in BANDS[:9]] == [
        (2.5, 4.5), (-0.05, 0.05), (0.25, 0.45), (0.1, 0.27), (0.2, 0.4), (0.4, 0.6), (0.4, 0.7),
        (0.4, 0.6), (0.5, 1.5),
    ]  # fmt: skip
    assert [band.low for band in BANDS[9:]] == [0.95, 0.8, 0.9]


def test_known_values_come_back_with_errors() -> None:
    results = {one.band.key: one for one in measure([made_up_day(seed) for seed in range(5)])}
    assert results["impact_exponent"].value == pytest.approx(0.5, abs=0.1)
    assert results["impact_prefactor"].value == pytest.approx(0.8, rel=0.1)
    assert results["cancelled"].value == pytest.approx(0.98)
    assert results["one_tick"].value == pytest.approx(0.9)
    assert results["linear_depth"].value == pytest.approx(1.0)
    assert abs(results["acf_r_1"].value) < 0.1
    assert results["acf_abs_1"].value > 0.1
    assert all(one.error >= 0.0 for one in results.values())


def test_why_a_band_fails() -> None:
    tail = BANDS[0]
    assert Measured(tail, 3.0, 0.2).why == ""
    assert Measured(tail, 5.0, 0.25).why == "0.5 above the band, 2.0 standard errors"
    assert Measured(tail, 2.0, nan).why == "0.5 below the band"
    assert "too few" in Measured(tail, nan, nan).why
    assert not Measured(tail, nan, nan).holds


def test_half_an_hour_of_the_calm_day_is_a_market(day: DayFacts) -> None:
    """Wide limits: the facts of flow and book, which half an hour can tell."""
    assert day.liquidated == 0
    assert day.returns.size == day.volumes.size == 28
    assert 0.05 < day.returns.std() * (365 * 1440) ** 0.5 < 2.0
    assert day.one_tick_share > 0.5
    assert day.cancelled / day.limit_orders > 0.85
    assert day.depth[-1] == pytest.approx(10.0, rel=0.5)
    assert abs(day.signs.mean()) < 0.6
    assert set(np.unique(day.signs)) == {-1.0, 1.0}
    assert sum(m.children for m in day.metaorders) > 300
    assert all(0.0 < m.volume_share < 50.0 for m in day.metaorders)


def test_one_seed_one_day(day: DayFacts) -> None:
    short = ["market.end=2025-06-02T00:03:00Z"]
    again = simulate_day("calm-day", short, 1)
    assert np.array_equal(again.prices, day.prices[:2])
    other = simulate_day("calm-day", short, 2)
    assert not np.array_equal(again.prices, other.prices)


def test_command_prints_bands_and_the_last_line(tmp_path: Path) -> None:
    arguments = ["validate", "calm-day", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--set", "market.end=2025-06-02T00:04:00Z"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("of 12 bands hold")
    assert "nobody was liquidated" in result.stdout
    record = json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))
    assert record["instrument"] == "BTC-USDT-SWAP"
    assert len(record["bands"]) == 12
    assert record["holding"] == sum(band["holds"] for band in record["bands"])
    page = (tmp_path / "validation.html").read_text(encoding="utf-8")
    assert "Memory of trade signs" in page and "http" not in page.split("</script>")[-1]


def test_page_of_full_days_has_all_pictures() -> None:
    days = [made_up_day(seed) for seed in range(2)]
    results = measure(days)
    page = render_page("made up <days>", days, results, verdict(results))
    for title in ("Price", "Tail of", "Memory of returns", "Impact of", "Depth of"):
        assert title in page
    assert "<days>" not in page


@pytest.mark.parametrize(("field", "value"), [("seeds", 0), ("seeds", 2000), ("jobs", 0)])
def test_wrong_numbers_are_refused(field: str, value: int) -> None:
    fields = {"seeds": 1, "jobs": 1} | {field: value}
    with pytest.raises(UserError, match=f"--{field}: {value}"):
        validate_command("calm-day", seed=None, as_json=False, overrides=[], out=None, **fields)  # type: ignore[arg-type]


def test_a_crash_band_holds_when_all_that_applies_of_it_does() -> None:
    parts = [
        Part(1, "a", 1.0, "", True),
        Part(1, "b", None, "", None),
        Part(2, "c", 1.0, "", True),
        Part(2, "d", 0.0, "", False),
        Part(5, "e", None, "", None),
    ]
    assert bands_held(parts) == (1, 2)
