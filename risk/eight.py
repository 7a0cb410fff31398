"""Eight float64 at once in compiled code: what a processor adds or compares in one instruction.

numba makes such instructions of long loops, but not of what margin is made of. With this type a
kernel asks for them: `load(rows, i, j)` are the columns j to j + 7 of row i, and what is written
for a number, `max(0.0, -worst) + basis`, then works on eight of them. A number beside eight stands
for eight times the same. Each operation is the plain one lane by lane, never a fused one, so that
it rounds like a loop on every processor; one without wide registers takes more steps.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

WIDTH: Final = 8

# numba's own types say nothing about what these take.
_kernel: Any = intrinsic
_tools: Any = cgutils
_types: Any = infer_global
_emits: Any = lower_builtin
_casts: Any = lower_cast
_signature: Any = signature
_kinds: Any = types
_Template: Any = AbstractTemplate

_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_NOTHING = ir.Constant(_VECTOR, ir.Undefined)
_LANE = ir.IntType(32)


class EightType(types.Type):
    """numba's type of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="Eight")

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:
        """A number stands for eight times the same."""
        return Conversion.safe if isinstance(other, types.Float) else None


EIGHT = EightType()


@register_model(EightType)
class _EightModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


@_casts(types.Float, EIGHT)
def _everywhere(context: Any, builder: Any, given: Any, wanted: Any, number: Any) -> Any:
    number = context.cast(builder, number, given, types.float64)
    first = builder.insert_element(_NOTHING, number, _LANE(0))
    lanes = ir.Constant(ir.VectorType(_LANE, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, _NOTHING, lanes)


def _lesser(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", right, left), right, left)


def _greater(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", right, left), right, left)


def _call(name: str) -> Callable[..., Any]:
    """An operation that LLVM knows by name."""

    def emit(builder: Any, *eights: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(eights))
        function = _tools.get_or_insert_function(builder.module, kind, f"llvm.{name}.v8f64")
        return builder.call(function, eights)

    return emit


def _lane_by_lane(function: Any, emit: Callable[..., Any]) -> None:
    """Let kernels call `function` with eights, or with eights and numbers."""

    @_types(function)
    class _Operation(_Template):  # type: ignore[misc]
        def generic(self, arguments: Any, _keywords: Any) -> Any:
            known = all(kind == EIGHT or isinstance(kind, types.Float) for kind in arguments)
            if known and EIGHT in arguments:
                return _signature(EIGHT, *[EIGHT] * len(arguments))
            return None

    @_emits(function, _kinds.VarArg(EIGHT))
    def _lower(_context: Any, builder: Any, _signature: Any, eights: Any) -> Any:
        return emit(builder, *eights)


_lane_by_lane(operator.add, lambda builder, left, right: builder.fadd(left, right))
_lane_by_lane(operator.sub, lambda builder, left, right: builder.fsub(left, right))
_lane_by_lane(operator.mul, lambda builder, left, right: builder.fmul(left, right))
_lane_by_lane(operator.neg, lambda builder, eight: builder.fneg(eight))
_lane_by_lane(abs, _call("fabs"))
_lane_by_lane(math.copysign, _call("copysign"))
_lane_by_lane(min, lambda builder, *eights: reduce(lambda a, b: _lesser(builder, a, b), eights))
_lane_by_lane(max, lambda builder, *eights: reduce(lambda a, b: _greater(builder, a, b), eights))


def _address(context: Any, builder: Any, array: Any, value: Any, place: Any) -> Any:
    """Where the eight numbers from `place` on lie."""
    struct = context.make_array(array)(context, builder, value)
    item = _tools.get_item_pointer(context, builder, array, struct, place, wraparound=False)
    return builder.bitcast(item, _VECTOR.as_pointer())


def _picked(context: Any, builder: Any, signature: Any, args: Any) -> Iterator[tuple[Any, Any]]:
    """(lane, where row[places[k + lane]] lies)."""

    def item(array: int, number: Any) -> Any:
        kind = signature.args[array]
        struct = context.make_array(kind)(context, builder, args[array])
        return _tools.get_item_pointer(context, builder, kind, struct, [number], wraparound=False)

    for lane in range(WIDTH):
        place = builder.load(item(1, builder.add(args[2], args[2].type(lane))))
        yield _LANE(lane), item(0, builder.zext(place, args[2].type))


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
def pick(typing: Any, row: Any, places: Any, k: Any) -> Any:
    """row[places[k : k + 8]], float64; places: uint32; the caller sees to it that they exist."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = _NOTHING
        for lane, item in _picked(context, builder, signature, args):
            eight = builder.insert_element(eight, builder.load(item), lane)
        return eight

    return EIGHT(row, places, k), emit


@_kernel
def put(typing: Any, row: Any, places: Any, k: Any, eight: Any) -> Any:
    """row[places[k : k + 8]] = eight."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for lane, item in _picked(context, builder, signature, args):
            builder.store(builder.extract_element(args[3], lane), item)
        return context.get_dummy_value()

    return types.void(row, places, k, EIGHT), emit


@_kernel
def any_above(typing: Any, left: Any, right: Any) -> Any:
    """Whether one lane of `left` is greater than that of `right`, eights or numbers."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = builder.bitcast(builder.fcmp_ordered(">", *args), ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", mask, ir.IntType(WIDTH)(0))

    return types.boolean(EIGHT, EIGHT), emit


def _swapped(builder: Any, left: Any, right: Any, apart: int) -> tuple[Any, Any]:
    """(left's, right's) lower runs of `apart` lanes, and the same of the upper runs."""
    lower = [lane if not lane & apart else lane - apart + WIDTH for lane in range(WIDTH)]
    upper = [lane + apart if not lane & apart else lane + WIDTH for lane in range(WIDTH)]
    lanes = (ir.Constant(ir.VectorType(_LANE, WIDTH), mask) for mask in (lower, upper))
    first, second = (builder.shuffle_vector(left, right, mask) for mask in lanes)
    return first, second


def _lines(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Where the eight lines of rows[i : i + 8, j : j + 8] begin."""
    rows, first, column = args
    lines = ((builder.add(first, first.type(lane)), column) for lane in range(WIDTH))
    return [_address(context, builder, signature.args[0], rows, line) for line in lines]


@_kernel
def transpose(typing: Any, rows: Any, i: Any, j: Any) -> Any:
    """Turn rows[i : i + 8, j : j + 8] in place: its rows become its columns."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _lines(context, builder, signature, args)
        lines = [builder.load(place, align=8) for place in places]
        for apart in (4, 2, 1):
            for k in range(WIDTH):
                if not k & apart:
                    pair = lines[k], lines[k + apart]
                    lines[k], lines[k + apart] = _swapped(builder, *pair, apart)
        for place, line in zip(places, lines, strict=True):
            builder.store(line, place, align=8)
        return context.get_dummy_value()

    return types.void(rows, i, j), emit


@_kernel
def totals(typing: Any, rows: Any, i: Any, j: Any) -> Any:
    """The sums of the eight lines of rows[i : i + 8, j : j + 8], each by halves."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = _lines(context, builder, signature, args)
        lines = [builder.load(place, align=8) for place in places]
        for apart in (4, 2, 1):
            pairs = zip(lines[:apart], lines[apart:], strict=True)
            lines = [builder.fadd(*_swapped(builder, *pair, apart)) for pair in pairs]
        return lines[0]

    return EIGHT(rows, i, j), emit
