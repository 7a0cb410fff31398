"""Rule sets: what ships, what a copy may change, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk.rules import RULE_SETS, RulesError, load_rules

RULES = load_rules()


def _refused(tmp_path: Path, text: str, base: str = 'extends = "okx-2025"\nname = "mine"\n') -> str:
    path = tmp_path / "mine.toml"
    path.write_text(base + text)
    with pytest.raises(RulesError) as caught:
        load_rules(path)
    return str(caught.value)


@pytest.mark.parametrize("name", RULE_SETS)
def test_shipped_sets_load(name: str) -> None:
    rules = load_rules(name)
    assert rules.name == name
    assert rules.offset_mode(None) in rules.risk_unit.offset_modes


def test_parameters_of_liquidation_are_those_of_the_specification() -> None:
    terms = RULES.liquidation
    assert (terms.warning_ratio, terms.order_control) == (3.0, 0.91)
    assert (terms.start_ratio, terms.stop_ratio) == (1.0, 1.2)
    assert (terms.max_step_share, terms.dust_usd, terms.attempts) == (0.20, 50.0, 5)
    assert (terms.cool_down_s, terms.stale_mark_s) == (1.0, 10.0)
    assert (RULES.deleveraging.drawdown, RULES.deleveraging.peak_hours) == (0.30, 8.0)
    assert RULES.account.eligibility_usd == 10_000.0
    assert RULES.borrow_limit("BTC") == 30.0 + 17 * 20.0
    assert RULES.borrow_limit("USDT") == 20e6


def test_a_copy_by_path_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "okx-2025"\nname = "mine"\n[liquidation]\nstop_ratio = 1.5\n')
    mine = load_rules(path)
    assert mine.liquidation.stop_ratio == 1.5
    assert mine.liquidation.start_ratio == RULES.liquidation.start_ratio
    further = tmp_path / "further.toml"
    further.write_text('extends = "mine.toml"\nname = "further"\n[vega_term]\nfactor = 0.0\n')
    assert load_rules(further).liquidation.stop_ratio == 1.5


@pytest.mark.parametrize(
    "text,words",
    [
        ("[liquidation]\nstop_ratoi = 1.2\n", "liquidation.stop_ratoi: no such entry"),
        ("[liquidation]\nstop_ratio = 0.9\n", "stop_ratio 0.9 must be above start_ratio 1"),
        ("[liquidation]\nstop_ratio = '1.2'\n", "liquidation.stop_ratio: "),
        ("[liquidation]\nwarning_ratio = 0.5\n", "warning_ratio 0.5 must not be below"),
        ("[spot_shock.shocks]\nk1 = [0.04, 0.12, 0.08]\n", "shocks.k1 must ascend"),
        ("[spot_shock.shocks]\nk2 = [0.04, 0.12]\n", "shocks.k2 must have 3 entries"),
        ("[spot_shock.shocks]\nk3 = [0.04, 0.12, 1.0]\n", "shocks.k3 must be below 1"),
        ("[spot_shock]\nvolatility_points = [30.0]\n", "volatility_points must have 4 entries"),
        ("[extreme_move]\nmoves = { k1 = 1.5 }\n", "extreme_move.moves.k1: "),
        ("[minimum_charge.multipliers]\nk1 = [1.0]\n", "multipliers.k1 must have 7 entries"),
        ("[stablecoin_depeg]\nbounds = [2.0, 1.0]\n", "bounds must ascend"),
        ("[groups]\nk2 = ['BTC']\n", "BTC is in k1 and in k2"),
        ("[risk_unit]\ngrouping = 'quote'\n", 'grouping "coin" goes with offset_modes'),
        ("[risk_unit]\ndefault_offset_mode = 'usdt'\n", "'usdt' is not one of offset_modes"),
        (
            "[currencies.BTC]\ndiscount = { bounds = [1.0], rates = [0.9, 0.8] }\n",
            "rates must have 1 entries",
        ),
        (
            "[currencies.BTC]\ndiscount = { bounds = [1.0, 2.0], rates = [0.8, 0.9] }\n",
            "rates must not rise",
        ),
        ("[currencies.FOO]\ndaily_interest = 0.1\n", "currencies.FOO.discount: is missing"),
        ("surprise = 1\n", "surprise: no such entry"),
    ],
)
def test_wrong_entries_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    assert words in _refused(tmp_path, text)


def test_missing_files_and_broken_ones(tmp_path: Path) -> None:
    assert "not TOML" in _refused(tmp_path, "= 3\n")
    assert "extends goes in a circle" in _refused(tmp_path, "", 'extends = "mine.toml"\n')
    with pytest.raises(RulesError, match="neither one of okx-2025"):
        load_rules("okx-2031")
    assert "groups: is missing" in _refused(tmp_path, "", 'name = "empty"\n')


def test_currencies_of_a_scenario() -> None:
    new = RULES.currencies["ADA"].model_dump()
    rules = RULES.with_currencies({"TRX": new})
    assert rules.currency("TRX").borrow.bounds == RULES.currency("ADA").borrow.bounds
    with pytest.raises(RulesError, match="TRX is not a currency of rule set 'okx-2025'"):
        RULES.currency("TRX")
    with pytest.raises(RulesError, match=r"currencies\.TRX\.discount: is missing"):
        RULES.with_currencies({"TRX": {k: v for k, v in new.items() if k != "discount"}})


def test_offset_modes_belong_to_rule_sets() -> None:
    assert load_rules("okx-2024").offset_mode("coin") == "coin"
    for name, mode in (("okx-2025", "usdt"), ("okx-2021", "usdc"), ("okx-2024", "merged")):
        with pytest.raises(RulesError, match="offset_mode must be one of"):
            load_rules(name).offset_mode(mode)


def test_a_byte_order_mark_is_no_part_of_a_rule_set(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b'\xef\xbb\xbfextends = "okx-2025"\r\nname = "marked"\r\n')
    assert load_rules(str(path)).name == "marked"


@pytest.mark.parametrize(
    ("name", "message"),
    [("/dev/zero", "larger than"), ("a\0b.toml", "nor a readable file .*null")],
)
def test_a_file_that_cannot_be_read_to_its_end(name: str, message: str) -> None:
    with pytest.raises(RulesError, match=message):
        load_rules(name)
