"""`selloff margin`: the golden case through the command, JSON, tables, wrong options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.margin_cases import G1, GOLDEN, LIBRARY, error_line, example, run, run_json

# Fields of OKX's answer that are not margin figures of the report.
NOT_FIGURES = {"ccy", "riskUnit", "volShock", "instId", "instType", "posSide", "isRealPos"}
DEPRECATED = {"positions", "ts"}
TIED_SHOCKS = {"spotShock"}


def compare(expected: object, actual: object, path: str) -> int:
    """Compare OKX's answer (numbers as text) with ours to 1e-9; count the figures compared."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict)
        keys = [key for key in expected if key not in DEPRECATED and expected[key] != ""]
        return sum(compare(expected[key], actual[key], f"{path}.{key}") for key in keys)
    if isinstance(expected, list):
        assert isinstance(actual, list) and len(actual) == len(expected), path
        pairs = zip(expected, actual, strict=True)
        return sum(compare(a, b, f"{path}.{i}") for i, (a, b) in enumerate(pairs))
    name = path.rsplit(".", 1)[-1]
    if name in NOT_FIGURES:
        assert actual == expected, path
        return 0
    assert isinstance(actual, int | float | str), path
    assert float(actual) == pytest.approx(float(str(expected)), rel=1e-9, abs=1e-9), path
    return 1


def test_golden_case_through_the_command() -> None:
    answer = json.loads((GOLDEN / "G1_position_builder_2025-01-15.json").read_text())
    compared = compare(answer["response"]["data"][0], run_json("margin", G1), "G1")
    assert compared > 100


def numbers_in(value: object) -> list[object]:
    """All leaves of a JSON value but names."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() if key not in NOT_FIGURES | TIED_SHOCKS
                for leaf in numbers_in(inner)]  # fmt: skip
    if isinstance(value, list):
        return [leaf for inner in value for leaf in numbers_in(inner)]
    return [value]


def test_json_holds_numbers_and_not_text() -> None:
    leaves = numbers_in(run_json("margin", G1))
    assert len(leaves) > 100
    assert all(isinstance(leaf, int | float) and not isinstance(leaf, bool) for leaf in leaves)


def test_ratio_is_null_without_a_requirement(tmp_path: Path) -> None:
    path = tmp_path / "cash.toml"
    path.write_text('time = 2025-01-15T00:00:00Z\nmarket.usd_index = {USDT = 1.0}\n'
                    "balances = {USDT = 5}\n")  # fmt: skip
    report = run_json("margin", path)
    assert report["marginRatio"] is None
    assert report["eq"] == 5.0 and report["totalMmr"] == 0.0
    assert "no requirement" in run("margin", path).stdout


def test_empty_account(tmp_path: Path) -> None:
    path = tmp_path / "nothing.toml"
    path.write_text("time = 2025-01-15T00:00:00Z\nmarket.usd_index = {}\n")
    report = run_json("margin", path)
    assert report["eq"] == 0.0 and report["acctLever"] is None
    assert run("margin", path).exit_code == 0


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_prints_in_100_columns(path: Path) -> None:
    for words in ((), ("--mode", "multi_currency"), ("--compare", "okx-2024")):
        result = run("margin", path, *words)
        assert result.exit_code == 0, result.output
        assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 100
        assert "…" not in result.stdout, "a cell was cut"


def test_table_explains_itself() -> None:
    text = run("margin", G1).stdout
    for words in (
        "LIQUIDATION  the margin ratio is -2,595.4 %, at or below 100 %",
        "adjusted equity",
        "MR1 price and volatility",
        "index +12 %: -1,164.41",
        "MR1 + MR4 = 1,183.82 binds (MR7 43.67 is smaller)",
        "Borrowing (MR8)",
        "2 % (tier 1)",
        "all coins",
        "now",
    ):
        assert words in text, words


def test_table_says_what_the_hedge_saves() -> None:
    text = " ".join(run("margin", example("hedged-spot")).stdout.split())
    assert "10 BTC in spot hedge the unit's delta of -10.001735 BTC" in text
    assert "maintenance margin 4,367.21 instead of 118,382, 114,015 less" in text


def test_rules_by_option_and_by_path(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "okx-2025"\nname = "mine"\neffective = 2025-02-01\n'
        "[minimum_charge.rate]\nk1 = 0.5\n"
    )
    report = run_json("margin", G1, "--rules", mine)
    bitcoin = report["riskUnitData"][0]
    assert bitcoin["mr7"] == pytest.approx(0.5 * 9704.9036898)
    assert bitcoin["mmr"] == bitcoin["mr7"]
    older = run_json("margin", G1, "--rules", "okx-2024")
    assert [unit["riskUnit"] for unit in older["riskUnitData"]] == ["BTC-USDT", "LTC-USDT"]


def test_multi_currency_mode() -> None:
    report = run_json("margin", example("hedged-spot"), "--mode", "multi_currency")
    assert report["riskUnitData"] == []
    (line,) = report["positions"]
    assert line["imr"] == pytest.approx(0.1 * 970_322.0)


BAD_OPTIONS: list[tuple[list[str], str]] = [
    (["--mode", "isolated"], "mode: 'isolated' is not 'portfolio' or 'multi_currency'"),
    (
        ["--compare", "multi_currency", "--order", "buy 1 BTC-USDT-SWAP @ 1"],
        "--compare, --order and --transfer-out: one of them at a time",
    ),
    (["--order", "hold"], "--order: 'hold' is not 'SIDE SIZE INSTRUMENT @ PRICE [TYPE]', such as"
     " 'sell 5 BTC-USDT-SWAP @ 97000 ioc'"),
    (["--order", "hold 5 BTC-USDT-SWAP @ 1"], "--order: side 'hold' is not 'buy' or 'sell'"),
    (["--order", "buy 0 BTC-USDT-SWAP @ 1"],
     "--order: size '0' is not a number above 0 and up to 1e15"),
    (["--order", "buy 5 BTC-USDT-SWAP @ nan"],
     "--order: price 'nan' is not a number above 0 and up to 1e15"),
    (["--order", "buy 5 BTC-USDT-SWAP"],
     "--order: no price; 'SIDE SIZE INSTRUMENT @ PRICE [TYPE]', such as 'sell 5 BTC-USDT-SWAP @"
     " 97000 ioc' is needed, or the type 'market'"),
    (["--order", "buy 5 BTC-USDT-SWAP @ 97000 gtc"],
     "--order: type 'gtc' is not 'limit', 'ioc', 'fok', 'post_only' or 'market'"),
    (["--order", "buy 5 BTC-USDT-SWAP @ 97000 market"],
     "--order: a market order has no price; '97000' is given"),
    (["--order", "buy 0.005 BTC-USDT-SWAP @ 97000"],
     "--order.size: 0.005 is not a non-zero number of contracts in lots of 0.01"),
    (["--order", "buy 5 BTC-USDT-SWAP @ 97000.05"],
     "--order: BTC-USDT-SWAP: price: 97000.05 is not a multiple of 0.1"),
    (["--order", "buy 5 ETH-USDT-SWAP @ 3300"],
     "market.mark: no ETH-USDT-SWAP; the mark price of every contract held or ordered is needed"
     " (--order)"),
    (["--order", "buy 5 BTC-USDT-241227 @ 97000"],
     "--order.instrument: BTC-USDT-241227 expired at 2024-12-27 08:00 UTC; an expiry after time"
     " (2025-01-15 10:26) is needed"),
    (["--transfer-out", "USDT"], "--transfer-out: 'USDT' is not 'AMOUNT CURRENCY', such as '1000"
     " USDT'"),
    (["--transfer-out", "-5 USDT"],
     "--transfer-out: amount '-5' is not a number above 0 and up to 1e15"),
    (["--transfer-out", "5 XYZ"],
     "--transfer-out: currency 'XYZ' is not one of BTC, LTC, USDT, USDC"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_bad_options(words: list[str], message: str) -> None:
    assert error_line("margin", G1, *words) == message


def test_unknown_rules_are_refused_by_name() -> None:
    line = error_line("margin", G1, "--rules", "okx-1999")
    assert line.startswith("rule set 'okx-1999': neither one of okx-2025, okx-2024, okx-2021")


def test_offset_mode_of_other_rules_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text('offset_mode = "usdt"\n' + G1.read_text())
    line = error_line("margin", path)
    assert line == "offset_mode must be one of merged in okx-2025, not 'usdt'"


def test_currency_that_the_rules_lack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(G1.read_text().replace("LTC", "BCH"))
    line = error_line("margin", path)
    assert line.startswith("BCH is not a currency of rule set 'okx-2025'")


def test_command_line_itself_is_checked() -> None:
    hint = " (selloff [COMMAND] --help lists what is allowed)"
    assert error_line("margin").startswith("Missing argument") and hint in error_line("margin")
    assert error_line("margin", G1, "--colour").startswith("No such option: --colour")
    assert error_line("margni", G1).startswith("No such command 'margni'")


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "margin" in result.stdout and "stress" in result.stdout
    assert run().stdout == result.stdout


def subprocess_run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command as its user does."""
    command = [sys.executable, "-m", "scenarios.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_installed_command_prints_only_json() -> None:
    done = subprocess_run("margin", G1, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["totalMmr"] == pytest.approx(2946.5480841048, rel=1e-12)


def test_installed_command_fails_in_one_line(tmp_path: Path) -> None:
    done = subprocess_run("margin", tmp_path / "none.toml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"error: {tmp_path}/none.toml: no such file\n"


def test_help_loads_no_heavy_library() -> None:
    heavy = "{'numpy', 'numba', 'polars', 'plotly', 'simpy'}"
    code = (
        "import sys; from typer.testing import CliRunner; from scenarios.cli import app;"
        " assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        f" print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
