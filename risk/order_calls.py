"""The kernels that an exchange calls while it runs, found once and called without a dispatcher.

All are compiled, or loaded from the cache, when the first exchange is made: none is left for the
moment when the first account is liquidated, where a quarter of a minute would pass without a word.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from risk import forced_limits as limits
from risk import order_kernels as kernels
from risk import order_rows as rows
from risk import order_standing as standing
from risk import order_tables as t
from risk import order_trials as trials
from risk import order_watch as watch
from risk.black76 import option_delta, option_value, option_vega
from risk.direct_calls import direct
from risk.kernels import discounted_value

_X = np.zeros(t.X_SIZE, np.int64)
_INTS = np.zeros(1, np.int64)
_FLOATS = np.zeros(1)
_TABLE = np.zeros((1, 1))
_FLAGS = np.zeros(1, np.bool_)


class OrderCalls:
    """Each attribute is the kernel of that name; arguments as it says, numbers converted."""

    def __init__(self) -> None:
        self.open_account = direct(rows.open_account, 0, 0, 0, 0, _X)
        self.open_currency = direct(rows.open_currency, 0, 0, 0, 0, _X)
        self.open_unit = direct(rows.open_unit, 0, 0, 0, 0, 0, _X)
        self.open_position = direct(rows.open_position, 0, 0, 0, 0, 0, 0, 0, _X)
        # the way of an order
        self.place = direct(kernels.place, 0, 0, 0, 0, 0, True, _X)
        self.book = direct(kernels.book, 0, 0, 0, 0, 0, _X)
        self.cancel = direct(kernels.cancel, 0, _X)
        self.reduce = direct(kernels.reduce, 0, 0, _X)
        self.fill = direct(kernels.fill, *([0] * 13), _X)
        self.set_holding = direct(kernels.set_holding, 0, 0, 0, 0, _X)
        self.set_cash = direct(kernels.set_cash, 0, 0, _X)
        self.set_cap = direct(kernels.set_cap, 0, 0.0, _X)
        self.set_mode = direct(kernels.set_mode, 0, 0, 0, _X)
        # figures
        self.figures = direct(kernels.figures, 0, _X)
        self.all_figures = direct(kernels.all_figures, 0, _X)
        self.recompute = direct(kernels.recompute, 0, _X)
        self.watch = direct(watch.watch, 0, 0, _TABLE, _INTS, _FLOATS, _TABLE, _INTS, _INTS, _X)
        self.flag = direct(standing.flag, _INTS, _INTS, _INTS, _INTS, _FLAGS, 0, _INTS, _INTS, _X)
        self.over_borrow_limit = direct(watch.over_borrow_limit, _INTS, _INTS, _X)
        # what a liquidation step asks
        self.standing = direct(trials.standing, 0, _X)
        self.shift = direct(kernels.shift, 0, 0, 0.0, 0, _X)
        self.trial = direct(trials.trial, 0, 0, 0.0, 0, _X)
        self.components = direct(trials.components, 0, _X)
        self.units_by_margin = direct(trials.units_by_margin, 0, _TABLE, _X)
        self.charge_usd = direct(limits.charge_usd, 0, _X)
        self.bankruptcy_ticks = direct(limits.bankruptcy_ticks, 0, _X)
        self.forced_limit = direct(limits.forced_limit, 0, 0, 0.0, 0, 0, _X)

        # what accounts and traders call by themselves, now and then
        direct(discounted_value, _TABLE, 0.0)
        direct(option_value, 1.0, 1.0, 1.0, 1.0, True)
        direct(option_delta, 1.0, 1.0, 1.0, 1.0, True)
        direct(option_vega, 1.0, 1.0, 1.0, 1.0)


@cache
def order_calls() -> OrderCalls:
    """The one set for all exchanges of the process."""
    return OrderCalls()
