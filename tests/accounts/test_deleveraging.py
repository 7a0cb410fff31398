"""The three policies: exact, capped, and on the recorded waves of 10 October 2025.

Recorded: Hyperliquid's auto-deleveraging of that day by wave, with the budget that was needed,
what the venue's queue took (`budget_prod`), and what a pro-rata rule over the winners' capacity
(`total_cap`) would have taken from each (`max_pct_pr`, the share of capacity).
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.deleveraging_policies import Policy, allocate

GOLDEN = Path(__file__).parent.parent / "golden" / "adl"
OTHER_CAPACITIES = (9, 11, 21, 25, 28)
POLICIES: tuple[Policy, ...] = ("queue", "pro_rata", "capped_pro_rata")


def waves() -> list[dict[str, float]]:
    name = "hyperliquid_2025-10-10_policy_per_wave_metrics.csv"
    with (GOLDEN / name).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = ("t_start", "t_end")
    return [{k: float(v or "nan") for k, v in row.items() if k not in texts} for row in rows]


def winners(total_cents: int, count: int = 40) -> list[int]:
    """Capacities that fall like 1 / rank and sum to the recorded total, in cents."""
    weights = [1.0 / (n + 1) for n in range(count)]
    capacities = [int(total_cents * weight / sum(weights)) for weight in weights]
    capacities[0] += total_cents - sum(capacities)
    return capacities


def test_queue_empties_the_first_in_line() -> None:
    assert allocate("queue", 10, [4, 8, 5], [1.0, 3.0, 2.0], [0, 0, 0]) == [0, 8, 2]
    assert allocate("queue", 10, [4, 8, 5], [2.0, 2.0, 2.0], [0, 0, 0]) == [4, 6, 0]


def test_pro_rata_gives_remainders_to_the_largest_fraction() -> None:
    # 10 of 17: 2.35, 4.71, 2.94: 2, 4, 2 and the two left to the second and the third
    assert allocate("pro_rata", 10, [4, 8, 5], [0, 0, 0], [0, 0, 0]) == [2, 5, 3]


def test_capped_pro_rata_fills_like_water() -> None:
    # by profit 6 : 3 : 1 of 10 lots: 6, 3, 1; the first has only 2: 8 are shared 3 : 1 = 6, 2
    assert allocate("capped_pro_rata", 10, [2, 8, 5], [0, 0, 0], [6.0, 3.0, 1.0]) == [2, 6, 2]


def test_more_than_all_have() -> None:
    for policy in POLICIES:
        assert allocate(policy, 100, [4, 8, 5], [1.0, 2.0, 3.0], [1.0, 1.0, 0.0]) == [4, 8, 5]
        assert allocate(policy, 100, [], [], []) == []
        assert allocate(policy, 0, [4], [1.0], [1.0]) == [0]


WINNERS = st.lists(
    st.tuples(
        st.integers(0, 10**12), st.floats(0.0, 1e6), st.floats(0.0, 1e9, allow_subnormal=False)
    ),
    max_size=12,
)


@given(WINNERS, st.integers(0, 10**13), st.sampled_from(POLICIES))
@settings(max_examples=300)
def test_shares_are_exact_and_within_capacity(
    rows: list[tuple[int, float, float]], wanted: int, policy: Policy
) -> None:
    capacities = [row[0] for row in rows]
    shares = allocate(policy, wanted, capacities, [r[1] for r in rows], [r[2] for r in rows])
    assert sum(shares) == min(wanted, sum(capacities))
    assert all(0 <= share <= most for share, most in zip(shares, capacities, strict=True))


@pytest.mark.parametrize("wave", waves(), ids=lambda wave: f"wave {int(wave['wave'])}")
def test_recorded_waves(wave: dict[str, float]) -> None:
    needed, total = round(wave["budget_needed"] * 100), round(wave["total_cap"] * 100)
    capacities = winners(total)
    scores = [float(n) for n in range(len(capacities))]
    profits = [capacity / 100 for capacity in capacities]
    shares = {p: allocate(p, needed, capacities, scores, profits) for p in POLICIES}
    for policy in POLICIES:  # to the cent, where the venue's own queue missed by `overshoot_prod`
        assert sum(shares[policy]) == needed
    assert abs(wave["overshoot_prod"]) > 1.0
    assert wave["overshoot_prod"] == pytest.approx(
        wave["budget_prod"] - wave["budget_needed"], abs=0.01
    )
    # Pro rata takes the recorded share of everybody's capacity (seen at the largest winner, where
    # cents do not matter). In five small waves the record's capacities are not those summed up.
    share = shares["pro_rata"][0] / capacities[0]
    assert share == pytest.approx(needed / total, rel=1e-4)
    if int(wave["wave"]) not in OTHER_CAPACITIES:
        assert share == pytest.approx(wave["max_pct_pr"], rel=1e-4)
    # so does the capped one, since profit is the capacity here and no cap binds
    assert shares["capped_pro_rata"][0] == pytest.approx(shares["pro_rata"][0], abs=1)
    # the queue takes all that the first in line have: a share of 1 wherever one is too small
    first = capacities[-1]
    assert shares["queue"][-1] == min(first, needed)
    touched = {p: sum(1 for share in shares[p] if share) for p in POLICIES}
    assert touched["queue"] <= touched["pro_rata"]


def test_recorded_total_overshoot() -> None:
    # The headline figure: 45.0 million more taken than needed.
    rows = waves()
    overshoot = sum(row["budget_prod"] - row["budget_needed"] for row in rows)
    assert overshoot == pytest.approx(45_028_665.72, rel=1e-6)
