"""Building blocks of rule sets: bounded numbers, values per asset group, tier tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Strict: a number in quotes or a boolean is not a number.
Rate = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
Share = Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
Positive = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0.0, allow_inf_nan=False)]
Rates = tuple[Rate, ...]

GROUPS = ("k1", "k2", "k3")


class RulesModel(BaseModel):
    """Frozen; an entry without a meaning is an error, and so is text where a number belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ByGroup(RulesModel):
    """One rate for each asset group.  Source: 0.3."""

    k1: Rate
    k2: Rate
    k3: Rate

    def of(self, group: int) -> float:
        """The value of group 0 (K1), 1 (K2) or 2 (K3)."""
        return (self.k1, self.k2, self.k3)[group]


class AmountByGroup(RulesModel):
    """One USD amount for each asset group."""

    k1: Positive
    k2: Positive
    k3: Positive

    def of(self, group: int) -> float:
        """The value of group 0 (K1), 1 (K2) or 2 (K3)."""
        return (self.k1, self.k2, self.k3)[group]


class ListByGroup(RulesModel):
    """A list of numbers for each asset group."""

    k1: tuple[NotNegative, ...]
    k2: tuple[NotNegative, ...]
    k3: tuple[NotNegative, ...]

    def of(self, group: int) -> tuple[float, ...]:
        """The list of group 0 (K1), 1 (K2) or 2 (K3)."""
        return (self.k1, self.k2, self.k3)[group]


def require_ascending(name: str, values: tuple[float, ...]) -> None:
    """ValueError unless every value is larger than the one before it."""
    for low, high in pairwise(values):
        if not low < high:
            raise ValueError(f"{name} must ascend, but {high:g} follows {low:g}")


def require_length(name: str, values: tuple[object, ...], length: int, why: str) -> None:
    """ValueError unless there are `length` values."""
    if len(values) != length:
        raise ValueError(f"{name} must have {length} entries ({why}), not {len(values)}")


class DiscountTiers(RulesModel):
    """Marginal discount rates over an amount of coins.

    bounds: upper bounds, coins; rates: of each tier. After the last bound tiers of width `step`
    follow, each `rate_step` lower, down to `minimum`; without a step `minimum` holds at once.
    Source: 4.4, 16.13.
    """

    bounds: tuple[Annotated[float, Field(gt=0.0)], ...]
    rates: Rates
    step: Positive | None = None
    rate_step: Share | None = None
    minimum: Rate = 0.0

    @model_validator(mode="after")
    def _check(self) -> DiscountTiers:
        require_ascending("bounds", self.bounds)
        require_length("rates", self.rates, len(self.bounds), "one for each bound")
        if not self.bounds:
            raise ValueError("bounds must have at least one entry")
        if (self.step is None) != (self.rate_step is None):
            raise ValueError("step and rate_step belong together: give both or neither")
        for low, high in pairwise(self.rates):
            if high > low:
                raise ValueError(f"rates must not rise, but {high:g} follows {low:g}")
        return self


class BorrowTiers(RulesModel):
    """Maintenance and initial rates of a borrowing; the tier reached applies to all of it.

    bounds: upper bounds, coins. Further tiers are `step` wide and `maintenance_step` and
    `initial_step` dearer.  Source: 7.3, 16.13.
    """

    bounds: tuple[Positive, ...]
    step: Positive
    maintenance: Rates
    maintenance_step: Rate
    initial: Rates
    initial_step: Rate

    @model_validator(mode="after")
    def _check(self) -> BorrowTiers:
        require_ascending("bounds", self.bounds)
        if not self.bounds:
            raise ValueError("bounds must have at least one entry")
        count = len(self.bounds)
        require_length("maintenance", self.maintenance, count, "one for each bound")
        require_length("initial", self.initial, count, "one for each bound")
        for maintenance, initial in zip(self.maintenance, self.initial, strict=True):
            if maintenance > initial:
                raise ValueError(
                    f"maintenance {maintenance:g} must not be above initial {initial:g}"
                )
        return self


class CurrencyRules(RulesModel):
    """Collateral and borrowing of one currency.

    daily_interest: a rate a day. interest_free: coins, plus the positive equity of the currencies
    in `interest_free_plus`.  Source: 4.4, 7.3, 8.3, 16.13.
    """

    discount: DiscountTiers
    borrow: BorrowTiers
    daily_interest: Rate
    interest_free: NotNegative = 0.0
    interest_free_plus: tuple[str, ...] = ()
