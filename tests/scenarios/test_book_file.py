"""The book reader: what it accepts, and one precise line for everything else."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from scenarios.book_file import MODES, is_book, read_book, write_book
from scenarios.book_sample import sample_book
from scenarios.errors import UserError

HEAD = "account,mode,kind,name,size,entry_price\n"
PRICED = "account,mode,kind,name,size,entry_price,price\n"
MONEY = "a,portfolio,balance,USDT,100,\n"
SWAP = "a,portfolio,position,BTC-USDT-SWAP,1,90000\n"
EXAMPLE = Path("scenarios/library/books/example.csv")
LONG = "x" * 81


def _csv(folder: Path, content: str | bytes, name: str = "book.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


BAD_CSV: list[tuple[str | bytes, str]] = [
    ("", "empty; a book begins with account,mode,kind,name,size,entry_price"),
    ("account\n", "no column mode, kind, name, size, entry_price; a book has"),
    ("account;mode;kind;name;size;entry_price\n", "no column account, mode, kind"),
    (HEAD.replace(",entry_price", ""), "no column entry_price"),
    (HEAD.replace("entry_price", "entry"), "no column entry_price"),
    (HEAD.replace("kind", "mode"), "column 'mode' appears twice"),
    (HEAD.replace("\n", ",note\n"), "column 'note' is not one of account, mode, kind, name, size"),
    (HEAD.upper(), "no column account"),
    (HEAD, "no rows below the header"),
    (HEAD + "\n\n", "no rows below the header"),
    (HEAD + "a,portfolio,balance,USDT,1,,\n", "row 2: 7 fields are not the 6 of the header"),
    (HEAD + MONEY + 'b,"portfolio,balance,USDT,1,\n', "a quotation mark that opens a field"),
    (HEAD.encode() + b"\xff,portfolio,balance,USDT,1,\n", "row 2: byte 0xff is not UTF-8 text"),
    (HEAD + ",portfolio,balance,USDT,1,\n", "row 2: account: missing; a name of 1 to 80"),
    (HEAD + "  ,portfolio,balance,USDT,1,\n", "row 2: account: missing;"),
    (HEAD + f"{LONG},portfolio,balance,USDT,1,\n", "row 2: account: 'xxxxx"),
    (HEAD + "a\x1bb,portfolio,balance,USDT,1,\n", r"account: 'a\x1bb' is not a name of 1 to 80"),
    (HEAD + MONEY + "a,,balance,BTC,1,\n", "row 3: mode: missing; 'portfolio' or 'multi_currency'"),
    (HEAD + "a,Portfolio,balance,BTC,1,\n", "row 2: mode: 'Portfolio' is not 'portfolio' or"),
    (HEAD + "a,spot,balance,BTC,1,\n", "row 2: mode: 'spot' is not 'portfolio' or"),
    (HEAD + "a,portfolio,,BTC,1,\n", "row 2: kind: missing; 'balance' or 'position'"),
    (HEAD + "a,portfolio,order,BTC,1,\n", "row 2: kind: 'order' is not 'balance' or 'position'"),
    (HEAD + "a,portfolio,balance,,1,\n", "row 2: name: missing; a currency (of a balance) or an"),
    (
        HEAD + "a,portfolio,balance,btc,1,\n",
        "row 2: name: 'btc' is not a currency code such as BTC",
    ),
    (
        HEAD + "a,portfolio,balance,BTC-USDT-SWAP,1,\n",
        "row 2: name: 'BTC-USDT-SWAP' is not a curre",
    ),
    (HEAD + "a,portfolio,position,BTC,1,5\n", "row 2: name: 'BTC' is not an instrument id"),
    (
        HEAD + "a,portfolio,position,BTC-USDT,1,5\n",
        "BTC-USDT is a spot pair; its coins are balances",
    ),
    (HEAD + "a,portfolio,position,BTC-USDE-SWAP,1,5\n", "BTC-USDE-SWAP is not quoted in USDT or"),
    (HEAD + "a,portfolio,position,XXX-USDT-SWAP,1,5\n", "row 2: name: XXX-USDT-SWAP: no default"),
    (
        HEAD + "a,portfolio,position,BTC-EUR-SWAP,1,5\n",
        "row 2: name: BTC-EUR-SWAP: quote EUR is no",
    ),
    (HEAD + "a,portfolio,position,BTC-USDT-250231,1,5\n", "the calendar has no day 2025-02-31"),
    (HEAD + "a,portfolio,position,BTC-USD-250328-1-X,1,5\n", "option type 'X' is neither C nor P"),
    (HEAD + f"a,portfolio,position,{LONG},1,5\n", "is not an instrument id such as BTC-USDT-SWAP"),
    (HEAD + "a,portfolio,balance,BTC,,\n", "row 2: size: missing; a number of coins from -1e15"),
    (HEAD + "a,portfolio,balance,BTC,one,\n", "row 2: size: 'one' is not a number of coins"),
    (HEAD + 'a,portfolio,balance,BTC,"1,000",\n', "row 2: size: '1,000' is not a number of coins"),
    (HEAD + "a,portfolio,balance,BTC,nan,\n", "row 2: size: 'nan' is not a number of coins"),
    (HEAD + "a,portfolio,balance,BTC,inf,\n", "row 2: size: 'inf' is not a number of coins"),
    (HEAD + "a,portfolio,balance,BTC,1e16,\n", "row 2: size: '1e16' is not a number of coins"),
    (HEAD + "a,portfolio,balance,BTC,0x10,\n", "row 2: size: '0x10' is not a number of coins"),
    (HEAD + SWAP.replace(",1,", ",0,"), "row 2: size: '0' is not a number of contracts, not 0"),
    (HEAD + SWAP.replace(",1,", ",,"), "row 2: size: missing; a number of contracts, not 0"),
    (HEAD + SWAP.replace(",1,", ",0.005,"), "'0.005' is not a number of contracts in lots of 0.01"),
    (HEAD + SWAP.replace(",1,", ",1e14,"), "'1e14' is not a number of at most"),
    (HEAD + SWAP.replace("90000", ""), "row 2: entry_price: missing; a price from 1e-12 to 1e12"),
    (HEAD + SWAP.replace("90000", "-5"), "row 2: entry_price: '-5' is not a price from 1e-12"),
    (HEAD + SWAP.replace("90000", "0"), "row 2: entry_price: '0' is not a price from 1e-12"),
    (HEAD + SWAP.replace("90000", "x"), "row 2: entry_price: 'x' is not a price from 1e-12"),
    (
        HEAD + MONEY.replace(",\n", ",5\n"),
        "row 2: entry_price: '5' is not empty, as it must be for",
    ),
    (HEAD + MONEY + MONEY, "row 3: name: 'USDT' is not new: account a has this balance in row 2"),
    (HEAD + SWAP + MONEY + SWAP, "is not new: account a has this position in row 2 already"),
    (
        HEAD + MONEY + "a,multi_currency,balance,BTC,1,\n",
        "row 3: mode: 'multi_currency' is not portfolio, the mode of account a in row 2",
    ),
    (PRICED + MONEY.replace("\n", ",0\n"), "row 2: price: '0' is not a price from 1e-12 to 1e12"),
    (PRICED + MONEY.replace("\n", ",x\n"), "row 2: price: 'x' is not a price"),
    (
        PRICED + MONEY.replace("\n", ",1\n") + "b,portfolio,balance,USDT,5,,0.99\n",
        "row 3: price: '0.99' is not 1.0, the price of the same name above",
    ),
    (HEAD + "a,x,y,USDT,1,\n", "row 2: mode: 'x' is not 'portfolio' or 'multi_currency' (and 1 m"),
]


@pytest.mark.parametrize(("content", "expected"), BAD_CSV, ids=range(len(BAD_CSV)))
def test_bad_csv_ends_in_one_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    path = _csv(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_book(path)
    assert expected in caught.value.message
    assert caught.value.message.startswith(f"{path}: ")
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def _parquet(folder: Path, **columns: pl.Series) -> Path:
    good = {
        "account": pl.Series(["a", "a"]),
        "mode": pl.Series(["portfolio"] * 2),
        "kind": pl.Series(["balance", "position"]),
        "name": pl.Series(["USDT", "BTC-USDT-SWAP"]),
        "size": pl.Series([100.0, 1.0]),
        "entry_price": pl.Series([None, 9e4]),
    }
    path = folder / "book.parquet"
    pl.DataFrame({**good, **columns}).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"size": pl.Series([True, False])}, "column size: Boolean is not text or number"),
        ({"account": pl.Series([1.5, 2.5])}, "column account: Float64 is not text or number"),
        ({"mode": pl.Series([[1], [2]])}, "column mode: List(Int64) is not text or number"),
        ({"size": pl.Series([None, 1.0])}, "row 1: size: missing; a number of coins"),
        ({"size": pl.Series([1.0, float("nan")])}, "row 2: size: nan is not a number of contracts"),
        ({"note": pl.Series(["x", "y"])}, "column 'note' is not one of"),
    ],
)
def test_bad_parquet(tmp_path: Path, columns: dict[str, pl.Series], expected: str) -> None:
    with pytest.raises(UserError, match=r"book\.parquet: ") as caught:
        read_book(_parquet(tmp_path, **columns))
    assert expected in caught.value.message


def test_files_that_are_no_book(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    for path, expected in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "book.xlsx", "a book is a .csv or a .parquet file"),
        (folder, "a directory, not a file"),
        (_csv(tmp_path, "PAR1", "half.parquet"), "not a Parquet file"),
        (Path("a\0b.csv"), "not a file name"),
    ):
        with pytest.raises(UserError) as caught:
            read_book(path)
        assert expected in caught.value.message


def test_a_book_is_read_as_written(tmp_path: Path) -> None:
    text = (
        "\ufeffaccount, mode, kind, name, size, entry_price\n".replace(", ", ",")
        + "b, multi_currency ,balance,BTC,-1.5,\n\n"
        + "a,portfolio,position,BTC-USD-250328-100000-C,-3,0.0001\n"
        + 'a,portfolio,position,BTC-USDT-SWAP,+0.02,9e4\n"a",portfolio,balance,USDT,1e3,\n'
    )
    book = read_book(_csv(tmp_path, text))
    assert book.accounts == ("b", "a")
    assert [MODES[m] for m in book.modes] == ["multi_currency", "portfolio"]
    assert book.currencies == ("BTC", "USDT")
    assert book.balance_account.tolist() == [0, 1]
    assert book.balance_amount.tolist() == [-1.5, 1000.0]
    assert [i.instrument_id for i in book.instruments] == [
        "BTC-USD-250328-100000-C",
        "BTC-USDT-SWAP",
    ]
    assert book.position_account.tolist() == [1, 1]
    assert book.position_lots.tolist() == [-3, 2]
    assert book.position_entry.tolist() == [0.0001, 90_000.0]


def test_prices_in_a_column(tmp_path: Path) -> None:
    text = (
        PRICED
        + "a,portfolio,balance,USDT,1,,0.99\na,portfolio,position,BTC-USDT-SWAP,1,9e4,9.1e4\n"
    )
    assert read_book(_csv(tmp_path, text)).prices == {"USDT": 0.99, "BTC-USDT-SWAP": 91_000.0}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    frame = sample_book(40, 3)
    books = []
    for name in ("one.csv", "two.parquet"):
        write_book(frame, tmp_path / name)
        books.append(read_book(tmp_path / name))
    left, right = books
    assert left.accounts == right.accounts
    assert left.instruments == right.instruments
    for name in ("modes", "balance_amount", "position_lots", "position_entry"):
        assert getattr(left, name).tolist() == getattr(right, name).tolist()


def test_integer_accounts_of_a_parquet_file(tmp_path: Path) -> None:
    assert read_book(_parquet(tmp_path, account=pl.Series([7, 7]))).accounts == ("7",)


def test_the_example_is_the_sample_of_60_accounts(tmp_path: Path) -> None:
    write_book(sample_book(60, 1), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == EXAMPLE.read_bytes()
    book = read_book(EXAMPLE)
    assert len(book.accounts) == 60
    assert {i.kind for i in book.instruments} == {1, 2, 3}
    assert (book.balance_amount < 0).any()


def test_writing_says_what_is_wrong(tmp_path: Path) -> None:
    frame = sample_book(3, 1)
    with pytest.raises(UserError, match="no column mode"):
        write_book(frame.drop("mode"), tmp_path / "x.csv")
    with pytest.raises(UserError, match=r"written as \.csv or \.parquet"):
        write_book(frame, tmp_path / "x.txt")
    with pytest.raises(UserError, match="cannot be written"):
        write_book(frame, tmp_path / "none" / "x.csv")


def test_books_are_told_by_their_suffix() -> None:
    assert is_book("a.CSV")
    assert is_book(Path("x/b.parquet"))
    assert not is_book("portfolio.toml")


def test_garbage_in_cells_gives_a_book_or_one_line(tmp_path: Path) -> None:
    draw = random.Random(5)
    values = [
        "", "a", "portfolio", "balance", "position", "USDT", "BTC-USDT-SWAP", "1", "-1", "0", "nan",
        "1e400", "-0", "0x1", '"', "'", "\x00", "\u202e", "x" * 500, "9" * 400, "NULL", "\t", "\r",
        "BTC--SWAP", "-", "BTC-USD-999999-1-C", "BTC-USD-250328-0-C", "\u0663",
    ]  # fmt: skip
    good = [MONEY, SWAP, "b,portfolio,balance,BTC,1,\n"]
    path = tmp_path / "book.csv"
    refused = 0
    for _ in range(400):
        rows = [draw.choice(good).rstrip("\n").split(",") for _ in range(draw.randint(1, 4))]
        for _ in range(draw.randint(0, 3)):
            draw.choice(rows)[draw.randrange(6)] = draw.choice(values)
        path.write_text(HEAD + "\n".join(",".join(row) for row in rows), encoding="utf-8")
        try:
            read_book(path)
        except UserError as error:
            refused += 1
            assert error.message.isprintable() and len(error.message) < 1_000
    assert 200 < refused < 400
