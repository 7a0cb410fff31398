"""A book of accounts over a grid of moves: who is warned, cancelled, liquidated, bankrupt, and what
the insurance funds would have to pay.

Every move happens at once; nobody reacts, and nothing is liquidated on the way. An account's
deficit is its negative equity after the move; with `slippage`, accounts at or below the
liquidation ratio lose that share of their positions' notional first. A deficit is split over the
pools by the raw MR7 charge of the account's positions.

Source: liquidation-and-losses.md sections 1, 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from accounts.insurance import pool_name
from risk.contracts import MarketSnapshot
from risk.margin import Portfolio
from scenarios.book_checks import MODES
from scenarios.book_margin import BookMargin, Figures
from scenarios.book_market import priced_portfolio
from scenarios.formats import signed_percent
from scenarios.market_moves import MarketMove, coins_of, moved
from scenarios.stress import Axes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STATES = ("healthy", "warned", "order_control", "liquidated", "bankrupt")
HEALTHY, WARNED, ORDER_CONTROL, LIQUIDATED, BANKRUPT = range(5)
RESOLUTION = 0.0001
"""Moves are found to this fraction: 0.01 %."""
NO_POSITION_POOL = "margin"


@dataclass(frozen=True, slots=True)
class BookCell:
    """The book at one point of the grid; USD.

    counts: accounts by STATES. shortfall: what accounts at or below the liquidation ratio lack of
    their maintenance margin. deficit: what they lack of zero equity.
    """

    index_move: float
    vol_move: float
    stablecoin_price: float
    counts: tuple[int, ...]
    equity: float
    maintenance_margin: float
    shortfall: float
    deficit: float


@dataclass(frozen=True, slots=True)
class Break:
    """An account and the index move, to 0.01 %, at which its margin ratio falls to the start of
    liquidation; the other figures are those before any move."""

    account: str
    mode: str
    move: float
    margin_ratio: float
    equity: float
    maintenance_margin: float
    largest_position: str


@dataclass(frozen=True, slots=True)
class FundTest:
    """The smallest index moves down and up that empty a fund, None where the grid has none."""

    pool: str
    usd: float
    down: float | None
    up: float | None


class BookStress:
    """A book in a market, asked about moves. `slippage`: a fraction of the notional."""

    def __init__(
        self, margin: BookMargin, market: MarketSnapshot, axes: Axes, slippage: float = 0.0
    ) -> None:
        self.margin = margin
        self.axes = axes
        self.slippage = slippage
        self.priced: Portfolio = priced_portfolio(margin.book, market)
        self.coins = coins_of(self.priced)

    def market_at(
        self, index: float, vol: float = 0.0, price: float | None = None
    ) -> MarketSnapshot:
        """The market after a move of all coins, all volatilities and the stablecoin."""
        coin = self.axes.stablecoin
        at = self.axes.price_now if price is None else price
        move = MarketMove(dict.fromkeys(self.coins, index), vol, {coin: at} if coin else {})
        return moved(self.priced, move).market

    # --- the grid ----------------------------------------------------------------------------

    @cached_property
    def ratios(self) -> Floats:
        """Margin ratios over the index axis alone, float64 (moves, accounts)."""
        return np.array([self._along[move].ratio for move in self.axes.index_moves])

    @cached_property
    def _along(self) -> dict[float, Figures]:
        moves = self.axes.index_moves
        return {move: self.margin.figures(self.market_at(move)) for move in moves}

    @property
    def now(self) -> Figures:
        """The figures before any move."""
        return self._along[0.0]

    def cells(self) -> list[BookCell]:
        """Index with volatility, then index with the stablecoin; index moves fastest.

        One pass over all accounts a cell.
        """
        axes = self.axes
        planes = [(vol, axes.price_now) for vol in axes.vol_moves]
        planes += [(0.0, price) for price in axes.stablecoin_prices if price != axes.price_now]
        return [self._cell(move, vol, price) for vol, price in planes for move in axes.index_moves]

    def _cell(self, index: float, vol: float, price: float) -> BookCell:
        market = self.market_at(index, vol, price)
        along = vol == 0.0 and price == self.axes.price_now
        figures = self._along[index] if along else self.margin.figures(market)
        states = self.states(figures)
        forced = states >= LIQUIDATED
        lacking = np.maximum(0.0, figures.maintenance - figures.adjusted)[forced]
        return BookCell(
            index_move=index,
            vol_move=vol,
            stablecoin_price=price,
            counts=tuple(np.bincount(states, minlength=len(STATES)).tolist()),
            equity=float(figures.equity.sum()),
            maintenance_margin=float(figures.maintenance.sum()),
            shortfall=float(lacking.sum()),
            deficit=float(self.deficits(figures, market).sum()),
        )

    def states(self, figures: Figures) -> Ints:
        """State of every account, index in STATES.  Source: section 1."""
        rules = self.margin.rules.liquidation
        ratio = figures.ratio
        state = np.full(ratio.size, HEALTHY)
        state[ratio <= rules.warning_ratio] = WARNED
        controlled = figures.adjusted < rules.order_control * figures.initial
        state[controlled & np.isfinite(ratio)] = ORDER_CONTROL
        state[ratio <= rules.start_ratio] = LIQUIDATED
        state[(ratio <= rules.start_ratio) & (figures.equity <= 0.0)] = BANKRUPT
        return state

    def accounts_frame(self) -> pl.DataFrame:
        """One row for each account: its figures now, and its state at every index move.

        margin_ratio is null without a requirement; the columns `at -10 %` hold names of STATES.
        """
        book, now = self.margin.book, self.now
        columns: dict[str, pl.Series] = {
            "account": pl.Series(book.accounts, dtype=pl.String),
            "mode": pl.Series([MODES[number] for number in book.modes.tolist()], dtype=pl.String),
            "equity_usd": pl.Series(now.equity),
            "adjusted_equity_usd": pl.Series(now.adjusted),
            "maintenance_margin_usd": pl.Series(now.maintenance),
            "initial_margin_usd": pl.Series(now.initial),
            "margin_ratio": pl.Series(np.where(np.isfinite(now.ratio), now.ratio, np.nan)).fill_nan(
                None
            ),
        }
        names = np.array(STATES)
        for move, figures in self._along.items():
            columns[f"at {signed_percent(move)}"] = pl.Series(names[self.states(figures)].tolist())
        return pl.DataFrame(columns)

    # --- losses ------------------------------------------------------------------------------

    def deficits(self, figures: Figures, market: MarketSnapshot) -> Floats:
        """What each account lacks of zero equity, USD >= 0."""
        equity = figures.equity
        if self.slippage:
            forced = figures.ratio <= self.margin.rules.liquidation.start_ratio
            equity = equity - self.slippage * self._notional(market) * forced
        lacking: Floats = np.maximum(0.0, -equity)
        return lacking

    def _notional(self, market: MarketSnapshot) -> Floats:
        """Notional of all positions of each account, USD."""
        held = self.margin.held
        accounts = held.first_position.size - 1
        owner = np.repeat(np.arange(accounts), np.diff(held.first_position))
        worth = np.abs(held.lots) * self._usd_per_lot(market)[held.instrument]
        notional: Floats = np.bincount(owner, worth, accounts).astype(np.float64)
        return notional

    def _usd_per_lot(self, market: MarketSnapshot) -> Floats:
        """Notional of one lot of each instrument, USD."""
        contracts = self.margin.contracts
        prices = [1.0 if c.inverse else market.usd(c.base) for c in contracts]
        coins = np.array([c.coins_per_contract for c in contracts])
        worth: Floats = self.margin.lots * coins * np.array(prices)
        return worth

    def pool_deficits(self, move: float) -> dict[str, float]:
        """Deficits after an index move by insurance pool, the largest first, USD."""
        margin, held = self.margin, self.margin.held
        market = self.market_at(move)
        figures = self._along.get(move) or margin.figures(market)
        lacking = self.deficits(figures, market)
        table = margin.table(market)
        accounts = lacking.size
        owner = np.repeat(np.arange(accounts), np.diff(held.first_position))
        lots, which = held.lots, held.instrument
        rate = np.where(lots > 0, table.mr7_long[which], table.mr7_short[which])
        charge = np.abs(lots) * margin.lots[which] * rate
        total = np.bincount(owner, charge, accounts)
        alone = total == 0.0
        share = charge * (lacking / np.where(alone, 1.0, total))[owner]
        paid = np.bincount(which, share, len(margin.contracts))
        pools: dict[str, float] = {}
        for instrument, usd in zip(margin.book.instruments, paid.tolist(), strict=True):
            pools[pool_name(instrument)] = pools.get(pool_name(instrument), 0.0) + usd
        unshared = float(lacking[alone].sum())
        if unshared:
            pools[NO_POSITION_POOL] = unshared
        return dict(sorted(pools.items(), key=lambda item: (-item[1], item[0])))

    def fund_tests(self, funds: Mapping[str, float]) -> list[FundTest]:
        """For each fund (an empty name: one for all pools) the moves that empty it."""
        down, up = outward(self.axes.index_moves)
        return [
            FundTest(pool, usd, self._empties(pool, usd, down), self._empties(pool, usd, up))
            for pool, usd in funds.items()
        ]

    def _empties(self, pool: str, usd: float, moves: Sequence[float]) -> float | None:
        """The first move outward at which the deficits reach the fund, by bisection."""

        def emptied(move: float) -> bool:
            pools = self.pool_deficits(move)
            paid = pools.get(pool, 0.0) if pool else sum(pools.values())
            return paid >= usd and paid > 0.0

        low = moves[0]
        for high in moves:
            if emptied(high):
                break
            low = high
        else:
            return None
        while abs(high - low) > RESOLUTION:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if emptied(middle) else (middle, high)
        return high

    # --- who breaks first --------------------------------------------------------------------

    def already_broken(self, count: int) -> list[Break]:
        """The `count` accounts with the lowest ratios at or below liquidation before any move."""
        ratio = self.now.ratio
        lowest = np.argsort(ratio, kind="stable")[:count]
        start = self.margin.rules.liquidation.start_ratio
        return [self._break(int(a), 0.0) for a in lowest if ratio[a] <= start]

    def first_to_break(self, count: int) -> tuple[list[Break], list[Break]]:
        """The `count` accounts that falling, and that rising prices liquidate first."""
        down, up = outward(self.axes.index_moves)
        return self._breaks(down, count), self._breaks(up, count)

    def _breaks(self, moves: Sequence[float], count: int) -> list[Break]:
        """Along the moves, outward from 0, without those that need no move."""
        rows = [self.axes.index_moves.index(move) for move in moves]
        broken = self.ratios[rows] <= self.margin.rules.liquidation.start_ratio
        first = np.where(broken.any(axis=0), broken.argmax(axis=0), len(moves))
        found: list[tuple[int, float]] = []
        for step in range(1, len(moves)):
            if len(found) >= count:
                break
            accounts = np.flatnonzero(first == step)
            if accounts.size:
                found += self._refine(moves[step - 1], moves[step], accounts, count - len(found))
        return [self._break(account, move) for account, move in found[:count]]

    def _refine(
        self, low: float, high: float, accounts: Ints, count: int
    ) -> list[tuple[int, float]]:
        """The first `count` of accounts that break between two moves, nearest move first."""
        if abs(high - low) <= RESOLUTION:
            return [(int(account), high) for account in accounts]
        middle = 0.5 * (low + high)
        ratio = self.margin.figures(self.market_at(middle), accounts).ratio
        near = ratio <= self.margin.rules.liquidation.start_ratio
        found: list[tuple[int, float]] = []
        if near.any():
            found = self._refine(low, middle, accounts[near], count)
        if len(found) < count and not near.all():
            found += self._refine(middle, high, accounts[~near], count - len(found))
        return found

    def _break(self, account: int, move: float) -> Break:
        book, now = self.margin.book, self.now
        return Break(
            account=book.accounts[account],
            mode=MODES[int(book.modes[account])],
            move=move,
            margin_ratio=float(now.ratio[account]),
            equity=float(now.equity[account]),
            maintenance_margin=float(now.maintenance[account]),
            largest_position=self._largest(account),
        )

    def _largest(self, account: int) -> str:
        """Size and instrument of the account's position with the largest notional."""
        held, book = self.margin.held, self.margin.book
        rows = slice(held.first_position[account], held.first_position[account + 1])
        which, lots = held.instrument[rows], held.lots[rows]
        if not which.size:
            return "no position"
        worth = np.abs(lots) * self._usd_per_lot(self.priced.market)[which]
        at = int(np.argmax(worth))
        instrument = book.instruments[int(which[at])]
        return f"{float(instrument.size(int(lots[at]))):+,.10g} {instrument.instrument_id}"


def outward(moves: Sequence[float]) -> tuple[list[float], list[float]]:
    """(0 and the falls, nearest first; 0 and the rises, nearest first)."""
    down = sorted((move for move in moves if move <= 0.0), reverse=True)
    return down, sorted(move for move in moves if move >= 0.0)
