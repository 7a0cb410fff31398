"""Looks at the exchange at a moment: one instrument's market, and everybody's positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exchange.book import OrderBook
from exchange.order import Side

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse

DEPTH_BANDS_BPS = (5, 10, 25, 50, 100, 200, 500)
"""Distances from the mid, in basis points, within which resting lots are counted."""
ONE_PERCENT = DEPTH_BANDS_BPS.index(100)


@dataclass(slots=True)
class MarketSample:
    """What the market of one instrument looks like. Ticks are 0 where there is no such price.

    instrument: its number in the order of the clearing house. index_e8: 1e-8 quote per base.
    bid_depth_lots, ask_depth_lots: lots within each of `DEPTH_BANDS_BPS` of the mid (of the one
    side's best price, where the other side is empty; of the mark, where both are).
    open_interest_lots: sum of the long positions, -1 where not known.
    """

    time_ns: int
    instrument: int
    index_e8: int
    mark_ticks: int
    last_ticks: int
    bid_ticks: int
    ask_ticks: int
    bid_depth_lots: tuple[int, ...]
    ask_depth_lots: tuple[int, ...]
    open_interest_lots: int = -1


def sample_market(
    time_ns: int,
    instrument: int,
    book: OrderBook,
    *,
    index_e8: int,
    mark_ticks: int,
    last_ticks: int,
    open_interest_lots: int = -1,
) -> MarketSample:
    """Sample `book`. O(levels within the widest band)."""
    bid, ask = book.best_bid(), book.best_ask()
    doubled_mid = _doubled_mid(bid, ask, mark_ticks)
    return MarketSample(
        time_ns,
        instrument,
        index_e8,
        mark_ticks,
        last_ticks,
        bid or 0,
        ask or 0,
        book.volumes_within(
            Side.BUY, [-(-doubled_mid * (10_000 - bps) // 20_000) for bps in DEPTH_BANDS_BPS]
        ),
        book.volumes_within(
            Side.SELL, [doubled_mid * (10_000 + bps) // 20_000 for bps in DEPTH_BANDS_BPS]
        ),
        open_interest_lots,
    )


def _doubled_mid(bid: int | None, ask: int | None, mark_ticks: int) -> int:
    """Twice the mid, so that it stays an integer."""
    if bid is not None and ask is not None:
        return bid + ask
    one_side = bid if bid is not None else ask
    return 2 * (one_side if one_side is not None else mark_ticks)


@dataclass(slots=True)
class PositionSnapshot:
    """What an account holds in an instrument at a moment. `instrument` is its number.

    Taken when a run begins: positions that stand from the start come from no fill.
    """

    time_ns: int
    account: int
    instrument: int
    lots: int
    cost_atoms: int


def sample_positions(time_ns: int, house: ClearingHouse) -> Iterator[PositionSnapshot]:
    """All derivative positions that are not flat, account by account. O(positions)."""
    for account in house.accounts:
        for number, position in account.positions.items():
            if position.lots:
                yield PositionSnapshot(
                    time_ns, account.number, number, position.lots, position.cost_atoms
                )
