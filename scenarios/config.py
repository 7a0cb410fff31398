"""What a scenario file says: TOML read into frozen models, unknown fields refused by name.

`load_scenario("black-thursday")` reads a shipped scenario, `load_scenario("my.toml")` a file;
`overrides` are the `key=value` of `--set`, whose keys follow the tables (`market.start`,
`agents.2.latency_ms`) and whose values are TOML values or plain text.

Source: design.md section 8.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from agents.outside_parameters import OutsideParameters
from agents.registry import AGENT_KINDS
from exchange.instrument import InstrumentKind, parse_instrument
from scenarios.agent_tables import expand_agents
from scenarios.bar_file import format_time, parse_time_ns
from scenarios.depth_seed import DepthSeed
from scenarios.errors import UserError, show
from scenarios.path_kinds import Leg, PathParameters
from scenarios.scenario_errors import as_scenario_error
from scenarios.validation_errors import not_allowed

LIBRARY = "scenarios.library"
LARGEST_FILE = 4 << 20
FILES = re.compile(r"market\.path|book\.file|venue\.funding_rates|book_seeds\.\d+\.file")
"""Fields that name files."""
Positive = Annotated[float, Field(gt=0.0, le=1e15)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
DEFAULT_INDEX_SHARE = 0.1


class Model(BaseModel):
    """What all tables share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _time(value: object) -> int:
    """A UTC time as unix ns."""
    text = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
    if isinstance(text, str):
        try:
            return parse_time_ns(text)
        except (ValueError, OverflowError):
            pass
    raise not_allowed(value, "a UTC time as in 2020-03-12T10:30:00Z")


def _path(value: object) -> object:
    """A file's name alone means its bars by the simple rule."""
    return {"kind": "bars", "file": value} if isinstance(value, str) else value


Time = Annotated[int, BeforeValidator(_time)]
ScenarioPath = Annotated[PathParameters, BeforeValidator(_path)]
AnyAgent: Any = Union[tuple(AGENT_KINDS.values())]  # noqa: UP007  (a union made of a table)


class MarketTable(Model):
    """Prices, instruments and the world outside.

    own_index_share: weight of the venue's own spot book in the index, of all coins or by coin.
    usual_volatility: by coin, in place of `outside.usual_volatility`. implied_vol: of options at
    the money and at 30 days, at the start. Over strikes and expiries it has the shape of
    `implied_vol_skew` and `implied_vol_curvature`, or of a recorded `surface` (a shipped name or a
    CSV); over time it follows `implied_vol_legs` and grows as max(1, stress) to
    `implied_vol_stress_power`. basis_yearly: what forwards stand above the index, a fraction a
    year: the outside price of dated futures and the forward of options without a listed future.
    """

    path: ScenarioPath
    start: Time
    end: Time
    instruments: Annotated[tuple[str, ...], Field(min_length=1, max_length=500)]
    mark_interval_s: Annotated[int, Field(ge=1, le=3600)] = 1
    depth_usd_per_bp: Positive | dict[str, Positive] = 1_000_000.0
    own_index_share: Share | dict[str, Share] = 0.1
    outside: OutsideParameters = Field(default_factory=OutsideParameters)
    usual_volatility: dict[str, Annotated[float, Field(gt=0.0, le=0.01)]] = Field(
        default_factory=dict
    )
    implied_vol: Annotated[float, Field(gt=0.0, le=10.0)] = 0.7
    implied_vol_legs: tuple[Leg, ...] = ()
    implied_vol_stress_power: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    implied_vol_skew: Annotated[float, Field(ge=-5.0, le=5.0)] = 0.0
    implied_vol_curvature: Annotated[float, Field(ge=0.0, le=20.0)] = 0.0
    surface: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    basis_yearly: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0
    currencies: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> MarketTable:
        if self.end <= self.start:
            text = f"end: {format_time(self.end)} is not after start, {format_time(self.start)}"
            raise PydanticCustomError("not_allowed", "{text}", {"text": text})
        for one, other in zip(self.implied_vol_legs, self.implied_vol_legs[1:], strict=False):
            if other.at_s <= one.at_s:
                text = f"implied_vol_legs: {other.at_s:g} is not after {one.at_s:g}"
                raise PydanticCustomError("not_allowed", "{text}", {"text": text})
        seen: set[str] = set()
        for name in self.instruments:
            if name in seen:
                text = f"instruments: {show(name)} appears twice"
                raise PydanticCustomError("not_allowed", "{text}", {"text": text})
            seen.add(name)
            try:
                parse_instrument(name)
            except ValueError as error:
                text = f"instruments: {error}"
                raise PydanticCustomError("not_allowed", "{text}", {"text": text}) from None
        return self

    def depth(self, instrument_id: str) -> float:
        """Usual depth within one basis point and side, USD."""
        if isinstance(self.depth_usd_per_bp, dict):
            return self.depth_usd_per_bp.get(instrument_id, 1_000_000.0)
        return self.depth_usd_per_bp

    def index_share(self, base: str) -> float:
        """Weight of the venue's own spot book in the index of a coin."""
        if isinstance(self.own_index_share, dict):
            return self.own_index_share.get(base, DEFAULT_INDEX_SHARE)
        return self.own_index_share

    def outside_of(self, base: str) -> OutsideParameters:
        """The world outside of one coin, with that coin's usual volatility."""
        usual = self.usual_volatility.get(base, self.outside.usual_volatility)
        return replace(self.outside, usual_volatility=usual)

    def implied_vol_factor(self, seconds: float) -> float:
        """Implied volatility over its first value, `seconds` after the start: straight between
        the legs, level after the last."""
        before_s, before = 0.0, 1.0
        for leg in self.implied_vol_legs:
            if seconds < leg.at_s:
                return before + (leg.factor - before) * (seconds - before_s) / (leg.at_s - before_s)
            before_s, before = leg.at_s, leg.factor
        return before


class VenueTable(Model):
    """Money of the venue itself, USD, and what it charges.

    funding_rates: "premium" of the simulated book over the index, "recorded" rates of a shipped
    event, or a CSV file of rates (`scenarios/funding_record.py`).
    """

    insurance_fund_usd: Annotated[float, Field(ge=0.0, le=1e12)] = 5_000_000.0
    insurance_fund_by_pool_usd: dict[str, Annotated[float, Field(ge=0.0, le=1e12)]] = Field(
        default_factory=dict
    )
    lending_pool_usd: Annotated[float, Field(ge=0.0, le=1e13)] = 1e9
    forced_liquidation: bool = True
    funding: bool = True
    funding_rates: Annotated[str, Field(min_length=1, max_length=1000)] = "premium"
    interest: bool = True


class RecordingTable(Model):
    """What is kept of a run, and how often markets and accounts are looked at."""

    tables: Literal["all", "summary"] = "all"
    market_sample_s: Annotated[float, Field(ge=0.1, le=86_400.0)] = 10.0
    account_sample_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 300.0


class BookTable(Model):
    """Accounts from a file, opened before the start.

    file: CSV or Parquet, found from the scenario's folder. counterparty: name of the account that
    takes the other side of all their positions. mode: the mode of all, whatever the file says.
    """

    file: Annotated[str, Field(min_length=1, max_length=1000)]
    counterparty: Annotated[str, Field(min_length=1, max_length=80)] = "book/counterparty"
    mode: Literal["portfolio", "multi_currency"] | None = None


class RuleChange(Model):
    """Another rule set from a moment on, with positions open."""

    at: Time
    rules: Annotated[str, Field(min_length=1, max_length=1000)]


class Scenario(Model):
    """One experiment: a market, its traders, the rules, and what to record."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    rules: str = "okx-2025"
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    market: MarketTable
    venue: VenueTable = Field(default_factory=VenueTable)
    recording: RecordingTable = Field(default_factory=RecordingTable)
    book: BookTable | None = None
    book_seeds: tuple[DepthSeed, ...] = ()
    rule_changes: tuple[RuleChange, ...] = ()
    agents: Annotated[tuple[Annotated[AnyAgent, Discriminator("kind")], ...], Field(min_length=1)]


def shipped_scenarios() -> list[str]:
    """Names of the scenarios that come with selloff, sorted."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files(LIBRARY).iterdir()
        if entry.name.endswith(".toml")
    )


def load_scenario(
    name_or_path: str | Path, overrides: Iterable[str] | Mapping[str, Any] = ()
) -> tuple[Scenario, dict[str, Any], Path]:
    """(scenario, its tables with the overrides laid in, folder where its file names start).

    Raises UserError: no such scenario or file, no TOML, a field that is wrong.
    """
    tables, folder = scenario_tables(name_or_path)
    pairs = overrides.items() if isinstance(overrides, Mapping) else map(_pair, overrides)
    for key, value in pairs:
        _lay_in(tables, key, value)
        if FILES.fullmatch(key) and isinstance(value, str) and Path(value).is_file():
            # what the command line names is found from where the command runs
            _lay_in(tables, key, str(Path(value).resolve()))
    tables = _plain(tables)
    return parse_scenario(tables), tables, folder


def scenario_tables(name_or_path: str | Path) -> tuple[dict[str, Any], Path]:
    """(a scenario's tables as its file has them, folder where its file names start).

    Raises UserError: no such scenario or file, no TOML.
    """
    text, folder = _read(str(name_or_path))
    try:
        return tomllib.loads(text), folder
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name_or_path}: is no TOML: {error}") from None


def _plain(value: Any) -> Any:
    """Times as ISO text, so that a manifest's configuration can be run again."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def parse_scenario(tables: Mapping[str, Any]) -> Scenario:
    """A scenario from its tables. Raises UserError naming the field, the value and what is
    allowed."""
    expanded, numbers = expand_agents(tables)
    try:
        scenario = Scenario.model_validate(expanded)
    except ValidationError as error:
        raise as_scenario_error(error, Scenario, numbers) from None
    _check_rule_changes(scenario)
    _check_market_names(scenario)
    _check_book_seeds(scenario)
    for number, agent in zip(numbers, scenario.agents, strict=True):
        _check_listed(number, agent, scenario.market)
    return scenario


def _check_rule_changes(scenario: Scenario) -> None:
    """Raises UserError where a change is outside the run or not after the one before it."""
    before = scenario.market.start
    for number, change in enumerate(scenario.rule_changes):
        if not before < change.at < scenario.market.end:
            raise UserError(
                f"rule_changes.{number}.at: {format_time(change.at)} is not after"
                f" {format_time(before)} and before {format_time(scenario.market.end)}"
            )
        before = change.at


def _check_market_names(scenario: Scenario) -> None:
    """Raises UserError where an instrument has expired, or a table names what is not there: its
    number would be of no effect, and what was meant would keep its default."""
    market, by_pool = scenario.market, scenario.venue.insurance_fund_by_pool_usd
    instruments = [parse_instrument(name) for name in market.instruments]
    for instrument in instruments:
        if instrument.expiry_ns is not None and instrument.expiry_ns <= market.start:
            raise UserError(
                f"market.instruments: {instrument.instrument_id} expires at"
                f" {format_time(instrument.expiry_ns)}, not after market.start,"
                f" {format_time(market.start)}"
            )
    bases = tuple(dict.fromkeys(instrument.base for instrument in instruments))
    tables: list[tuple[str, object, tuple[str, ...]]] = [
        ("market.depth_usd_per_bp", market.depth_usd_per_bp, market.instruments),
        ("market.own_index_share", market.own_index_share, bases),
        ("market.usual_volatility", market.usual_volatility, bases),
    ]
    if by_pool:
        from accounts.insurance import pool_name

        pools = tuple(dict.fromkeys(pool_name(instrument) for instrument in instruments))
        tables.append(("venue.insurance_fund_by_pool_usd", by_pool, pools))
    for field, table, known in tables:
        for name in table if isinstance(table, dict) else ():
            if name not in known:
                raise UserError(f"{field}: {show(name)} is not one of {', '.join(known)}")


def _check_book_seeds(scenario: Scenario) -> None:
    """Raises UserError where a seed's book cannot be filled, or is filled twice."""
    market, seeded = scenario.market, dict[str, int]()
    for number, seed in enumerate(scenario.book_seeds):
        field, name = f"book_seeds.{number}.instrument_id", seed.instrument_id
        if name not in market.instruments:
            raise UserError(
                f"{field}: {show(name)} is not one of the market's instruments,"
                f" {', '.join(market.instruments)}"
            )
        if name in seeded:
            raise UserError(f"{field}: {name} is seeded by book_seeds.{seeded[name]} already")
        seeded[name] = number
        if parse_instrument(name).kind == InstrumentKind.OPTION:
            raise UserError(f"{field}: {name} is an option, not spot, a perpetual or a future")
        if seed.prices == "absolute" and seed.stretch != 1.0:
            raise UserError(
                f"book_seeds.{number}.stretch: {seed.stretch:g} is not 1, as absolute prices need"
            )


def _check_listed(number: int, agent: Any, market: MarketTable) -> None:
    """Raises UserError where an agent names an instrument or a currency that the market lacks."""
    known = {c for name in market.instruments for c in name.split("-")[:2]}
    known |= {"USD", "USDT", "USDC", *market.currencies}
    for part in dataclasses.fields(agent):
        value = getattr(agent, part.name)
        if part.name.endswith("_id") and value and value not in market.instruments:
            raise UserError(
                f"agents.{number}.{part.name}: {show(value)} is not one of the market's"
                f" instruments, {', '.join(market.instruments)}"
            )
        if part.name in ("collateral", "balances_usd"):
            for currency in value:
                if currency not in known:
                    raise UserError(
                        f"agents.{number}.{part.name}: {show(currency)} is not one of the"
                        f" market's currencies, {', '.join(sorted(known))}"
                    )


def _read(name: str) -> tuple[str, Path]:
    if name in shipped_scenarios():
        text = (resources.files(LIBRARY) / f"{name}.toml").read_text(encoding="utf-8")
        return text, Path()
    path = Path(name)
    if not path.suffix and not path.exists():
        raise UserError(
            f"scenario: {show(name)} is neither a file nor one of {', '.join(shipped_scenarios())}"
        )
    try:
        with path.open("rb") as file:  # not its size: a device has none
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"{name}: larger than {LARGEST_FILE} bytes; a scenario is a small TOML")
        # -sig: some editors put a byte order mark in front
        return content.decode("utf-8-sig"), path.parent
    except UnicodeDecodeError:
        raise UserError(f"{name}: is not UTF-8 text; a scenario is TOML") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{name}: cannot be read: {reason}") from None


def _pair(text: str) -> tuple[str, Any]:
    """`key=value` of the command line; the value as TOML, else as text."""
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key:
        raise UserError(f"--set: {show(text)} is not key=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()


def _lay_in(tables: dict[str, Any], key: str, value: Any) -> None:
    """Put `value` at a dotted key; numbers index lists."""
    here: Any = tables
    parts = key.split(".")
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        name = ".".join(parts[: depth + 1])
        if isinstance(here, list):
            if not part.isdigit() or int(part) >= len(here):
                raise UserError(f"--set {name}: not one of 0..{len(here) - 1}")
            step: Any = int(part)
        elif isinstance(here, dict):
            step = part
            if not last and part not in here:
                here[part] = {}
        else:
            raise UserError(f"--set {name}: {'.'.join(parts[:depth])} is no table")
        if last:
            here[step] = value
        else:
            here = here[step]
