"""Column numbers of the tables that the order kernels work on.

All tables are numpy arrays owned by `accounts.exposures.Exposures`; one row is one thing, linked
by row numbers (-1 = none). Integers are lots, ticks and atoms; floats are USD or coins. The
tables:

- `positions` int64: (account, instrument): position, open orders, value at mark;
- `orders` int64: one open order each, a doubly linked list per position row;
- `units` int64 and `unit_sums` float64: (account, risk unit): the stress vectors of the position,
  of the orders in the buy set and of those in the sell set; the MR7 sums; margin figures;
- `currencies` int64 and `currency_sums` float64: (account, currency): cash, profit, orders'
  effects; discounted values per fill set, borrowing margin;
- `accounts` int64 and `account_sums` float64: list heads, flags, totals;
- `instruments`, `instrument_terms`, `stress`, `unit_terms`, `currency_terms`: the market and the
  rules, written once per mark.
"""

from __future__ import annotations

from typing import Final

NONE: Final = -1

# positions
P_ACCOUNT: Final = 0
P_INSTRUMENT: Final = 1
P_UNIT: Final = 2  # row in units
P_SETTLE: Final = 3  # row in currencies of the settlement (spot: quote) currency
P_BASE: Final = 4  # row in currencies of the base coin
P_NEXT: Final = 5  # next position of the same unit row
P_LOTS: Final = 6
P_COST: Final = 7  # atoms of the settlement currency
P_VALUE: Final = 8  # atoms at mark
P_BUY: Final = 9  # lots of open buy orders
P_SELL: Final = 10
P_FIRST: Final = 11  # first open order
P_LEVERAGE: Final = 12  # 1e-6, where the account's mode has one
P_ORDERS: Final = 13  # number of open orders
POSITION_COLUMNS: Final = 14

# orders
O_POSITION: Final = 0
O_SIDE: Final = 1  # +1 buy, -1 sell
O_PRICE: Final = 2  # ticks
O_LOTS: Final = 3  # remaining
O_NEXT: Final = 4
O_PREVIOUS: Final = 5
O_LOSS: Final = 6  # pending loss, atoms of the settlement currency
O_FEE: Final = 7  # estimated fee, 1e-8 USD
O_QUOTE: Final = 8  # spot: quote atoms that a fill would move
ORDER_COLUMNS: Final = 9

# units
U_ACCOUNT: Final = 0
U_UNIT: Final = 1
U_NEXT: Final = 2  # next unit row of the account, ascending unit number
U_FIRST: Final = 3  # first position row
U_BASE: Final = 4  # currency row of the base coin
U_DIRTY: Final = 5
U_BUYS: Final = 6  # open orders in the buy set (a put's sell order adds delta: it is a buy)
U_SELLS: Final = 7
U_FROM: Final = 8  # first column in use (units without options skip the shifted volatility states)
UNIT_COLUMNS: Final = 9

# unit_sums: three stress vectors of W columns, then at 3 W:
S_MR7: Final = 0  # raw MR7 of the four fill sets: none, buys, sells, all
S_MMR: Final = 4
S_IMR: Final = 5
S_USE: Final = 6  # spot in use, coins, of the positions
UNIT_EXTRA: Final = 7

# currencies
C_ACCOUNT: Final = 0
C_CURRENCY: Final = 1
C_NEXT: Final = 2
C_CASH: Final = 3  # cash less liability
C_FUTURES: Final = 4  # value + cost of perpetuals and futures settled in it
C_OPTIONS: Final = 5  # value of options
C_SPOT_BUYS: Final = 6  # change of the balance if the buy set's spot orders fill
C_SPOT_SELLS: Final = 7
C_UNIT_BUYS: Final = 8  # the same, only the orders that count for spot in use
C_UNIT_SELLS: Final = 9
C_LOSS_BUYS: Final = 10  # pending losses of derivative orders in the buy set
C_LOSS_SELLS: Final = 11
C_LOSS_SPOT: Final = 12  # pending losses of spot orders
C_FEE_BUYS: Final = 13  # estimated fees of the buy set's orders settled in it, 1e-8 USD
C_FEE_SELLS: Final = 14
C_DIRTY: Final = 15
C_UNIT: Final = 16  # unit row whose base coin this is
CURRENCY_COLUMNS: Final = 17

# currency_sums
V_DISCOUNTED: Final = 0  # discounted USD value per fill set (4)
V_BORROW_MMR: Final = 4
V_BORROW_IMR: Final = 5
V_FEE: Final = 6  # liquidation fee of the borrowing, USD (16.15)
V_EQUITY: Final = 7  # undiscounted USD value
V_LIABILITY: Final = 8  # potential borrowing L_c in coins
V_CAP: Final = 9  # the user's cap on spot in use, coins
V_SLOPE: Final = 10  # of the equity in positions settled in it, as the watch found it
CURRENCY_EXTRA: Final = 11

# accounts
A_UNIT: Final = 0  # first unit row
A_CURRENCY: Final = 1  # first currency row
A_VERSION: Final = 2  # mark version of the figures
A_AUTO_BORROW: Final = 3
A_ORDERS: Final = 4
A_MODE: Final = 5  # OKX's number of the account mode
ACCOUNT_COLUMNS: Final = 6

# account_sums
T_ADJUSTED: Final = 0  # adjusted equity
T_SMALLEST: Final = 1  # smallest adjusted equity over the fill sets
T_MMR: Final = 2
T_IMR: Final = 3
T_RATIO: Final = 4
T_EQUITY: Final = 5  # undiscounted
T_BORROW_MMR: Final = 6
T_FEE: Final = 7  # liquidation fee of the borrowings
# What order control compares: adjusted equity and initial margin; in single-currency mode, where
# each of the figures above is that of the currency it is worst in, of the currency least covered.
T_COVERING: Final = 8
T_COVERED: Final = 9
ACCOUNT_EXTRA: Final = 10

# instruments (int64)
I_UNIT: Final = 0
I_SETTLE: Final = 1  # currency number
I_BASE: Final = 2  # currency number
I_KIND: Final = 3
I_DELTA_SIGN: Final = 4  # -1 for puts
I_OFFSETS: Final = 5  # 1: spot order that counts for spot in use
I_INVERSE: Final = 6
I_BASE_ATOMS: Final = 7  # spot: atoms of the base coin per lot
I_LIMIT: Final = 8  # lots that a position and the open orders of one side may reach together
INSTRUMENT_COLUMNS: Final = 9

# instrument_terms (float64)
M_VALUE: Final = 0  # atoms of the settlement currency per lot at mark (spot: 0, held as balance)
M_REFERENCE: Final = 1  # mark in ticks; spot: index in ticks
M_RATE: Final = 2  # linear, spot, option: atoms per lot and tick; inverse: atoms x ticks per lot
M_MR7_LONG: Final = 3  # USD per lot
M_MR7_SHORT: Final = 4
M_FEE: Final = 5  # taker fee, 1e-8 USD per lot
M_FEE_CAP: Final = 6  # options: 1e-8 USD per lot and tick; else inf
M_USD: Final = 7  # |USD value| per lot, for the safe radius
M_NOTIONAL: Final = 8  # USD per lot that position tiers count (3.4)
M_TIER: Final = 9  # USD of one position tier (16.18)
M_TIER_RATE: Final = 10  # maintenance rate of the first tier
M_TIER_STEP: Final = 11  # further rate of each tier
M_SHORT_INITIAL: Final = 12  # margin of a short option, USD per lot (11.8)
M_SHORT_MAINTENANCE: Final = 13
# options: how fast figures change, USD per lot and relative move (`option_slopes`)
M_EQUITY_SLOPE: Final = 14
M_MARGIN_SLOPE: Final = 15  # scenario margin, but for what follows from spot in use and the peg
M_DELTA_SLOPE: Final = 16  # USD delta
M_VALUE_SLOPE: Final = 17
M_LIFE: Final = 18  # years that a radius may last; 0: no radius
TERM_COLUMNS: Final = 19

# kinds
SPOT: Final = 0
PERPETUAL: Final = 1
FUTURE: Final = 2
OPTION: Final = 3

# account modes (OKX's acctLv)
SPOT_MODE: Final = 1
SINGLE_CURRENCY_MODE: Final = 2
MULTI_CURRENCY_MODE: Final = 3
PORTFOLIO_MODE: Final = 4

# results of the order check
ACCEPTED: Final = 0
ACCEPTED_REDUCING: Final = 1  # by the rule for IOC, FOK and market orders (16.17 b)
NO_MARGIN: Final = 2
NO_BORROW: Final = 3  # auto-borrow is off
OVER_BORROW_LIMIT: Final = 4
POOL_EMPTY: Final = 5
OVER_POSITION_LIMIT: Final = 6

# currency_terms (float64)
K_USD: Final = 0  # USD per coin
K_SCALE: Final = 1  # coins per atom
K_BORROW_LIMIT: Final = 2  # coins one account may owe
K_POOL: Final = 3  # coins left in the lending pool
CURRENCY_TERMS: Final = 4

# rule_terms (float64)
R_FIRST_COLUMN: Final = 0  # first stress column in use
R_SPOT_FEE: Final = 1  # fee rate of the borrowings in the margin ratio
R_WARNING: Final = 2  # thresholds of risk control
R_CONTROL: Final = 3
R_START: Final = 4
R_VERSION: Final = 5  # number of the mark
R_INITIAL_FACTOR: Final = 6  # initial over maintenance rate of a position tier
R_PEG_REACH: Final = 7  # relative move of all prices that may take a pair across the calm price
R_PEG_JUMP: Final = 8  # USD hedged from which the peg charge jumps there (MR9)
RULE_TERMS: Final = 9

# x, what every kernel is given: the addresses of the tables, and lengths that depend on the rules
X_POSITIONS: Final = 0
X_ORDERS: Final = 1
X_UNITS: Final = 2
X_UNIT_SUMS: Final = 3
X_CURRENCIES: Final = 4
X_CURRENCY_SUMS: Final = 5
X_ACCOUNTS: Final = 6
X_ACCOUNT_SUMS: Final = 7
X_RADII: Final = 8
X_ANCHORS: Final = 9
X_INSTRUMENTS: Final = 10
X_TERMS: Final = 11
X_STRESS: Final = 12
X_UNIT_TERMS: Final = 13
X_CURRENCY_TERMS: Final = 14
X_DISCOUNTS: Final = 15
X_LOANS: Final = 16
X_RULES: Final = 17
X_SCRATCH: Final = 18  # one stress vector, one unit's margin, the refused figures
X_WIDTH: Final = 19  # columns of `stress`
X_FULL_WIDTH: Final = 20  # columns of `layout`, those not in use included
X_UNIT_PARAMS: Final = 21
X_DISCOUNT_TIERS: Final = 22
X_LOAN_TIERS: Final = 23
X_INSTRUMENT_COUNT: Final = 24
X_CURRENCY_COUNT: Final = 25
X_SIZE: Final = 26

REFUSED_FIGURES: Final = 4  # smallest adjusted equity, IMR, adjusted equity, MMR
