"""What must hold of every row of a book, column by column and between rows.

Each check is a polars expression that is true where a row is wrong; the first wrong row reaches
the person, with the number of further problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from exchange.instrument import Instrument, InstrumentKind, parse_instrument
from scenarios.errors import UserError, show
from scenarios.validation_errors import with_rest

COLUMNS = ("account", "mode", "kind", "name", "size", "entry_price")
OPTIONAL = ("price",)
KINDS = ("balance", "position")
LINEAR_QUOTES = ("USDT", "USDC")
LARGEST_AMOUNT = 1e15
SMALLEST_PRICE, LARGEST_PRICE = 1e-12, 1e12
LONGEST_NAME = 80
_LONGEST_ID = 60
MODES = ("portfolio", "multi_currency")
_LOT_TOLERANCE = 1e-9  # of a size, for what a float cannot hold
_CURRENCY = r"^[A-Z0-9]{1,20}$"


@dataclass(frozen=True, slots=True)
class Check:
    """wrong: boolean expression; column: whose value is shown; allowed: text or expression."""

    wrong: pl.Expr
    column: str
    allowed: str | pl.Expr


def check_columns(names: Sequence[str], path: str) -> None:
    """Whether a table has the columns of a book, each once. Raises UserError."""
    known = (*COLUMNS, *OPTIONAL)
    for name in names:
        if "_duplicated_" in name:
            twice = name.split("_duplicated_")[0]
            raise UserError(f"{path}: column {show(twice)} appears twice")
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        found = ", ".join(show(name) for name in names) or "none"
        raise UserError(
            f"{path}: no column {', '.join(missing)}; a book has {','.join(COLUMNS)}, found {found}"
        )
    for name in names:
        if name not in known:
            raise UserError(
                f"{path}: column {show(name)} is not one of {', '.join(known)} (in lower case)"
            )


def checked(frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """The frame with sizes and prices as floats, once every check has passed.

    Raises UserError: file, row, column, value and what is allowed.
    """
    if frame.is_empty():
        raise UserError(f"{path}: no rows below the header; one for each balance and position")
    _run(_words(), frame, path)
    numbers = [name for name in ("size", "entry_price", "price") if name in frame.columns]
    floats = frame.with_columns(
        pl.col(name).cast(pl.Float64, strict=False).alias(f"{name}_number") for name in numbers
    )
    _run(_numbers("price" in numbers), floats, path)
    _run(_names(), floats, path)
    held = floats.filter(pl.col("kind") == "position")
    _check_instruments(held, path)
    lots = pl.DataFrame(
        [
            (name, float(i.lot), float(i.position_limit_lots))
            for name, i in instruments_of(held).items()
        ],
        schema={"name": pl.String, "lot": pl.Float64, "limit": pl.Float64},
        orient="row",
    )
    floats = floats.join(lots, on="name", how="left", maintain_order="left")
    _run(_between_rows("price" in numbers), floats, path)
    return floats.with_columns(pl.col(f"{name}_number").alias(name) for name in numbers)


def instruments_of(held: pl.DataFrame) -> dict[str, Instrument]:
    """The instruments of position rows whose names have been checked, by id, sorted."""
    return {name: parse_instrument(name) for name in sorted(set(held["name"].to_list()))}


def _run(checks: list[Check], frame: pl.DataFrame, path: str) -> None:
    """Raise UserError for the first row that any of the checks finds wrong."""
    first: tuple[int, str] | None = None
    count = 0
    for check in checks:
        # `allowed` may look at other rows, so it comes before the filter.
        allowed = pl.lit(check.allowed) if isinstance(check.allowed, str) else check.allowed
        shown = frame.select("row", check.column, allowed=allowed, wrong=check.wrong)
        found = shown.filter(pl.col("wrong"))
        if found.is_empty():
            continue
        count += found.height
        row, value, text = found.select("row", check.column, "allowed").row(0)
        if first is None or row < first[0]:
            what = "missing;" if value is None else f"{show(value)} is not"
            first = (row, f"{path}: row {row}: {check.column}: {what} {text}")
    if first is not None:
        raise UserError(with_rest(first[1], count - 1))


def _words() -> list[Check]:
    """Account, mode, kind and name by themselves."""
    account, mode, kind, name = (pl.col(c) for c in ("account", "mode", "kind", "name"))
    modes, kinds = " or ".join(map(repr, MODES)), " or ".join(map(repr, KINDS))
    return [
        Check(
            account.is_null()
            | (account.str.len_chars() > LONGEST_NAME)
            | account.str.contains(r"[\p{C}\n\t]"),
            "account",
            f"a name of 1 to {LONGEST_NAME} printable characters",
        ),
        Check(mode.is_null() | ~mode.is_in(MODES), "mode", modes),
        Check(kind.is_null() | ~kind.is_in(KINDS), "kind", kinds),
        Check(name.is_null(), "name", "a currency (of a balance) or an instrument id"),
    ]


def _numbers(priced: bool) -> list[Check]:
    """Sizes and prices by themselves."""
    size, entry, is_balance = pl.col("size_number"), pl.col("entry_price_number"), _is("balance")
    written = pl.col("entry_price").is_not_null()
    no_size = size.is_null() | ~size.is_finite() | (size.abs() > LARGEST_AMOUNT)
    no_price = entry.is_null() | ~entry.is_between(SMALLEST_PRICE, LARGEST_PRICE)
    checks = [
        Check(is_balance & no_size, "size", "a number of coins from -1e15 to 1e15"),
        Check(
            ~is_balance & (no_size | (size == 0.0)),
            "size",
            "a number of contracts, not 0, from -1e15 to 1e15",
        ),
        Check(~is_balance & no_price, "entry_price", "a price from 1e-12 to 1e12"),
        Check(is_balance & written, "entry_price", "empty, as it must be for a balance"),
    ]
    if priced:
        price = pl.col("price_number")
        checks.append(
            Check(
                pl.col("price").is_not_null()
                & (price.is_null() | ~price.is_between(SMALLEST_PRICE, LARGEST_PRICE)),
                "price",
                "a price from 1e-12 to 1e12, or empty",
            )
        )
    return checks


def _names() -> list[Check]:
    return [
        Check(
            _is("balance") & ~pl.col("name").str.contains(_CURRENCY),
            "name",
            "a currency code such as BTC",
        ),
        Check(
            _is("position") & (pl.col("name").str.len_chars() > _LONGEST_ID),
            "name",
            "an instrument id such as BTC-USDT-SWAP",
        ),
    ]


def _check_instruments(held: pl.DataFrame, path: str) -> None:
    """Whether every position is in an instrument that exists and can be held."""
    problems: list[tuple[int, str]] = []
    count = 0
    for name in set(held["name"].to_list()):
        try:
            instrument = parse_instrument(name)
        except ValueError as error:
            # Overrides are for scenario files; a book has the default contract tables.
            text = str(error).replace("give them as overrides, or use", "use")
        else:
            linear = instrument.settle == instrument.quote
            if instrument.kind == InstrumentKind.SPOT:
                text = f"{name} is a spot pair; its coins are balances"
            elif linear and instrument.quote not in LINEAR_QUOTES:
                text = f"{name} is not quoted in {' or '.join(LINEAR_QUOTES)}, as it must be"
            else:
                continue
        rows = held.filter(pl.col("name") == name)["row"]
        problems.append((int(rows[0]), text))
        count += len(rows)
    if problems:
        row, text = min(problems)
        raise UserError(with_rest(f"{path}: row {row}: name: {text}", count - 1))


def _between_rows(priced: bool) -> list[Check]:
    """Lots and limits, and what rows say together. Needs the columns lot and limit."""
    size, lot = pl.col("size_number"), pl.col("lot")
    lots = (size / lot).round()
    mode = pl.col("mode").first().over("account")
    row = pl.col("row").first()
    same = row.over("account", "kind", "name")
    checks = [
        Check(
            (lots * lot - size).abs() > _LOT_TOLERANCE * size.abs(),
            "size",
            pl.format("a number of contracts in lots of {} ({})", lot, pl.col("name")),
        ),
        Check(
            lots.abs() > pl.col("limit"),
            "size",
            pl.format("a number of at most {} lots ({})", pl.col("limit"), pl.col("name")),
        ),
        Check(
            pl.col("mode") != mode,
            "mode",
            pl.format(
                "{}, the mode of account {} in row {}",
                mode,
                pl.col("account"),
                row.over("account"),
            ),
        ),
        Check(
            pl.col("row") != same,
            "name",
            pl.format(
                "new: account {} has this {} in row {} already",
                pl.col("account"),
                pl.col("kind"),
                same,
            ),
        ),
    ]
    if priced:
        price = pl.col("price_number")
        first = price.drop_nulls().first().over("name")
        checks.append(
            Check(price != first, "price", pl.format("{}, the price of the same name above", first))
        )
    return checks


def _is(kind: str) -> pl.Expr:
    return pl.col("kind") == kind
