"""`--order` and `--transfer-out`: accepted or not, why, and how much would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk.rules import load_rules
from scenarios.portfolio_file import load_portfolio
from scenarios.what_if import answer_order
from scenarios.what_if_text import parse_order_text
from tests.scenarios.margin_cases import example, run, run_json

HEDGE = example("hedged-spot")
RULES = load_rules("okx-2025")


@pytest.fixture
def tight(tmp_path: Path) -> Path:
    """A long perpetual with equity below the initial margin and above the maintenance margin."""
    text = HEDGE.read_text().replace("BTC = 10\nUSDT = 20000", "USDT = 125000")
    path = tmp_path / "tight.toml"
    path.write_text(text.replace("size = -1000", "size = 1000"))
    return path


def test_order_that_equity_covers() -> None:
    found = run_json("margin", HEDGE, "--order", "sell 5 BTC-USDT-SWAP @ 97000")
    assert found["accepted"] and found["rule"] == "enough_equity" and found["code"] is None
    assert (found["side"], found["sz"], found["px"]) == ("sell", 5.0, 97_000.0)
    assert found["after"]["totalImr"] - found["before"]["totalImr"] == found["occupiedImr"]
    assert found["filled"]["riskUnitData"][0]["portfolios"][0]["amt"] == -1005.0


def test_limit_order_below_initial_margin_is_refused(tight: Path) -> None:
    found = run_json("margin", tight, "--order", "sell 100 BTC-USDT-SWAP @ 97000")
    assert not found["accepted"] and found["code"] == "51008"
    assert found["largestSize"] == 0.0
    assert "is below the initial margin" in found["reason"]


@pytest.mark.parametrize("kind", ["ioc", "fok", "market"])
def test_immediate_order_that_lowers_risk_is_accepted(tight: Path, kind: str) -> None:
    words = "sell 100 BTC-USDT-SWAP" + (" market" if kind == "market" else f" @ 97000 {kind}")
    found = run_json("margin", tight, "--order", words)
    assert found["accepted"] and found["rule"] == "reduces_risk"


def test_post_only_order_may_not_lower_risk(tight: Path) -> None:
    words = "sell 100 BTC-USDT-SWAP @ 97000 post_only"
    assert not run_json("margin", tight, "--order", words)["accepted"]


@pytest.mark.parametrize("words", ["sell {} BTC-USDT-SWAP @ 97000", "buy {} BTC-USDT @ 97000"])
def test_largest_size_is_accepted_and_the_next_lot_is_not(words: str) -> None:
    portfolio = load_portfolio(HEDGE)
    lot = 0.01 if "SWAP" in words else 0.000001
    found = answer_order(portfolio, RULES, parse_order_text(words.format(1)))
    largest = found.largest_size
    assert largest > 1.0

    def accepted(size: float) -> bool:
        text = parse_order_text(words.format(f"{size:.6f}"))
        return answer_order(portfolio, RULES, text).rule == "enough_equity"

    assert accepted(largest)
    assert not accepted(largest + lot)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (
            "buy 1 BTC-USDT-SWAP @ 120000",
            "51137",
            "the buy price is above the highest allowed: sells from 95,152.2, buys up to 99,035.2",
        ),
        (
            "sell 1 BTC-USDT-SWAP @ 80000",
            "51138",
            "the sell price is below the lowest allowed: sells from 95,152.2, buys up to 99,035.2",
        ),
    ],
)
def test_price_limits_come_first(words: str, code: str, reason: str) -> None:
    found = run_json("margin", HEDGE, "--order", words)
    assert (found["accepted"], found["code"], found["reason"]) == (False, code, reason)
    assert found["largestSize"] == 0.0


def test_position_limit() -> None:
    found = run_json("margin", HEDGE, "--order", "sell 85899345.92 BTC-USDT-SWAP @ 97000")
    assert found["code"] == "51187"
    assert 0.0 < found["largestSize"] < 85_898_345.92


def test_borrow_limit() -> None:
    # Tier 20 of USDT ends at 20 million.
    found = run_json("margin", HEDGE, "--order", "buy 250 BTC-USDT @ 97000")
    assert found["code"] == "51017"
    assert found["reason"].endswith("USDT against 20,000,000")


def test_options_have_no_market_orders() -> None:
    words = "buy 1 BTC-USD-250328-100000-C market"
    found = run_json("margin", example("bear-call-spread"), "--order", words)
    assert (found["code"], found["reason"]) == ("51000", "options have no market orders")


def test_option_price_limit_follows_the_mark() -> None:
    path = example("bear-call-spread")
    assert run_json("margin", path, "--order", "buy 1 BTC-USD-250328-100000-C @ 0.09")["accepted"]
    found = run_json("margin", path, "--order", "buy 1 BTC-USD-250328-100000-C @ 0.2")
    assert found["code"] == "51137"


def test_without_auto_borrow_nothing_is_borrowed(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(HEDGE.read_text().replace("auto_borrow = true", "auto_borrow = false"))
    found = run_json("margin", path, "--order", "buy 1 BTC-USDT @ 97000")
    assert not found["accepted"] and found["code"] == "51008"
    assert found["reason"] == "the order would borrow USDT and auto-borrow is off"


def test_order_table() -> None:
    text = run("margin", HEDGE, "--order", "sell 5 BTC-USDT-SWAP @ 97000 ioc").stdout
    assert "ACCEPTED  sell 5 BTC-USDT-SWAP @ 97,000 ioc" in text
    assert "order open" in text and "order filled" in text
    assert "The order occupies 28.39 of initial margin" in text
    refused = run("margin", HEDGE, "--order", "buy 1 BTC-USDT-SWAP @ 120000").stdout
    assert "REFUSED" in refused and "(code 51137)" in refused


def test_transfer_out() -> None:
    found = run_json("margin", HEDGE, "--transfer-out", "1000 USDT")
    assert found["allowed"] and found["maximum"] == pytest.approx(19_063.0)
    assert not run_json("margin", HEDGE, "--transfer-out", "19063.01 USDT")["allowed"]
    text = run("margin", HEDGE, "--transfer-out", "30000 usdt").stdout
    assert "REFUSED  transfer of 30,000 USDT; at most 19,063 may leave" in text


def test_nothing_leaves_an_account_below_its_initial_margin(tight: Path) -> None:
    found = run_json("margin", tight, "--transfer-out", "1 USDT")
    assert (found["allowed"], found["maximum"]) == (False, 0.0)
