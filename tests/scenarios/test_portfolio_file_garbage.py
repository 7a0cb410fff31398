"""Whatever stands in a portfolio file, a person gets a report of finite numbers or one line."""

from __future__ import annotations

import copy
import json
import math
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.errors import UserError
from scenarios.margin_input import open_portfolio, report_of

BAD_FILES = tomllib.loads((Path(__file__).parent / "bad_portfolio_files.toml").read_text())


def _document() -> dict[str, Any]:
    document = tomllib.loads(BAD_FILES["good_file"])
    document["time"] = document["time"].isoformat()
    return document


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the document where something can be put."""
    if isinstance(value, dict):
        items: list[tuple[Any, object]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return [path]
    inner = [place for key, item in items for place in _places(item, (*path, key))]
    return [*([path] if path else []), *inner]


DOCUMENT = _document()
PLACES = _places(DOCUMENT)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([0, -1, 1e-12, 1e12, 1e15, -1e15, 1e300, 10**400, 5e-324, 0.01, 1, 100])
    | st.sampled_from(["BTC", "USDT", "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-250328-1-P", "buy"])
)
GARBAGE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2)
    ),
    max_leaves=4,
)


def _put(document: dict[str, Any], place: tuple[Any, ...], value: object) -> None:
    """Put `value` there, unless an earlier change has taken the place away."""
    holder: Any = document
    for key in place[:-1]:
        is_there = key in holder if isinstance(holder, dict) else _has_index(holder, key)
        if not is_there:
            return
        holder = holder[key]
    if isinstance(holder, dict) or _has_index(holder, place[-1]):
        holder[place[-1]] = value


def _has_index(holder: object, key: object) -> bool:
    return isinstance(holder, list) and isinstance(key, int) and key < len(holder)


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), GARBAGE), min_size=1, max_size=2))
def test_a_report_or_one_line(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], object]]
) -> None:
    document = copy.deepcopy(DOCUMENT)
    for place, value in changes:
        _put(document, place, value)
    path = tmp_path / "garbage.json"
    path.write_text(json.dumps(document))
    try:
        loaded, rules = open_portfolio(path, None, None)
        report = report_of(loaded.portfolio, rules)
    except UserError as error:
        assert error.exit_code == 2
        assert error.message.isprintable() and len(error.message) < 500
        return
    numbers = [leaf for leaf in _leaves(report.to_okx_dict()) if isinstance(leaf, float)]
    assert numbers and all(math.isfinite(number) for number in numbers)
