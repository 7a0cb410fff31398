"""An account rebuilt from the tables is the account that the clearing house had.

The run is a real one, a minute long; what the house holds at its end is compared with what the
results say, to the atom and to the lot.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.account import Account
from risk import order_tables as t
from scenarios.account_margin import recomputed_margin
from scenarios.account_view import AccountView, account_at, find_account, position_lots
from scenarios.errors import UserError
from scenarios.market_sample import sample_positions
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation
from tests.scenarios.hand_run import (
    action,
    at,
    falls,
    marks,
    sample,
    write_run,
)

WINDOW = {"market.start": "2020-03-12T10:36:00Z", "market.end": "2020-03-12T10:37:00Z"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Simulation]:
    held: list[Simulation] = []

    def start(simulation: Simulation) -> None:
        held.append(simulation)
        for position in sample_positions(int(simulation.env.now), simulation.house):
            simulation._record(position)

    out = tmp_path_factory.mktemp("real") / "run"
    run_scenario(
        "black-thursday",
        overrides=[f"{key}={value}" for key, value in WINDOW.items()],
        out=out,
        on_start=start,
    )
    return Run.load(out), held[0]


def views(played: tuple[Run, Simulation], every: int) -> list[tuple[AccountView, Account]]:
    run, simulation = played
    end = int(simulation.env.now)
    return [(account_at(run, a.number, end), a) for a in simulation.house.accounts[::every]]


def test_balances_positions_and_orders(played: tuple[Run, Simulation]) -> None:
    _, simulation = played
    house = simulation.house
    compared = 0
    for view, account in views(played, 40):
        cash, owed = {}, {}
        for currency, balance in account.balances.items():
            scale = house.market.scales[balance.number]
            atoms = house.ledger.balances[balance.cash]
            if atoms or balance.liability_atoms:
                cash[currency] = atoms * scale
                owed[currency] = balance.liability_atoms * scale
        assert {b.currency: b.cash for b in view.balances} == pytest.approx(cash)
        assert {b.currency: b.owed for b in view.balances} == pytest.approx(owed)
        expected = {
            p.instrument.instrument_id: (p.lots, p.entry_price)
            for p in account.positions.values()
            if p.lots
        }
        lots = position_lots(played[0], account.number, int(simulation.env.now))
        assert lots == {name: n for name, (n, _) in expected.items()}
        for position in view.positions:
            assert position.entry_price == pytest.approx(expected[position.instrument][1])
        assert view.open_orders["order_id"].to_list() == sorted(account.orders)
        left = {o.order_id: o.remaining_lots for o in account.orders.values()}
        for row in view.open_orders.iter_rows(named=True):
            lot = float(account.orders[row["order_id"]].instrument.lot)
            assert row["remaining"] == pytest.approx(left[row["order_id"]] * lot)
        compared += len(view.positions) + view.open_orders.height
    assert compared > 20, "there is something to compare"


def test_the_margin_recomputed_is_the_margin_that_decided(played: tuple[Run, Simulation]) -> None:
    run, simulation = played
    with_positions = 0
    for view, account in views(played, 60):
        report = recomputed_margin(run, view)
        assert report is not None
        figures = simulation.house.exposures.figures(account.number)
        # Risk rows are rounded to multiples of a power of two during a run: 1e-5 relative.
        assert report.total_mmr == pytest.approx(figures[t.T_MMR], rel=1e-5, abs=0.01)
        assert report.eq == pytest.approx(figures[t.T_ADJUSTED], rel=1e-5, abs=0.01)
        with_positions += bool(view.positions)
    assert with_positions > 5


def test_states_are_those_of_the_house(played: tuple[Run, Simulation]) -> None:
    for view, account in views(played, 25):
        assert view.state == account.state.name.lower()


def test_a_take_over_closes_the_position(tmp_path: Path) -> None:
    from accounts.events import Deleveraging, LiquidationStage
    from scenarios.market_sample import PositionSnapshot

    run = write_run(
        tmp_path / "run",
        [
            marks(0, 7_000), sample(0, 7_000),
            PositionSnapshot(at(0), 0, 0, 30_000, -30_000),
            PositionSnapshot(at(0), 1, 0, -9_000, 1),
            falls(5, 0), action(5, 1, 0),
            action(6, 2, 0, stage=LiquidationStage.TAKE_OVER, filled_lots=30_000),
            Deleveraging(at(6), 2, 0, 1, "BTC-USDT-SWAP", 4_000, 69_000, 70_000, 5.0),
            sample(10, 7_000),
        ],
    )  # fmt: skip
    assert position_lots(run, 0, at(4)) == {"BTC-USDT-SWAP": 30_000}
    assert position_lots(run, 0, at(7)) == {}
    assert position_lots(run, 1, at(7)) == {"BTC-USDT-SWAP": -5_000}


@pytest.mark.parametrize("text", ["trader/99", "10", "-1", "", "TRADER/0", "½"])
def test_an_unknown_account_is_refused(tmp_path: Path, text: str) -> None:
    run = write_run(tmp_path / "run", [marks(0, 7_000), sample(0, 7_000)])
    assert find_account(run, "trader/3") == find_account(run, "3") == 3
    with pytest.raises(UserError, match="neither a name nor a number"):
        find_account(run, text)
