"""The stages of a liquidation in their order, each offering its candidate steps, best first.

A stage only proposes; the guard in `liquidation` decides. The unit with the largest maintenance
margin comes first; where borrowings weigh more than any unit, repayment comes before all units.

Source: liquidation-and-losses.md section 2; portfolio-margin.md section 10.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from accounts.account import BORROWING_MODES, AccountMode
from accounts.liquidation_sizing import Case, UnitFigures, View, unit_figures
from accounts.liquidation_steps import Step
from accounts.stage_hedges import delta_hedge, peg_hedge
from accounts.stage_reductions import inter_tenor, special, standard
from accounts.stage_repayment import repayment

Stage = Callable[[View, int, UnitFigures], Iterable[Step]]
STAGES: tuple[Stage, ...] = (peg_hedge, delta_hedge, inter_tenor, standard, special)
ONE_BY_ONE: tuple[Stage, ...] = (standard,)


def candidates(view: View) -> Iterator[Step]:
    """All candidate steps of an account in the order in which they are tried.

    Only portfolio margin knows hedges and steps of several legs; in the other modes margin is a sum
    over positions: they are closed one by one.
    """
    account = view.case.account
    units = view.house.exposures.units_by_margin(account.number)
    stressed = borrows = account.mode in BORROWING_MODES
    if borrows:
        borrowing = view.before.requirement - sum([mmr for _, _, mmr in units])
        stressed = borrowing > (units[0][2] if units else 0.0)
    if stressed:
        yield from repayment(view)
    stages = STAGES if account.mode == AccountMode.PORTFOLIO else ONE_BY_ONE
    for unit, row, _ in units:
        figures = unit_figures(view, row)
        for stage in stages:
            yield from stage(view, unit, figures)
    if borrows and not stressed:
        yield from repayment(view)


__all__ = ["Case", "View", "candidates"]
