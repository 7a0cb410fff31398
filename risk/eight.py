"""Eight float64 at once in compiled code: what a processor adds or compares in one instruction.

numba makes such instructions of long loops, but not of the loops of seven cells that margin is made
of. With these operations a kernel asks for them: `sums = plus(sums, times(load(rows, i, j), size))`
adds size x the columns j to j + 7 of row i. Each is the plain operation lane by lane, never a fused
one, so that it rounds like a loop on every processor; one without wide registers takes more steps.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

WIDTH: Final = 8

# numba's own types say nothing about what these take.
_kernel: Any = intrinsic
_tools: Any = cgutils

_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_NOTHING = ir.Constant(_VECTOR, ir.Undefined)
_LANE = ir.IntType(32)


class EightType(types.Type):
    """numba's type of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="Eight")


EIGHT = EightType()


@register_model(EightType)
class _EightModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


def _address(context: Any, builder: Any, array: Any, value: Any, place: Any) -> Any:
    """Where the eight numbers from `place` on lie."""
    struct = context.make_array(array)(context, builder, value)
    item = _tools.get_item_pointer(context, builder, array, struct, place, wraparound=False)
    return builder.bitcast(item, _VECTOR.as_pointer())


def _lesser(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", right, left), right, left)


def _halved(builder: Any, eight: Any, join: Any) -> Any:
    """Join the upper half to the lower until one number is left."""
    size = WIDTH
    while size > 1:
        size //= 2
        halves = (
            ir.Constant(ir.VectorType(_LANE, size), list(range(first, first + size)))
            for first in (0, size)
        )
        nothing = ir.Constant(eight.type, ir.Undefined)
        low, high = (builder.shuffle_vector(eight, nothing, half) for half in halves)
        eight = join(low, high)
    return builder.extract_element(eight, _LANE(0))


@_kernel
def load(typing: Any, rows: Any, i: Any, j: Any) -> Any:
    """rows[i, j : j + 8], float64; the caller sees to it that they exist."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1:])
        return builder.load(address, align=8)

    return EIGHT(rows, i, j), emit


@_kernel
def store(typing: Any, rows: Any, i: Any, j: Any, eight: Any) -> Any:
    """rows[i, j : j + 8] = eight."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1:3])
        builder.store(args[3], address, align=8)
        return context.get_dummy_value()

    return types.void(rows, i, j, EIGHT), emit


@_kernel
def times(typing: Any, eight: Any, factor: Any) -> Any:
    """Each times the same number."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.insert_element(_NOTHING, args[1], _LANE(0))
        everywhere = ir.Constant(ir.VectorType(_LANE, WIDTH), [0] * WIDTH)
        return builder.fmul(args[0], builder.shuffle_vector(first, _NOTHING, everywhere))

    return EIGHT(EIGHT, types.float64), emit


@_kernel
def product(typing: Any, left: Any, right: Any) -> Any:
    """Lane by lane."""
    return EIGHT(EIGHT, EIGHT), lambda context, builder, signature, args: builder.fmul(*args)


@_kernel
def plus(typing: Any, left: Any, right: Any) -> Any:
    """Lane by lane."""
    return EIGHT(EIGHT, EIGHT), lambda context, builder, signature, args: builder.fadd(*args)


@_kernel
def lesser(typing: Any, left: Any, right: Any) -> Any:
    """The lesser of each pair."""
    return EIGHT(EIGHT, EIGHT), lambda context, builder, signature, args: _lesser(builder, *args)


@_kernel
def greater(typing: Any, left: Any, right: Any) -> Any:
    """The greater of each pair."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[1], args[0]), args[1], args[0])

    return EIGHT(EIGHT, EIGHT), emit


@_kernel
def below_zero(typing: Any, eight: Any) -> Any:
    """Each where it is negative, else 0."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _lesser(builder, ir.Constant(_VECTOR, [0.0] * WIDTH), args[0])

    return EIGHT(EIGHT), emit


@_kernel
def negative(typing: Any, eight: Any) -> Any:
    """Each with the other sign."""
    return EIGHT(EIGHT), lambda context, builder, signature, args: builder.fneg(args[0])


@_kernel
def least(typing: Any, eight: Any) -> Any:
    """The smallest of the eight."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _halved(builder, args[0], lambda low, high: _lesser(builder, low, high))

    return types.float64(EIGHT), emit


@_kernel
def total(typing: Any, eight: Any) -> Any:
    """The sum of the eight, by halves."""
    return types.float64(EIGHT), lambda context, builder, signature, args: _halved(
        builder, args[0], builder.fadd
    )
