"""Column numbers shared by the stress rows, the packed parameters of a risk unit and the kernels.

A stress row is a float64 vector of one instrument; the vector of a risk unit is the sum of
contracts x row, and every margin component is a function of that vector. A unit without options
uses the columns from `FIRST_LINEAR` on only, so that the active columns are always one range.

All values are USD, except `COIN_DELTA` (coins).
"""

from __future__ import annotations

from typing import Final

SHOCKS: Final = 7  # 0, +a, -a, +b, -b, +c, -c: the order in which ties are decided (16.4)
SHIFTED_STATES: Final = 4

# MR1 cells of the four shifted volatility states
UP_POINTS: Final = 0
UP_PERCENT: Final = 7
DOWN_POINTS: Final = 14
DOWN_PERCENT: Final = 21
# MR1 cells, volatility unchanged
SAME: Final = 28
FIRST_LINEAR: Final = 28
# MR6 cells, not halved
EXTREME_DOWN: Final = 35
EXTREME_UP: Final = 36
THETA: Final = 37  # P&L of one day
COIN_DELTA: Final = 38
USD_DELTA: Final = 39
CASH_USDT: Final = 40  # USD delta of linear contracts quoted in USDT (MR9)
CASH_USDC: Final = 41
CASH_USD: Final = 42  # inverse contracts and options
PERPETUALS: Final = 43  # USD delta of all perpetuals (MR4)
# then for expiry e of the unit, from EXPIRIES + 3 e:
EXPIRIES: Final = 44
EXPIRY_DELTA: Final = 0  # USD delta of futures and options
EXPIRY_VEGA: Final = 1  # USD per vol point
EXPIRY_VALUE_YEARS: Final = 2  # option value x years to expiry
PER_EXPIRY: Final = 3

CASH_QUOTES: Final = ("USDT", "USDC", "USD")

# results of `unit_margin`
OUT_MR1: Final = 0
OUT_MR2: Final = 1
OUT_MR3: Final = 2
OUT_MR4: Final = 3
OUT_MR5: Final = 4
OUT_MR6: Final = 5
OUT_MR7: Final = 6
OUT_MR8: Final = 7  # account level, left at 0
OUT_MR9: Final = 8
OUT_MMR: Final = 9
OUT_SIZE: Final = 10

# packed parameters of a risk unit
U_FIRST_COLUMN: Final = 0  # 0 with options, else FIRST_LINEAR
U_EXPIRY_COUNT: Final = 1
U_BASIS_MODEL: Final = 2
U_EXTREME_FACTOR: Final = 3
U_VEGA_FACTOR: Final = 4
U_INTEREST_SHIFT: Final = 5
U_BASIS_RATE: Final = 6
U_BASIS_SPOT_RATE: Final = 7
U_BASIS_ANNUAL: Final = 8
U_INITIAL_FACTOR: Final = 9
U_SHOCKS: Final = 10  # 7 signed shocks
U_EXTREME_MOVE: Final = 17
U_TIER_COUNT: Final = 18  # MR7
U_PEG_COUNT: Final = 19  # MR9 tiers, 0 = no MR9
U_PEG_FROM: Final = 20
U_EXPIRY_FROM: Final = 21
U_TAKES_SPOT: Final = 22  # 1: the base coin's spot is placed in this unit
U_TIERS: Final = 24  # (upper bound, multiplier) pairs, the last bound infinite
# from U_PEG_FROM: PEG_COUNT upper bounds, then PEG_COUNT factors for each of the three pairs
PEG_PAIRS: Final = 3  # USDT-USD, USDT-USDC, USDC-USD
# from U_EXPIRY_FROM, for each expiry:
EXPIRY_DAYS: Final = 0
EXPIRY_RATE: Final = 1  # MR4 bucket rate
EXPIRY_POINTS: Final = 2  # MR3 shock, vol points

BUCKET_MODEL: Final = 0
HEDGED_MODEL: Final = 1

# discount tiers: rows of
TIER_UPPER: Final = 0
TIER_RATE: Final = 1
TIER_LOWER: Final = 2
TIER_BELOW: Final = 3  # discounted value of everything below the tier
TIER_COLUMNS: Final = 4

# borrow tiers: row 0 is (step, maintenance step, initial step), then rows of
BORROW_UPPER: Final = 0
BORROW_MAINTENANCE: Final = 1
BORROW_INITIAL: Final = 2
BORROW_COLUMNS: Final = 3
