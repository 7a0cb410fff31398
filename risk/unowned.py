"""Arrays that inlined kernels may hand to each other for nothing.

numba counts the references to an array whenever one kernel gives it to another, often even where
both end up in the same machine code, and a count is an atomic write: a third of the time of the
pass over all accounts. A view without an owner has no count.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

_tools: Any = cgutils
_arrays: Any = arrayobj


def _view(context: Any, builder: Any, array: Any, value: Any) -> Any:
    """The array without its owner."""
    kind = context.make_array(array)
    given, view = kind(context, builder, value), kind(context, builder)
    _arrays.populate_array(
        view,
        data=given.data,
        shape=_tools.unpack_tuple(builder, given.shape),
        strides=_tools.unpack_tuple(builder, given.strides),
        itemsize=given.itemsize,
        meminfo=None,
    )
    return view._getvalue()


def _unowned(typing_context: Any, given: Any) -> Any:
    """The same array, or named tuple of arrays and numbers; valid as long as the caller holds the
    one that owns the memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(given, types.Array):
            return _view(context, builder, given, arguments[0])
        fields = zip(given.types, _tools.unpack_tuple(builder, arguments[0]), strict=True)
        views = [
            _view(context, builder, kind, field) if isinstance(kind, types.Array) else field
            for kind, field in fields
        ]
        return context.make_tuple(builder, given, views)

    return given(given), generate


unowned: Any = intrinsic(_unowned)
