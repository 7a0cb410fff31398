"""Invariant 9 with isolated positions: a circle that isolates cannot enrich itself either.

As `test_circle`, with two of three orders isolated, at leverages up to 20, and margin taken out
whenever it can be, and the isolated positions counted as their owners'.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from accounts.account import Account
from exchange.events import OrderRejected
from exchange.order import OrderRequest, OrderType, Side
from risk import order_tables as t
from tests.properties.test_circle import NAMES, ROUNDING_USD, Circle, gain_under_moves

SEEDS = 150
DERIVATIVES = NAMES[1:]


class IsolatedCircle(Circle):
    """Accounts that know only each other, and isolate."""

    def worth(self, accounts: Iterable[Account] | None = None) -> float:
        if accounts is not None:
            return super().worth(accounts)
        inside = [holder for member in self.members for holder in member.isolated.values()]
        return super().worth([*self.members, *inside])

    def trade(self) -> None:
        random, house = self.random, self.exchange.house
        if random.random() < 0.33:
            super().trade()
            return
        account = random.choice(self.members)
        listing = house.listings[random.choice(DERIVATIVES)]
        isolated = house.isolated
        if random.random() < 0.3:
            isolated.set_leverage(account, listing, random.choice([5.0, 10.0, 20.0]))
        if random.random() < 0.3:
            removable = isolated.most_removable(isolated.open(account, listing))
            if removable:
                isolated.remove_margin(self.exchange.now_ns, account, listing, removable)
        reference = float(house.market.terms[listing.number, t.M_REFERENCE])
        away = random.choice([0.0, 0.002, 0.018, 0.5 if listing.is_option else 0.01])
        ticks = max(1, round(reference * (1.0 + random.choice([-1, 1]) * away)))
        ticks = listing.instrument.floor_to_grid(ticks)
        lots = max(
            1, round(10 ** random.uniform(1.0, 5.7) / house.market.terms[listing.number, t.M_USD])
        )
        side, order_type = (
            Side(random.choice([1, -1])),
            random.choice([OrderType.LIMIT, OrderType.LIMIT, OrderType.IOC]),
        )
        for _ in range(8):  # refused: try half
            request = OrderRequest(
                listing.instrument.instrument_id, side, order_type, lots, ticks, isolated=True
            )
            events = house.submit(self.exchange.now_ns, account.number, request)
            if type(events[0]) is not OrderRejected:
                return
            lots = max(1, lots // 2)


@pytest.mark.parametrize("block", range(3))
def test_no_gain_at_constant_index(block: int) -> None:
    for seed in range(block * SEEDS // 3, (block + 1) * SEEDS // 3):
        circle = IsolatedCircle(seed)
        start = circle.worth()
        circle.play((0.0,) * 15)
        assert circle.worth() <= start + ROUNDING_USD, seed


@pytest.mark.parametrize("block", range(3))
def test_gain_under_moves_is_what_others_lost(block: int) -> None:
    for seed in range(block * SEEDS // 3, (block + 1) * SEEDS // 3):
        gain, lost, _ = gain_under_moves(IsolatedCircle(seed), seed)
        assert gain == pytest.approx(lost, abs=ROUNDING_USD), seed
