"""Funding of perpetuals: what longs pay shorts, or the reverse, at fixed hours.

The premium over the index is sampled once a minute, from impact prices or from the mid by rule
set; at the settlement the rate is the average over the last interval, with the interest term of
the rule set's formula, clamped and capped, as an integer of 1e-8. Each account's payment is
rounded once; what does not add up goes to the rounding account.

A perpetual with a schedule (`accounts/funding_schedule.py`) has its rates from there.

Source: portfolio-margin.md section 11.3, golden case G9.
"""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

from accounts.events import FundingPayment, PostingKind
from exchange.instrument import InstrumentKind
from exchange.units import divide_rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accounts.clearing import ClearingHouse
    from accounts.funding_schedule import RateSchedule
    from accounts.listing import Listing
    from exchange.price_levels import PriceLevel

E8 = 10**8
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
FUNDING, ROUNDING = int(PostingKind.FUNDING), int(PostingKind.ROUNDING)


def impact_ticks(levels: Iterable[PriceLevel], lots: int) -> Fraction:
    """Average price of the best `lots` of a side that is not empty, exact; of all if it has less.

    O(levels touched).
    """
    left, paid = lots, 0
    for level in levels:
        take = min(left, level.lots)
        paid += take * level.price_ticks
        left -= take
        if left == 0:
            break
    return Fraction(paid, lots - left)


class Funding:
    """Premium samples and settlements of all perpetuals of a clearing house.

    schedules: by instrument id, rates in place of the premium's; they hold every settlement.
    """

    def __init__(
        self, house: ClearingHouse, schedules: Mapping[str, RateSchedule] | None = None
    ) -> None:
        self.house = house
        self.rules = house.rules.funding
        self.interval_ns = round(self.rules.interval_hours * HOUR_NS)
        self.perpetuals = [
            listing
            for listing in house.by_number
            if listing.instrument.kind == InstrumentKind.PERPETUAL
        ]
        window = max(1, self.interval_ns // MINUTE_NS)
        self.premiums_e8: dict[int, deque[int]] = {
            listing.number: deque(maxlen=window) for listing in self.perpetuals
        }
        self.schedules: dict[int, RateSchedule] = {
            house.listings[name].number: schedule for name, schedule in (schedules or {}).items()
        }

    def sample(self) -> None:
        """Take each book's premium over the index; call once a minute. O(perpetuals)."""
        for listing in self.perpetuals:
            index_ticks = self._index_ticks(listing)
            premium = self._premium_e8(listing, index_ticks) if index_ticks > 0 else None
            if premium is not None:
                self.premiums_e8[listing.number].append(premium)

    def _premium_e8(self, listing: Listing, index_ticks: int) -> int | None:
        """Premium now in 1e-8; None where a side of the book is empty. Source: 11.3.

        impact: (max(0, impact bid - index) - max(0, index - impact ask)) / index, where an impact
        price is the average at which the rule set's notional would trade, or all that is there.
        """
        book = listing.engine.book
        bid, ask = book.bids.best, book.asks.best
        if bid is None or ask is None:
            return None
        if self.rules.premium == "mid":
            difference = bid.price_ticks + ask.price_ticks - 2 * index_ticks
            return divide_rounded(difference * E8, 2 * index_ticks)
        lots = self._impact_lots(listing, index_ticks)
        above = impact_ticks(book.bids, lots) - index_ticks
        below = index_ticks - impact_ticks(book.asks, lots)
        return round((max(Fraction(0), above) - max(Fraction(0), below)) * E8 / index_ticks)

    def _impact_lots(self, listing: Listing, index_ticks: int) -> int:
        """Lots whose value at the index is the impact notional, at least 1."""
        instrument = listing.instrument
        per_lot = instrument.units_per_lot
        if not instrument.inverse:
            per_lot *= index_ticks * Fraction(instrument.tick)
        return max(1, math.ceil(Fraction(self.rules.impact_notional) / per_lot))

    def _index_ticks(self, listing: Listing) -> int:
        market, instrument = self.house.market, listing.instrument
        pair = market.index_e8.get(instrument.family)
        if pair is None:
            usd = market.usd_index_e8
            pair = divide_rounded(usd[instrument.base] * E8, usd[instrument.quote])
        return round(pair / (instrument.tick * E8))

    def rate_e8(self, listing: Listing) -> int:
        """The rate that the premium gives a settlement now, in 1e-8. Source: 11.3."""
        samples = self.premiums_e8[listing.number]
        rules = self.rules
        average = divide_rounded(sum(samples), len(samples)) if samples else 0
        if rules.formula == "with_rate":
            clamp = round(rules.clamp * E8)
            interest = round(rules.interest * E8)
            average += min(clamp, max(-clamp, interest - average))
        cap = round(rules.cap * E8)
        return min(cap, max(-cap, average))

    def estimate_e8(self, now_ns: int, listing: Listing) -> int:
        """The rate that traders see ahead of the next settlement, in 1e-8."""
        schedule = self.schedules.get(listing.number)
        return self.rate_e8(listing) if schedule is None else schedule.estimate_e8(now_ns)

    def settle(self, now_ns: int) -> None:
        """Let every perpetual's holders pay each other. `now_ns`: the first mark of an interval.
        O(accounts)."""
        for listing in self.perpetuals:
            schedule = self.schedules.get(listing.number)
            if schedule is None:
                rate_e8 = self.rate_e8(listing)
            else:
                rate_e8 = schedule.charged_e8(now_ns - now_ns % self.interval_ns)
            self._settle(now_ns, listing, rate_e8)

    def _settle(self, now_ns: int, listing: Listing, rate_e8: int) -> None:
        house, instrument = self.house, listing.instrument
        mark = int(house.market.mark_ticks[listing.number])
        ledger = house.ledger
        clearing = ledger.open("funding", instrument.settle)
        long_lots, paid, total = 0, 0, 0
        for account in house.accounts:
            position = account.positions.get(listing.number)
            if position is None or position.lots == 0:
                continue
            long_lots += max(0, position.lots)
            payment = divide_rounded(instrument.value_atoms(mark, position.lots) * rate_e8, E8)
            if payment == 0:
                continue
            total += payment
            paid += max(0, payment)
            ledger.post(now_ns, FUNDING, position.settle.cash, clearing, payment, listing.number)
            house.book_cash(now_ns, position.settle)
            if payment > 0 and account.orders:
                house.conditions.cancel_uncovered(now_ns, account)
        # half an atom per holder at most is left on the way; it is nobody's
        rounding = ledger.open("rounding", instrument.settle)
        ledger.post(now_ns, ROUNDING, clearing, rounding, total, listing.number)
        house.emit(FundingPayment(now_ns, instrument.instrument_id, rate_e8, mark, long_lots, paid))
