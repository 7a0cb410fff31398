"""From pydantic's errors to one line that names the field, the value and what is allowed."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from scenarios.errors import UserError, show

# pydantic's name of an error -> what the field allows.
_ALLOWED = {
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
}


def not_allowed(value: object, allowed: str) -> PydanticCustomError:
    """The error a validator raises: `value` is not what the field allows."""
    return PydanticCustomError("not_allowed", "{text}", {"text": f"{show(value)} is not {allowed}"})


def as_user_error(error: ValidationError, model: type[BaseModel]) -> UserError:
    """The first problem of `error` as a line; the number of the others is added."""
    details = error.errors(include_url=False)
    line = _line(details[0], model)
    return UserError(with_rest(line, len(details) - 1))


def with_rest(line: str, others: int) -> str:
    """`line`, followed by how many further problems there are."""
    if not others:
        return line
    return f"{line} (and {others} more problem{'s' if others > 1 else ''})"


def _line(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    field = ".".join(str(part) for part in location) or "file"
    value, kind = detail["input"], detail["type"]
    if kind == "not_allowed":
        return f"{field}: {detail['msg']}"
    if kind == "missing":
        description = _description(model, location)
        return f"{field}: missing; {description} is needed" if description else f"{field}: missing"
    if kind == "extra_forbidden":
        allowed = ", ".join(_model_at(model, location[:-1]).model_fields)
        return f"{field}: not a field of this table; allowed: {allowed}"
    if kind == "literal_error":
        return f"{field}: {show(value)} is not {detail['ctx']['expected']}"
    if kind in _ALLOWED:
        return f"{field}: {show(value)} is not {_ALLOWED[kind]}"
    return f"{field}: {show(value)}: {detail['msg']}"


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that describes the table at `location`."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = _innermost_model(model.model_fields[part].annotation)
            model = inner or model
    return model


def _innermost_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside `tuple[Model, ...]`, `dict[str, Model]`, `Model | None`; else None."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    for argument in typing.get_args(annotation):
        inner = _innermost_model(argument)
        if inner is not None:
            return inner
    return None


def _description(model: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """What the field at `location` allows, as its declaration says."""
    field = _model_at(model, location[:-1]).model_fields.get(str(location[-1]))
    return field.description if field is not None else None
