"""Funding rates as they were around the shipped events, to set beside a run's own.

Source: data README, section "Others" (funding_8h.csv); calibration, table of events.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

from scenarios.bar_file import parse_time_ns
from scenarios.errors import UserError


@dataclass(frozen=True, slots=True)
class FundingRate:
    """One 8-hour funding of a linear perpetual. rate: share of the position, paid by longs."""

    time_ns: int
    rate: float


def recorded_funding(series: str, start_ns: int, end_ns: int) -> list[FundingRate]:
    """The recorded rates of a perpetual such as `BTC-USDT-SWAP` in [start_ns, end_ns), by time.

    Empty where the record does not reach.

    Raises:
        UserError: the record has no such perpetual; says which it has.
    """
    symbol = series.removesuffix("-SWAP").replace("-", "")
    text = resources.files("scenarios.data").joinpath("funding_8h.csv").read_text(encoding="utf-8")
    rates: list[FundingRate] = []
    symbols: set[str] = set()
    for row in csv.DictReader(text.splitlines()):
        symbols.add(row["symbol"])
        time_ns = parse_time_ns(row["timestamp"])
        if row["symbol"] == symbol and start_ns <= time_ns < end_ns:
            rates.append(FundingRate(time_ns, float(row["funding_rate_8h"])))
    if symbol not in symbols:
        known = ", ".join(f"{name.removesuffix('USDT')}-USDT-SWAP" for name in sorted(symbols))
        raise UserError(f"no recorded funding of {series}; recorded: {known}")
    return sorted(rates, key=lambda funding: funding.time_ns)
