"""Order books that start with recorded depth: the scenario's `[[book_seeds]]`.

    [[book_seeds]]
    instrument_id = "BTC-USDT-SWAP"

Before the first agent acts, accounts named `book_seed/INSTRUMENT` place one post-only order for
each price, through the checked way of all orders. Orders are dealt out in turn to as many accounts
as the limit of open orders needs, so that each has both sides, near and far. They rest where they
are: nobody moves them when the price moves, since nobody knows what their owners would have done.
With a half-life they are withdrawn at random.

The accounts' money is `capital` times what their orders are worth, in the instrument's settlement
currency; for spot as much in the coin and in the quote currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.draws import Draws
from agents.setup import AccountPlan, Setup, trading_balances
from exchange.events import OrderAccepted, RejectReason
from exchange.order import Order, OrderRequest, OrderType, Side
from exchange.price_limits import PriceBand
from exchange.units import atoms_per_unit
from scenarios.book_opening import LARGEST_ATOMS, margin_figures
from scenarios.depth_seed import DepthSeed, DepthShape, depth_shape
from scenarios.errors import UserError, show
from scenarios.feed import SHIPPED_FEED
from scenarios.opening import open_account
from scenarios.seed_orders import LaidBook, SeedOrder, lay_book

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from scenarios.config import Scenario
    from scenarios.streams import Streams

OWNER = "book_seed"


@dataclass(frozen=True, slots=True)
class BookSeed:
    """An entry of `book_seeds`, by its number, with the depth that its feed has."""

    number: int
    seed: DepthSeed
    shape: DepthShape


def load_book_seeds(scenario: Scenario, folder: Path) -> tuple[BookSeed, ...]:
    """The depth of every seed, read from where the scenario's file is. Raises UserError."""
    loaded = []
    for number, seed in enumerate(scenario.book_seeds):
        try:
            shape = depth_shape(seed, folder)
        except UserError as error:
            raise UserError(f"book_seeds.{number}.{error}") from None
        base = seed.instrument_id.split("-")[0]
        if seed.sizes == "coins" and shape.symbol and base not in shape.symbol.upper():
            raise UserError(
                f'book_seeds.{number}.sizes: "coins" of {show(shape.symbol)} are no sizes of'
                f' {seed.instrument_id}; "value" takes what they are worth'
            )
        loaded.append(BookSeed(number, seed, shape))
    return tuple(loaded)


@dataclass(slots=True)
class SeededBook:
    """A seed in its book. orders: as placed, and kept up to date by the book; accounts own them in
    turn. mid_ticks: the price that they were laid around. value_usd: of bids and asks.
    """

    source: BookSeed
    listing: Listing
    mid_ticks: int
    laid: LaidBook
    accounts: tuple[Account, ...]
    orders: tuple[Order, ...]
    value_usd: dict[int, float]

    def figures(self, house: ClearingHouse) -> dict[str, Any]:
        """What became of the seed so far, for `summary.json`. O(orders)."""
        seed, shape, instrument = self.source.seed, self.source.shape, self.listing.instrument
        sides: dict[str, Any] = {}
        for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            own = [order for order in self.orders if order.side == side]
            size = sum(order.size_lots for order in own)
            left = sum(order.remaining_lots for order in own)
            resting = [o for o in own if o.order_id in house.accounts[o.holder].orders]
            sides[name] = {
                "orders": len(own),
                "best": float(instrument.price(own[0].price_ticks)),
                "last": float(instrument.price(own[-1].price_ticks)),
                "size": float(instrument.size(size)),
                "usd": self.value_usd[int(side)],
                "filled_share": (size - left) / size,
                "resting_share": sum(order.remaining_lots for order in resting) / size,
            }
        ratios = [margin_figures(house, account)["margin_ratio"] for account in self.accounts]
        return {
            "file": seed.file or SHIPPED_FEED,
            "at": seed.at,
            "symbol": shape.symbol,
            "recorded_mid": float(shape.mid),
            "mid": float(instrument.price(self.mid_ticks)),
            "recorded_levels": len(shape.levels) + len(shape.too_far),
            "left_out": {
                reason: {"levels": part.levels, "size_share": float(part.size_share)}
                for reason, part in self.laid.left_out.items()
            },
            **sides,
            "accounts": [account.name for account in self.accounts],
            "lowest_margin_ratio": min((r for r in ratios if r is not None), default=None),
        }


def place_seeds(
    now_ns: int,
    house: ClearingHouse,
    seeds: Sequence[BookSeed],
    setup: Setup,
    mids: Sequence[int],
    counterparty: Account,
) -> list[SeededBook]:
    """Open the accounts of every seed and place its orders. Books must be empty.

    mids: ticks that each seed is laid around. counterparty: as for all accounts that open. Raises
    UserError where a side has nothing left, or an order is refused.
    """
    placed = []
    for source, mid_ticks in zip(seeds, mids, strict=True):
        try:
            placed.append(_place(now_ns, house, source, setup, mid_ticks, counterparty))
        except UserError as error:
            raise UserError(f"book_seeds.{source.number}: {error}") from None
    return placed


def _place(
    now_ns: int,
    house: ClearingHouse,
    source: BookSeed,
    setup: Setup,
    mid_ticks: int,
    counterparty: Account,
) -> SeededBook:
    seed = source.seed
    listing = house.listings[seed.instrument_id]
    band = PriceBand(listing.low_ticks, listing.high_ticks)
    laid = lay_book(source.shape, seed, listing.instrument, mid_ticks, band)
    count = -(-len(laid.orders) // house.rules.orders.open_orders_per_instrument)
    value = {1: 0.0, -1: 0.0}
    accounts, orders = [], {}
    for number in range(count):
        name = f"{OWNER}/{seed.instrument_id}" + (f"/{number}" if count > 1 else "")
        own = range(number, len(laid.orders), count)
        worth = 0.0
        for which in own:
            order = laid.orders[which]
            at = order.price_ticks * float(listing.instrument.tick)
            usd_value = setup.lots_to_usd(seed.instrument_id, order.lots, at)
            value[order.side] += usd_value
            worth += usd_value
        plan = trading_balances(setup, seed.instrument_id, seed.capital * worth, seed.account_mode)
        _check_money(plan, seed)
        account = open_account(now_ns, house, name, plan, counterparty)
        accounts.append(account)
        for which in own:
            orders[which] = _submit(now_ns, house, account, seed, laid.orders[which])
    in_turn = tuple(orders[which] for which in range(len(laid.orders)))
    return SeededBook(source, listing, mid_ticks, laid, tuple(accounts), in_turn, value)


def _check_money(plan: AccountPlan, seed: DepthSeed) -> None:
    """Whether an account can hold its money: amounts are 64-bit integers of atoms."""
    for currency, amount in plan.balances.items():
        largest = LARGEST_ATOMS / atoms_per_unit(currency)
        if amount > largest:
            raise UserError(
                f"the orders' accounts need {amount:.3g} {currency} each, more than the"
                f" {largest:.3g} that a simulation can hold; capital {seed.capital:g} or"
                f" size_factor {seed.size_factor:g} is too large"
            )


def _submit(
    now_ns: int, house: ClearingHouse, account: Account, seed: DepthSeed, order: SeedOrder
) -> Order:
    """One order of a seed. Raises UserError where it is refused."""
    request = OrderRequest(
        seed.instrument_id, Side(order.side), OrderType.POST_ONLY, order.lots, order.price_ticks
    )
    (event,) = house.submit(now_ns, account.number, request)
    if type(event) is OrderAccepted:
        return event.order
    reason = event.reason.name.lower().replace("_", " ")
    instrument = house.listings[seed.instrument_id].instrument
    what = "buy" if order.side > 0 else "sell"
    what += f" {instrument.size(order.lots)} at {instrument.price(order.price_ticks)}"
    remedy = f"a smaller size_factor than {seed.size_factor:g}"
    if event.reason in (RejectReason.INSUFFICIENT_MARGIN, RejectReason.INSUFFICIENT_BALANCE):
        remedy = f"more capital than {seed.capital:g}, or {remedy}, may help"
    elif event.reason == RejectReason.ACCOUNT_MODE:
        remedy = f"account_mode {seed.account_mode!r} does not trade it"
    raise UserError(f"{account.name} may not {what}: {reason}; {remedy}")


def withdrawals(seeded: SeededBook, streams: Streams) -> list[tuple[int, Order]]:
    """(ns after the start, order) in order of time: when each order of a seed with a half-life is
    withdrawn, if it still rests then. One exponential draw for each order, from a stream of the
    seed's own.
    """
    seed = seeded.source.seed
    assert seed.half_life_s is not None
    draws = Draws(streams.generator(f"book_seeds/{seed.instrument_id}"))
    mean_s = seed.half_life_s / log(2.0)
    due = [(draws.exponential_ns(mean_s), order) for order in seeded.orders]
    return sorted(due, key=lambda item: (item[0], item[1].order_id))
