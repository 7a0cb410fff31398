"""Stages 3 to 5: positions are closed, alone or together. No step turns a position's sign.

Source: liquidation-and-losses.md section 2, stages 3 (inter-tenor), 4 (standard), 5 (special).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from accounts.events import LiquidationStage
from accounts.liquidation_sizing import (
    UnitFigures,
    View,
    Wish,
    best_first,
    sized_step,
    wish,
)
from accounts.liquidation_steps import Step
from accounts.stage_hedges import lots_within
from exchange.instrument import InstrumentKind
from risk import layout as at

if TYPE_CHECKING:
    from accounts.account import Position
    from accounts.listing import Listing


def _close(view: View, position: Position, lots: int | None = None) -> Wish | None:
    """A leg that closes up to `lots` (default: all) of a position."""
    listing = view.house.by_number[position.number]
    side = -1 if position.lots > 0 else 1
    return wish(view, listing, side, abs(position.lots) if lots is None else lots)


def standard(view: View, unit: int, figures: UnitFigures) -> Iterable[Step]:
    """Close part of one position: the one whose step improves equity to margin most."""
    del figures
    steps = []
    for position in view.positions_of(unit):
        wished = _close(view, position)
        if wished is not None:
            steps.append(
                sized_step(
                    view,
                    LiquidationStage.STANDARD,
                    view.house.market.unit_names[unit],
                    (wished,),
                    f"closing part of {position.instrument.instrument_id} raises the margin ratio",
                )
            )
    return best_first(steps)


def inter_tenor(view: View, unit: int, figures: UnitFigures) -> Iterable[Step]:
    """Close two opposite legs of different tenor at once, where that lowers the margin."""
    if figures.components[at.OUT_MR4] <= 0.0:
        return []
    legs = _tenor_legs(view, unit)
    if len(legs) < 2:
        return []
    steps = []
    for (tenor_a, a, lots_a), (tenor_b, b, lots_b) in combinations(legs, 2):
        usd_a, usd_b = view.usd_delta(a.number), view.usd_delta(b.number)
        if tenor_a == tenor_b or lots_a * usd_a * lots_b * usd_b >= 0.0:
            continue
        both = min(abs(lots_a * usd_a), abs(lots_b * usd_b))
        wishes = (
            wish(view, a, -1 if lots_a > 0 else 1, lots_within(both, usd_a)),
            wish(view, b, -1 if lots_b > 0 else 1, lots_within(both, usd_b)),
        )
        if wishes[0] is None or wishes[1] is None:
            continue
        step = sized_step(
            view,
            LiquidationStage.INTER_TENOR,
            view.house.market.unit_names[unit],
            (wishes[0], wishes[1]),
            f"{a.instrument.instrument_id} and {b.instrument.instrument_id} are closed together",
        )
        if step.after.maintenance < view.before.maintenance:
            steps.append(step)
    return best_first(steps)


def _tenor_legs(view: View, unit: int) -> list[tuple[int, Listing, int]]:
    """(tenor, instrument, signed lots) of perpetuals, futures and the coin itself."""
    legs, positions = [], view.case.account.positions
    for tenor, listing in view.products[unit].tenors:
        if listing.is_spot:
            owned = view.cash_atoms(listing.instrument.base)
            lots = abs(owned) // listing.base_atoms_per_lot * (1 if owned > 0 else -1)
        else:
            position = positions.get(listing.number)
            lots = 0 if position is None else position.lots
        if lots:
            legs.append((tenor, listing, lots))
    return legs


def special(view: View, unit: int, figures: UnitFigures) -> Iterator[Step]:
    """What closing one position at a time cannot do: three kinds of steps, in this order."""
    name = view.house.market.unit_names[unit]
    positions = view.positions_of(unit)
    delta = view.house.exposures.unit_sum(figures.row, at.USD_DELTA)
    yield from _same_sign(view, name, positions, delta)
    yield from best_first(list(_options_with_futures(view, name, positions)))
    yield from _near_the_money(view, name, positions)


def _same_sign(view: View, name: str, positions: list[Position], delta: float) -> Iterator[Step]:
    """(a) All positions with the sign of the unit's delta, by the same share."""
    wishes = []
    for position in positions:
        if position.lots * view.usd_delta(position.number) * delta > 0.0:
            wished = _close(view, position)
            if wished is not None:
                wishes.append(wished)
    if len(wishes) > 1:
        yield sized_step(
            view,
            LiquidationStage.SPECIAL,
            name,
            tuple(wishes),
            "all positions with the sign of the unit's delta are reduced together",
        )


def _options_with_futures(view: View, name: str, positions: list[Position]) -> Iterator[Step]:
    """(b) An option together with the future of its expiry that hedges it, else a perpetual."""
    for option in positions:
        if not view.house.by_number[option.number].is_option:
            continue
        matches = [p for p in positions if _matches(option, p)]
        same = [p for p in matches if p.instrument.expiry_ns == option.instrument.expiry_ns]
        for hedge in same or matches:
            delta, other = view.usd_delta(option.number), view.usd_delta(hedge.number)
            if option.lots * delta * hedge.lots * other >= 0.0:
                continue
            both = min(abs(option.lots * delta), abs(hedge.lots * other))
            wishes = (
                _close(view, option, lots_within(both, delta)),
                _close(view, hedge, lots_within(both, other)),
            )
            if wishes[0] is not None and wishes[1] is not None:
                yield sized_step(
                    view,
                    LiquidationStage.SPECIAL,
                    name,
                    (wishes[0], wishes[1]),
                    f"{option.instrument.instrument_id} is closed with the "
                    f"{hedge.instrument.instrument_id} that hedges it",
                )


def _matches(option: Position, other: Position) -> bool:
    kind = other.instrument.kind
    if kind == InstrumentKind.FUTURE:
        return other.instrument.expiry_ns == option.instrument.expiry_ns
    return kind == InstrumentKind.PERPETUAL


def _near_the_money(view: View, name: str, positions: list[Position]) -> Iterator[Step]:
    """(c) Whole options, |delta| nearest 0.5 first: as much as the book takes at once."""
    market = view.house.market
    near = []
    for position in positions:
        if view.house.by_number[position.number].is_option:
            coins = float(position.instrument.units_per_lot)
            usd = coins * market.usd[position.instrument.base]
            distance = abs(abs(view.usd_delta(position.number)) / usd - 0.5)
            near.append((distance, position.number, position))
    for _, _, position in sorted(near, key=lambda row: row[:2]):
        wished = _close(view, position)
        if wished is not None:
            yield sized_step(
                view,
                LiquidationStage.SPECIAL,
                name,
                (wished,),
                f"{position.instrument.instrument_id}, near the money, is closed as a whole",
                share=1.0,
            )
