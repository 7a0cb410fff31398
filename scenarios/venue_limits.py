"""What the venue can count: prices that can be published and quoted, amounts that can be booked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from exchange.instrument import Instrument, InstrumentKind
from exchange.units import atoms_per_unit
from risk.rules import RuleSet
from scenarios.errors import UserError
from scenarios.paths import PricePath
from scenarios.world import outside_quote

LARGEST_BOOKING_ATOMS: Final = 2**63 - 1
"""A booking is recorded as an int64."""
LARGEST_INDEX: Final = 4e10
"""An index is published as an int64 of 1e-8; with room for the venue's own moves."""


def check_prices(path: PricePath, instruments: Sequence[Instrument]) -> None:
    """That every price of the path can be published, and quoted in ticks. O(samples x instruments).

    Raises UserError with the pair, the price, the time and what is allowed.
    """
    for instrument in instruments:
        if instrument.kind == InstrumentKind.OPTION:
            continue
        tick = float(instrument.tick)
        quote = outside_quote(instrument.base)
        prices = path.pair_index(instrument.base, quote)
        row = int(prices.argmin() if prices.min() < tick else prices.argmax())
        if not tick <= prices[row] <= LARGEST_INDEX:
            at = datetime.fromtimestamp(path.times_ns[row] / 1e9, UTC)
            raise UserError(
                f"market.path: {instrument.base}-{quote} reaches {prices[row]:g} at"
                f" {at:%Y-%m-%dT%H:%M:%SZ}; {tick:g} (the tick of {instrument.instrument_id}) to"
                f" {LARGEST_INDEX:g} is allowed"
            )


def check_mark_interval(interval_s: int, rule_sets: Iterable[RuleSet]) -> None:
    """That no mark is stale before the next one: most orders would be refused for it.

    Raises UserError with the interval and what is allowed.
    """
    stale = min(rules.liquidation.stale_mark_s for rules in rule_sets)
    if interval_s > stale:
        raise UserError(
            f"market.mark_interval_s: {interval_s} is above {stale:g}, the age from which a mark is"
            " stale and stops trading; a rule-set file with a larger liquidation.stale_mark_s"
            " allows it"
        )


def bookable(what: str, amount: float, currency: str) -> int:
    """A float amount as atoms, rounded toward zero.

    Raises UserError with `what` it is where the ledger cannot book so much at once.
    """
    numerator, denominator = amount.as_integer_ratio()
    unit = atoms_per_unit(currency)
    atoms = abs(numerator) * unit // denominator
    if atoms > LARGEST_BOOKING_ATOMS:
        raise UserError(
            f"{what}: {abs(amount):.6g} {currency} cannot be booked at once; at most"
            f" {LARGEST_BOOKING_ATOMS // unit:,} {currency} is allowed"
        )
    return atoms if numerator > 0 else -atoms
