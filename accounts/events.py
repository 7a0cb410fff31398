"""What the clearing side reports besides the market's own events.

Every event carries `time_ns` (int, UTC) and, where one exists, `cause_id`: the id of the
`RiskAction` that triggered it, so that a cascade can be read as a tree. Money is integer atoms of a
currency unless the name says `_usd` (float64, for reading, never booked).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AccountState(IntEnum):
    """Where an account stands. Source: liquidation-and-losses.md section 1."""

    HEALTHY = 0
    WARNED = 1
    ORDER_CONTROL = 2
    PRE_LIQUIDATION = 3
    LIQUIDATING = 4
    BANKRUPT = 5


class LiquidationStage(IntEnum):
    """The stage that sent a forced order. Source: liquidation-and-losses.md section 2."""

    PEG_HEDGE = 1
    DELTA_HEDGE = 2
    INTER_TENOR = 3
    STANDARD = 4
    SPECIAL = 5
    REPAYMENT = 6  # collateral sold to repay borrowings
    TAKE_OVER = 7
    ISOLATED = 8
    FUND_UNWIND = 9  # the pool selling what it took over
    DELEVERAGING = 10


class PostingKind(IntEnum):
    """Why atoms moved between two ledger accounts."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    TRADE = 3  # spot: base or quote; derivative: trade value between the two position-cost accounts
    REALISED = 4  # a position's residual from cost to cash
    FEE = 5
    FUNDING = 6
    INTEREST = 7
    BORROW = 8
    REPAY = 9
    SETTLEMENT = 10  # expiry or exercise
    TAKE_OVER = 11
    CONVERSION = 12  # a bankrupt account's balances against its debts, at the index
    DEFICIT = 13  # what a pool, deleveraged winners or the venue pay for a bankrupt account
    ROUNDING = 14
    FUND = 15
    ISOLATED_MARGIN = 16
    PENALTY = 17  # of a forced repayment: the discount of the coins sold
    SOCIALISED = 18  # a share of a deficit taken from the day's realised profits


POSTING_COLUMNS = 6


class PostingBatch:
    """Double-entry bookings since the last batch, as an array (an object each would cost more than
    the booking). Rows: int64 (bookings, 6): time_ns, `PostingKind`, debit, credit, atoms,
    reference. Debit and credit index `names` and `currencies` (the ledger's accounts, append-only),
    atoms >= 0 leave debit for credit, and reference is a fill, order or risk action id, by kind.
    One batch is one event: its rows take consecutive sequence numbers.
    """

    __slots__ = ("currencies", "names", "rows")

    def __init__(self, rows: NDArray[np.int64], names: list[str], currencies: list[str]) -> None:
        self.rows = rows
        self.names = names
        self.currencies = currencies


@dataclass(slots=True)
class Marks:
    """All prices published at one moment, in the order of the clearing house's instruments."""

    time_ns: int
    index_e8: dict[str, int]  # pair -> 1e-8 quote per base
    usd_index_e8: dict[str, int]  # currency -> 1e-8 USD
    mark_ticks: list[int]  # per instrument index


@dataclass(slots=True)
class StateChange:
    """An account crossed a threshold. Carries the margin figures that decided it."""

    time_ns: int
    account: int
    old: AccountState
    new: AccountState
    equity_usd: float
    adjusted_equity_usd: float
    maintenance_margin_usd: float
    initial_margin_usd: float
    margin_ratio: float  # inf where nothing is required
    action_id: int  # the risk action this opens, 0 where none


@dataclass(slots=True)
class MarginWarning:
    """Margin ratio at or below the warning level; at most one an hour and account."""

    time_ns: int
    account: int
    margin_ratio: float


@dataclass(slots=True)
class RiskAction:
    """One step of forced action on an account: what, why, and what came of it.

    `trigger_id` is the risk action whose fills moved the price last before this account fell
    through its threshold (0: the path alone). `cause_id` of orders and fills is `action_id`.
    """

    time_ns: int
    action_id: int
    trigger_id: int
    account: int
    stage: LiquidationStage
    unit: str
    instrument_id: str
    side: int
    wanted_lots: int
    filled_lots: int
    limit_ticks: int
    average_price: float  # 0.0 where nothing filled
    mark_price: float
    bankruptcy_price: float
    notional_usd: float  # of the filled part, at mark
    slippage_usd: float  # against mark, positive = worse than mark
    fee_usd: float
    ratio_before: float
    ratio_after: float
    reason: str  # plain words


@dataclass(slots=True)
class Bankruptcy:
    """An account taken over: who pays for its deficit. All parts sum to `deficit_usd`."""

    time_ns: int
    action_id: int
    account: int
    equity_usd: float
    deficit_usd: float
    fund_usd: float
    deleveraging_usd: float
    socialised_usd: float
    uncovered_usd: float
    pools: dict[str, float]
    # currency -> atoms (deficit, fund, deleveraging, socialised, uncovered): the last four sum to
    # the first
    split_atoms: dict[str, tuple[int, int, int, int, int]] = field(default_factory=dict)


class FundBooking(IntEnum):
    """Why a pool's balance changed. Source: portfolio-margin.md section 10.6."""

    REGULAR_UPDATE = 1  # the daily booking of liquidation fees, 08:00 UTC
    LIQUIDATION_BALANCE_DEPOSIT = 2  # result of positions taken over
    BANKRUPTCY_LOSS = 3
    PLATFORM_REVENUE = 4  # the venue's own money
    ADL = 5


@dataclass(slots=True)
class FundBalance:
    """A pool's balance after it changed."""

    time_ns: int
    pool: str
    currency: str
    atoms: int
    change_atoms: int
    reference: int
    booking: FundBooking = FundBooking.LIQUIDATION_BALANCE_DEPOSIT


@dataclass(slots=True)
class FundingPayment:
    """One funding settlement of one perpetual."""

    time_ns: int
    instrument_id: str
    rate_e8: int
    mark_ticks: int
    long_lots: int
    paid_atoms: int  # sum that the paying side paid


@dataclass(slots=True)
class Deleveraging:
    """A winner's position closed against a position taken over, off the book."""

    time_ns: int
    action_id: int
    loser: int
    winner: int
    instrument_id: str
    lots: int  # signed change of the winner's position
    price_ticks: int
    mark_ticks: int
    forgone_usd: float


@dataclass(slots=True)
class AccountSnapshots:
    """Margin figures of many accounts at a moment, for the time series of results.

    One value per account in each array, all of one length.
    """

    time_ns: int
    account: NDArray[np.int64]
    state: NDArray[np.int64]  # `AccountState`
    equity_usd: NDArray[np.float64]
    adjusted_equity_usd: NDArray[np.float64]
    maintenance_margin_usd: NDArray[np.float64]
    initial_margin_usd: NDArray[np.float64]
    margin_ratio: NDArray[np.float64]
