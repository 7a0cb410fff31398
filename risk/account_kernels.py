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

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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

    O(positions x columns + balances), about 0.1 us a position on one core. Accounts do not share
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


@njit(cache=True, forceinline=True)
def _set_row(vector: Floats, rows: Floats, i: int, size: float, first: int, width: int) -> None:
    """vector = size x row.  Constant bounds let the compiler work on several columns at once."""
    if first == 0:
        for j in range(width):
            vector[j] = size * rows[i, j]
    else:
        for j in range(at.FIRST_LINEAR, width):
            vector[j] = size * rows[i, j]


@njit(cache=True, forceinline=True)
def _add_row(vector: Floats, rows: Floats, i: int, size: float, first: int, width: int) -> None:
    """vector += size x row."""
    if first == 0:
        for j in range(width):
            vector[j] += size * rows[i, j]
    else:
        for j in range(at.FIRST_LINEAR, width):
            vector[j] += size * rows[i, j]


@njit(cache=True, nogil=True)
def margin_range(
    held: AccountArrays, market: MarketArrays, result: Floats, begin: int, end: int
) -> None:
    """`full_margin` of the accounts from `begin` up to, without, `end`."""
    currencies = market.usd.size
    equity, coins, caps = np.zeros(currencies), np.zeros(currencies), np.zeros(currencies)
    vector, out = np.zeros(market.rows.shape[1]), np.zeros(at.OUT_SIZE)
    first_net = held.first_balance[begin]
    net = np.empty(held.first_balance[end] - first_net)
    # Arrays by name, and no helper inside the loop takes one: each would be reference-counted.
    first_position, instrument, lots, first_balance, currency, amount, cap = held
    rows, mr7_long, mr7_short, value, settle, is_option, unit_of = market[:7]
    unit_params, unit_base, usd = market[7:10]
    for account in range(begin, end):
        position, last = first_position[account], first_position[account + 1]
        for b in range(first_balance[account], first_balance[account + 1]):
            c = currency[b]
            equity[c], coins[c], caps[c] = amount[b], amount[b], cap[b]
        for p in range(position, last):
            i = instrument[p]
            worth = lots[p] * value[i]
            equity[settle[i]] += worth
            # Option value is not spot: its delta is in the unit already.
            coins[settle[i]] += worth * (1 - is_option[i])
        for b in range(first_balance[account], first_balance[account + 1]):
            net[b - first_net] = equity[currency[b]]
        mmr, imr = 0.0, 0.0
        while position < last:
            unit = unit_of[instrument[position]]
            first = int(unit_params[unit, at.U_FIRST_COLUMN])
            width = at.EXPIRIES + at.PER_EXPIRY * int(unit_params[unit, at.U_EXPIRY_COUNT])
            i, size = instrument[position], np.float64(lots[position])
            _set_row(vector, rows, i, size, first, width)
            raw = max(size, 0.0) * mr7_long[i] + max(-size, 0.0) * mr7_short[i]
            position += 1
            while position < last and unit_of[instrument[position]] == unit:
                i, size = instrument[position], np.float64(lots[position])
                _add_row(vector, rows, i, size, first, width)
                raw += max(size, 0.0) * mr7_long[i] + max(-size, 0.0) * mr7_short[i]
                position += 1
            base = unit_base[unit]
            use = spot_in_use(vector[at.COIN_DELTA], coins[base], caps[base])
            use *= unit_params[unit, at.U_TAKES_SPOT]
            unit_margin_of(vector, raw, use, usd[base], unit_params, unit, out)
            mmr += out[at.OUT_MMR]
            imr += unit_params[unit, at.U_INITIAL_FACTOR] * out[at.OUT_MMR]
        result[account, FULL_MMR], result[account, FULL_IMR] = mmr, imr
    add_balances(held, market, net, result, begin, end)


@njit(cache=True, nogil=True)
def add_balances(
    held: AccountArrays, market: MarketArrays, net: Floats, result: Floats, begin: int, end: int
) -> None:
    """Add borrowing to the margins; equity, ratio and undiscounted equity.

    net: float64 (balances of the range,), equity in coins.  Source: 4.3, 16.13, 16.15.
    """
    first_balance, currency = held.first_balance, held.currency
    usd, discounts, borrows, fee_rate = market[9:]
    first_net = first_balance[begin]
    for account in range(begin, end):
        mmr, imr = result[account, FULL_MMR], result[account, FULL_IMR]
        adjusted, total, fee = 0.0, 0.0, 0.0
        for b in range(first_balance[account], first_balance[account + 1]):
            c, coins = currency[b], net[b - first_net]
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
