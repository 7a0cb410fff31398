"""Kernels without the dispatcher: the same code, for one set of types only."""

import numpy as np
import pytest
from numba import njit

from risk.direct_calls import direct


@njit
def _sum(first: int, flag: bool, numbers: np.ndarray) -> int:
    return first + numbers.sum() if flag else first


def test_a_direct_call_does_what_the_kernel_does_and_takes_no_other_types() -> None:
    numbers = np.arange(5)
    call = direct(_sum, 0, True, numbers)
    assert call(7, True, numbers) == _sum(7, True, numbers) == 17
    assert call(7, False, numbers) == 7
    with pytest.raises(ValueError, match="seven"):
        call("seven", True, numbers)
    with pytest.raises(TypeError):
        call(7, True, [1, 2])


def test_with_numba_switched_off_a_kernel_is_a_plain_function() -> None:
    assert direct(len, []) is len
