"""Recorded funding: `venue.funding_rates` of a scenario, read, checked and given to the venue.

    [venue]
    funding_rates = "recorded"      # or "premium", the default, or a CSV file of one's own

A file has the columns `time` (of the settlement, UTC), `instrument` (a perpetual) and `rate` (share
of the position that longs pay shorts, 0.0001 for 0.01 %); further columns are ignored, as are
seconds of a time. Perpetuals that the file does not name follow the premium of their simulated
book.

Source: data README, section "Others" (funding_8h.csv); portfolio-margin.md section 11.3.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path

from accounts.funding import E8, HOUR_NS, MINUTE_NS
from accounts.funding_schedule import RateSchedule
from exchange.instrument import InstrumentKind, parse_instrument
from risk.rules import RuleSet
from scenarios.bar_file import format_time, parse_time_ns
from scenarios.config import Scenario
from scenarios.errors import UserError, show
from scenarios.structured_file import file_bytes

FIELD = "venue.funding_rates"
PREMIUM, RECORDED = "premium", "recorded"
SHIPPED = "funding_8h.csv"
COLUMNS = ("time", "instrument", "rate")
LARGEST_FILE_BYTES = 64 * 1024 * 1024
LARGEST_RATE = Decimal(1)


@dataclass(frozen=True, slots=True)
class FundingPlan:
    """Where each perpetual's rates come from. schedules: those that are given, by instrument id.
    sources: of every perpetual, for the reader of a run."""

    schedules: dict[str, RateSchedule]
    sources: dict[str, str]

    def notes(self) -> list[str]:
        """What a reader must know where only some rates are given."""
        if not self.schedules:
            return []
        left = [name for name, source in self.sources.items() if source == PREMIUM]
        if not left:
            return []
        verb = "follows" if len(left) == 1 else "follow"
        return [f"Funding of {', '.join(left)} {verb} the simulated premium: no rates are given."]


def load_funding(scenario: Scenario, rules: RuleSet, folder: Path) -> FundingPlan:
    """The rates that a scenario gives its perpetuals.

    Raises UserError: the file cannot be read or is wrong; it names none of the scenario's
    perpetuals, lacks a settlement of the run, or has a rate that the rule set does not allow.
    """
    wanted, market = scenario.venue.funding_rates, scenario.market
    perpetuals = [
        name
        for name in market.instruments
        if parse_instrument(name).kind == InstrumentKind.PERPETUAL
    ]
    sources = dict.fromkeys(perpetuals, PREMIUM)
    if wanted == PREMIUM:
        return FundingPlan({}, sources)
    if wanted == RECORDED:
        name = "the shipped record"
        content = resources.files("scenarios.data").joinpath(SHIPPED).read_bytes()
    else:
        name, content = wanted, _user_file(folder / wanted, wanted)
    given = read_rates(content, name)
    schedules = {p: _fit(p, given[p], scenario, rules, name) for p in perpetuals if p in given}
    if not schedules:
        raise UserError(
            f"{FIELD}: {name} has rates of {', '.join(sorted(given))};"
            f" the scenario's perpetuals are {', '.join(perpetuals) or 'none'}"
        )
    return FundingPlan(schedules, sources | dict.fromkeys(schedules, wanted))


def _user_file(path: Path, name: str) -> bytes:
    try:
        content = file_bytes(path, LARGEST_FILE_BYTES + 1)
    except UserError as error:
        raise UserError(f"{FIELD}: {error}; allowed: premium, recorded or a CSV file") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise UserError(f"{FIELD}: {name}: larger than {LARGEST_FILE_BYTES // 2**20} MiB")
    return content


def _fit(
    instrument: str, schedule: RateSchedule, scenario: Scenario, rules: RuleSet, name: str
) -> RateSchedule:
    """The part of a schedule that a run can see, checked against the run's settlements."""
    market = scenario.market
    hours = rules.funding.interval_hours
    interval_ns = round(hours * HOUR_NS)
    times = schedule.times_ns
    first = max(0, bisect_right(times, market.start) - 1)
    last = bisect_left(times, market.end) + 1
    seen = RateSchedule(times[first:last], schedule.rates_e8[first:last])
    cap_e8 = round(rules.funding.cap * E8)
    for time_ns, rate_e8 in zip(seen.times_ns, seen.rates_e8, strict=True):
        place = f"{FIELD}: {name}: {instrument} at {format_time(time_ns)}"
        if time_ns % interval_ns:
            raise UserError(f"{place}: no settlement; the rule set settles every {hours:g} h")
        if abs(rate_e8) > cap_e8:
            raise UserError(
                f"{place}: rate {rate_e8 / E8:g} is not within the rule set's cap,"
                f" -{rules.funding.cap:g} to {rules.funding.cap:g}"
            )
    mark_ns = round(market.mark_interval_s * 1_000_000_000)
    for settlement_ns in _settlements(market.start, market.end, mark_ns, interval_ns):
        if settlement_ns not in seen.times_ns:
            raise UserError(
                f"{FIELD}: {name} has no rate of {instrument} for the settlement of"
                f" {format_time(settlement_ns)}; it has {len(times)} from {format_time(times[0])}"
                f" to {format_time(times[-1])}"
            )
    return seen


def _settlements(start_ns: int, end_ns: int, mark_ns: int, interval_ns: int) -> Iterator[int]:
    """Settlements that the clock of a run reaches: at the first mark at or after them."""
    for settlement_ns in range(start_ns - start_ns % interval_ns, end_ns, interval_ns):
        marks = -(-(settlement_ns - start_ns) // mark_ns)
        if marks > 0 and start_ns + marks * mark_ns < end_ns:
            yield settlement_ns


def read_rates(content: bytes, name: str) -> dict[str, RateSchedule]:
    """The schedules of a file by perpetual. Rates are rounded to 1e-8, half to even.

    Raises UserError that names the file, the line and the column.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{FIELD}: {name} line {line}: is not UTF-8 text") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, tuple[list[int], list[int]]] = {}
    try:
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise UserError(
                f"{FIELD}: {name}: column {', '.join(missing)} missing; the first line needs"
                f" {','.join(COLUMNS)}"
            )
        for row in reader:
            _take(rows, row, f"{FIELD}: {name} line {reader.line_num}")
    except csv.Error as error:
        raise UserError(f"{FIELD}: {name} line {reader.line_num}: not CSV: {error}") from None
    if not rows:
        raise UserError(f"{FIELD}: {name}: no rates below the first line")
    return {key: RateSchedule(tuple(t), tuple(r)) for key, (t, r) in rows.items()}


def _take(
    rows: dict[str, tuple[list[int], list[int]]], row: dict[str, str | None], place: str
) -> None:
    """Add a row of the file. Raises UserError."""
    time, instrument, rate = ((row[column] or "").strip() for column in COLUMNS)
    times, rates = rows.setdefault(_perpetual(instrument, place), ([], []))
    try:
        time_ns = parse_time_ns(time)
    except (ValueError, OverflowError):
        allowed = "a UTC time as in 2020-03-12T16:00:00Z"
        raise UserError(f"{place}: column time: {show(time)} is not {allowed}") from None
    time_ns -= time_ns % MINUTE_NS
    if times and time_ns <= times[-1]:
        raise UserError(
            f"{place}: column time: {time} of {instrument} is not after"
            f" {format_time(times[-1])}, the row before it"
        )
    times.append(time_ns)
    rates.append(_rate_e8(rate, place))


def _perpetual(name: str, place: str) -> str:
    try:
        if parse_instrument(name).kind == InstrumentKind.PERPETUAL:
            return name
    except ValueError:
        pass
    raise UserError(
        f"{place}: column instrument: {show(name)} is not a perpetual such as BTC-USDT-SWAP"
    )


def _rate_e8(text: str, place: str) -> int:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite() or abs(rate) > LARGEST_RATE:
        raise UserError(
            f"{place}: column rate: {show(text)} is not a share of the position from -1 to 1, such"
            " as 0.0001 for 0.01 %"
        )
    return round(rate * E8)
