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

from risk.kernels import borrow_rates_of, discounted_value_of
from risk.packed_rows import packed
from risk.packed_units import sums_of
from risk.sorted_units import Units, funds_of, list_units, margin_units, sort_units, units_of
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

BLOCK = 2048  # accounts whose units stay in the cache from one step of the pass to the next


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

    O(positions x columns + balances), about 0.02 us a position on one core. Accounts do not share
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


@njit(cache=True, nogil=True)
def margin_range(
    held: AccountArrays, market: MarketArrays, result: Floats, begin: int, end: int
) -> None:
    """`full_margin` of the accounts from `begin` up to, without, `end`."""
    marks = packed(market)
    positions, balances = 0, 0
    for first in range(begin, end, BLOCK):
        last = min(end, first + BLOCK)
        positions = max(positions, held.first_position[last] - held.first_position[first])
        balances = max(balances, held.first_balance[last] - held.first_balance[first])
    units, funds = units_of(positions, market), funds_of(balances)
    sums = sums_of(marks)
    for first in range(begin, end, BLOCK):
        last = min(end, first + BLOCK)
        origin = held.first_position[first]
        count = held.first_position[last] - origin
        list_units(held, market, marks, first, last, funds, units)
        sort_units(units, count)
        margin_units(held, market, marks, origin, count, funds, units, sums)
        _add_accounts(held, market, funds.net, units, result, first, last)


@njit(cache=True, nogil=True)
def _add_accounts(
    held: AccountArrays,
    market: MarketArrays,
    net: Floats,
    units: Units,
    result: Floats,
    begin: int,
    end: int,
) -> None:
    """The figures of accounts: the sums of their units' margins, and their balances."""
    held, market, units = unowned(held), unowned(market), unowned(units)
    net, result, currency = unowned(net), unowned(result), held.currency.view(np.uint64)
    position, balance = held.first_position.view(np.uint64), held.first_balance.view(np.uint64)
    origin, source, one = position[begin], balance[begin], np.uint64(1)
    for account in range(np.uint64(begin), np.uint64(end)):
        mmr, imr = 0.0, 0.0
        for place in range(position[account] - origin, position[account + one] - origin):
            mmr += units.maintenance[place]
            imr += units.initial[place]
        first, last = balance[account], balance[account + one]
        _add_balances(market, currency, first, last, net, first - source, mmr, imr, account, result)


@njit(cache=True, forceinline=True)
def _add_balances(
    market: MarketArrays,
    currency: Rows,
    first: int,
    last: int,
    net: Floats,
    at_net: int,
    mmr: float,
    imr: float,
    account: int,
    result: Floats,
) -> None:
    """Figures of one account, whose equity begins at net[at_net], from the margin of its units."""
    usd, fee_rate = market.usd, market.fee_rate
    adjusted, total, fee = 0.0, 0.0, 0.0
    for n in range(last - first):
        c, coins = currency[first + n], net[at_net + n]
        worth = coins * usd[c]
        total += worth
        adjusted += discounted_value_of(market.discounts, c, coins) * usd[c]
        if coins < 0.0:
            maintenance, initial = borrow_rates_of(market.borrows, c, -coins)
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
    market, net, result = unowned(market), unowned(net), unowned(result)
    starts, currency = held.first_balance, unowned(held.currency.view(np.uint64))
    for account in range(begin, end):
        first, last = starts[account], starts[account + 1]
        place = first - starts[begin]
        mmr, imr = result[account, FULL_MMR], result[account, FULL_IMR]
        _add_balances(market, currency, first, last, net, place, mmr, imr, account, result)
