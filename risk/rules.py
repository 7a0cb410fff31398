"""Rule sets: every number of the margin model by name, read from TOML.

`load_rules("okx-2025")` gives a rule set that ships with the package, `load_rules("my.toml")` a
file. A file is complete, or names with `extends` the rule set whose values it changes. Unknown,
missing and contradictory entries are refused by name.

Source: portfolio-margin.md sections 0.3, 4.4 to 11, 16; liquidation-and-losses.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from risk.rules_model import (
    GROUPS,
    AmountByGroup,
    ByGroup,
    CurrencyRules,
    ListByGroup,
    NotNegative,
    Positive,
    Rate,
    Rates,
    RulesModel,
    Share,
    require_ascending,
    require_length,
)
from risk.rules_venue import (
    AccountRules,
    DeleveragingRules,
    FeeRules,
    FundingRules,
    InsuranceRules,
    LiquidationRules,
    MarkRules,
    OrderEntryRules,
)

RULE_SETS = ("okx-2025", "okx-2024", "okx-2021")
DEFAULT_RULES = "okx-2025"
LARGEST_FILE = 4 << 20  # bytes
OFFSET_MODES = ("merged", "derivatives_only", "usdt", "usdc", "coin")
SHOCKS_PER_SIDE = 3


class RulesError(ValueError):
    """A rule set that cannot be used; the message names file, entry and what is allowed."""


class GroupRules(RulesModel):
    """Asset groups: K1 and K2 by name, everything else is K3.  Source: 0.3."""

    k1: tuple[str, ...]
    k2: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> GroupRules:
        both = sorted(set(self.k1) & set(self.k2))
        if both:
            raise ValueError(f"{', '.join(both)} is in k1 and in k2")
        return self


OffsetMode = Literal["merged", "derivatives_only", "usdt", "usdc", "coin"]


class RiskUnitRules(RulesModel):
    """Grouping of contracts and spot into risk units.  Source: 5.1, 7.1, 16.19."""

    grouping: Literal["coin", "quote"]
    offset_modes: tuple[OffsetMode, ...]
    default_offset_mode: OffsetMode
    initial_margin_factor: Annotated[float, Field(ge=1.0, le=10.0)]

    @model_validator(mode="after")
    def _check(self) -> RiskUnitRules:
        if self.default_offset_mode not in self.offset_modes:
            raise ValueError(
                f"default_offset_mode {self.default_offset_mode!r} is not one of offset_modes"
            )
        if (self.grouping == "coin") != (self.offset_modes == ("merged",)):
            raise ValueError(
                'grouping "coin" goes with offset_modes ["merged"], and only that; '
                'grouping "quote" with the other modes'
            )
        return self


class SpotShockRules(RulesModel):
    """MR1.  Source: 6.1, 16.4."""

    shocks: ListByGroup
    volatility_floor: Positive
    price_floor: Share
    volatility_days: tuple[NotNegative, ...]
    volatility_points: tuple[NotNegative, ...]
    volatility_percent: Rates

    @model_validator(mode="after")
    def _check(self) -> SpotShockRules:
        for index, group in enumerate(GROUPS):
            shocks = self.shocks.of(index)
            require_length(f"shocks.{group}", shocks, SHOCKS_PER_SIDE, "a side of the grid")
            require_ascending(f"shocks.{group}", (0.0, *shocks))
            if shocks[-1] >= 1.0:
                raise ValueError(f"shocks.{group} must be below 1, not {shocks[-1]:g}")
        require_ascending("volatility_days", self.volatility_days)
        count = len(self.volatility_days)
        if count == 0:
            raise ValueError("volatility_days must have at least one entry")
        require_length("volatility_points", self.volatility_points, count, "one for each day")
        require_length("volatility_percent", self.volatility_percent, count, "one for each day")
        return self


class TimeDecayRules(RulesModel):
    """MR2.  Source: 6.2, 16.5."""

    days: Positive


class VegaTermRules(RulesModel):
    """MR3.  Source: 6.3, 16.6."""

    factor: Rate


class BasisRules(RulesModel):
    """MR4.  Source: 6.4, 16.7, 16.19."""

    model: Literal["bucket", "hedged"]
    rate: ByGroup
    annual: ByGroup
    spot_rate: ByGroup


class InterestRateRules(RulesModel):
    """MR5.  Source: 6.5, 16.8."""

    shift: ByGroup


class ExtremeMoveRules(RulesModel):
    """MR6.  Source: 6.6, 16.9."""

    moves: ByGroup
    factor: Rate


class MinimumChargeRules(RulesModel):
    """MR7: raw rates and marginal multipliers.  Source: 6.7, 16.10."""

    rate: ByGroup
    option_rate: ByGroup
    bounds: ListByGroup
    multipliers: ListByGroup

    @model_validator(mode="after")
    def _check(self) -> MinimumChargeRules:
        for index, group in enumerate(GROUPS):
            bounds, multipliers = self.bounds.of(index), self.multipliers.of(index)
            require_ascending(f"bounds.{group}", (0.0, *bounds))
            require_length(
                f"multipliers.{group}", multipliers, len(bounds) + 1, "one more than bounds"
            )
        return self


class StablecoinRules(RulesModel):
    """MR9: factors per hedge size (rows) and price (columns, falling).  Source: 6.9, 16.11."""

    enabled: bool
    calm_price: Share
    prices: tuple[Share, ...]
    bounds: tuple[Positive, ...]
    calm: Rates
    factors: tuple[Rates, ...]

    @model_validator(mode="after")
    def _check(self) -> StablecoinRules:
        require_ascending("prices, read backwards,", tuple(reversed(self.prices)))
        if not self.prices or self.prices[0] > self.calm_price:
            raise ValueError("prices must begin at or below calm_price")
        require_ascending("bounds", (0.0, *self.bounds))
        rows = len(self.bounds) + 1
        require_length("calm", self.calm, rows, "one more than bounds")
        require_length("factors", self.factors, rows, "rows, one more than bounds")
        for number, row in enumerate(self.factors):
            require_length(f"factors[{number}]", row, len(self.prices), "one for each price")
        return self


class PositionTierRules(RulesModel):
    """Tiers of multi-currency and isolated positions.  Source: 16.18."""

    notional: AmountByGroup
    maintenance: ByGroup
    maintenance_step: ByGroup
    initial_factor: Annotated[float, Field(ge=1.0)]
    default_leverage: Annotated[float, Field(ge=1.0, le=200.0)]


class ShortOptionRules(RulesModel):
    """Short options outside portfolio margin, per coin.  Source: 11.8, 16.18."""

    initial: Rate
    initial_floor: Rate
    maintenance: Mapping[str, Rate]
    maintenance_other: Rate
    factor: Positive


class RuleSet(RulesModel):
    """One dated rule set; immutable."""

    name: Annotated[str, Field(min_length=1)]
    effective: date
    groups: GroupRules
    risk_unit: RiskUnitRules
    spot_shock: SpotShockRules
    time_decay: TimeDecayRules
    vega_term: VegaTermRules
    basis: BasisRules
    interest_rate: InterestRateRules
    extreme_move: ExtremeMoveRules
    minimum_charge: MinimumChargeRules
    stablecoin_depeg: StablecoinRules
    position_tiers: PositionTierRules
    short_option: ShortOptionRules
    fees: FeeRules
    account: AccountRules
    liquidation: LiquidationRules
    insurance: InsuranceRules
    deleveraging: DeleveragingRules
    funding: FundingRules
    marks: MarkRules
    orders: OrderEntryRules
    currencies: Mapping[str, CurrencyRules]

    def group_of(self, coin: str) -> int:
        """Asset group of a coin: 0 (K1), 1 (K2), 2 (K3).  Source: 0.3."""
        if coin in self.groups.k1:
            return 0
        return 1 if coin in self.groups.k2 else 2

    def currency(self, name: str) -> CurrencyRules:
        """Collateral and borrowing of a currency; RulesError for one that is not listed."""
        found = self.currencies.get(name)
        if found is None:
            raise RulesError(
                f"{name} is not a currency of rule set {self.name!r}; "
                f"list it under currencies.{name} with its discount and borrow tiers"
            )
        return found

    def borrow_limit(self, name: str) -> float:
        """Largest borrowing of an account, coins: the bound of tier 20.  Source: 16.13."""
        tiers = self.currency(name).borrow
        tier = self.account.borrow_limit_tier
        if tier <= len(tiers.bounds):
            return tiers.bounds[tier - 1]
        return tiers.bounds[-1] + (tier - len(tiers.bounds)) * tiers.step

    def offset_mode(self, chosen: str | None) -> str:
        """The account's offset mode, or the default; RulesError for one these rules lack."""
        if chosen is None:
            return self.risk_unit.default_offset_mode
        if chosen not in self.risk_unit.offset_modes:
            allowed = ", ".join(self.risk_unit.offset_modes)
            raise RulesError(f"offset_mode must be one of {allowed} in {self.name}, not {chosen!r}")
        return chosen

    def with_currencies(self, added: Mapping[str, Mapping[str, Any]]) -> RuleSet:
        """The same rules with more currencies (of a scenario file); RulesError as in a file."""
        tables = self.model_dump(mode="python")
        tables["currencies"] = {**tables["currencies"], **added}
        return _validated(tables, f"rule set {self.name!r}")

    def __hash__(self) -> int:
        """By identity: two loads of one file are two objects, and hashing all tables is slow."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        """Rule sets are the same object or differ."""
        return self is other


def load_rules(name_or_path: str | Path = DEFAULT_RULES) -> RuleSet:
    """A shipped rule set by name, or a TOML file by path.

    Raises RulesError, one line per wrong entry, each with the name of the entry.

    >>> load_rules("okx-2025").liquidation.stop_ratio
    1.2
    """
    name = str(name_or_path)
    return _shipped(name) if name in RULE_SETS else _load(name)


def _load(name_or_path: str) -> RuleSet:
    return _validated(_tables(name_or_path, ()), f"rule set {name_or_path!r}")


# Shipped files do not change while a program runs; a user's file may.
_shipped = lru_cache(maxsize=None)(_load)


def _tables(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The tables of a file, laid over those of the rule set that it extends."""
    if name_or_path in seen:
        raise RulesError(f"rule set {name_or_path!r}: extends goes in a circle")
    tables = _read(name_or_path)
    base = tables.pop("extends", None)
    if base is None:
        return tables
    if not isinstance(base, str):
        raise RulesError(f"rule set {name_or_path!r}: extends must be a name or a path")
    if base not in RULE_SETS and name_or_path not in RULE_SETS:
        base = str(Path(name_or_path).parent / base)
    return _laid_over(_tables(base, (*seen, name_or_path)), tables)


def _read(name_or_path: str) -> dict[str, Any]:
    if name_or_path in RULE_SETS:
        text = (resources.files("risk.rules_data") / f"{name_or_path}.toml").read_text("utf-8")
        return tomllib.loads(text)
    try:
        with Path(name_or_path).open("rb") as file:  # not its size: a device has none
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        known, reason = ", ".join(RULE_SETS), getattr(error, "strerror", None) or error
        raise RulesError(
            f"rule set {name_or_path!r}: neither one of {known} nor a readable file ({reason})"
        ) from error
    if len(content) > LARGEST_FILE:
        raise RulesError(f"rule set {name_or_path!r}: larger than {LARGEST_FILE} bytes")
    try:
        # -sig: some editors put a byte order mark in front
        return tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesError(f"rule set {name_or_path!r}: not TOML: {error}") from error


# Tables that a file replaces as a whole: their parts only make sense together.
_WHOLE_TABLES = ("discount", "borrow")


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and key not in _WHOLE_TABLES:
            merged[key] = _laid_over(old, value)
        else:
            merged[key] = value
    return merged


def _validated(tables: dict[str, Any], where: str) -> RuleSet:
    try:
        return RuleSet.model_validate(tables)
    except ValidationError as error:
        raise RulesError("\n".join(_lines(error, where))) from error


def _lines(error: ValidationError, where: str) -> list[str]:
    lines = []
    for entry in error.errors():
        name = ".".join(str(part) for part in entry["loc"])
        kind = entry["type"]
        if kind == "extra_forbidden":
            text = "no such entry"
        elif kind == "missing":
            text = "is missing"
        elif kind == "value_error":
            text = str(entry["ctx"]["error"])
        else:
            text = f"{entry['msg'].lower()}, not {entry['input']!r}"
        lines.append(f"{where}: {name}: {text}")
    return lines
