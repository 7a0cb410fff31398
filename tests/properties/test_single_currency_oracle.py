"""Accounts in single-currency mode: figures and decisions are those of the plain calculator.

Random accounts with positions settled in several currencies, twelve random orders each.

Source: portfolio-margin.md sections 2.1, 16.17, 16.18.
"""

from random import Random

import pytest

from accounts.account import AccountMode
from accounts.modes import set_leverage
from exchange.events import OrderRejected, RejectReason
from exchange.order import OrderType
from risk import order_tables as t
from tests.oracles.house_twin import Trial
from tests.oracles.plain_account import Account, read_order
from tests.oracles.plain_admission import deepens_debt, filled, with_order
from tests.oracles.plain_single import Alone, currencies_alone

ORDERS = 12
TOLERANCE = 1e-6  # of the account's size
CENT = 0.01


def _near(trial: Trial, *values: float) -> float:
    return TOLERANCE * (max(map(abs, values)) + trial.scale) + CENT


def _is_one_of(trial: Trial, pair: list[float], rows: list[list[float]]) -> bool:
    """Whether a pair of figures belongs together: it is the same currency's in the twin."""
    return any(
        all(
            abs(figure - value) <= _near(trial, value)
            for figure, value in zip(pair, row, strict=True)
        )
        for row in rows
    )


def _check_figures(trial: Trial, alone: list[Alone]) -> None:
    """Each comparison is made with one currency's figures, and with the weakest's."""
    figures = trial.house.exposures.figures(trial.account.number).tolist()
    checked, initial = figures[t.T_SMALLEST], figures[t.T_IMR]
    assert _is_one_of(trial, [checked, initial], [[a.smallest, a.initial] for a in alone])
    least = min(a.smallest - a.initial for a in alone)
    assert abs(checked - initial - least) <= _near(trial, checked, initial)
    covering, covered = figures[t.T_COVERING], figures[t.T_COVERED]
    assert _is_one_of(trial, [covering, covered], [[a.equity, a.initial] for a in alone])
    share = min(a.equity / a.initial for a in alone)
    assert abs(covering - share * covered) <= _near(trial, covering)
    if any(a.maintenance for a in alone):
        adjusted, maintenance = figures[t.T_ADJUSTED], figures[t.T_MMR]
        rows = [[a.equity, a.maintenance] for a in alone]
        assert _is_one_of(trial, [adjusted, maintenance], rows)
        ratio = min(a.ratio for a in alone)
        assert abs(adjusted - ratio * maintenance) <= _near(trial, adjusted)
        assert figures[t.T_RATIO] == adjusted / maintenance
        assert figures[t.T_FEE] == 0.0


def _admits(trial: Trial, before: Account, words: dict) -> bool | None:
    """Whether the order may go in; None where rounding could turn it.  Source: 16.17."""
    order = read_order(words)
    after = with_order(before, order)
    if deepens_debt(after):
        return False
    gap = min((a.smallest - a.initial for a in currencies_alone(after)), default=0.0)
    near = _near(trial, *(a.initial for a in currencies_alone(after)), gap)
    if abs(gap) <= near and currencies_alone(after):
        return None
    if gap >= 0.0:
        return True
    if words["type"] == "limit":
        return False
    # rule (b): of no currency that it changes, less is left over
    changed = {order.instrument.settle}
    if order.instrument.kind == "SPOT":
        changed.add(order.instrument.base)
    left = [
        {a.currency: a.equity - a.initial for a in currencies_alone(account)}
        for account in (before, filled(before, order))
    ]
    falls = [
        left[1].get(c, float("inf")) - left[0].get(c, float("inf"))
        for c in changed
        if left[0].get(c) != left[1].get(c)
    ]
    if any(abs(fall) <= near for fall in falls):
        return None
    return all(fall > 0.0 for fall in falls)


def _run(seed: int, met: dict[str, int]) -> None:
    rng = Random(seed)
    trial = Trial(rng, auto_borrow=False, mode=AccountMode.SPOT_AND_FUTURES)
    house, trader = trial.house, trial.account
    for position in list(trader.positions.values()):
        if rng.random() < 0.5 and not house.by_number[position.number].is_option:
            listing = house.by_number[position.number]
            set_leverage(house, trader, listing, rng.choice((1.0, 3.0, 20.0, 50.0)))
    for number in range(ORDERS):
        portfolio = trial.portfolio()
        account = Account(portfolio)
        alone = currencies_alone(account)
        if alone:
            _check_figures(trial, alone)
            met["currencies"] = max(met.get("currencies", 0), len(alone))
        request, words = trial.draw_order()
        expected = _admits(trial, account, words)
        refusal = trial.submit(request)
        if refusal is not None and refusal.reason is RejectReason.POSITION_LIMIT:
            continue
        where = f"seed {seed}, order {number} {words}: {refusal}"
        if expected is not None:
            assert expected == (refusal is None), where
        kind = "immediate" if request.order_type is not OrderType.LIMIT else "limit"
        answer = "refused" if isinstance(refusal, OrderRejected) else "accepted"
        met[f"{kind} {answer}"] = met.get(f"{kind} {answer}", 0) + 1


def _run_all(seeds: range) -> None:
    met: dict[str, int] = {}
    for seed in seeds:
        _run(seed, met)
    assert met.pop("currencies") >= 3, met
    assert len(met) == 4 and min(met.values()) > len(seeds) // 10, met


def test_figures_and_decisions_are_alike() -> None:
    _run_all(range(120))


@pytest.mark.slow
def test_thousands_of_figures_and_decisions_are_alike() -> None:
    _run_all(range(120, 1_200))
