"""Every shipped scenario: it loads, it begins, and nothing is created or lost on the way."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from scenarios.bar_file import format_time
from scenarios.config import load_scenario, shipped_scenarios
from scenarios.errors import UserError
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.sweep_grid import make_tasks, parse_grid

SECOND_NS = 10**9
PAGES = Path(__file__).parents[2] / "docs" / "scenarios"
PROMISED = {
    "basis-blowout",
    "black-thursday",
    "calm-day",
    "flash-crash",
    "funding-squeeze",
    "leverage-flush",
    "liquidity-drought",
    "tariff-cascade",
    "usdc-depeg",
    "usdt-depeg",
    "ust-depeg",
    "vol-shock",
    "wrapped-collateral",
}


EXPLAINED = {("option_seller", "insufficient_margin")}
"""Agents who are refused often, and the code: the page of the scenario says why."""


def first(name: str, seconds: int) -> dict[str, str]:
    """Overrides that end a scenario after its first seconds."""
    scenario, _, _ = load_scenario(name)
    return {"market.end": format_time(scenario.market.start + seconds * SECOND_NS)}


def test_all_promised_scenarios_ship() -> None:
    assert set(shipped_scenarios()) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_the_first_minute_is_quiet_and_exact(name: str) -> None:
    """Nobody starts below his margin, the books fill, and every currency sums to zero."""
    summary = run_scenario(name, overrides=first(name, 60), keep=False)
    assert set(summary["conservation_error_atoms"].values()) == {0}
    assert summary["liquidated_accounts"] == 0
    assert summary["fills"] > 10
    assert summary["orders"] > 300
    assert sum(summary["rejected_orders"].values()) < 0.05 * summary["orders"]


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_has_a_page_that_names_it(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert f"selloff run {name}" in page


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_what_a_page_says_to_try_is_possible(name: str) -> None:
    """Every `--set` and `selloff sweep` of a page names fields that exist and values that fit."""
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    tried = 0
    for command in re.findall(r"`((?:--set|selloff sweep) [^`\n]+)`", page):
        words = shlex.split(command)
        options = list(pairwise(words))
        overrides = [value for option, value in options if option == "--set"]
        grid = [value for option, value in options if option == "--grid"]
        overrides += make_tasks(parse_grid(grid), [0])[-1].overrides if grid else []
        load_scenario(name, overrides)
        tried += 1
    assert tried


def test_two_seeds_of_nine_coins_differ_and_repeat() -> None:
    short = first("tariff-cascade", 20)
    one, two = (run_scenario("tariff-cascade", 3, short, keep=False) for _ in range(2))
    other = run_scenario("tariff-cascade", 4, short, keep=False)
    assert one["event_hash"] == two["event_hash"] != other["event_hash"]


def own_scenario(folder: Path) -> Path:
    """The file that the page on scenarios has a newcomer write."""
    page = (PAGES.parent / "scenarios.md").read_text(encoding="utf-8")
    block = page.split("```toml\n", 1)[1].split("```", 1)[0]
    path = folder / "my-depeg.toml"
    path.write_text(block, encoding="utf-8")
    return path


def test_the_newcomer_s_file_runs_and_its_mistakes_are_explained(tmp_path: Path) -> None:
    path = own_scenario(tmp_path)
    summary = run_scenario(path, overrides={"market.end": "2025-06-02T12:01:00Z"}, keep=False)
    assert set(summary["conservation_error_atoms"].values()) == {0}
    assert summary["liquidated_accounts"] == 0
    assert summary["fills"] > 10
    page = (PAGES.parent / "scenarios.md").read_text(encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_scenario(path, ["agents.1.depth=-1"])
    assert f"`{error.value}`" in page
    for key in ("market.path.parts.1.legs.3.factor=0.75", "agents.5.collateral={USDT=1.0}"):
        assert key.replace("{", "'{").replace("}", "}'") in page
        load_scenario(path, [key])


@pytest.mark.slow
def test_the_newcomer_s_depeg_liquidates_those_who_hold_the_coin(tmp_path: Path) -> None:
    assert run_scenario(own_scenario(tmp_path), keep=False)["liquidated_accounts"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROMISED - {"calm-day"}))
def test_a_whole_run_is_exact_and_nobody_insists_on_what_is_refused(
    name: str, tmp_path: Path
) -> None:
    summary = run_scenario(name, out=tmp_path / "run")
    assert set(summary["conservation_error_atoms"].values()) == {0}
    assert set(often_refused(Run.load(tmp_path / "run"))) <= EXPLAINED


def often_refused(run: Run) -> dict[tuple[str, str], int]:
    """Refusals by entry of agents and code, where they are more than twenty and than five of a
    thousand orders."""
    names = [name.split("/")[0] for name in run.account_names]
    sent: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    orders = run.orders.select("event", "account", "reason").cast({"event": pl.String})
    for event, account, reason in orders.iter_rows():
        if event in ("accepted", "rejected"):
            sent[names[account]] += 1
            if event == "rejected":
                refused[names[account], str(reason)] += 1
    return {key: n for key, n in refused.items() if n > max(20, 0.005 * sent[key[0]])}
