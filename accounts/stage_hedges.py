"""Stages 1 and 2: hedges. They may open positions, and never overshoot what they hedge.

Source: liquidation-and-losses.md section 2, stages 1 (DDH1) and 2 (DDH2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

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
from accounts.listing import Listing
from risk import layout as at

PEG_PAIRS = (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD"))  # the order of 16.11
_CASH = {"USDT": at.CASH_USDT, "USDC": at.CASH_USDC, "USD": at.CASH_USD}


def lots_within(usd: float, usd_per_lot: float) -> int:
    """Whole lots worth at most |usd|."""
    return math.floor(abs(usd) / abs(usd_per_lot) + 1e-9) if usd_per_lot else 0


def peg_hedge(view: View, unit: int, figures: UnitFigures) -> Iterable[Step]:
    """Trade perpetuals of two quote currencies against each other where MR9 is the largest."""
    if not figures.largest(at.OUT_MR9):
        return []
    steps = []
    perpetuals, cash = view.products[unit].perpetuals, view.house.exposures.unit_sum
    for first, second in PEG_PAIRS:
        one, other = cash(figures.row, _CASH[first]), cash(figures.row, _CASH[second])
        if one * other >= 0.0:
            continue
        hedged = min(abs(one), abs(other))
        for a in perpetuals:
            for b in perpetuals:
                if a.instrument.quote == first and b.instrument.quote == second:
                    wishes = _against(view, a, b, -1 if one > 0.0 else 1, hedged)
                    if wishes is not None:
                        steps.append(
                            sized_step(
                                view,
                                LiquidationStage.PEG_HEDGE,
                                view.house.market.unit_names[unit],
                                wishes,
                                f"the hedge of {first} against {second} contracts must shrink",
                            )
                        )
    return best_first(steps)


def _against(
    view: View, a: Listing, b: Listing, side_of_a: int, hedged_usd: float
) -> tuple[Wish, ...] | None:
    """Legs in `a` and `b` of equal USD, at most `hedged_usd` each; None if one cannot trade."""
    usd_a, usd_b = abs(view.usd_delta(a.number)), abs(view.usd_delta(b.number))
    sides = (side_of_a, -side_of_a)
    first = wish(view, a, sides[0], lots_within(hedged_usd, usd_a))
    second = wish(view, b, sides[1], lots_within(hedged_usd, usd_b))
    if first is None or second is None:
        return None
    both = min(first.most * usd_a, second.most * usd_b)  # a leg that closes may be the smaller one
    first = wish(view, a, sides[0], lots_within(both, usd_a))
    second = wish(view, b, sides[1], lots_within(both, usd_b))
    return (first, second) if first is not None and second is not None else None


def delta_hedge(view: View, unit: int, figures: UnitFigures) -> Iterable[Step]:
    """Bring the unit's delta towards zero with perpetuals or futures where options move most."""
    products, by_number = view.products[unit], view.house.by_number
    if not products.has_options:
        return []
    if not (figures.largest(at.OUT_MR1) or figures.largest(at.OUT_MR6)):
        return []
    if not any(by_number[position.number].is_option for position in view.positions_of(unit)):
        return []
    delta = view.house.exposures.unit_sum(figures.row, at.USD_DELTA) + figures.spot_in_use_usd
    side = -1 if delta > 0.0 else 1
    steps = []
    for listing in products.hedges:
        wished = wish(view, listing, side, lots_within(delta, view.usd_delta(listing.number)))
        if wished is not None:
            steps.append(
                sized_step(
                    view,
                    LiquidationStage.DELTA_HEDGE,
                    view.house.market.unit_names[unit],
                    (wished,),
                    f"a delta of {delta:,.0f} USD is hedged",
                )
            )
    return best_first(steps)
