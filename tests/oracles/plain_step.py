"""How a liquidation step is sized and judged, in plain steps over the house's own objects.

Slow twin of `accounts/liquidation_sizing.py` and of the kernels `forced_limits` and `order_trials`:
prices one position after another, walks the whole book for every question, trades in the tables and
rebuilds the account's sums from nothing before it looks at a figure.

Source: liquidation-and-losses.md sections 2 and 3.
"""

from __future__ import annotations

import math

from accounts.account import Account, Position
from accounts.clearing import ClearingHouse
from accounts.liquidation_sizing import View, share_needed
from accounts.liquidation_steps import Leg, Standing, Step, improvement
from accounts.listing import Listing
from exchange.units import divide_rounded
from risk import order_tables as t

NO_BANKRUPTCY_PRICE = 2**60


def figures(house: ClearingHouse, account: Account) -> Standing:
    """The account's figures after its sums were rebuilt."""
    house.exposures.recompute(account.number)
    row = house.exposures.account_sums[account.number].tolist()
    requirement = row[t.T_MMR] + row[t.T_FEE]
    return Standing(
        row[t.T_ADJUSTED],
        requirement,
        row[t.T_EQUITY],
        row[t.T_MMR],
        row[t.T_IMR],
        row[t.T_COVERING],
        row[t.T_COVERED],
    )


def _charge(house: ClearingHouse, position: Position) -> float:
    terms = house.market.terms[position.number]
    return abs(position.lots) * float(terms[t.M_MR7_LONG if position.lots > 0 else t.M_MR7_SHORT])


def bankruptcy_ticks(house: ClearingHouse, account: Account, position: Position) -> int:
    """The price that costs the position's share of the equity, by raw MR7 charge."""
    equity = max(0.0, figures(house, account).equity)
    held = [other for other in account.positions.values() if other.lots]
    total = sum(_charge(house, other) for other in held)
    share = _charge(house, position) / total if total > 0.0 else 1.0
    market, settle = house.market, position.settle
    atoms = equity * share / (market.usd[settle.currency] * market.scales[settle.number])
    terms = market.terms[position.number]
    mark, rate = float(terms[t.M_REFERENCE]), float(terms[t.M_RATE])
    long = position.lots > 0
    if position.instrument.inverse:
        inverse = 1.0 / mark + (atoms if long else -atoms) / (abs(position.lots) * rate)
        if inverse <= 0.0:
            return NO_BANKRUPTCY_PRICE
        price = 1.0 / inverse
    else:
        distance = atoms / (abs(position.lots) * rate)
        price = mark - distance if long else mark + distance
    if long:
        return max(1 if position.instrument.inverse else 0, math.floor(price + 1e-6))
    return min(NO_BANKRUPTCY_PRICE, math.ceil(price - 1e-6))


def limit(view: View, position: Position, listing: Listing, side: int) -> tuple[int, int, bool]:
    """(limit, bankruptcy price, limit is final)."""
    house, case = view.house, view.case
    attempts = min(case.empty_attempts.get(listing.number, 0), 64)
    rate = house.market.slippage_rate(listing.number)
    slippage = rate * view.rules.slippage_growth**attempts
    mark = float(house.market.terms[listing.number, t.M_REFERENCE])
    closes = position.lots * side < 0
    bankrupt = bankruptcy_ticks(house, case.account, position) if closes else NO_BANKRUPTCY_PRICE
    grid = listing.instrument
    if side > 0:
        wide = math.floor(mark * (1.0 + slippage))
        bound = min(bankrupt, listing.high_ticks)
        final = wide >= bound and not (closes and bound < bankrupt)
        return max(1, grid.floor_to_grid(min(wide, bound))), bankrupt, final
    wide = math.ceil(mark * (1.0 - slippage))
    bound = max(bankrupt if closes else 0, listing.low_ticks, 1)
    final = wide <= bound and not (closes and bound > bankrupt)
    return grid.ceil_to_grid(max(wide, bound)), bankrupt, final


def average(listing: Listing, side: int, lots: int, limit_ticks: int) -> tuple[float, int]:
    """(average price of `lots`, lots there) up to the limit; counted to over four times `lots`."""
    pairs = listing.engine.book.depth(-side, 10**9)
    within = [(price, there) for price, there in pairs if (price - limit_ticks) * side <= 0]
    available = 0
    for _, there in within:
        if available <= 4 * lots:
            available += there
    each = [price for price, there in within for _ in range(min(there, lots))][:lots]
    return (sum(each) / len(each) if each else float(limit_ticks)), available


def tried(view: View, legs: tuple[Leg, ...]) -> Standing:
    """The account after the legs traded, their fees and penalties paid."""
    house, exposures = view.house, view.house.exposures
    trades = []
    for leg in legs:
        ticks = max(1, round(leg.expected_ticks))
        value = abs(leg.listing.instrument.value_atoms(ticks, leg.lots))
        charge = leg.listing.fee_atoms(leg.listing.taker_rate, value, abs(leg.lots))
        charge += divide_rounded(value * leg.penalty_e8, 10**8)
        trades.append((leg.position.row, leg.lots, leg.expected_ticks, charge))
    for trade in trades:
        exposures.shift(*trade)
    after = figures(house, view.case.account)
    for row, lots, price, charge in trades:
        exposures.shift(row, -lots, price, -charge)
    figures(house, view.case.account)
    return after


def checked(view: View, step: Step, most: list[int], share: float | None) -> None:
    """Assert that `step` is what the rules give for legs of at most `most` lots each."""
    rules, before = view.rules, view.before
    assert figures(view.house, view.case.account) == before
    usd = [
        lots * float(view.house.market.terms[leg.listing.number, t.M_USD])
        for lots, leg in zip(most, step.legs, strict=True)
    ]
    dust = max(usd) <= rules.dust_usd
    fraction = share or (1.0 if dust else rules.max_step_share)
    plain = []
    for lots, leg in zip(most, step.legs, strict=True):
        side = 1 if leg.lots > 0 else -1
        found = limit(view, leg.position, leg.listing, side)
        available = average(leg.listing, side, lots, found[0])[1]
        assert (leg.limit_ticks, leg.bankruptcy_ticks, leg.final) == found
        assert leg.available_lots == available
        fraction = min(fraction, available / lots)
        plain.append((leg, side, lots, found[0], available))

    def legs_of(part: float, *, up: bool) -> tuple[Leg, ...]:
        made = []
        for leg, side, lots, ticks, available in plain:
            exact = lots * part
            size = math.ceil(exact - 1e-9) if up else math.floor(exact + 1e-9)
            size = max(1, min(size, lots, available))
            expected = average(leg.listing, side, size, ticks)[0]
            made.append(leg._replace(lots=side * size, expected_ticks=expected))
        return tuple(made)

    legs = legs_of(fraction, up=False)
    after = tried(view, legs)
    needed = share_needed(before, after, rules.stop_ratio)
    if needed < 1.0 and not dust:
        legs = legs_of(fraction * needed, up=True)
        after = tried(view, legs)
    assert step.legs == legs
    assert step.after == after
    assert step.improvement == improvement(before, after, rules.stop_ratio)
