"""`selloff margin --compare`: what differs, and that the explanation adds up."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk.margin import margin_report
from risk.rules import load_rules
from scenarios.portfolio_compare import binding_parts, other_side, parts_of
from scenarios.portfolio_file import load
from tests.scenarios.margin_cases import G1, LIBRARY, error_line, example, run, run_json

OTHERS = ("multi_currency", "okx-2024", "okx-2021")


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem)
def test_parts_add_up_to_the_margin(path: Path, other: str) -> None:
    loaded = load(path)
    rules = load_rules(loaded.rules)
    right_portfolio, right_rules = other_side(loaded.portfolio, rules, other)
    left, right = (
        margin_report(loaded.portfolio, rules),
        margin_report(right_portfolio, right_rules),
    )
    for unit in (*left.risk_units, *right.risk_units):
        assert sum(binding_parts(unit).values()) == pytest.approx(unit.mmr, rel=1e-12)
    parts = parts_of(left, right)
    assert sum(part.left for part in parts) == pytest.approx(left.total_mmr, rel=1e-12)
    assert sum(part.right for part in parts) == pytest.approx(right.total_mmr, rel=1e-12)


def test_json_holds_both_reports_and_the_difference() -> None:
    found = run_json("margin", example("bear-call-spread"), "--compare", "multi_currency")
    assert (found["left"]["mode"], found["right"]["mode"]) == ("portfolio", "multi_currency")
    difference = found["difference"]
    assert difference["totalImr"] == found["right"]["totalImr"] - found["left"]["totalImr"]
    assert found["savedImr"] == pytest.approx(0.735, abs=0.001)
    by_component = sum(row["difference"] for row in difference["components"])
    assert by_component == pytest.approx(difference["totalMmr"], rel=1e-12)


def test_table_says_who_needs_less() -> None:
    text = run("margin", example("bear-call-spread"), "--compare", "multi_currency").stdout
    assert "portfolio needs 73.5 % less initial margin than multi-currency: 58,807 against" in text
    assert "short 1,000 BTC-USD-250328-100000-C" in text


def test_same_side_differs_in_nothing() -> None:
    found = run_json("margin", G1, "--compare", "portfolio")
    assert found["difference"]["totalImr"] == 0.0
    assert all(row["difference"] == 0.0 for row in found["difference"]["components"])


def test_offset_mode_of_one_rule_set_gives_way_to_the_default_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text('offset_mode = "merged"\n' + G1.read_text())
    found = run_json("margin", path, "--compare", "okx-2024")
    assert found["right"]["rules"] == "okx-2024"


def test_unknown_other_side() -> None:
    assert error_line("margin", G1, "--compare", "binance").startswith("rule set 'binance': ")
