"""From pydantic's errors about a scenario to one line: field, value, and what is allowed.

Agents and paths are dataclasses chosen by `kind`, which pydantic puts into the location of an error
and which no reader of the file would look for; bounds are printed whole (`0 is not in 1..100`).
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from annotated_types import Ge, Gt, Interval, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agents.registry import AGENT_KINDS
from scenarios.errors import UserError, show
from scenarios.validation_errors import with_rest

_TYPES = {
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text in quotes",
    "dict_type": "a table",
    "model_type": "a table",
    "dataclass_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
}
_UNION_BRANCHES = ("constrained-float", "dict[str,constrained-float]")
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def as_scenario_error(
    error: ValidationError, model: type[BaseModel], agents: Sequence[int] = ()
) -> UserError:
    """The first problem as a line; the number of the others is added. agents: for each agent the
    number of its entry in the file, where entries stand for several."""
    details = error.errors(include_url=False)
    # an entry that stands for several repeats its mistakes
    lines = list(dict.fromkeys(_line(detail, model, agents) for detail in details))
    return UserError(with_rest(lines[0], len(lines) - 1))


def _line(detail: ErrorDetails, model: type[BaseModel], agents: Sequence[int]) -> str:
    location, owner = _walk(detail["loc"], model)
    if location[:1] == ["agents"] and len(location) > 1 and agents:
        location[1] = agents[int(location[1])]
    field = ".".join(str(part) for part in location) or "scenario"
    value, kind = detail["input"], detail["type"]
    context = detail.get("ctx", {})
    if kind == "missing":
        return f"{field}: missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{field}: not a field of this table; allowed: {', '.join(_fields(owner))}"
    if kind in ("literal_error",):
        return f"{field}: {show(value)} is not {context['expected']}"
    if kind == "union_tag_invalid":
        expected = context["expected_tags"].replace("'", "")
        return f"{field}.kind: {show(context['tag'])} is not one of {expected}"
    if kind == "union_tag_not_found":
        return f"{field}.kind: missing"
    if kind in _BOUNDS:
        return f"{field}: {show(value)} is not {_range(owner, location, context)}"
    if kind in _TYPES:
        return f"{field}: {show(value)} is not {_TYPES[kind]}"
    if kind == "string_pattern_mismatch":
        return f"{field}: {show(value)} is not letters, digits, '-', '_' or '.'"
    if kind == "string_too_short":
        return f"{field}: is empty; text is needed"
    if kind == "too_short":
        return f"{field}: needs at least {context['min_length']} entries"
    if kind == "too_long":
        return f"{field}: has more than {context['max_length']} entries"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{field}: {message}"


def _walk(location: tuple[int | str, ...], model: type[Any]) -> tuple[list[int | str], Any]:
    """The location without the tags of unions, and the class that has the last field."""
    shown: list[int | str] = []
    owner: Any = model
    parent: Any = model
    for part in location:
        if isinstance(part, str) and part in AGENT_KINDS and shown and isinstance(shown[-1], int):
            owner = parent = AGENT_KINDS[part]
            continue
        if isinstance(part, str) and owner is not None:
            fields = _fields(owner)
            if part not in fields:
                inner = _tagged(owner, part)
                if inner is not None:
                    owner = parent = inner
                    continue
                if part not in _UNION_BRANCHES:
                    shown.append(part)
                    parent = owner
                continue
            parent = owner
            owner = _innermost(fields[part]) or owner
        shown.append(part)
    return shown, parent


def _fields(owner: Any) -> dict[str, Any]:
    """Field names and their full annotations, of a model or a dataclass."""
    if owner is None:
        return {}
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return {
            name: typing.Annotated[info.annotation, *info.metadata]
            if info.metadata
            else info.annotation
            for name, info in owner.model_fields.items()
        }
    if dataclasses.is_dataclass(owner):
        hints = typing.get_type_hints(owner, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(owner)}
    return {}


def _is_table(annotation: Any) -> bool:
    """Whether an annotation is a dataclass: the class, not one of its instances."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _innermost(annotation: Any) -> Any:
    """The model, dataclass or union of dataclasses inside an annotation; None if there is none."""
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation):
            return annotation
        return None
    arguments = typing.get_args(annotation)
    if sum(_is_table(argument) for argument in arguments) > 1:
        return annotation
    for argument in arguments:
        inner = _innermost(argument)
        if inner is not None:
            return inner
    return None


def _tagged(owner: Any, tag: str) -> Any:
    """The dataclass of a union whose `kind` is `tag`."""
    for choice in typing.get_args(owner):
        if _is_table(choice):
            kinds = [f.default for f in dataclasses.fields(choice) if f.name == "kind"]
            if kinds == [tag]:
                return choice
    return None


def _range(owner: Any, location: list[int | str], context: dict[str, Any]) -> str:
    """The whole allowed range of a field, as `1..100` or `above 0`."""
    names = [part for part in location if isinstance(part, str)]
    low: Any = context.get("ge", context.get("gt"))
    high: Any = context.get("le", context.get("lt"))
    open_low, open_high = "gt" in context, "lt" in context
    annotation = _fields(owner).get(names[-1]) if names else None
    for bound in _metadata(annotation):
        if isinstance(bound, Interval):
            for part in bound:
                low, high, open_low, open_high = _merge(part, low, high, open_low, open_high)
        else:
            low, high, open_low, open_high = _merge(bound, low, high, open_low, open_high)
    if low is None:
        return f"{'below' if open_high else 'at most'} {_short(high)}"
    if high is None:
        return f"{'above' if open_low else 'at least'} {_short(low)}"
    if open_low:
        return f"above {_short(low)} and at most {_short(high)}"
    return f"in {_short(low)}..{_short(high)}"


def _metadata(annotation: Any) -> list[Any]:
    found: list[Any] = []
    for argument in getattr(annotation, "__metadata__", ()):
        found.append(argument)
        found.extend(getattr(argument, "metadata", ()))
    for argument in typing.get_args(annotation):
        if not isinstance(argument, type) and typing.get_args(argument):
            found.extend(_metadata(argument))
    return found


def _merge(bound: Any, low: Any, high: Any, open_low: bool, open_high: bool) -> tuple[Any, ...]:
    if isinstance(bound, Ge):
        return bound.ge, high, False, open_high
    if isinstance(bound, Gt):
        return bound.gt, high, True, open_high
    if isinstance(bound, Le):
        return low, bound.le, open_low, False
    if isinstance(bound, Lt):
        return low, bound.lt, open_low, True
    return low, high, open_low, open_high


def _short(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
