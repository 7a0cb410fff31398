"""No mark moves an account across a threshold unseen: the watch against the full pass.

Two houses with the same accounts follow the same path; one looks only at the accounts whose radius
the prices have left, the other at all. Their standings are the same at every tick.

Source: design.md section 5 (marks); liquidation-and-losses.md sections 1 and 5 (4).
"""

from random import Random

import pytest

from accounts.clearing import ClearingHouse
from exchange.instrument import parse_instrument
from risk import order_tables as t
from risk.rules import load_rules
from tests.accounts.venue import E8, NOW_NS, Venue
from tests.properties.watching import (
    FIRST,
    HOUR_NS,
    SECOND_NS,
    Path,
    World,
    depeg,
    follow,
    jumps,
    open_bank,
    slide,
    small_moves,
    stand_still,
    standing,
)

INSTRUMENTS = (
    "BTC-USDT",
    "ETH-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "ETH-USDT-SWAP",
    "SOL-USDT-SWAP",
    "BTC-USD-250328",
    "SOL-USDT-250328",
    "BTC-USDT-250328",
    "BTC-USD-250328-100000-C",
)
ACCOUNTS = 150


def _house(seed: int, *, dated: bool = False) -> tuple[ClearingHouse, World]:
    """A hundred and fifty traders at random; dated: each holds dated futures only."""
    rng = Random(seed)
    house = ClearingHouse(
        [parse_instrument(name) for name in INSTRUMENTS], load_rules("okx-2025"), recording=False
    )
    world = World({INSTRUMENTS[-1]: 0.6})
    bank = open_bank(house, world)
    for number in range(ACCOUNTS):
        account = house.open_account(f"trader/{number}")
        equity = 10.0 ** rng.uniform(3.5, 6.5)
        for currency in rng.sample(tuple(FIRST), rng.choice((1, 1, 2))):
            house.deposit(NOW_NS, account, currency, round(equity / FIRST[currency] * E8))
        leverage = 10.0 ** rng.uniform(-0.7, 0.9)
        names = rng.sample(INSTRUMENTS[:-2], rng.choice((1, 2, 3)))
        names += rng.choice(([], [], [], [INSTRUMENTS[-1]], [INSTRUMENTS[-2]]))
        for name in rng.sample(INSTRUMENTS[-4:-1], 2) if dated else names:
            listing = house.listings[name]
            lots = leverage * equity / float(house.market.terms[listing.number, t.M_USD])
            ticks = max(1, round(float(house.market.terms[listing.number, t.M_REFERENCE])))
            house.settlement.move(
                NOW_NS,
                listing,
                house.position(bank, listing),
                house.position(account, listing),
                rng.choice((1, -1)) * max(1, round(lots)),
                ticks,
                0,
            )
    return house, world


PATHS = (small_moves, jumps, slide, depeg)


@pytest.mark.parametrize("path", PATHS)
def test_no_breach_is_missed(path: Path) -> None:
    crossings, looked = follow(path, 120, 13, lambda: _house(12))
    assert looked < 120 * ACCOUNTS
    assert crossings > 0


@pytest.mark.parametrize(("path", "step_ns"), [(stand_still, HOUR_NS), (slide, SECOND_NS)])
def test_no_breach_of_dated_futures_is_missed(path: Path, step_ns: int) -> None:
    crossings, looked = follow(
        path, 800, 13, lambda: _house(12, dated=True), step_ns=step_ns, events=False
    )
    assert looked < 800 * ACCOUNTS // 3  # they have a radius, too
    assert crossings > 0


def test_a_jump_of_the_peg_charge_is_seen() -> None:
    """Above one million USD a hedge across quotes costs more at once where the peg is lost."""
    venue = Venue(
        ["BTC-USDT-SWAP", "BTC-USDC-SWAP"], {"BTC": "100000", "USDT": "1", "USDC": "0.990005"}
    )
    bank = venue.account("bank", USDT="1000000000", USDC="1000000000")
    account, house = venue.account("hedged", USDT="400000"), venue.house
    for name, lots in (("BTC-USDT-SWAP", 1_000_000), ("BTC-USDC-SWAP", -1_000_000)):
        listing = house.listings[name]
        giver, taker = house.position(bank, listing), house.position(account, listing)
        ticks = round(float(house.market.terms[listing.number, t.M_REFERENCE]))
        house.settlement.move(venue.now_ns, listing, giver, taker, lots, ticks, 0)
    assert house.market.rule_terms[t.R_PEG_JUMP] == 1e6
    before = standing(house.exposures.watch())[account.number]
    venue.marks(USDC="0.989995")
    after = standing(house.exposures.watch())[account.number]
    assert (before, after) == (0, 1)  # the warning ratio is crossed, by a move of 0.001 %


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_no_breach_is_missed_in_long(path: Path, seed: int) -> None:
    crossings, _ = follow(path, 1000, 101 + seed, lambda: _house(100 + seed))
    assert crossings > 0
