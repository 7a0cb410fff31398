"""Exact numbers: decimals at the edges, integer ticks, lots and atoms inside.

An atom is the smallest ledger amount of a currency, 10^-decimals. Nothing here accepts a float.

Source: design section 3; spec 3.1.
"""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

DEFAULT_CURRENCY_DECIMALS: Final = 8
CURRENCY_DECIMALS: Final[dict[str, int]] = {"PEPE": 2, "SHIB": 2}
"""Decimals of the ledger atom, where they differ from DEFAULT_CURRENCY_DECIMALS."""


def divide_rounded(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded half to even: the only rounding of the ledger.

    Symmetric in the sign of the numerator, so that a value and its opposite still sum to zero.
    denominator: positive (asserted). O(1).
    """
    assert denominator > 0, denominator
    # Not divmod: compiled code divides machine numbers by // and %, and only those.
    quotient, remainder = numerator // denominator, numerator % denominator
    twice = remainder + remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def parse_decimal(value: object, field: str) -> Decimal:
    """Return value, a string, an integer or a Decimal, as a finite Decimal.

    Raises ValueError naming the field when value is no number, not finite, or a float (a float
    has already lost the digits that the user wrote).
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(
            f"{field}: {value!r} is a {type(value).__name__}; give a decimal string or an integer"
        )
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{field}: {value!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{field}: {value!r} is not a finite number")
    return number


def parse_positive(value: object, field: str) -> Decimal:
    """Return value as a Decimal above zero; ValueError naming the field otherwise."""
    number = parse_decimal(value, field)
    if number <= 0:
        raise ValueError(f"{field}: {value!r} must be above 0")
    return number


def currency_decimals(currency: str) -> int:
    """Return the number of decimals of the currency's atom."""
    return CURRENCY_DECIMALS.get(currency, DEFAULT_CURRENCY_DECIMALS)


def atoms_per_unit(currency: str) -> int:
    """Return 10^decimals: the atoms in one unit of the currency."""
    return int(10 ** currency_decimals(currency))


def to_atoms(amount: str | int | Decimal, currency: str) -> int:
    """Return amount (units of currency) as exact atoms.

    Raises ValueError when amount has more decimals than the currency's atom.
    """
    exact = Fraction(parse_decimal(amount, currency)) * atoms_per_unit(currency)
    if exact.denominator != 1:
        raise ValueError(
            f"{currency}: {amount} has more than {currency_decimals(currency)} decimals"
        )
    return exact.numerator


def from_atoms(atoms: int, currency: str) -> Decimal:
    """Return atoms of the currency as a Decimal amount in units."""
    return Decimal(atoms).scaleb(-currency_decimals(currency))


def to_steps(value: str | int | Decimal, step: Decimal, field: str) -> int:
    """Return value / step as an integer: a price in ticks, a size in lots.

    Raises ValueError naming the field when value is not a whole multiple of step.
    """
    steps = Fraction(parse_decimal(value, field)) / Fraction(step)
    if steps.denominator != 1:
        raise ValueError(f"{field}: {value} is not a multiple of {step}")
    return steps.numerator
