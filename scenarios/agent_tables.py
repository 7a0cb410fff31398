"""Short forms of the agents' tables: one entry for several instruments.

Where a field that takes one value is given a list, the entry stands for as many entries as the list
has values: `instrument_id = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]`, `long_usd = [3e8, 2e8]` are two
populations. All lists of an entry have the same length; what is not a list is common to all.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from agents.registry import AGENT_KINDS
from scenarios.errors import UserError


@cache
def _takes_one(kind: str) -> frozenset[str]:
    """Fields of a kind of agent that take one text, number or truth value."""
    hints = typing.get_type_hints(AGENT_KINDS[kind])
    return frozenset(name for name, hint in hints.items() if hint in (str, int, float, bool))


def expand_agents(tables: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """(tables with one entry per agent, for each the number of the entry it came from).

    Entries that are no tables, or of no known kind, stay as they are for the validation to refuse.
    Raises UserError: lists of unequal lengths. O(entries).
    """
    entries = tables.get("agents")
    if not isinstance(entries, list):
        return dict(tables), []
    expanded: list[Any] = []
    numbers: list[int] = []
    for number, entry in enumerate(entries):
        parts = _expand(number, entry)
        expanded += parts
        numbers += [number] * len(parts)
    return {**tables, "agents": expanded}, numbers


def _expand(number: int, entry: Any) -> list[Any]:
    if not isinstance(entry, Mapping):
        return [entry]
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in AGENT_KINDS:
        return [entry]
    one = _takes_one(kind)
    lists = {name: v for name, v in entry.items() if name in one and isinstance(v, list)}
    if not lists:
        return [entry]
    first = next(iter(lists))
    count = len(lists[first])
    for name, values in lists.items():
        if len(values) != count or not values:
            raise UserError(
                f"agents.{number}.{name}: has {len(values)} values; an entry's lists are equally"
                f" long, at least one value ({first} has {count})"
            )
    return [{**entry, **{name: v[i] for name, v in lists.items()}} for i in range(count)]
