"""Expiry of futures and options: the settlement price, delivery, exercise, and the end of trading.

The settlement price is the time-weighted index of the last hour (options: of the last half hour),
each published index counting until the next one. Everything is in cash: a future is closed at that
price, an option in the money is exercised by itself; the two sides' fees go to the venue. Each
account's value is rounded once; what does not add up goes to the rounding account.

Source: portfolio-margin.md sections 11.5, 11.6, 11.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from accounts.events import PostingKind
from accounts.listing import ListingState
from exchange.events import CancelReason
from exchange.units import atoms_per_unit, divide_rounded

if TYPE_CHECKING:
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from exchange.instrument import Instrument

E8: Final = 10**8
SECOND_NS: Final = 10**9
ROUNDING: Final = int(PostingKind.ROUNDING)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an expiry came to. price_e8: settlement price, USD or quote per coin, in 1e-8.

    long_lots: open interest that was closed; paid_atoms: what the settlement account paid out.
    """

    time_ns: int
    instrument_id: str
    price_e8: int
    long_lots: int
    paid_atoms: int
    fee_atoms: int


class TimeWeightedIndex:
    """Integral of a published index over a window before an expiry. O(1) per index."""

    __slots__ = ("_integral", "_last_ns", "_last_price", "_weight", "from_ns", "until_ns")

    def __init__(self, from_ns: int, until_ns: int) -> None:
        self.from_ns = from_ns
        self.until_ns = until_ns
        self._integral, self._weight = 0, 0
        self._last_ns, self._last_price = from_ns, 0

    def add(self, now_ns: int, price_e8: int) -> None:
        """Take the index published at `now_ns`; the one before it held until now."""
        until = min(now_ns, self.until_ns)
        if until > self._last_ns and self._last_price:
            self._integral += (until - self._last_ns) * self._last_price
            self._weight += until - self._last_ns
        self._last_ns = max(self.from_ns, until)
        self._last_price = price_e8

    def price_e8(self) -> int:
        """The mean, rounded once; the last index where no time has passed under any."""
        if not self._weight:
            return self._last_price
        return divide_rounded(self._integral, self._weight)


class Expiry:
    """Watches the listed contracts that expire, and settles them in the order of their expiry."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        marks = house.rules.marks
        future_ns = round(marks.delivery_average_s * SECOND_NS)
        option_ns = round(marks.option_settlement_average_s * SECOND_NS)
        # contracts of one pair and window have one settlement price
        averages: dict[tuple[str, int, int], tuple[TimeWeightedIndex, list[Listing]]] = {}
        for listing in house.by_number:
            instrument, expiry_ns = listing.instrument, listing.instrument.expiry_ns
            if expiry_ns is not None:
                from_ns = expiry_ns - (option_ns if listing.is_option else future_ns)
                average = TimeWeightedIndex(from_ns, expiry_ns)
                key = (instrument.family, from_ns, expiry_ns)
                averages.setdefault(key, (average, []))[1].append(listing)
        self._open: list[tuple[TimeWeightedIndex, list[Listing]]] = list(averages.values())

    def check(self, now_ns: int) -> list[Delivery]:
        """Take the index just published; settle what expires now. Call after every mark.

        O(expiries), and O(accounts) for each contract that expires.
        """
        expired: list[tuple[int, int, int, Listing]] = []
        for average, listings in self._open:
            average.add(now_ns, self._index_e8(listings[0].instrument))
            if now_ns >= average.until_ns:
                price_e8 = average.price_e8()
                expired += [(average.until_ns, one.number, price_e8, one) for one in listings]
        if not expired:
            return []
        self._open = [item for item in self._open if now_ns < item[0].until_ns]
        expired.sort(key=lambda one: one[:2])
        return [self._settle(now_ns, listing, price) for _, _, price, listing in expired]

    def _index_e8(self, instrument: Instrument) -> int:
        market = self.house.market
        given = market.index_e8.get(instrument.family)
        if given is not None:
            return given
        usd = market.usd_index_e8
        return divide_rounded(usd[instrument.base] * E8, usd[instrument.quote])

    def _settle(self, now_ns: int, listing: Listing, price_e8: int) -> Delivery:
        """Cancel the orders, close every position, end trading. O(accounts + orders)."""
        house, instrument = self.house, listing.instrument
        reason = CancelReason.OPTION_EXPIRY if listing.is_option else CancelReason.DELIVERY
        house.cancel_listing(now_ns, listing, reason)
        listing.state = ListingState.EXPIRED
        per_lot = settlement_value(instrument, price_e8)
        fee_per_lot = settlement_fee(house, listing, per_lot)
        clearing = house.ledger.open("settlement", instrument.settle)
        long_lots, paid, fees = 0, 0, 0
        for account in house.accounts:
            position = account.positions.get(listing.number)
            if position is None or position.lots == 0:
                continue
            lots = position.lots
            value, fee = _rounded(per_lot * lots), _rounded(fee_per_lot * abs(lots))
            long_lots += max(0, lots)
            paid += max(0, value)
            fees += fee
            house.settlement.deliver(now_ns, listing, position, clearing, value, fee)
            if account.parent is not None:
                house.isolated.sweep(now_ns, house.isolated.held[account.number])
        rounding = house.ledger.open("rounding", instrument.settle)
        left = house.ledger.balances[clearing]
        house.ledger.post(now_ns, ROUNDING, clearing, rounding, left, listing.number)
        return Delivery(now_ns, instrument.instrument_id, price_e8, long_lots, paid, fees)


def settlement_value(instrument: Instrument, price_e8: int) -> Fraction:
    """Atoms of the settlement currency that one long lot is worth at the settlement price, exact.

    Linear: coins x price. Inverse: -USD / price, as the cost was booked. Option: coins x
    max(0, S - K) / S, puts max(0, K - S) / S.  Source: 3.2, 11.6.
    """
    atoms = instrument.units_per_lot * atoms_per_unit(instrument.settle)
    price = Fraction(price_e8, E8)
    if instrument.strike is not None:
        gain = price - Fraction(instrument.strike)
        return atoms * max(Fraction(0), gain if instrument.option_type == "C" else -gain) / price
    return -atoms / price if instrument.inverse else atoms * price


def settlement_fee(house: ClearingHouse, listing: Listing, per_lot: Fraction) -> Fraction:
    """Atoms that each side pays per lot: delivery fee on the value, or exercise fee on the coins.

    The exercise fee is capped by its share of the payoff; an option that ends worthless pays none.
    Source: 11.7.
    """
    fees = house.rules.fees
    if not listing.is_option:
        return abs(per_lot) * Fraction(str(fees.delivery))
    coins = listing.instrument.units_per_lot * atoms_per_unit(listing.instrument.settle)
    capped = per_lot * Fraction(str(fees.exercise_cap))
    return min(coins * Fraction(str(fees.exercise)), capped)


def _rounded(atoms: Fraction) -> int:
    return divide_rounded(atoms.numerator, atoms.denominator)
