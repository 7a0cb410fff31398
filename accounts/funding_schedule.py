"""Funding rates that are given, of a record or a user, in place of the rate of the premium.

Source: portfolio-margin.md section 11.3 (what a rate does); the rates themselves are data.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from exchange.units import divide_rounded


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """Rates of one perpetual. times_ns: settlements, rising; rates_e8: share of the position that
    longs pay then, 1e-8. At least one."""

    times_ns: tuple[int, ...]
    rates_e8: tuple[int, ...]

    def charged_e8(self, settlement_ns: int) -> int:
        """The rate of a settlement, which must be one of the schedule. O(log times)."""
        place = bisect_left(self.times_ns, settlement_ns)
        assert self.times_ns[place] == settlement_ns, (self.times_ns, settlement_ns)
        return self.rates_e8[place]

    def estimate_e8(self, now_ns: int) -> int:
        """What traders see: on a straight line from the last rate to the next, which it reaches
        when that is charged; level before the first and after the last. O(log times).

        A venue's estimate is its average premium so far, over the last interval. It moves like
        this where the premium is the same throughout each interval; the next rate itself, shown
        hours ahead, would tell of a crash that has not happened.
        """
        place = bisect_left(self.times_ns, now_ns)
        if place == 0:
            return self.rates_e8[0]
        if place == len(self.times_ns):
            return self.rates_e8[-1]
        before_ns, next_ns = self.times_ns[place - 1 : place + 1]
        before, after = self.rates_e8[place - 1 : place + 1]
        return before + divide_rounded((after - before) * (now_ns - before_ns), next_ns - before_ns)
