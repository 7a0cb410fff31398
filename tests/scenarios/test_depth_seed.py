"""A recorded book becomes a shape, exactly; what cannot become one is said by field."""

import gzip
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from scenarios.depth_seed import BUY, SELL, DepthSeed, DepthShape, depth_shape
from scenarios.errors import UserError

FEED = (
    '1000000000 {"lastUpdateId": 5, "bids": [["99.0","2"],["98.0","4"]],'
    ' "asks": [["101.0","1"],["103.0","8"]]}\n'
    '2000000000 {"e": "depthUpdate", "s": "BTCUSDT", "U": 6, "u": 7,'
    ' "b": [["98.0","0"]], "a": [["101.5","3"]]}\n'
    '3000000000 {"e": "depthUpdate", "s": "BTCUSDT", "U": 8, "u": 8,'
    ' "b": [["99.5","0.5"]], "a": [["103.0","0"]]}\n'
)
PERPETUAL = (
    '{"e": "depthUpdate", "s": "BTCUSDT", "U": 4, "u": 6, "pu": 3, "b": [["98.0","7"]], "a": []}\n'
    '{"lastUpdateId": 5, "bids": [["99.0","2"],["98.0","4"]], "asks": [["101.0","1"]]}\n'
    '{"e": "depthUpdate", "s": "BTCUSDT", "U": 7, "u": 9, "pu": 6, "b": [], "a": [["102","3"]]}\n'
)


def shape(tmp_path: Path, text: str = FEED, **fields: object) -> DepthShape:
    (tmp_path / "feed.txt").write_text(text)
    seed = DepthSeed(instrument_id="BTC-USDT", file="feed.txt", **fields)  # type: ignore[arg-type]
    return depth_shape(seed, tmp_path)


def rows(found: DepthShape) -> list[tuple[int, float, float]]:
    return [(x.side, float(x.recorded_price), float(x.size)) for x in found.levels]


def test_a_snapshot_by_hand(tmp_path: Path) -> None:
    found = shape(tmp_path)
    assert found.mid == 100
    assert rows(found) == [(BUY, 99, 2), (BUY, 98, 4), (SELL, 101, 1), (SELL, 103, 8)]
    assert [x.distance for x in found.levels] == [Fraction(n, 100) for n in (1, 2, 1, 3)]
    assert [x.price(5000) for x in found.levels] == [4950, 4900, 5050, 5150]
    assert found.too_far == ()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("snapshot", [(BUY, 99, 2), (BUY, 98, 4), (SELL, 101, 1), (SELL, 103, 8)]),
        ("1970-01-01T00:00:01Z", [(BUY, 99, 2), (BUY, 98, 4), (SELL, 101, 1), (SELL, 103, 8)]),
        ("1970-01-01T00:00:02Z", [(BUY, 99, 2), (SELL, 101, 1), (SELL, 101.5, 3), (SELL, 103, 8)]),
        (
            "1970-01-01T00:00:02.9Z",
            [(BUY, 99, 2), (SELL, 101, 1), (SELL, 101.5, 3), (SELL, 103, 8)],
        ),
        ("end", [(BUY, 99.5, 0.5), (BUY, 99, 2), (SELL, 101, 1), (SELL, 101.5, 3)]),
    ],
)
def test_the_book_at_a_moment(
    tmp_path: Path, at: str, expected: list[tuple[int, float, float]]
) -> None:
    text = FEED + '4000000000 {"e": "trade", "s": "BTCUSDT", "p": "101", "q": "1", "m": false}\n'
    assert rows(shape(tmp_path, text, at=at)) == expected


def test_the_perpetual_form_with_a_snapshot_in_mid_stream(tmp_path: Path) -> None:
    assert rows(shape(tmp_path, PERPETUAL)) == [(BUY, 99, 2), (BUY, 98, 4), (SELL, 101, 1)]
    end = shape(tmp_path, PERPETUAL, at="end")
    assert rows(end) == [(BUY, 99, 2), (BUY, 98, 7), (SELL, 101, 1), (SELL, 102, 3)]
    assert end.symbol == "BTCUSDT"


def test_a_packed_feed_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "feed.gz").write_bytes(gzip.compress(FEED.encode()))
    packed = depth_shape(DepthSeed(instrument_id="BTC-USDT", file="feed.gz"), tmp_path)
    assert packed == shape(tmp_path)


def test_sizes_and_distances_scaled(tmp_path: Path) -> None:
    found = shape(tmp_path, size_factor=0.1, stretch=2.0, largest_distance=0.04)
    assert [(x.distance, x.size) for x in found.levels] == [
        (Fraction(2, 100), Fraction(2, 10)),
        (Fraction(4, 100), Fraction(4, 10)),  # exactly at the limit: inside
        (Fraction(2, 100), Fraction(1, 10)),
    ]
    assert [(x.side, x.distance) for x in found.too_far] == [(SELL, Fraction(6, 100))]


def test_bins_keep_size_and_mean_distance(tmp_path: Path) -> None:
    joined = shape(tmp_path, bin_bps=500.0).levels
    assert [(x.side, x.size) for x in joined] == [(BUY, 6), (SELL, 9)]
    assert joined[0].distance == Fraction(2 * 1 + 4 * 2, 6 * 100)
    assert joined[0].recorded_price == Fraction(2 * 99 + 4 * 98, 6)


def test_the_shipped_snapshot() -> None:
    found = depth_shape(DepthSeed(instrument_id="BTC-USDT"))
    assert len(found.levels) == 2000
    assert found.symbol == "BTCUSDT"
    assert found.mid == Fraction("61837.635")
    for side in (BUY, SELL):
        distances = [x.distance for x in found.levels if x.side == side]
        assert distances == sorted(distances)
        assert 0.003 < distances[-1] < 0.004
    # Depth within 10 bps, of the order of the calibration's 44 BTC a side.
    assert 60 < sum(x.size for x in found.levels if x.distance <= Decimal("0.001")) < 120
    coarse = depth_shape(DepthSeed(instrument_id="BTC-USDT", bin_bps=1.0))
    assert len(coarse.levels) < 80
    assert sum(x.size for x in coarse.levels) == sum(x.size for x in found.levels)


def snapshot(bids: str, asks: str) -> str:
    return f'1 {{"lastUpdateId": 5, "bids": [{bids}], "asks": [{asks}]}}\n'


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (snapshot('["99","2"]', ""), {}, "file: feed.txt: the book has no asks at the moment"),
        (snapshot('["9","0"]', '["9","1"]'), {}, "file: feed.txt: the book has no bids at the"),
        (
            snapshot('["99","2"]', '["99","1"]'),
            {},
            "file: feed.txt: the book is crossed at the moment 'snapshot': bid 99, ask 99",
        ),
        (snapshot('["99","-2"]', '["101","1"]'), {}, "the field bids holds '-2', not a decimal"),
        (snapshot('["NaN","2"]', '["101","1"]'), {}, "the field bids holds 'NaN', not a decimal"),
        (snapshot('["0","2"]', '["101","1"]'), {}, "the field bids holds a price of 0"),
        (snapshot('["99"]', '["101","1"]'), {}, "not a price and a size"),
        (
            "time,price\n1,2\n",
            {},
            "file: feed.txt: no book can be built: no snapshot among 2 lines",
        ),
        ("", {}, "feed.txt: empty; lines of a receive time and a JSON message are needed"),
        (FEED, {"largest_distance": 0.005}, "largest_distance: 0.005 leaves none of the bids of"),
        (
            FEED,
            {"at": "1970-01-01T00:00:00Z"},
            "at: 1970-01-01T00:00:00Z is before the first snapshot of feed.txt",
        ),
        (
            FEED,
            {"at": "1970-01-01T00:00:09Z"},
            "at: 1970-01-01T00:00:09Z is after all messages of feed.txt, the last of"
            " 1970-01-01T00:00:03Z",
        ),
        (
            PERPETUAL,
            {"at": "1970-01-01T00:00:09Z"},
            "at: 1970-01-01T00:00:09Z is after all messages of feed.txt, which have no time",
        ),
        (
            FEED.replace('"U": 8', '"U": 9').replace('"u": 8', '"u": 9'),
            {"at": "end"},
            "at: 'end': feed.txt has no valid book then: line 3: gap: the difference follows id 8",
        ),
    ],
)
def test_what_is_no_shape(
    tmp_path: Path, text: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        shape(tmp_path, text, **fields)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^file: .*nothing\.gz: no such file$"):
        depth_shape(DepthSeed(instrument_id="BTC-USDT", file="nothing.gz"), tmp_path)


def test_a_shipped_feed_by_its_name(tmp_path: Path) -> None:
    name = "binance_spot_btcusdt_2024-08-08T2354Z_raw_ws.txt.gz"
    by_name = depth_shape(DepthSeed(instrument_id="BTC-USDT", file=name), tmp_path)
    assert by_name == depth_shape(DepthSeed(instrument_id="BTC-USDT"))
