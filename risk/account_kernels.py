"""Full re-margin of many accounts in one pass: the simulation's answer to a large price move.

Positions and balances lie in flat arrays, account after account. Within an account positions are
grouped by risk unit and every currency that a position settles in, or whose coin a unit is made of,
has a balance row. With rounded stress rows (`stress.rounded`) the sums over positions are exact.

Source: portfolio-margin.md sections 4.3, 16.3, 16.12 to 16.15.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from risk import layout as at
from risk.kernels import borrow_rates_of, discounted_value_of, spot_in_use, unit_margin_of
from risk.packed_rows import ONE_SPOT, ONE_VALUE, Packed, aligned, packed
from risk.packed_units import add_positions, margin_alone, margin_together
from risk.unowned import unowned

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.uint64]

# columns of the result of `full_margin`
FULL_MMR = 0  # units and borrowing
FULL_IMR = 1  # positions and borrowing, no open orders
FULL_EQUITY = 2  # adjusted equity without order terms
FULL_RATIO = 3
FULL_TOTAL_EQUITY = 4  # undiscounted
FULL_SIZE = 5


class AccountArrays(NamedTuple):
    """What the accounts hold.

    first_position, first_balance: int64 (accounts + 1,), where each account's rows begin.
    instrument, lots: int64 (positions,), grouped by unit. currency: int64 (balances,). amount:
    cash plus the position costs booked in the currency, coins (cost of a linear position is
    -n x entry, of an inverse one N / entry; option premiums are cash). cap: limit of spot in use,
    coins, infinite for none.
    """

    first_position: Ints
    instrument: Ints
    lots: Ints
    first_balance: Ints
    currency: Ints
    amount: Floats
    cap: Floats


class MarketArrays(NamedTuple):
    """Stress and prices of one mark, per lot.

    rows: float64 (instruments, columns); mr7_long, mr7_short, value: float64 (instruments,), value
    in the settlement currency; settle: int64, its currency number; is_option, unit_of: int64.
    unit_params: float64 (units, size); unit_base: int64 (units,), currency number of the coin.
    usd: float64 (currencies,). discounts, borrows: `collateral.discount_arrays` and
    `borrowing.borrow_arrays`. fee_rate: of a borrowing, in the ratio.
    """

    rows: Floats
    mr7_long: Floats
    mr7_short: Floats
    value: Floats
    settle: Ints
    is_option: Ints
    unit_of: Ints
    unit_params: Floats
    unit_base: Ints
    usd: Floats
    discounts: Floats
    borrows: Floats
    fee_rate: float


def full_margin(
    held: AccountArrays, market: MarketArrays, result: Floats, threads: int = 1
) -> None:
    """Margin of every account, without open orders: fills result, float64 (accounts, 5), FULL_*.

    O(positions x columns + balances), about 0.03 us a position on one core. Accounts do not share
    anything, so that the result is the same for any number of threads.
    """
    accounts = held.first_position.size - 1
    if threads <= 1:
        margin_range(held, market, result, 0, accounts)
        return
    cuts = [accounts * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        work = [pool.submit(margin_range, held, market, result, a, b) for a, b in pairwise(cuts)]
        for part in work:
            part.result()


@njit(cache=True)
def _margin_plain(
    held: AccountArrays,
    market: MarketArrays,
    first: int,
    end: int,
    unit: int,
    coins: float,
    cap: float,
) -> float:
    """Maintenance margin of the unit of some positions, column by column: any basis model."""
    params = market.unit_params
    vector, out, raw = np.zeros(market.rows.shape[1]), np.zeros(at.OUT_SIZE), 0.0
    for p in range(first, end):
        i, size = held.instrument[p], np.float64(held.lots[p])
        for j in range(int(params[unit, at.U_FIRST_COLUMN]), vector.size):
            vector[j] += size * market.rows[i, j]
        raw += max(size, 0.0) * market.mr7_long[i] + max(-size, 0.0) * market.mr7_short[i]
    use = spot_in_use(vector[at.COIN_DELTA], coins, cap) * params[unit, at.U_TAKES_SPOT]
    usd = market.usd[market.unit_base[unit]]
    unit_margin_of(vector, raw, use, usd, params, unit, out)
    return float(out[at.OUT_MMR])


@njit(cache=True, nogil=True)
def margin_range(
    held: AccountArrays, market: MarketArrays, result: Floats, begin: int, end: int
) -> None:
    """`full_margin` of the accounts from `begin` up to, without, `end`."""
    marks = packed(market)
    most = 0
    for account in range(begin, end):
        most = max(most, held.first_balance[account + 1] - held.first_balance[account])
    sums, funds = aligned(1, marks.rows.shape[1]), np.empty((2, most))
    # A kernel of its own, so that these arrays outlive its views of them.
    _margin_accounts(held, market, marks, sums, funds, result, begin, end)


@njit(cache=True, nogil=True)
def _margin_accounts(
    held: AccountArrays,
    market: MarketArrays,
    marks: Packed,
    sums: Floats,
    funds: Floats,
    result: Floats,
    begin: int,
    end: int,
) -> None:
    """The pass itself; sums: a packed row; funds: float64 (2, balances), scratch of an account."""
    where = np.zeros(market.usd.size, np.uint64)
    net, spot = unowned(funds[0]), unowned(funds[1])
    tenors, sums, result = marks.tenors, unowned(sums), unowned(result)
    rows, one, units = unowned(marks.rows), unowned(marks.one), unowned(marks.units)
    params, usd, fee_rate = unowned(market.unit_params), unowned(market.usd), market.fee_rate
    discounts, borrows = unowned(market.discounts), unowned(market.borrows)
    # Row numbers are unsigned: numba then does not look for those that count from the end.
    instrument, lots = unowned(held.instrument.view(np.uint64)), unowned(held.lots)
    currency, base = unowned(held.currency.view(np.uint64)), marks.base.view(np.uint64)
    settle, unit_of = market.settle.view(np.uint64), market.unit_of.view(np.uint64)
    first_position, first_balance = held.first_position, held.first_balance
    amount, cap = held.amount, held.cap
    for account in range(begin, end):
        position, last = first_position[account], first_position[account + 1]
        first, balances = first_balance[account], first_balance[account + 1]
        for n in range(balances - first):
            net[n] = spot[n] = amount[first + n]
            where[currency[first + n]] = np.uint64(n)
        for p in range(position, last):
            i, size = instrument[p], np.float64(lots[p])
            row = where[settle[i]]
            net[row] += size * one[i, ONE_VALUE]
            spot[row] += size * one[i, ONE_SPOT]
        mmr, imr = 0.0, 0.0
        while position < last:
            i, stop = instrument[position], position + 1
            unit, row = unit_of[i], where[base[i]]
            while stop < last and unit_of[instrument[stop]] == unit:
                stop += 1
            coins, limit, price = spot[row], cap[first + np.int64(row)], usd[base[i]]
            if params[unit, at.U_BASIS_MODEL] != at.BUCKET_MODEL:
                margin = _margin_plain(held, market, position, stop, int(unit), coins, limit)
            elif stop == position + 1:
                size = np.float64(lots[position])
                margin = margin_alone(one, units, params, i, unit, size, coins, limit, price)
            else:
                options = params[unit, at.U_FIRST_COLUMN] == 0.0
                raw = add_positions(
                    rows, one, tenors, options, instrument, lots, position, stop, sums
                )
                margin = margin_together(
                    sums, raw, tenors, options, units, params, unit, coins, limit, price
                )
            mmr += margin
            imr += params[unit, at.U_INITIAL_FACTOR] * margin
            position = stop
        result[account, FULL_MMR], result[account, FULL_IMR] = mmr, imr
        _add_balances(
            account, net, 0, currency, first, balances, usd, discounts, borrows, fee_rate, result
        )


@njit(cache=True, forceinline=True)
def _add_balances(
    account: int,
    net: Floats,
    at_net: int,
    currency: Rows,
    first: int,
    last: int,
    usd: Floats,
    discounts: Floats,
    borrows: Floats,
    fee_rate: float,
    result: Floats,
) -> None:
    """`add_balances` of one account, whose equity begins at net[at_net]."""
    mmr, imr = result[account, FULL_MMR], result[account, FULL_IMR]
    adjusted, total, fee = 0.0, 0.0, 0.0
    for n in range(last - first):
        c, coins = currency[first + n], net[at_net + n]
        worth = coins * usd[c]
        total += worth
        adjusted += discounted_value_of(discounts, c, coins) * usd[c]
        if coins < 0.0:
            maintenance, initial = borrow_rates_of(borrows, c, -coins)
            mmr -= worth * maintenance
            imr -= worth * initial
            fee -= worth * (1.0 + maintenance) * fee_rate
    result[account, FULL_MMR], result[account, FULL_IMR] = mmr, imr
    result[account, FULL_EQUITY] = adjusted
    result[account, FULL_RATIO] = adjusted / (mmr + fee) if mmr + fee > 0.0 else np.inf
    result[account, FULL_TOTAL_EQUITY] = total


@njit(cache=True, nogil=True)
def add_balances(
    held: AccountArrays, market: MarketArrays, net: Floats, result: Floats, begin: int, end: int
) -> None:
    """Add borrowing to the margins; equity, ratio and undiscounted equity.

    net: float64 (balances of the range,), equity in coins.  Source: 4.3, 16.13, 16.15.
    """
    starts, currency = held.first_balance, unowned(held.currency.view(np.uint64))
    usd, fee_rate, net, result = unowned(market.usd), market.fee_rate, unowned(net), unowned(result)
    discounts, borrows = unowned(market.discounts), unowned(market.borrows)
    for account in range(begin, end):
        first, last = starts[account], starts[account + 1]
        place = first - starts[begin]
        _add_balances(
            account, net, place, currency, first, last, usd, discounts, borrows, fee_rate, result
        )
