"""Replay: the shipped feed to the last quote, the perpetual form, and everything a feed can do
wrong.
"""

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.errors import UserError
from scenarios.feed import ATOMS, Defect, read_feed
from scenarios.replay import DepthBook, Replay, replay, replay_command

Lines = list[dict[str, object]]


def text_of(price: int) -> str:
    return f"{price / 10:.8f}"


def perpetual_feed(count: int = 60, *, form: str = "perpetual", seed: int = 1) -> Lines:
    """A made-up feed: a random book, its differences and best quotes, a snapshot in mid-stream.

    In the perpetual form ids leap from one difference to the next and only `pu` links them.
    """
    rng = random.Random(seed)
    sides = ({p: rng.randint(1, 9) for p in range(950, 1000)},
             {p: rng.randint(1, 9) for p in range(1001, 1050)})  # fmt: skip
    lines: Lines = []
    last = 1000
    snapshot: dict[str, object] = {}
    for i in range(count):
        first = last + 1 + (rng.randint(0, 50) if form == "perpetual" else 0)
        end = first + rng.randint(0, 9)
        changes: list[list[list[str]]] = []
        for book, low in zip(sides, (980, 1001), strict=True):
            changed = {rng.randint(low, low + 19): rng.choice([0, 0, 3, 5]) for _ in range(4)}
            for price, size in changed.items():
                book.pop(price, None)
                if size:
                    book[price] = size
            changes.append([[text_of(p), str(s)] for p, s in changed.items()])
        difference = {"e": "depthUpdate", "s": "XUSDT", "U": first, "u": end, "pu": last,
                      "b": changes[0], "a": changes[1]}  # fmt: skip
        if form != "perpetual":
            del difference["pu"]
        bid, ask = max(sides[0]), min(sides[1])
        quote = {"e": "bookTicker", "s": "XUSDT", "u": end, "b": text_of(bid), "B":
                 str(sides[0][bid]), "a": text_of(ask), "A": str(sides[1][ask])}  # fmt: skip
        if i == 9:
            snapshot = {"lastUpdateId": end, "E": 1, "T": 1}
            for name, book in zip(("bids", "asks"), sides, strict=True):
                snapshot[name] = [[text_of(p), str(s)] for p, s in sorted(book.items())]
        # Quotes come before the difference that they belong to, or after it.
        lines += [quote, difference] if i % 2 else [difference, quote]
        if i == 12:
            lines.append(snapshot)
        last = end
    return lines


def write(path: Path, lines: Iterable[dict[str, object] | str], start: int = 10**18) -> Path:
    text = "".join(
        line if isinstance(line, str) else f"{start + i} {json.dumps(line)}\n"
        for i, line in enumerate(lines)
    )
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def run(path: Path | None) -> tuple[int, list[str]]:
    printed: list[str] = []
    return replay_command(path, printed.append), printed


def test_shipped_feed() -> None:
    code, printed = run(None)
    assert code == 0
    assert printed[-2:] == ["3447 of 3447 ids continuous", "564 of 564 best quotes equal"]
    assert printed[0] == (
        "BTCUSDT: 41249 messages, 346 s: 3451 depth differences, 28040 best quotes, 9757 trades, "
        "1 snapshot(s)"
    )
    assert any(line.startswith("  spread   median 0.01 (0.002 bps)") for line in printed)
    assert sum(line.startswith("  depth    within") for line in printed) == 4
    assert any(line.startswith("  trades   9757, 212.033 coins") for line in printed)


def test_command_line(tmp_path: Path) -> None:
    runner = CliRunner()
    good = write(tmp_path / "feed.txt", perpetual_feed())
    result = runner.invoke(app, ["replay", str(good)])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "50 of 50 best quotes equal"
    bad = write(tmp_path / "bad.txt", [*perpetual_feed()[:40], "oops\n"])
    assert runner.invoke(app, ["replay", str(bad)]).exit_code == 1
    assert runner.invoke(app, ["replay", str(tmp_path / "none")]).exit_code == 2


@pytest.mark.parametrize("form", ["perpetual", "spot"])
@pytest.mark.parametrize("suffix", ["txt", "gz"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_forms(form: str, suffix: str, seed: int, tmp_path: Path) -> None:
    path = write(tmp_path / f"feed.{suffix}", perpetual_feed(form=form, seed=seed))
    found = replay(read_feed(path))
    report = found.report
    # Differences 0 to 9 are in the snapshot, 10 to 59 are applied, three of them from before it.
    assert report.applied == 50
    assert (report.compared, report.equal) == (50, 50)
    # Received after the snapshot: 47 differences, 46 links.
    assert (report.links, report.links_continuous) == (46, 46)
    assert report.is_good
    assert report.symbol == "XUSDT"


def test_book_after_replay_is_the_snapshot_plus_all_differences(tmp_path: Path) -> None:
    lines = perpetual_feed()
    found = replay(read_feed(write(tmp_path / "f", lines)))
    snapshot = next(line for line in lines if "lastUpdateId" in line)
    levels = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}  # type: ignore[call-overload]
    for line in lines:
        if line.get("e") == "depthUpdate" and line["u"] > snapshot["lastUpdateId"]:  # type: ignore[operator]
            for side in ("b", "a"):
                levels[side].update(dict(line[side]))  # type: ignore[call-overload]
    for side, book in (("b", found.book.bids), ("a", found.book.asks)):
        expected = {
            round(float(p) * ATOMS): int(s) * ATOMS for p, s in levels[side].items() if s != "0"
        }
        assert dict(book) == expected


def test_gap_invalidates_the_book_until_the_next_snapshot(tmp_path: Path) -> None:
    lines = perpetual_feed()
    places = [i for i, line in enumerate(lines) if line.get("e") == "depthUpdate"]
    del lines[places[30]]
    code, printed = run(write(tmp_path / "feed", lines))
    assert code == 1
    gap = [line for line in printed if "gap" in line]
    assert len(gap) == 1
    assert gap[0].startswith(f"line {places[31]}: gap: the difference follows id ")
    assert gap[0].endswith("nothing is applied until the next snapshot")
    assert printed[-3:] == [
        "the book has no valid state at the end of the feed",
        "44 of 45 ids continuous",
        "20 of 20 best quotes equal",
    ]


def test_a_second_snapshot_heals_a_gap(tmp_path: Path) -> None:
    lines = perpetual_feed()
    whole = Replay()
    for line in read_feed(write(tmp_path / "whole", lines)):
        whole.take(line)
        if whole.report.applied == 40:
            break
    snapshot: dict[str, object] = {
        "lastUpdateId": whole._last_id,
        **{
            name: [[f"{p / ATOMS:.8f}", f"{s / ATOMS:.8f}"] for p, s in book.items()]
            for name, book in (("bids", whole.book.bids), ("asks", whole.book.asks))
        },
    }
    places = [i for i, line in enumerate(lines) if line.get("e") == "depthUpdate"]
    lines.insert(places[53], snapshot)
    del lines[places[30]]
    report = replay(read_feed(write(tmp_path / "feed", lines))).report
    assert report.problem_count == 1  # the gap
    assert report.equal == report.compared == 20 + 10


def test_gap_right_after_the_snapshot(tmp_path: Path) -> None:
    lines = perpetual_feed()
    places = [i for i, line in enumerate(lines) if line.get("e") == "depthUpdate"]
    for place in reversed(places[9:12]):
        del lines[place]
    code, printed = run(write(tmp_path / "feed", lines))
    assert code == 1
    assert any("gap: the difference follows id" in p and "the snapshot is at" in p for p in printed)
    assert printed[-1] == "0 of 0 best quotes equal"


def test_out_of_sequence_and_repeated_differences(tmp_path: Path) -> None:
    lines = perpetual_feed()
    places = [i for i, line in enumerate(lines) if line.get("e") == "depthUpdate"]
    lines.insert(places[31], lines[places[30]])
    code, printed = run(write(tmp_path / "feed", lines))
    assert code == 1
    assert any("out of sequence: the difference ends at id" in line for line in printed)
    assert printed[-2:] == ["46 of 47 ids continuous", "50 of 50 best quotes equal"]


def test_a_wrong_quote_is_named(tmp_path: Path) -> None:
    lines = perpetual_feed()
    place = max(i for i, line in enumerate(lines) if line.get("e") == "bookTicker")
    lines[place]["B"] = "77"
    code, printed = run(write(tmp_path / "feed", lines))
    assert code == 1
    assert any(
        p.startswith(f"line {place + 1}: best quote of id ") and "(77)" in p for p in printed
    )
    assert printed[-1] == "49 of 50 best quotes equal"


def test_messages_of_other_kinds_and_symbols_are_left_out_and_said(tmp_path: Path) -> None:
    lines: list[dict[str, object] | str] = [*perpetual_feed()]
    lines.insert(3, {"stream": "x@markPrice", "data": {"e": "markPriceUpdate", "s": "XUSDT"}})
    lines.insert(4, {"stream": "x@forceOrder", "data": {"e": "force\x1b[31m", "o": {}}})
    lines.insert(
        5, {"e": "bookTicker", "s": "YUSDT", "u": 5, "b": "1", "B": "1", "a": "2", "A": "1"}
    )
    lines.insert(6, {"result": None, "id": 1})
    code, printed = run(write(tmp_path / "feed", lines))
    assert code == 0
    assert printed[1:5] == [
        "left out: 1 of the unknown kind markPriceUpdate, first in line 4",
        "left out: 1 of the unknown kind force\\x1b[31m, first in line 5",
        "left out: 1 of the unknown kind BestQuote of YUSDT, first in line 6",
        "left out: 1 of the unknown kind object with result, id, first in line 7",
    ]


DIFFERENCE = {"e": "depthUpdate", "U": 1, "u": 2, "b": [], "a": []}
QUOTE = {"e": "bookTicker", "u": 1, "b": "1", "B": "1", "a": "2", "A": "1"}
DEFECTS: dict[str, tuple[object, str]] = {
    "no time": ("later {}\n", "'later' is not a receive time in ns"),
    "no message": ("1723161253937085768\n", "not JSON: Expecting value"),
    "cut": ('1723161253937085768 {"e":"depthUpdate","U":1,\n', "not JSON: Expecting property name"),
    "list": ("1 [1, 2]\n", "not a JSON object"),
    "data": ({"stream": "x@depth", "data": 5}, "the field data is not an object"),
    "no U": ({**DIFFERENCE, "U": None}, "the field U is None, not an update id"),
    "U is text": ({**DIFFERENCE, "U": "1"}, "the field U is '1', not an update id"),
    "u below U": ({**DIFFERENCE, "U": 3}, "u 2 is below U 3"),
    "u missing": ({"e": "depthUpdate", "U": 1}, "the field u is missing"),
    "levels": ({**DIFFERENCE, "b": "x"}, "the field b is 'x', not a list of levels"),
    "level": ({**DIFFERENCE, "a": [["1"]]}, "the field a holds a list, not a price and a size"),
    "price 0": ({**DIFFERENCE, "a": [["0.0", "1"]]}, "the field a holds a price of 0"),
    "negative": (
        {**DIFFERENCE, "a": [["-1", "1"]]},
        "the field a holds '-1', not a decimal of at most 8 places",
    ),
    "nan": (
        {**DIFFERENCE, "b": [["1", "nan"]]},
        "the field b holds 'nan', not a decimal of at most 8 places",
    ),
    "nine decimals": (
        {**QUOTE, "b": "1.000000001"},
        "the field b holds '1.000000001', not a decimal of at most 8 places",
    ),
    "trade": ({"e": "trade", "p": "1", "q": "1", "m": 1}, "the field m is 1, not true or false"),
    "symbol": ({**QUOTE, "s": 5}, "the field s is not text"),
}


@pytest.mark.parametrize("case", DEFECTS)
def test_defective_lines_are_named_and_the_rest_goes_on(case: str, tmp_path: Path) -> None:
    defect, reason = DEFECTS[case]
    lines: list[object] = [*perpetual_feed()]
    lines.insert(20, defect)
    code, printed = run(write(tmp_path / "feed", lines))  # type: ignore[arg-type]
    assert code == 1
    assert any(p.startswith(f"line 21: {reason}") for p in printed), printed
    assert printed[-1] == "50 of 50 best quotes equal"


def test_odd_bytes_and_endless_nesting(tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(b"1 {\xff}\n" + b"2 " + b'{"a":' * 200_000 + b"\n\n")
    reasons = [
        line.message.reason
        for line in read_feed(tmp_path / "feed")
        if isinstance(line.message, Defect)
    ]
    assert reasons == ["not UTF-8 text", "nested too deeply"]


def test_many_defects_are_counted(tmp_path: Path) -> None:
    lines: list[dict[str, object] | str] = [*perpetual_feed(), *["x\n"] * 25]
    _, printed = run(write(tmp_path / "feed", lines))
    assert "and 15 more problems" in printed


def test_truncated_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "feed.gz", perpetual_feed(400))
    path.write_bytes(path.read_bytes()[:-400])
    code, printed = run(path)
    assert code == 1
    assert any("the compressed file is damaged or ends here" in line for line in printed)
    equal, _, compared = printed[-1].split()[:3]
    assert equal == compared
    assert int(equal) > 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "feed: empty; lines of a receive time and a JSON message are needed"),
        (
            b'1 {"e":"x"}\n',
            "no book can be built: no snapshot (lastUpdateId, bids, asks) in the feed, only 1 x",
        ),
        (
            b"hello\n",
            "no book can be built: no snapshot among 1 lines; "
            "line 1: 'hello' is not a receive time in ns",
        ),
        (
            b"\n\n",
            "no book can be built: "
            "no snapshot (lastUpdateId, bids, asks) in the feed, only nothing",
        ),
    ],
)
def test_nothing_to_replay(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "feed").write_bytes(content)
    with pytest.raises(UserError) as caught:
        run(tmp_path / "feed")
    assert str(caught.value).removeprefix(f"{tmp_path}/") == message


def test_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        run(tmp_path / "none")
    with pytest.raises(UserError, match="a directory or device, not a feed"):
        run(tmp_path)
    with pytest.raises(UserError, match="not a file name"):
        run(Path("a\0b"))


def test_crossed_book_is_said(tmp_path: Path) -> None:
    lines = [
        {"lastUpdateId": 1, "bids": [["10", "1"]], "asks": [["11", "1"]]},
        {"e": "depthUpdate", "U": 2, "u": 2, "b": [["12", "1"]], "a": []},
    ]
    _, printed = run(write(tmp_path / "feed", lines))
    assert f"line 2: the book is crossed: bid {12 * ATOMS}, ask {11 * ATOMS} (1e-8)" in printed


def test_depth_of_a_book() -> None:
    book = DepthBook()
    book.apply([(9990, 5), (9900, 7)], [(10010, 2), (10100, 3)])
    assert book.best() == (9990, 5, 10010, 2)
    assert book.depth_within(10) == (5, 2)
    assert book.depth_within(100) == (12, 5)
    book.apply([(9990, 0), (9990, 0)], [(10010, 0)])
    assert book.best() == (9900, 7, 10100, 3)
    book.apply([], [(10100, 0)])
    assert book.best() is None
