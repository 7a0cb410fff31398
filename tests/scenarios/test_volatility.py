"""The shape of the volatility surface: by hand, and as recorded."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.simulation import Simulation
from scenarios.volatility import parametric_shape, recorded_shape

SNAPSHOT = "options_deribit_eth_2024-01-08"


def test_flat_without_parameters() -> None:
    shape = parametric_shape(0.0, 0.0)
    assert shape(1.0)(-0.5) == shape(300.0)(0.7) == 1.0


def test_skew_and_curvature_by_hand() -> None:
    # a year: x = ln(K / F) = -0.2; 1 - 0.5 x (-0.2)... = 1 + 0.1 + 1.0 x 0.04
    assert parametric_shape(-0.5, 1.0)(365.0)(-0.2) == pytest.approx(1.14)
    # a quarter of the time doubles x
    assert parametric_shape(-0.5, 1.0)(91.25)(-0.2) == pytest.approx(1.0 + 0.2 + 0.16)


def test_never_out_of_its_range_nor_broken_at_expiry() -> None:
    for shape in (parametric_shape(-3.0, 9.0), recorded_shape(SNAPSHOT, Path())):
        for days in (-1.0, 0.0, 1e-9, 1.0, 3000.0):
            for moneyness in (-6.0, -0.1, 0.0, 0.1, 6.0):
                assert 0.2 <= shape(days)(moneyness) <= 5.0


def test_the_recorded_surface_has_the_bump_of_12_january() -> None:
    """At the money four days out 92 %, two weeks later 71 %: the event is in the short end."""
    shape = recorded_shape(SNAPSHOT, Path())
    assert shape(3.86)(0.0) / shape(17.86)(0.0) == pytest.approx(92.0 / 71.0, rel=0.03)
    assert shape(30.0)(0.0) == pytest.approx(1.0)
    assert shape(30.0)(math.log(0.6)) > 1.05


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "has no column tte_years"),
        ("tte_years,strike,type,underlying_price,mark_iv_derived\n0,1,C,1,1\n", "has no row"),
        ("", "is no CSV"),
    ],
)
def test_bad_surface_files(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "surface.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        recorded_shape("surface.csv", tmp_path)


def test_a_surface_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="larger than 64 MiB"):
        recorded_shape("/dev/zero", tmp_path)


def test_marks_of_options_follow_the_surface() -> None:
    simulations: list[Simulation] = []
    overrides = {"market.end": "2025-06-02T06:00:05Z", "market.surface": SNAPSHOT}
    run_scenario("vol-shock", overrides=overrides, keep=False, on_start=simulations.append)
    simulation = simulations[0]
    options = [i for i in simulation.instruments if i.strike is not None]
    vols = {round(simulation.world.implied_vol(option), 4) for option in options}
    assert len(vols) > 3
