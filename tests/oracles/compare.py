"""What two margin reports disagree about, field by field.

Source: portfolio-margin.md section 16 (1e-9 relative plus 1e-6 USD); portfolio-file.md.
"""

from collections.abc import Iterator

RELATIVE, ABSOLUTE_USD = 1e-9, 1e-6
# per [[isolated]] position: the calculator's field, the report's field
ISOLATED_FIELDS = {"mmr": "mmr", "imr": "imr", "upl": "upl", "marginRatio": "mgnRatio"}


def close(expected: float | None, actual: object, absolute: float = ABSOLUTE_USD) -> bool:
    """Return whether two figures agree; None agrees with None only."""
    if expected is None or not isinstance(actual, int | float):
        return expected is None and actual is None
    return abs(expected - actual) <= absolute + RELATIVE * max(abs(expected), abs(actual))


def differences(expected: dict, actual: dict) -> list[str]:
    """Return one line per field that differs: `field: expected, actual`."""
    return list(_account(expected, actual))


def isolated_differences(expected: list[dict], actual: list[dict]) -> list[str]:
    """Return one line per field of an isolated position that differs."""
    found = list(_rows("isolated", "instId", expected, actual))
    for row, other in _pairs("instId", expected, actual):
        for field, name in ISOLATED_FIELDS.items():
            ratio = field == "marginRatio" and row["mmr"] > 0.0
            absolute = ABSOLUTE_USD * (1.0 / row["mmr"] if ratio else 1.0)
            if not close(row[field], other[name], absolute):
                found.append(f"isolated.{row['instId']}.{field}: {row[field]}, {other[name]}")
    return found


def _account(expected: dict, actual: dict) -> Iterator[str]:
    for field in ("eq", "totalMmr", "totalImr", "borrowMmr", "derivMmr", "upl"):
        yield from _field("", field, expected, actual)
    # a ratio of two figures of which each may be off by the absolute tolerance
    needed = expected["needed"]
    slack = ABSOLUTE_USD * (1.0 + abs(expected["marginRatio"] or 0.0)) / needed if needed else 0.0
    yield from _field("", "marginRatio", expected, actual, ABSOLUTE_USD + slack)
    lever, equity = expected["acctLever"], abs(expected["eq"])
    slack = ABSOLUTE_USD * (1.0 + abs(lever or 0.0)) / equity if equity else 0.0
    yield from _field("", "acctLever", expected, actual, ABSOLUTE_USD + slack)
    yield from _rows("assets", "ccy", expected["assets"], actual["assets"])
    for row, other in _pairs("ccy", expected["assets"], actual["assets"]):
        for field in ("availEq", "spotInUse", "borrowMmr", "borrowImr"):
            yield from _field(f"assets.{row['ccy']}.", field, row, other)
    positions = actual.get("positions", [])
    yield from _rows("positions", "instId", expected["positions"], positions)
    for row, other in _pairs("instId", expected["positions"], positions):
        yield from _position("positions.", row, other, ("mmr", "imr", "lever"))
    yield from _rows("riskUnitData", "riskUnit", expected["riskUnitData"], actual["riskUnitData"])
    for row, other in _pairs("riskUnit", expected["riskUnitData"], actual["riskUnitData"]):
        yield from _unit(row, other)


def _unit(expected: dict, actual: dict) -> Iterator[str]:
    path = f"riskUnitData.{expected['riskUnit']}."
    figures = (
        "mmr",
        "imr",
        "upl",
        *(f"mr{i}" for i in range(1, 10)),
        "delta",
        "gamma",
        "theta",
        "vega",
    )
    for field in figures:
        yield from _field(path, field, expected, actual)
    cells = _cells(expected)
    others = _cells(actual)
    if cells.keys() != others.keys():
        yield f"{path}mr1Scenarios: {sorted(cells)}, {sorted(others)}"
        return
    for key, pnl in cells.items():
        if not close(pnl, others[key]):
            yield f"{path}mr1Scenarios.{key}: {pnl}, {others[key]}"
    for result in ("mr1FinalResult", "mr6FinalResult"):
        yield from _field(f"{path}{result}.", "pnl", expected[result], actual[result])
    yield from _labels(path, cells, expected, actual)
    yield from _rows(path + "portfolios", "instId", expected["portfolios"], actual["portfolios"])
    for row, other in _pairs("instId", expected["portfolios"], actual["portfolios"]):
        yield from _position(path, row, other, ("delta", "gamma", "theta", "vega"))


def _labels(path: str, cells: dict, expected: dict, actual: dict) -> Iterator[str]:
    """Compare where the worst cells are; cells equal but for rounding may take either name."""
    worst = actual["mr1FinalResult"]
    names = {"up": "volShockUp", "unchange": "volSame", "down": "volShockDown"}
    named = cells.get((names.get(worst["volShock"]), float(worst["spotShock"])))
    if named is None or not close(expected["mr1FinalResult"]["pnl"], named):
        yield f"{path}mr1FinalResult: {expected['mr1FinalResult']}, {worst}"
    options = any(row["instType"] == "OPTION" for row in expected["portfolios"])
    if not options and worst["volShock"] != "up":  # the states are equal to the last bit
        yield f"{path}mr1FinalResult.volShock: up, {worst['volShock']}"
    mine, other = expected["mr6FinalResult"], actual["mr6FinalResult"]
    differ = float(mine["spotShock"]) != float(other["spotShock"])
    if differ and not close(mine["pnl"], mine["otherPnl"]):
        yield f"{path}mr6FinalResult.spotShock: {mine['spotShock']}, {other['spotShock']}"


def _cells(unit: dict) -> dict[tuple[str, float], float]:
    return {
        (state, float(shock)): pnl
        for state, row in unit["mr1Scenarios"].items()
        for shock, pnl in row.items()
    }


def _position(path: str, expected: dict, actual: dict, more: tuple[str, ...]) -> Iterator[str]:
    path = f"{path}{expected['instId']}."
    for field in ("instType", "posSide", "isRealPos"):
        if expected[field] != actual[field]:
            yield f"{path}{field}: {expected[field]}, {actual[field]}"
    for field in ("amt", "avgPx", "markPx", "floatPnl", "notionalUsd", *more):
        yield from _field(path, field, expected, actual)


def _field(
    path: str, field: str, expected: dict, actual: dict, absolute: float = ABSOLUTE_USD
) -> Iterator[str]:
    if not close(expected[field], actual[field], absolute):
        yield f"{path}{field}: {expected[field]}, {actual[field]}"


def _rows(path: str, key: str, expected: list[dict], actual: list[dict]) -> Iterator[str]:
    names, others = [row[key] for row in expected], [row[key] for row in actual]
    if path == "assets" and others != sorted(others):
        yield f"{path}: not sorted: {others}"
    if sorted(names) != sorted(others):
        yield f"{path}: {sorted(names)}, {sorted(others)}"


def _pairs(key: str, expected: list[dict], actual: list[dict]) -> Iterator[tuple[dict, dict]]:
    others = {row[key]: row for row in actual}
    return ((row, others[row[key]]) for row in expected if row[key] in others)
