"""Common ground of all agents' parameters: identity, latency, and the accounts they start with.

Parameters are frozen dataclasses of the standard library. Bounds, units and documentation sit in
`Annotated`, where `scenarios` turns them into a pydantic model and `docs/agents.md` is made from
them. A bad value is refused there, by the field's name and its range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, ClassVar

from annotated_types import Interval, Unit, doc

from agents.base import Agent, AgentContext
from agents.draws import Draws
from agents.setup import AccountModeName, AccountPlan, Setup


def require_rising(field_name: str, values: tuple[float, ...]) -> None:
    """ValueError unless each value is above the one before."""
    if any(after <= before for before, after in pairwise(values)):
        raise ValueError(f"{field_name}: the values must rise")


@dataclass(frozen=True, kw_only=True)
class AgentParameters:
    """Fields that every kind of agent has. Subclasses add a literal `kind` and their own."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    hedged_outside: ClassVar[bool] = False
    """True for takers whose fills leave the impact memory alone: they do the opposite elsewhere."""

    kind: str = ""
    count: Annotated[
        int, Interval(ge=1, le=1000), doc("number of such agents, each with its own random stream")
    ] = 1
    latency_ms: Annotated[
        float, Interval(ge=0, le=60_000), Unit("ms"), doc("time of a message to or from the venue")
    ] = 20.0
    account_mode: Annotated[AccountModeName, doc("margin mode of the accounts")] = "portfolio"

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        """Accounts of one agent at the start, at least one."""
        raise NotImplementedError

    def build(self, context: AgentContext) -> Agent:
        """The agent itself; `context.venues` has one connection per account plan, in order."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CapitalParameters(AgentParameters):
    """An agent with one account and plain starting money: a base for custom agents."""

    balances_usd: Annotated[
        dict[str, Annotated[float, Interval(ge=0)]],
        Unit("USD"),
        doc("currency -> USD value at the start"),
    ] = field(default_factory=lambda: {"USDT": 1_000_000.0})

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        balances = {
            currency: usd / setup.usd_prices[currency]
            for currency, usd in self.balances_usd.items()
        }
        return [AccountPlan(balances, account_mode=self.account_mode)]
