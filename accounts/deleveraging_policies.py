"""Who gives up how much: the three policies of auto-deleveraging as pure functions over integers.

Source: liquidation-and-losses.md section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Policy = Literal["queue", "pro_rata", "capped_pro_rata"]


def allocate(
    policy: Policy,
    wanted: int,
    capacities: Sequence[int],
    scores: Sequence[float],
    profits: Sequence[float],
) -> list[int]:
    """Share `wanted` units over winners of `capacities` (>= 0); never more than all of them have.

    queue: whole winners by falling score. pro_rata: the same share of everybody's capacity.
    capped_pro_rata: in proportion to profit, nobody beyond his capacity, the excess shared again.
    Ties and remainders go to the earlier winner. Exact: the result sums to
    min(wanted, sum(capacities)). O(n log n), capped_pro_rata O(n^2) at worst.
    """
    wanted = min(wanted, sum(capacities))
    if policy == "queue":
        return _queue(wanted, capacities, scores)
    if policy == "pro_rata":
        return _proportional(wanted, list(capacities), capacities)
    return _capped(wanted, capacities, profits)


def _queue(wanted: int, capacities: Sequence[int], scores: Sequence[float]) -> list[int]:
    shares = [0] * len(capacities)
    for place in sorted(range(len(capacities)), key=lambda n: (-scores[n], n)):
        shares[place] = min(wanted, capacities[place])
        wanted -= shares[place]
    return shares


def _proportional(wanted: int, weights: list[int], capacities: Sequence[int]) -> list[int]:
    """`wanted` by integer weights, largest remainders first, within the capacities."""
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    shares = [wanted * weight // total for weight in weights]
    remainders = [wanted * weight % total for weight in weights]
    left = wanted - sum(shares)
    for place in sorted(range(len(weights)), key=lambda n: (-remainders[n], n)):
        if left > 0 and shares[place] < capacities[place]:
            shares[place] += 1
            left -= 1
    return shares


def _capped(wanted: int, capacities: Sequence[int], profits: Sequence[float]) -> list[int]:
    """Water filling: who is full drops out, the rest share what is left by profit."""
    shares = [0] * len(capacities)
    # Integer weights keep the division exact; profits of nothing count as the smallest weight.
    weights = [
        max(1, round(profit * 1e6)) if n else 0
        for profit, n in zip(profits, capacities, strict=True)
    ]
    open_places = [n for n, capacity in enumerate(capacities) if capacity]
    while wanted > 0 and open_places:
        total = sum(weights[n] for n in open_places)
        full = [n for n in open_places if wanted * weights[n] >= capacities[n] * total]
        if not full:
            parts = _proportional(
                wanted, [weights[n] for n in open_places], [capacities[n] for n in open_places]
            )
            for place, part in zip(open_places, parts, strict=True):
                shares[place] = part
            return shares
        for place in full:
            shares[place] = capacities[place]
            wanted -= capacities[place]
        open_places = [n for n in open_places if n not in set(full)]
    return shares
