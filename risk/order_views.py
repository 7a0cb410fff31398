"""The tables of the order check as the kernels see them: arrays at addresses.

Unpacking twenty arrays costs a call from Python more than the arithmetic of an order check. So a
kernel is given one int64 array, named x: the address of each table at `order_tables.X_*`, and the
few lengths that depend on the rules. The functions here turn an address into an array; what they
return is a view without an owner, which costs nothing to make or to drop. Whoever fills x keeps the
tables alive and writes the new address when one grows (`accounts.exposures.Exposures`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The rows of a table are not bounds-checked inside kernels, so their number need not be known.
_MANY = 1 << 40


def _ints_pointer(typing_context: Any, address: Any) -> Any:
    """int64 memory at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(types.int64)(address), generate


def _floats_pointer(typing_context: Any, address: Any) -> Any:
    """float64 memory at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(types.float64)(address), generate


def _prefetch_line(typing_context: Any, address: Any) -> Any:
    """Ask for the cache line at an address, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        line = builder.inttoptr(arguments[0], pointer)
        # for reading, to be kept, data
        builder.call(prefetch, [line, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.none(types.int64), generate


ints_at: Any = intrinsic(_ints_pointer)
_prefetch: Any = intrinsic(_prefetch_line)
floats_at: Any = intrinsic(_floats_pointer)


@njit(cache=True, forceinline=True)
def positions_of(x: Ints) -> Ints:
    """int64 (positions, P_*)."""
    return carray(ints_at(x[t.X_POSITIONS]), (_MANY, t.POSITION_COLUMNS))


@njit(cache=True, forceinline=True)
def orders_of(x: Ints) -> Ints:
    """int64 (orders, O_*)."""
    return carray(ints_at(x[t.X_ORDERS]), (_MANY, t.ORDER_COLUMNS))


@njit(cache=True, forceinline=True)
def units_of(x: Ints) -> Ints:
    """int64 (units of accounts, U_*)."""
    return carray(ints_at(x[t.X_UNITS]), (_MANY, t.UNIT_COLUMNS))


@njit(cache=True, forceinline=True)
def unit_sums_of(x: Ints) -> Floats:
    """float64 (units of accounts, 3 width + S_*)."""
    return carray(floats_at(x[t.X_UNIT_SUMS]), (_MANY, 3 * x[t.X_WIDTH] + t.UNIT_EXTRA))


@njit(cache=True, forceinline=True)
def currencies_of(x: Ints) -> Ints:
    """int64 (currencies of accounts, C_*)."""
    return carray(ints_at(x[t.X_CURRENCIES]), (_MANY, t.CURRENCY_COLUMNS))


@njit(cache=True, forceinline=True)
def currency_sums_of(x: Ints) -> Floats:
    """float64 (currencies of accounts, V_*)."""
    return carray(floats_at(x[t.X_CURRENCY_SUMS]), (_MANY, t.CURRENCY_EXTRA))


@njit(cache=True, forceinline=True)
def accounts_of(x: Ints) -> Ints:
    """int64 (accounts, A_*)."""
    return carray(ints_at(x[t.X_ACCOUNTS]), (_MANY, t.ACCOUNT_COLUMNS))


@njit(cache=True, forceinline=True)
def account_sums_of(x: Ints) -> Floats:
    """float64 (accounts, T_*)."""
    return carray(floats_at(x[t.X_ACCOUNT_SUMS]), (_MANY, t.ACCOUNT_EXTRA))


@njit(cache=True, forceinline=True)
def radii_of(x: Ints) -> Floats:
    """float64 (accounts,): the safe radius of each account, 0 where it must be looked at."""
    return carray(floats_at(x[t.X_RADII]), (_MANY,))


@njit(cache=True, forceinline=True)
def anchors_of(x: Ints) -> Ints:
    """int64 (accounts,): the anchor whose prices the radius is measured from."""
    return carray(ints_at(x[t.X_ANCHORS]), (_MANY,))


@njit(cache=True, forceinline=True)
def instruments_of(x: Ints) -> Ints:
    """int64 (instruments, I_*)."""
    return carray(ints_at(x[t.X_INSTRUMENTS]), (_MANY, t.INSTRUMENT_COLUMNS))


@njit(cache=True, forceinline=True)
def terms_of(x: Ints) -> Floats:
    """float64 (instruments, M_*)."""
    return carray(floats_at(x[t.X_TERMS]), (_MANY, t.TERM_COLUMNS))


@njit(cache=True, forceinline=True)
def stress_of(x: Ints) -> Floats:
    """float64 (instruments, width): stress rows per lot."""
    return carray(floats_at(x[t.X_STRESS]), (_MANY, x[t.X_WIDTH]))


@njit(cache=True, forceinline=True)
def unit_terms_of(x: Ints) -> Floats:
    """float64 (units, packed parameters)."""
    return carray(floats_at(x[t.X_UNIT_TERMS]), (_MANY, x[t.X_UNIT_PARAMS]))


@njit(cache=True, forceinline=True)
def currency_terms_of(x: Ints) -> Floats:
    """float64 (currencies, K_*)."""
    return carray(floats_at(x[t.X_CURRENCY_TERMS]), (_MANY, t.CURRENCY_TERMS))


@njit(cache=True, forceinline=True)
def discounts_of(x: Ints) -> Floats:
    """float64 (currencies, tiers, 4)."""
    return carray(floats_at(x[t.X_DISCOUNTS]), (_MANY, x[t.X_DISCOUNT_TIERS], at.TIER_COLUMNS))


@njit(cache=True, forceinline=True)
def loans_of(x: Ints) -> Floats:
    """float64 (currencies, 1 + tiers, 3)."""
    return carray(floats_at(x[t.X_LOANS]), (_MANY, x[t.X_LOAN_TIERS], at.BORROW_COLUMNS))


@njit(cache=True, forceinline=True)
def rules_of(x: Ints) -> Floats:
    """float64 (R_*,)."""
    return carray(floats_at(x[t.X_RULES]), (t.RULE_TERMS,))


@njit(cache=True, forceinline=True)
def vector_of(x: Ints) -> Floats:
    """float64 (full width,): scratch for one stress vector."""
    return carray(floats_at(x[t.X_SCRATCH]), (x[t.X_FULL_WIDTH],))


@njit(cache=True, forceinline=True)
def margins_of(x: Ints) -> Floats:
    """float64 (OUT_*,): scratch for one unit's margin."""
    offset = 8 * x[t.X_FULL_WIDTH]
    return carray(floats_at(x[t.X_SCRATCH] + offset), (at.OUT_SIZE,))


@njit(cache=True, forceinline=True)
def refused_of(x: Ints) -> Floats:
    """float64 (4,): figures of the last refusal."""
    offset = 8 * (x[t.X_FULL_WIDTH] + at.OUT_SIZE)
    return carray(floats_at(x[t.X_SCRATCH] + offset), (t.REFUSED_FIGURES,))


@njit(cache=True, forceinline=True)
def _fetch(address: int, row: int, words: int) -> None:
    start = address + 8 * row * words
    for offset in range(0, 8 * words, 64):
        _prefetch(start + offset)


@njit(cache=True)
def fetch(k: int, x: Ints) -> None:
    """Ask memory for all rows that an order or a fill on position row `k` will touch.

    With many accounts none of them is near; asked for together, they arrive together, where the
    links between them would bring them one after the other.
    """
    p = positions_of(x)
    account, unit = p[k, t.P_ACCOUNT], p[k, t.P_UNIT]
    base, settle = p[k, t.P_BASE], p[k, t.P_SETTLE]
    _fetch(x[t.X_ACCOUNTS], account, t.ACCOUNT_COLUMNS)
    _fetch(x[t.X_UNITS], unit, t.UNIT_COLUMNS)
    _fetch(x[t.X_CURRENCIES], settle, t.CURRENCY_COLUMNS)
    _fetch(x[t.X_CURRENCIES], base, t.CURRENCY_COLUMNS)
    _fetch(x[t.X_UNIT_SUMS], unit, 3 * x[t.X_WIDTH] + t.UNIT_EXTRA)
    _fetch(x[t.X_CURRENCY_SUMS], settle, t.CURRENCY_EXTRA)
    _fetch(x[t.X_CURRENCY_SUMS], base, t.CURRENCY_EXTRA)
    _fetch(x[t.X_ACCOUNT_SUMS], account, t.ACCOUNT_EXTRA)
    _fetch(x[t.X_RADII], account, 1)
