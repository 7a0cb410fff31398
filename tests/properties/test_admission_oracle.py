"""The clearing house decides on orders as the plain calculator does, and sees the same margin.

Random accounts, twelve random orders each: accepted or refused, the account's figures before every
order, and the bankruptcy prices of its positions.

Source: portfolio-margin.md sections 16.12 to 16.17; liquidation-and-losses.md section 3.
"""

from math import ceil, floor
from random import Random

import pytest

from accounts.takeover import NO_BANKRUPTCY_PRICE, bankruptcy_ticks
from risk import order_tables as tables
from tests.oracles.house_twin import Trial
from tests.oracles.plain_account import Account
from tests.oracles.plain_admission import admit, bankruptcy_prices, smallest_equity
from tests.oracles.plain_margin import margin_report

ORDERS = 12
TOLERANCE = 1e-6  # of the account's size: the kernels' stress rows are rounded
CENT = 0.01
SHARE_TOLERANCE = 1e-4  # of the distance between mark and bankruptcy price


def _wrong_figures(trial: Trial, portfolio: dict) -> list[str]:
    """Return the account's figures that are not those of the plain calculator."""
    report, account = margin_report(portfolio), Account(portfolio)
    figures = trial.house.exposures.figures(trial.account.number)
    expected = {
        tables.T_ADJUSTED: report["eq"],
        tables.T_SMALLEST: smallest_equity(account),
        tables.T_MMR: report["totalMmr"],
        tables.T_IMR: report["totalImr"],
        tables.T_EQUITY: account.total_equity(),
        tables.T_BORROW_MMR: report["borrowMmr"],
        tables.T_FEE: account.liquidation_fee(),
    }
    return [
        f"figure {column}: {value}, {figures[column]}"
        for column, value in expected.items()
        if abs(value - figures[column]) > TOLERANCE * (abs(value) + trial.scale) + CENT
    ]


def _is_close_call(answer: dict, scale: float) -> bool:
    """Return whether rounding could turn the decision."""
    near = TOLERANCE * (abs(answer["totalImr"]) + scale) + CENT
    gaps = [answer["smallestEq"] - answer["totalImr"]]
    if "headroomAfter" in answer:
        gaps.append(answer["headroomAfter"] - answer["headroomBefore"])
    return min(abs(gap) for gap in gaps) < near


def _run(seed: int, *, auto_borrow: bool) -> dict[str, int]:
    """Send one account's orders; return how often each reason was met."""
    trial = Trial(Random(seed), auto_borrow=auto_borrow)
    reasons: dict[str, int] = {}
    for number in range(ORDERS):
        portfolio = trial.portfolio()
        assert _wrong_figures(trial, portfolio) == [], f"seed {seed}, order {number}"
        request, words = trial.draw_order()
        answer = admit(portfolio, words)
        refusal = trial.submit(request)
        if refusal is not None and refusal.reason.name == "POSITION_LIMIT":
            continue
        reasons[answer["reason"]] = reasons.get(answer["reason"], 0) + 1
        if answer["accepted"] != (refusal is None):
            # a borrowing refusal is a comparison of atoms and never a close call
            close = "currencies" not in answer and _is_close_call(answer, trial.scale)
            assert close, f"seed {seed}, order {number} {words}: {answer['reason']}, {refusal}"
    return reasons


def _run_all(seeds: range, *, auto_borrow: bool) -> None:
    met: dict[str, int] = {}
    for seed in seeds:
        for reason, count in _run(seed, auto_borrow=auto_borrow).items():
            met[reason] = met.get(reason, 0) + count
    expected = {"equity", "delta", "51008"} | (set() if auto_borrow else {"51008 borrow"})
    assert set(met) == expected, met


@pytest.mark.parametrize("auto_borrow", [True, False])
def test_orders_are_decided_alike(auto_borrow):
    _run_all(range(60), auto_borrow=auto_borrow)


@pytest.mark.slow
@pytest.mark.parametrize("auto_borrow", [True, False])
def test_thousands_of_orders_are_decided_alike(auto_borrow):
    _run_all(range(60, 560), auto_borrow=auto_borrow)


def test_bankruptcy_prices_agree_to_the_tick():
    compared = 0
    for seed in range(80):
        trial = Trial(Random(seed))
        prices = bankruptcy_prices(trial.portfolio())
        for position in trial.account.positions.values():
            name = position.instrument.instrument_id
            if name not in prices:
                continue
            ticks = bankruptcy_ticks(trial.house, position)
            price = prices[name]
            if price is None:
                assert ticks == NO_BANKRUPTCY_PRICE, f"seed {seed}: {name}"
                continue
            exact = price / float(position.instrument.tick)
            expected = floor(exact) if position.lots > 0 else ceil(exact)
            expected = max(expected, 1 if position.instrument.inverse else 0)
            # the shares are rounded charges; an inverse price moves with the reciprocal
            mark = int(trial.house.market.mark_ticks[position.number])
            distance = abs(exact - mark)
            if position.instrument.inverse:
                distance = exact**2 * abs(1.0 / exact - 1.0 / mark)
            near = 1.0 + SHARE_TOLERANCE * distance
            assert abs(ticks - expected) <= near, f"seed {seed}: {name}: {expected}, {ticks}"
            compared += 1
    assert compared > 100
