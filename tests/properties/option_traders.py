"""A house of traders at random, most of them with options."""

import math
from random import Random

from accounts.clearing import ClearingHouse
from exchange.instrument import parse_instrument
from risk import order_tables as t
from risk.rules import load_rules
from tests.accounts.venue import E8, NOW_NS
from tests.properties.watching import FIRST, World, open_bank

LINEAR = (
    "BTC-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "BTC-USD-250328",
    "ETH-USDT-SWAP",
    "SOL-USDT-SWAP",
)
# 2.4 days, a week, five weeks (forward: the future's mark) and ten months to expiry
EXPIRIES = ("250222", "250228", "250328", "251226")
OPTIONS = tuple(
    f"{coin}-USD-{expiry}-{strike}-{side}"
    for expiry in EXPIRIES
    for coin, strikes in (("BTC", (70_000, 96_000, 98_000, 130_000)), ("ETH", (2_800, 3_300)))
    for strike in strikes
    for side in "CP"
)
ACCOUNTS = 120


def house_of(seed: int, *, size: float = 1.0) -> tuple[ClearingHouse, World]:
    """Traders at random, two of three with options; size: of all positions."""
    rng = Random(seed)
    house = ClearingHouse(
        [parse_instrument(name) for name in LINEAR + OPTIONS],
        load_rules("okx-2025"),
        recording=False,
    )
    vols = {name: math.exp(rng.uniform(-1.9, 0.6)) for name in OPTIONS}
    given = (("250222", 1.0), ("250228", 1.002), ("251226", 1.05))
    world = World(vols, {f"{c}-USD-{e}": ratio for c in ("BTC", "ETH") for e, ratio in given})
    bank = open_bank(house, world)
    for number in range(ACCOUNTS):
        account = house.open_account(f"trader/{number}")
        equity = 10.0 ** rng.uniform(4.0, 6.5)
        for currency in rng.choice((["BTC"], ["USDT"], ["BTC", "USDT"], ["ETH", "BTC"])):
            house.deposit(NOW_NS, account, currency, round(equity / FIRST[currency] * E8))
        names = rng.sample(OPTIONS, rng.choice((0, 1, 2, 4)))
        names += rng.sample(LINEAR[1:], rng.choice((0, 1, 1, 2)) if names else 1)
        for name in names:
            leverage = size * 10.0 ** rng.uniform(-0.7, 0.9) / len(names)
            listing = house.listings[name]
            terms = house.market.terms[listing.number]
            house.settlement.move(
                NOW_NS,
                listing,
                house.position(bank, listing),
                house.position(account, listing),
                rng.choice((1, -1)) * max(1, round(leverage * equity / float(terms[t.M_USD]))),
                max(1, round(float(terms[t.M_REFERENCE]))),
                0,
            )
    return house, world
