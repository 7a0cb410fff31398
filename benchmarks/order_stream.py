"""A seeded stream of order-book operations and what a correct book makes of it.

`generate` returns an int64 array of shape (n, 6), columns op, order_id, side, price, lots, target:

- op 0 LIMIT: a passive limit near the touch, never crosses the reference book;
- op 1 CANCEL of `target`, an order that is live in the reference book;
- op 2 MARKET: lots never exceed what rests on the other side, so a remainder cannot occur;
- op 3 CROSS: a limit at or through the opposite touch; a remainder rests.

side: 0 buy, 1 sell. price: integer ticks. order_id: 1, 2, 3, ... one per row, cancels too.
Mix after the warm-up: 50 % LIMIT, 30 % CANCEL, 10 % MARKET, 10 % CROSS; the warm-up is LIMIT only.
It also returns, at checkpoints, the fills, volume, notional, live orders and a hash of the
fill sequence of the reference book (strict price-time priority, maker's price).
"""

import hashlib
from bisect import insort
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

LIMIT, CANCEL, MARKET, CROSS = range(4)
CHECKPOINTS = (
    1_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
)
_FIRST_MID = 100_000
_FEW_LIVE = 50
_THIN_SIDE_LOTS = 400

Stream = npt.NDArray[np.int64]
Checkpoint = dict[str, Any]


class _ReferenceBook:
    """Price-time priority with lazily deleted deques; prices of asks are stored negated."""

    def __init__(self) -> None:
        self.prices: tuple[list[int], list[int]] = ([], [])  # ascending, best last
        self.levels: tuple[dict[int, deque[int]], dict[int, deque[int]]] = ({}, {})
        self.live: list[int] = []  # for the uniform choice of a live order
        self.place: dict[int, int] = {}
        self.orders: dict[int, list[int]] = {}  # order id -> [side, price, lots]
        self.side_lots = [0, 0]
        self.fills = self.volume = self.notional = 0
        self.hash = hashlib.blake2b(digest_size=8)

    def best(self, side: int) -> int | None:
        prices, levels = self.prices[side], self.levels[side]
        while prices:
            key = prices[-1]
            queue = levels[key]
            while queue and queue[0] not in self.orders:
                queue.popleft()
            if queue:
                return key if side == 0 else -key
            prices.pop()
            del levels[key]
        return None

    def rest(self, order_id: int, side: int, price: int, lots: int) -> None:
        key = price if side == 0 else -price
        levels = self.levels[side]
        if key not in levels:
            levels[key] = deque()
            insort(self.prices[side], key)
        levels[key].append(order_id)
        self.orders[order_id] = [side, price, lots]
        self.place[order_id] = len(self.live)
        self.live.append(order_id)
        self.side_lots[side] += lots

    def remove_live(self, order_id: int) -> None:
        index = self.place.pop(order_id)
        last = self.live.pop()
        if last != order_id:
            self.live[index] = last
            self.place[last] = index

    def take(self, order_id: int, side: int, limit: int | None, lots: int) -> int:
        """Trade against the other side; return the lots left."""
        other = 1 - side
        while lots:
            best = self.best(other)
            if best is None or (
                limit is not None and (best > limit if other == 1 else best < limit)
            ):
                break
            queue = self.levels[other][-best if other == 1 else best]
            maker = queue[0]
            record = self.orders[maker]
            filled = min(lots, record[2])
            lots -= filled
            record[2] -= filled
            self.side_lots[other] -= filled
            self.fills += 1
            self.volume += filled
            self.notional += filled * best
            self.hash.update(b"%d,%d,%d,%d;" % (order_id, maker, best, filled))
            if record[2] == 0:
                queue.popleft()
                del self.orders[maker]
                self.remove_live(maker)
        return lots

    def checkpoint(self) -> Checkpoint:
        return {
            "fills": self.fills,
            "volume": self.volume,
            "notional": self.notional,
            "resting": len(self.orders),
            "resting_qty": sum(self.side_lots),
            "best_bid": self.best(0),
            "best_ask": self.best(1),
            "hash": self.hash.hexdigest(),
            "levels": [len(self.prices[0]), len(self.prices[1])],
        }


def _passive_price(book: _ReferenceBook, side: int, offset: int) -> int:
    """Return a price `offset` ticks behind the opposite touch, or near the last known touch."""
    own, other = book.best(side), book.best(1 - side)
    sign = 1 if side == 0 else -1
    if other is not None:
        return other - sign * offset
    if own is not None:
        return own + sign * 2 - sign * offset
    return _FIRST_MID + sign - sign * offset


def generate(
    n: int, seed: int = 7, target_live: int = 3000, warm: int = 2000, p_offset: float = 0.12
) -> tuple[Stream, dict[int, Checkpoint]]:
    """Return (stream, checkpoints by number of operations).

    target_live: live orders around which taker sizes adapt. warm: rows of warm-up. p_offset:
    parameter of the geometric distance behind the touch, mean 1/p_offset ticks.
    """
    rng = np.random.default_rng(seed)
    draw = rng.random(n)
    sides = rng.integers(0, 2, n).tolist()
    sizes = rng.integers(1, 21, n).tolist()
    offsets = rng.geometric(p_offset, n).tolist()
    through = rng.integers(0, 4, n).tolist()
    pick = rng.random(n).tolist()
    kinds = np.select([draw < 0.5, draw < 0.8, draw < 0.9], [LIMIT, CANCEL, MARKET], CROSS).tolist()
    out = np.zeros((n, 6), np.int64)
    marks: dict[int, Checkpoint] = {}
    book = _ReferenceBook()
    for i in range(n):
        order_id, side, lots = i + 1, sides[i], sizes[i]
        kind = kinds[i] if i >= warm else LIMIT
        if kind == CANCEL and len(book.live) < _FEW_LIVE:
            kind = LIMIT
        if kind >= MARKET and book.side_lots[1 - side] < _THIN_SIDE_LOTS:
            kind = LIMIT
        if kind == LIMIT:
            price = _passive_price(book, side, offsets[i])
            book.rest(order_id, side, price, lots)
            out[i] = (LIMIT, order_id, side, price, lots, 0)
        elif kind == CANCEL:
            target = book.live[int(pick[i] * len(book.live))]
            target_side, price, left = book.orders.pop(target)
            book.side_lots[target_side] -= left
            book.remove_live(target)
            out[i] = (CANCEL, order_id, target_side, price, 0, target)
        else:
            if len(book.live) > target_live:
                lots *= 2
            if len(book.live) < target_live // 2:
                lots = (lots + 1) // 2
            limit = None
            if kind == CROSS:
                best = book.best(1 - side)
                assert best is not None
                limit = best + through[i] if side == 0 else best - through[i]
            out[i] = (kind, order_id, side, limit or 0, lots, 0)
            left = book.take(order_id, side, limit, lots)
            if left and limit is not None:
                book.rest(order_id, side, limit, left)
        if order_id in CHECKPOINTS or order_id == n:
            marks[order_id] = book.checkpoint()
    return out, marks
