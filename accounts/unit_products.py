"""The instruments of each risk unit, sorted once by what the stages of a liquidation do with them.

Source: liquidation-and-losses.md section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exchange.instrument import InstrumentKind

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

SPOT_TENOR, PERPETUAL_TENOR = -2, -1
HEDGES = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)


class UnitProducts(NamedTuple):
    """One risk unit's instruments, each list in the house's order.

    hedges: perpetuals and futures; tenors: (tenor, instrument) of all but options, spot only where
    the unit takes it.
    """

    perpetuals: tuple[Listing, ...]
    hedges: tuple[Listing, ...]
    tenors: tuple[tuple[int, Listing], ...]
    has_options: bool


def unit_products(house: ClearingHouse) -> list[UnitProducts]:
    """Those of all risk units, by unit number: what is listed never changes. O(instruments)."""
    market = house.market
    return [
        _products([house.by_number[number] for number in numbers], takes_spot=unit.takes_spot)
        for unit, numbers in zip(market.plan.units, market.instruments_of_unit, strict=True)
    ]


def _products(listings: list[Listing], *, takes_spot: bool) -> UnitProducts:
    kinds = [(listing.instrument.kind, listing) for listing in listings]
    tenors = []
    for kind, listing in kinds:
        if kind in HEDGES:
            tenors.append((listing.instrument.expiry_ns or PERPETUAL_TENOR, listing))
        elif kind == InstrumentKind.SPOT and takes_spot:
            tenors.append((SPOT_TENOR, listing))
    return UnitProducts(
        tuple(listing for kind, listing in kinds if kind == InstrumentKind.PERPETUAL),
        tuple(listing for kind, listing in kinds if kind in HEDGES),
        tuple(tenors),
        any(listing.is_option for listing in listings),
    )
