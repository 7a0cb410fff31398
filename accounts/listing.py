"""One listed instrument as the clearing side keeps it: matching engine, limits, fees, state."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Final

from exchange.instrument import Instrument, InstrumentKind
from exchange.matching import MatchingEngine
from exchange.units import atoms_per_unit, divide_rounded

MOST_ATOMS: Final = 2**60  # of one order: eight of them still fit an int64
OPTION_FEE_CAP: Final = Fraction(125, 1000)  # of the premium; portfolio-margin.md 11.7


class ListingState(IntEnum):
    """Whether an instrument trades."""

    TRADING = 0
    SUSPENDED = 1
    EXPIRED = 2


@dataclass(slots=True, eq=False)
class Listing:
    """An instrument's place in the clearing house.

    number: its row in the market's tables. settle, base: currency numbers. high_ticks, low_ticks:
    highest buy and lowest sell price allowed now. most_tick_lots: price x size beyond which the
    value would not fit the tables. fee_ledger: ledger account that takes its fees.
    open_interest_lots: lots of all long positions; spot has none.
    """

    instrument: Instrument
    number: int
    engine: MatchingEngine
    settle: int
    base: int
    fee_ledger: int
    is_spot: bool
    is_option: bool
    is_inverse: bool
    limit_lots: int
    most_tick_lots: int
    base_atoms_per_lot: int
    maker_rate: tuple[int, int]
    taker_rate: tuple[int, int]
    option_fee_base: tuple[int, int]
    state: ListingState = ListingState.TRADING
    high_ticks: int = 1 << 60
    low_ticks: int = 1
    last_ticks: int = 0
    open_interest_lots: int = 0

    def fee_atoms(self, rate: tuple[int, int], value_atoms: int, lots: int) -> int:
        """Fee of a fill in atoms of the settlement currency, rounded once; negative = rebate.

        Linear, inverse and spot: rate x value. Options: rate x coins, at most 12.5 % of the
        premium. Source: 11.7.
        """
        if not self.is_option:
            if rate[0] < 0:  # compiled code multiplies magnitudes faster
                return -divide_rounded(value_atoms * -rate[0], rate[1])
            return divide_rounded(value_atoms * rate[0], rate[1])
        numerator, denominator = self.option_fee_base
        fee = divide_rounded(lots * numerator * rate[0], denominator * rate[1])
        cap = divide_rounded(value_atoms * OPTION_FEE_CAP.numerator, OPTION_FEE_CAP.denominator)
        return min(fee, cap)


def make_listing(
    instrument: Instrument,
    number: int,
    engine: MatchingEngine,
    settle: int,
    base: int,
    fee_ledger: int,
) -> Listing:
    """A listing with its integer terms worked out."""
    is_spot = instrument.kind == InstrumentKind.SPOT
    base_atoms = Fraction(instrument.lot) * atoms_per_unit(instrument.base) if is_spot else 0
    coins = instrument.units_per_lot * atoms_per_unit(instrument.base)
    return Listing(
        instrument=instrument,
        number=number,
        engine=engine,
        settle=settle,
        base=base,
        fee_ledger=fee_ledger,
        is_spot=is_spot,
        is_option=instrument.kind == InstrumentKind.OPTION,
        is_inverse=instrument.inverse,
        limit_lots=instrument.position_limit_lots,
        most_tick_lots=(
            MOST_ATOMS
            if instrument.inverse
            else MOST_ATOMS * instrument.value_denominator // instrument.value_numerator
        ),
        base_atoms_per_lot=int(base_atoms),
        maker_rate=_fraction(instrument.maker_fee_rate),
        taker_rate=_fraction(instrument.taker_fee_rate),
        option_fee_base=(coins.numerator, coins.denominator),
    )


def _fraction(rate: Decimal) -> tuple[int, int]:
    exact = Fraction(rate)
    return exact.numerator, exact.denominator
