"""Exact numbers: one rounding, no float."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange import units

INTEGERS = st.integers(-(10**30), 10**30)
POSITIVE = st.integers(1, 10**18)


@given(INTEGERS, POSITIVE)
def test_divide_rounded_is_half_even(numerator: int, denominator: int) -> None:
    assert units.divide_rounded(numerator, denominator) == round(Fraction(numerator, denominator))


@given(INTEGERS, st.sampled_from([2, 4, 10, 200]))
def test_divide_rounded_meets_ties(numerator: int, denominator: int) -> None:
    tie = (2 * numerator + 1) * (denominator // 2)
    assert units.divide_rounded(tie, denominator) == round(Fraction(tie, denominator))
    assert units.divide_rounded(tie, denominator) == -units.divide_rounded(-tie, denominator)


def test_divide_rounded_asserts_a_positive_denominator() -> None:
    with pytest.raises(AssertionError):
        units.divide_rounded(1, 0)


@pytest.mark.parametrize(
    ("amount", "currency", "atoms"),
    [
        ("1", "BTC", 10**8),
        ("-0.00000001", "USDT", -1),
        ("12.34", "SHIB", 1234),
        (3, "PEPE", 300),
        (Decimal("1E+3"), "USDT", 10**11),
    ],
)
def test_to_atoms_and_back(amount: str | int | Decimal, currency: str, atoms: int) -> None:
    assert units.to_atoms(amount, currency) == atoms
    assert units.from_atoms(atoms, currency) == Decimal(amount)


@pytest.mark.parametrize(("amount", "currency"), [("0.000000001", "BTC"), ("0.001", "SHIB")])
def test_to_atoms_refuses_fractions_of_an_atom(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"{currency}.*decimals"):
        units.to_atoms(amount, currency)


@pytest.mark.parametrize("value", [0.1, True, None, "1,5", "", "NaN", "Infinity", "-inf"])
def test_parse_decimal_refuses_what_is_no_exact_number(value: object) -> None:
    with pytest.raises(ValueError, match="price"):
        units.parse_decimal(value, "price")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["0", "-1", 0])
def test_parse_positive(value: str | int) -> None:
    with pytest.raises(ValueError, match=r"tick.*above 0"):
        units.parse_positive(value, "tick")


@given(st.integers(-(10**9), 10**9), st.sampled_from(["0.1", "0.0005", "0.000000001", "5"]))
def test_to_steps_takes_whole_multiples_only(millionths: int, step_text: str) -> None:
    value, step = Decimal(millionths).scaleb(-6), Decimal(step_text)
    whole, rest = divmod(Fraction(value), Fraction(step))
    if rest:
        with pytest.raises(ValueError, match=r"price: .* is not a multiple of"):
            units.to_steps(value, step, "price")
    else:
        assert units.to_steps(value, step, "price") == whole


def test_to_steps_refuses_uneven_values() -> None:
    with pytest.raises(ValueError, match=r"price: 0\.15 is not a multiple of 0\.1"):
        units.to_steps("0.15", Decimal("0.1"), "price")
