"""The sizing rule with another venue's parameters: Paradex's published partial liquidation.

Long 0.1 BTC from 60,000 marked 54,800, short 1 ETH from 3,000 marked 3,400, 1,000 USDC.
Maintenance margin 1 % of the notional; fee 50 % of the maintenance margin released; shares of 20
%; target: margin at most 90 % of equity.
"""

from __future__ import annotations

import pytest

from accounts.liquidation_sizing import share_needed
from accounts.liquidation_steps import Standing

COLLATERAL = 1_000.0
UNREALISED = 0.1 * (54_800 - 60_000) - 1.0 * (3_400 - 3_000)  # -920
MARGIN = 0.01 * (0.1 * 54_800 + 1.0 * 3_400)  # 88.8
FEE_SHARE, GRAIN, TARGET = 0.5, 0.2, 0.9


def _standing(equity: float, margin: float) -> Standing:
    return Standing(equity, margin, equity, margin, margin, equity, margin)


BEFORE = _standing(COLLATERAL + UNREALISED, MARGIN)
CLOSED = _standing(BEFORE.adjusted - FEE_SHARE * MARGIN, 0.0)


def _partly(before: Standing, after: Standing, share: float) -> Standing:
    """The account after a share of a step, by a linear estimate."""
    return Standing(
        *((1.0 - share) * was + share * would for was, would in zip(before, after, strict=True))
    )


@pytest.mark.parametrize(
    ("share", "ratio"), [(0.2, 0.999), (0.4, 0.856), (0.6, 0.666), (0.8, 0.399)]
)
def test_published_ratios(share: float, ratio: float) -> None:
    now = _partly(BEFORE, CLOSED, share)
    assert round(now.requirement / now.adjusted, 3) == ratio


def test_published_share_and_collateral() -> None:
    assert BEFORE.ratio < 1.0  # 80 of 88.8: liquidated
    share = share_needed(BEFORE, CLOSED, 1.0 / TARGET, GRAIN)
    assert share == pytest.approx(0.4)
    # realised: 40 % of the losses and of the fee
    left = COLLATERAL + share * UNREALISED - share * FEE_SHARE * MARGIN
    assert left == pytest.approx(614.24, abs=0.005)


def test_own_rule_has_no_grain() -> None:
    # slack to 1 / 0.9: 80 - 98.667 = -18.667 before, 35.6 after: 18.667 / 54.267
    assert share_needed(BEFORE, CLOSED, 1.0 / TARGET) == pytest.approx(0.34398, abs=1e-5)


def test_a_step_that_never_gets_there_is_taken_whole() -> None:
    worse = _standing(70.0, 80.0)
    assert share_needed(BEFORE, worse, 1.2) == 1.0
