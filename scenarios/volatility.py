"""The shape of the volatility surface over strikes and expiries, at constant maturity.

A scenario's level of implied volatility is that at the money and at 30 days; the shape multiplies
it. The shape is flat, two parameters (skew and curvature), or that of a recorded surface: the
volatilities of a snapshot of option marks, by log-moneyness and days to expiry, relative to its own
level.

Source: portfolio-margin.md section 11.2 (option marks from a fitted volatility); data README.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import polars as pl

from risk.contracts import NS_PER_DAY
from risk.marks import Smile, VolatilitySurface
from scenarios.errors import UserError

Shape = Callable[[float], Callable[[float], float]]
"""Days to expiry -> the smile of that expiry: ln(K / F) -> volatility over the level."""

LEVEL_DAYS = 30.0
DAYS_PER_YEAR = 365.0
LOWEST, HIGHEST = 0.2, 5.0  # a shape never leaves this range
SHORTEST_DAYS = 0.02
LARGEST_FILE_BYTES = 64 << 20
_COLUMNS = ("tte_years", "strike", "type", "underlying_price", "mark_iv_derived")


def parametric_shape(skew: float, curvature: float) -> Shape:
    """1 + skew x + curvature x^2, x = ln(K / F) / sqrt(years), within `LOWEST` and `HIGHEST`."""

    def shape(days: float) -> Callable[[float], float]:
        root = math.sqrt(max(days, SHORTEST_DAYS) / DAYS_PER_YEAR)

        def smile(log_moneyness: float) -> float:
            x = log_moneyness / root
            return min(HIGHEST, max(LOWEST, 1.0 + skew * x + curvature * x * x))

        return smile

    return shape


def recorded_shape(file: str, folder: Path) -> Shape:
    """The shape of a recorded surface: a CSV of option marks, shipped (by name) or the user's own.

    Raises UserError: no such file, columns missing, no usable row.
    """
    surface = _surface(_frame(file, folder), file)
    level = surface.volatility(round(LEVEL_DAYS * NS_PER_DAY), 1.0, 1.0)

    def shape(days: float) -> Callable[[float], float]:
        recorded = surface.smile(round(max(days, SHORTEST_DAYS) * NS_PER_DAY))

        def smile(log_moneyness: float) -> float:
            strike = math.exp(log_moneyness)  # over a forward of 1, as the level above
            vol = recorded(math.log(strike))
            return min(HIGHEST, max(LOWEST, vol / level))

        return smile

    return shape


def _frame(file: str, folder: Path) -> pl.DataFrame:
    shipped = resources.files("scenarios.data") / f"{file}.csv"
    try:
        if shipped.is_file():
            source = shipped.read_bytes()
        else:
            with (folder / file).open("rb") as stream:  # not its size: a device has none
                source = stream.read(LARGEST_FILE_BYTES + 1)
        if len(source) > LARGEST_FILE_BYTES:
            raise UserError(f"market.surface: {file}: larger than {LARGEST_FILE_BYTES >> 20} MiB")
        frame = pl.read_csv(source)
    except OSError as error:
        raise UserError(f"market.surface: {file}: cannot be read: {error.strerror}") from None
    except pl.exceptions.PolarsError:
        raise UserError(f"market.surface: {file}: is no CSV of option marks") from None
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise UserError(f"market.surface: {file}: has no column {', '.join(missing)}")
    return frame


def _surface(frame: pl.DataFrame, file: str) -> VolatilitySurface:
    """Smiles by days to expiry; of a call and a put at one strike the out-of-the-money one."""
    points: dict[int, dict[float, float]] = {}
    for years, strike, kind, forward, percent in frame.select(_COLUMNS).iter_rows():
        values = (years, strike, forward, percent)
        if not all(isinstance(v, float | int) and 0.0 < v < math.inf for v in values):
            continue
        moneyness = math.log(strike / forward)
        smile = points.setdefault(round(years * DAYS_PER_YEAR * NS_PER_DAY), {})
        if moneyness not in smile or (kind == "C") == (strike > forward):
            smile[moneyness] = percent / 100.0
    if not points:
        raise UserError(f"market.surface: {file}: has no row with a positive volatility")
    return VolatilitySurface(
        0,
        tuple(
            Smile(expiry, tuple(sorted(smile)), tuple(smile[m] for m in sorted(smile)))
            for expiry, smile in sorted(points.items())
        ),
    )
