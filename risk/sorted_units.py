"""The risk units of a block of accounts: listed, sorted by kind, and margined eight at a time.

Units of one kind take the same way through the formulas with the same constants. A kind are the
units whose only position is in one instrument, and those of one risk unit with two positions, or
with more. Sorted, eight accounts fill a vector and no branch has to be guessed for each of them.

Source: portfolio-margin.md sections 16.3 to 16.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk.eight import WIDTH, load, pick, put
from risk.kernels import spot_in_use, unit_margin_of
from risk.packed_rows import Packed
from risk.packed_units import add_positions, margins_alone, margins_together
from risk.unowned import unowned

if TYPE_CHECKING:
    from risk.account_kernels import AccountArrays, MarketArrays

Floats = NDArray[np.float64]
Rows = NDArray[np.uint64]
Places = NDArray[np.uint32]
# numba does not look whether an unsigned number counts from the end; to mypy an int is none.
_unsigned: Any = np.uint64
_signed: Any = np.int64


class Funds(NamedTuple):
    """Equity of the accounts of a block, float64 (balances,), coins.

    net: with the value of the positions; spot: without that of options; cap: limit of spot in use.
    """

    net: Floats
    spot: Floats
    cap: Floats


class Units(NamedTuple):
    """The units of a block of accounts; one is known by the place of its first position.

    size: float64 (positions + 1,), lots. kind, base: (positions,), kind of the unit that begins at
    a position, or the last kind where none does; row of its coin in `Funds`. order, order_base:
    (positions + 8,), places by kind and their `base`; ends: (kinds,), where each kind ends there.
    maintenance, initial: float64 (positions + 1,), margin in USD, 0 where no unit begins. The one
    place more takes what the lanes compute for which there is no unit.
    """

    size: Floats
    kind: Places
    base: Places
    order: Places
    order_base: Places
    ends: Rows
    maintenance: Floats
    initial: Floats


@njit(cache=True)
def funds_of(balances: int) -> Funds:
    """Room for the equity of a block with up to `balances` balance rows."""
    return Funds(np.empty(balances), np.empty(balances), np.empty(balances))


@njit(cache=True)
def units_of(positions: int, market: MarketArrays) -> Units:
    """Room for the units of a block with up to `positions` positions."""
    kinds = market.unit_of.size + 2 * market.unit_base.size + 1
    return Units(
        np.zeros(positions + 1),
        np.zeros(positions, np.uint32),
        np.zeros(positions, np.uint32),
        np.zeros(positions + WIDTH, np.uint32),
        np.zeros(positions + WIDTH, np.uint32),
        np.zeros(kinds, np.uint64),
        np.zeros(positions + 1),
        np.zeros(positions + 1),
    )


@njit(cache=True, nogil=True)
def list_units(
    held: AccountArrays,
    market: MarketArrays,
    marks: Packed,
    begin: int,
    end: int,
    funds: Funds,
    units: Units,
) -> None:
    """Write `funds` of the accounts from `begin` up to, without, `end`, and what they hold.

    O(positions + balances).
    """
    held, market, marks = unowned(held), unowned(market), unowned(marks)
    funds, units = unowned(funds), unowned(units)
    instrument, currency = held.instrument.view(np.uint64), held.currency.view(np.uint64)
    settle, base = market.settle.view(np.uint64), marks.base.view(np.uint64)
    unit_of, one = market.unit_of.view(np.uint64), _unsigned(1)
    first_position = held.first_position.view(np.uint64)
    first_balance = held.first_balance.view(np.uint64)
    origin, source = first_position[begin], first_balance[begin]
    pairs, number = _unsigned(market.unit_of.size), _unsigned(market.unit_base.size)
    many, nothing = pairs + number, pairs + number + number
    where = np.zeros(market.usd.size, np.uint64)  # an account's row of a currency
    for account in range(_unsigned(begin), _unsigned(end)):
        for n in range(first_balance[account], first_balance[account + one]):
            row = n - source
            funds.net[row] = funds.spot[row] = held.amount[n]
            funds.cap[row] = held.cap[n]
            where[currency[n]] = row
        first, last = first_position[account], first_position[account + one]
        for p in range(first, last):
            i, size = instrument[p], np.float64(held.lots[p])
            row = where[settle[i]]
            funds.net[row] += size * market.value[i]
            funds.spot[row] += size * marks.spot[i]
            units.size[p - origin] = size
        start, before = _unsigned(0), number
        for place in range(first - origin, last - origin):
            # Without branches: how many positions a unit has is anyone's guess.
            i = instrument[place + origin]
            unit = unit_of[i]
            start = start if unit == before else place
            more = pairs + unit if place == start + one else many + unit
            units.base[place] = where[base[i]]
            units.kind[place] = nothing
            units.kind[start] = i if place == start else more
            before = unit


@njit(cache=True, nogil=True)
def sort_units(units: Units, count: int) -> None:
    """Write the order of the `count` places by kind: count each kind, then place by place."""
    units = unowned(units)
    kind, ends, total, one = units.kind, units.ends, _unsigned(0), _unsigned(1)
    ends[:] = 0
    for place in range(count):
        ends[kind[place]] += one
    for k in range(ends.size):
        total, ends[k] = total + ends[k], total
    for place in range(count):
        rank = ends[kind[place]]
        units.order[rank], units.order_base[rank] = place, units.base[place]
        ends[kind[place]] = rank + one
    units.order[count : count + WIDTH] = count


@njit(cache=True, nogil=True)
def margin_units(
    held: AccountArrays,
    market: MarketArrays,
    marks: Packed,
    origin: int,
    count: int,
    funds: Funds,
    units: Units,
    sums: Floats,
) -> None:
    """Margin of all units; positions from `origin` on, `count` of them. sums: `margins_together`.

    O(positions x columns).
    """
    held, market, marks = unowned(held), unowned(market), unowned(marks)
    funds, units, sums = unowned(funds), unowned(units), unowned(sums)
    instrument = held.instrument[origin : origin + count].view(np.uint64)
    params, nothing = market.unit_params, units.ends.size - 1
    pairs, many = market.unit_of.size, market.unit_of.size + market.unit_base.size
    begin = _unsigned(0)
    for kind in range(nothing):
        unit = market.unit_of[kind] if kind < pairs else kind - (pairs if kind < many else many)
        usd, factor = market.usd[market.unit_base[unit]], params[unit, at.U_INITIAL_FACTOR]
        end = units.ends[kind]
        if params[unit, at.U_BASIS_MODEL] != at.BUCKET_MODEL:
            for k in range(begin, end):
                place = _signed(units.order[k])
                margin = _margin_plain(held, market, origin, place, count, unit, funds, units)
                units.maintenance[place], units.initial[place] = margin, margin * factor
        else:
            for k in range(begin, end, _unsigned(WIDTH)):
                coins = pick(funds.spot, units.order_base, k)
                cap = pick(funds.cap, units.order_base, k)
                if kind < pairs:
                    size = pick(units.size, units.order, k)
                    margins = margins_alone(marks.one, params, kind, unit, usd, size, coins, cap)
                else:
                    lanes = min(_unsigned(WIDTH), end - k)
                    raw = _add_units(
                        marks, params, unit, instrument, units, k, lanes, count, kind < many, sums
                    )
                    margins = margins_together(
                        sums, raw, marks.tenors, params, unit, usd, coins, cap
                    )
                # Lanes without a unit write where a later kind, or nobody, has its place.
                put(units.maintenance, units.order, k, margins)
                put(units.initial, units.order, k, margins * factor)
        begin = end
    for k in range(begin, units.ends[nothing]):
        units.maintenance[units.order[k]] = units.initial[units.order[k]] = 0.0


@njit(cache=True, forceinline=True)
def _end_of(units: Units, place: int, count: int) -> int:
    """The place after the last position of the unit that begins at `place`."""
    stop, nothing = place + 1, units.ends.size - 1
    while stop < count and units.kind[stop] == nothing:
        stop += 1
    return stop


@njit(cache=True, forceinline=True)
def _add_units(
    marks: Packed,
    params: Floats,
    unit: int,
    instrument: Rows,
    units: Units,
    k: int,
    lanes: int,
    count: int,
    pairs: bool,
    sums: Floats,
) -> Any:
    """Sums of `lanes` units from rank `k` on, a row each, and raw MR7 of the eight."""
    size = units.size
    for lane in range(lanes):
        place = _unsigned(units.order[k + lane])
        if pairs:  # two calls, so that this one has no loops over positions
            two = place + _unsigned(2)
            raw = add_positions(marks, params, unit, instrument, size, place, two, sums, lane)
        else:
            stop = _unsigned(_end_of(units, _signed(place), count))
            raw = add_positions(marks, params, unit, instrument, size, place, stop, sums, lane)
        sums[WIDTH, lane] = raw
    return load(sums, WIDTH, 0)


@njit(cache=True)
def _margin_plain(
    held: AccountArrays,
    market: MarketArrays,
    origin: int,
    place: int,
    count: int,
    unit: int,
    funds: Funds,
    units: Units,
) -> float:
    """Maintenance margin of one unit, column by column: any basis model."""
    params = market.unit_params
    vector, out, raw = np.zeros(market.rows.shape[1]), np.zeros(at.OUT_SIZE), 0.0
    for p in range(place, _end_of(units, place, count)):
        i, size = held.instrument[origin + p], units.size[p]
        for j in range(int(params[unit, at.U_FIRST_COLUMN]), vector.size):
            vector[j] += size * market.rows[i, j]
        raw += max(size, 0.0) * market.mr7_long[i] + max(-size, 0.0) * market.mr7_short[i]
    coins, cap = funds.spot[units.base[place]], funds.cap[units.base[place]]
    use = spot_in_use(vector[at.COIN_DELTA], coins, cap) * params[unit, at.U_TAKES_SPOT]
    usd = market.usd[market.unit_base[unit]]
    unit_margin_of(vector, raw, use, usd, params, unit, out)
    return float(out[at.OUT_MMR])
