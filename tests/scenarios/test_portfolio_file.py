"""The portfolio file: what good ones mean, and the exact line for every bad one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from risk.margin import margin_report
from risk.rules import load_rules
from scenarios.errors import UserError
from scenarios.portfolio_file import load, load_portfolio

GOLDEN = Path(__file__).parents[1] / "golden"
BAD_FILES = tomllib.loads((Path(__file__).parent / "bad_portfolio_files.toml").read_text())
GOOD_FILE: str = BAD_FILES["good_file"]
CASES: list[dict[str, str]] = BAD_FILES["case"]
PRICE = "a price from 1e-12 to 1e12"
TIME_JSON = '"time": "2025-01-15T10:26:41Z", '
# (name, whole JSON text, message)
JSON_CASES = [
    ("empty text", "", "FILE: not valid JSON: Expecting value: line 1 column 1 (char 0)"),
    (
        "half an object",
        '{"time": ',
        "FILE: not valid JSON: Expecting value: line 1 column 10 (char 9)",
    ),
    ("a list", "[1, 2]", "FILE: a list at the top; a table with fields is needed"),
    ("a number", "3", "FILE: 3 at the top; a table with fields is needed"),
    ("null", "null", "FILE: None at the top; a table with fields is needed"),
    (
        "the same key twice",
        '{"mode": "portfolio", "mode": "portfolio"}',
        "FILE: not valid JSON: the key 'mode' appears twice in one object",
    ),
    ("nested without end", "[" * 200_000, "FILE: nested too deeply"),
    (
        "endless digits",
        '{"time": ' + "9" * 5000 + "}",
        "FILE: not valid JSON: Exceeds the limit (4300 digits) for integer string conversion:"
        " value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit",
    ),
    (
        "NaN",
        "{" + TIME_JSON + '"market": {"usd_index": {"BTC": NaN}}}',
        f"market.usd_index.BTC: NaN is not {PRICE}",
    ),
    (
        "null as a price",
        "{" + TIME_JSON + '"market": {"usd_index": {"BTC": null}}}',
        f"market.usd_index.BTC: None is not {PRICE}",
    ),
    (
        "a number as the market",
        "{" + TIME_JSON + '"market": 7}',
        "market: 7 is not a table",
    ),
    (
        "a list as balances",
        "{" + TIME_JSON + '"market": {"usd_index": {}}, "balances": [1]}',
        "balances: a list is not a table",
    ),
    (
        "text in positions",
        "{" + TIME_JSON + '"market": {"usd_index": {}}, "positions": ["BTC"]}',
        "positions.0: 'BTC' is not a table",
    ),
    (
        "a table as positions",
        "{" + TIME_JSON + '"market": {"usd_index": {}}, "positions": {}}',
        "positions: a table is not a list",
    ),
]


def message_for(path: Path) -> str:
    """The line a user gets for the file, with the path written as FILE."""
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message.replace(str(path), "FILE")


def test_there_are_enough_bad_files() -> None:
    assert len(CASES) + len(JSON_CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_bad_toml(tmp_path: Path, case: dict[str, str]) -> None:
    assert GOOD_FILE.count(case["old"]) == 1, "the case must change exactly one place"
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE.replace(case["old"], case["new"]))
    assert message_for(path) == case["message"]


@pytest.mark.parametrize(
    ("text", "message"), [c[1:] for c in JSON_CASES], ids=[c[0] for c in JSON_CASES]
)
def test_bad_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "portfolio.json"
    path.write_text(text)
    assert message_for(path) == message


def test_no_file(tmp_path: Path) -> None:
    assert message_for(tmp_path / "nowhere.toml") == "FILE: no such file"


def test_directory(tmp_path: Path) -> None:
    assert message_for(tmp_path) == "FILE: a directory, not a file"


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert message_for(path) == "FILE: not a text file: byte 0x89 at position 0 is not UTF-8"


def test_zero_bytes(tmp_path: Path) -> None:
    path = tmp_path / "zero.toml"
    path.write_bytes(b"\0" * 100)
    assert message_for(path) == "FILE: not valid TOML: Invalid statement (at line 1, column 1)"


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    assert message_for(path) == (
        "time: missing; a time with a zone, such as 2025-01-15T10:26:41Z, is needed"
        " (and 1 more problem)"
    )


def test_file_without_end() -> None:
    assert message_for(Path("/dev/zero")) == "FILE: larger than 16 MiB"


def test_name_that_cannot_be() -> None:
    with pytest.raises(UserError, match="not a file name: embedded null byte"):
        load("a\0b.toml")


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE)
    assert message_for(path / "inner.toml") == "FILE: cannot be read: Not a directory"


def test_name_with_control_characters_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[31m\n.toml"
    with pytest.raises(UserError) as caught:
        load(path)
    assert caught.value.message == f"{tmp_path}/evil\\x1b[31m\\n.toml: no such file"


def test_good_file(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE)
    loaded = load(path)
    portfolio = loaded.portfolio
    assert loaded.rules == "okx-2025"
    assert portfolio.mode == "portfolio" and portfolio.auto_borrow
    assert portfolio.market.time_ns == 1_736_936_801_000_000_000
    assert portfolio.balances == {"USDT": 100.0, "BTC": 1.5}
    assert portfolio.spot_offset == {"BTC": 1.0}
    assert portfolio.leverage == {"BTC-USDT-SWAP": 20.0}
    perpetual, option = portfolio.positions
    assert (perpetual.size, perpetual.entry_price) == (-10.0, 100_000.0)
    assert perpetual.contract.coins_per_contract == 0.01
    assert (option.contract.strike, option.contract.is_call) == (100_000.0, True)
    assert option.contract.coins_per_contract == 0.01
    assert option.contract.settle == "BTC"
    (order,) = portfolio.orders
    assert (order.contract.instrument_id, order.size, order.price) == ("BTC-USDT", 0.5, 96_000.0)
    assert order.contract.coins_per_contract == 1.0
    (isolated,) = portfolio.isolated
    assert (isolated.size, isolated.margin) == (5.0, 50.0)
    assert isolated.contract.coins_per_contract == 0.001


def test_leverage_of_a_currency_raises_the_initial_margin_of_its_borrowing(tmp_path: Path) -> None:
    """Section 7.4: the initial margin rate is the tier's or 1/leverage, whichever is larger."""
    path = tmp_path / "borrower.toml"
    text = (
        "time = 2025-01-15T10:26:41Z\n[market.usd_index]\nBTC = 100000.0\nUSDT = 1.0\n"
        "[balances]\nBTC = 1\nUSDT = -10000\n[leverage]\n"
    )
    initial = {}
    for lines in ("", "USDT = 4\n", "USDT = 20\n", "BTC = 2\n"):
        path.write_text(text + lines)
        initial[lines] = margin_report(load_portfolio(path), load_rules("okx-2025")).total_imr
    assert initial == {"": 1_000, "USDT = 4\n": 2_500, "USDT = 20\n": 1_000, "BTC = 2\n": 1_000}


def test_sell_order_is_negative(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE.replace('side = "buy"', 'side = "sell"'))
    assert load_portfolio(path).orders[0].size == -0.5


def test_json_and_toml_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.json"
    document = tomllib.loads(GOOD_FILE)
    document["time"] = document["time"].isoformat()
    path.write_text(json.dumps(document))
    toml = tmp_path / "portfolio.toml"
    toml.write_text(GOOD_FILE)
    assert load(path) == load(toml)


@pytest.mark.parametrize("name", ["portfolio", "portfolio.txt"])
def test_without_a_known_suffix_the_first_character_decides(tmp_path: Path, name: str) -> None:
    document = tomllib.loads(GOOD_FILE)
    document["time"] = document["time"].isoformat()
    path = tmp_path / name
    path.write_text("\ufeff " + json.dumps(document))
    toml = tmp_path / "other"
    toml.write_text(GOOD_FILE)
    assert load(path) == load(toml)


def test_time_zone_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE.replace("10:26:41Z", "12:26:41.5+02:00"))
    assert load_portfolio(path).market.time_ns == 1_736_936_801_500_000_000


def test_rules_path_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    path = tmp_path / "portfolio.toml"
    path.write_text(GOOD_FILE.replace('"okx-2025"', '"mine.toml"'))
    assert load(path).rules == str(tmp_path / "mine.toml")


def test_golden_case_loads() -> None:
    portfolio = load_portfolio(GOLDEN / "g1_portfolio.toml")
    assert [p.contract.instrument_id for p in portfolio.positions] == [
        "BTC-USDT-SWAP",
        "LTC-USDT-SWAP",
    ]
    assert portfolio.market.usd_index["USDT"] == 0.99954


def test_user_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(UserError("positions.0: bad", 3)))
    assert (error.message, error.exit_code) == ("positions.0: bad", 3)
