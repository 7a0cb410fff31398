"""`selloff stress`: the grid, its axes, the depeg, and the heat map file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.margin_cases import G1, error_line, example, run, run_json

HEDGE = example("cross-quote-hedge")


def cells_at(grid: dict[str, Any], **wanted: float) -> list[dict[str, Any]]:
    return [c for c in grid["cells"] if all(c[key] == value for key, value in wanted.items())]


def test_cell_without_a_move_is_the_margin_report() -> None:
    for name in ("cross-quote-hedge", "bear-call-spread", "hedged-spot", "position-builder"):
        words = ("--index-moves", "10", "--vol-moves", "10", "--stablecoin-prices", "0.9")
        grid = run_json("stress", example(name), *words)
        now = run_json("margin", example(name))
        (cell,) = cells_at(grid, indexMove=0.0, volMove=0.0, stablecoinPrice=0.99954)
        for key in ("eq", "totalMmr", "totalImr", "marginRatio"):
            assert cell[key] == pytest.approx(now[key], rel=1e-12), (name, key)


def test_grid_holds_every_combination_once() -> None:
    grid = run_json(
        "stress", example("bear-call-spread"), "--index-moves", "-10,7",
        "--vol-moves", "50", "--stablecoin-prices", "1,0.9",
    )  # fmt: skip
    assert grid["indexMoves"] == [-0.1, 0.0, 0.07]
    assert grid["volMoves"] == [0.0, 0.5]
    assert grid["stablecoinPrices"] == [1.0, 0.99954, 0.9]
    keys = {(c["indexMove"], c["volMove"], c["stablecoinPrice"]) for c in grid["cells"]}
    assert len(keys) == len(grid["cells"]) == 18


def test_depeg_charge_grows_as_the_stablecoin_falls() -> None:
    grid = run_json("stress", HEDGE)
    charges = [cell["mr9"] for cell in cells_at(grid, indexMove=0.0, volMove=0.0)]
    prices = grid["stablecoinPrices"]
    assert prices == sorted(prices, reverse=True)
    assert charges == sorted(charges)
    # 10 million hedged: tier sums of 0.5 / 1 / 1.5 % above 0.99, 40 % at 0.8.
    hedged = 0.01 * 10_300 * 97_093.7 * 0.99954
    assert charges[0] == pytest.approx(1e6 * 0.005 + 4e6 * 0.01 + (hedged - 5e6) * 0.015, rel=1e-3)
    assert charges[-1] == pytest.approx(0.40 * hedged, rel=1e-9)


def test_depeg_liquidates_the_cross_quote_hedge_and_no_index_move_does() -> None:
    grid = run_json("stress", HEDGE)
    at_peg = cells_at(grid, stablecoinPrice=0.99954)
    assert min(cell["marginRatio"] for cell in at_peg) > 3.0
    assert max(cell["marginRatio"] for cell in cells_at(grid, stablecoinPrice=0.85)) < 1.0


def test_cash_in_a_stablecoin_is_worth_its_price(tmp_path: Path) -> None:
    path = tmp_path / "cash.toml"
    path.write_text('time = 2025-01-15T00:00:00Z\nmarket.usd_index = {USDT = 1.0}\n'
                    "balances = {USDT = 1000}\n")  # fmt: skip
    grid = run_json("stress", path)
    assert grid["indexMoves"] == [0.0] and grid["volMoves"] == [0.0]
    for cell in grid["cells"]:
        assert cell["eq"] == pytest.approx(1000.0 * cell["stablecoinPrice"])
        assert cell["marginRatio"] is None


def test_volatility_axis_only_with_options() -> None:
    assert run_json("stress", HEDGE)["volMoves"] == [0.0]
    assert run_json("stress", example("bear-call-spread"))["volMoves"] == [-0.5, 0.0, 0.5, 1.0]


def test_other_stablecoin() -> None:
    grid = run_json("stress", G1, "--stablecoin", "usdc", "--index-moves", "0")
    assert grid["stablecoin"] == "USDC"
    assert len({cell["eq"] for cell in grid["cells"]}) == 1, "the account holds no USDC"


@pytest.mark.parametrize("path", ["cross-quote-hedge", "bear-call-spread"])
def test_table_fits_100_columns(path: str) -> None:
    result = run("stress", example(path))
    assert result.exit_code == 0
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 100
    assert "…" not in result.stdout
    assert "of it MR9" in result.stdout


def test_html_is_self_contained(tmp_path: Path) -> None:
    page = tmp_path / "stress.html"
    result = run("stress", example("bear-call-spread"), "--html", page, "--json")
    assert result.exit_code == 0
    json.loads(result.stdout)
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert text.count("plotly.js v") == 1, "the library is embedded once"
    assert '<script src="' not in text and "<link " not in text
    assert text.count('"type":"heatmap"') >= 8
    assert "Stress of bear-call-spread.toml, okx-2025" in text


def test_html_that_cannot_be_written(tmp_path: Path) -> None:
    line = error_line("stress", HEDGE, "--html", tmp_path)
    assert line == f"--html: {tmp_path}: cannot be written: Is a directory"


BAD_GRIDS = [
    (["--index-moves", "-10,x"], "--index-moves: 'x' is not a number from -99 to 1000; numbers"
     " are separated by commas"),
    (["--index-moves", "-100"], "--index-moves: '-100' is not a number from -99 to 1000; numbers"
     " are separated by commas"),
    (["--index-moves", ""], "--index-moves: '' is not a number from -99 to 1000; numbers are"
     " separated by commas"),
    (["--stablecoin-prices", "0"], "--stablecoin-prices: '0' is not a number from 0.0001 to 2;"
     " numbers are separated by commas"),
    (["--stablecoin", "DAI"], "--stablecoin: 'DAI' is not one of USDT, USDC"),
    (["--index-moves", ",".join(["1"] * 61)], "--index-moves: 61 numbers are more than 60"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD_GRIDS, ids=[m[:30] for _, m in BAD_GRIDS])
def test_bad_grids(words: list[str], message: str) -> None:
    assert error_line("stress", G1, *words) == message


def test_grid_that_is_too_large() -> None:
    many = ",".join(str(number) for number in range(60))
    prices = ",".join(f"0.9{number:02}" for number in range(60))
    words = ["--index-moves", many, "--vol-moves", many, "--stablecoin-prices", prices]
    line = error_line("stress", example("bear-call-spread"), *words)
    assert line == "a grid of 60 x 60 x 61 cells is larger than 20,000 cells"
