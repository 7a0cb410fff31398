"""A real snapshot becomes the shape of a book at any price."""

from pathlib import Path

import pytest

from scenarios.depth_seed import BUY, SELL, DepthSeed, seed_levels
from scenarios.errors import UserError

FEED = (
    '1 {"lastUpdateId": 5, "bids": [["99.0","2"],["98.0","4"]],'
    ' "asks": [["101.0","1"],["103.0","8"]]}\n'
    '2 {"e": "depthUpdate", "U": 6, "u": 7, "b": [["98.0","0"]], "a": [["101.5","3"]]}\n'
)


def write(tmp_path: Path, text: str = FEED) -> DepthSeed:
    (tmp_path / "feed.txt").write_text(text)
    return DepthSeed(file="feed.txt")


def test_levels_by_hand(tmp_path: Path) -> None:
    levels = seed_levels(write(tmp_path), tmp_path)
    assert [(x.side, x.size) for x in levels] == [(BUY, 2), (BUY, 4), (SELL, 1), (SELL, 8)]
    assert [x.distance for x in levels] == pytest.approx([0.01, 0.02, 0.01, 0.03])
    assert [x.notional for x in levels] == pytest.approx([198, 392, 101, 824])
    assert [x.price(5000) for x in levels] == pytest.approx([4950, 4900, 5050, 5150])


def test_parameters(tmp_path: Path) -> None:
    write(tmp_path)
    parameters = DepthSeed(
        file="feed.txt", at="end", size_factor=10, stretch=2, largest_distance=0.04
    )
    levels = seed_levels(parameters, tmp_path)
    assert [(x.side, x.size) for x in levels] == [(BUY, 20), (SELL, 10), (SELL, 30)]
    assert [x.distance for x in levels] == pytest.approx([0.02, 0.02, 0.03])


def test_bins_keep_size_and_mean_distance(tmp_path: Path) -> None:
    write(tmp_path)
    joined = seed_levels(DepthSeed(file="feed.txt", bin_bps=500), tmp_path)
    assert [(x.side, x.size) for x in joined] == [(BUY, 6), (SELL, 9)]
    assert joined[0].distance == pytest.approx((2 * 0.01 + 4 * 0.02) / 6)
    assert joined[0].notional == pytest.approx(590)


def test_shipped_snapshot() -> None:
    levels = seed_levels(DepthSeed())
    assert len(levels) == 2000
    for side in (BUY, SELL):
        distances = [x.distance for x in levels if x.side == side]
        assert distances == sorted(distances)
        assert distances[0] > 0
        assert 0.003 < distances[-1] < 0.004
    # Depth within 10 bps, of the order of the calibration's 44 BTC.
    near = sum(x.size for x in levels if x.distance <= 1e-3)
    assert 60 < near < 120
    coarse = seed_levels(DepthSeed(bin_bps=1.0))
    assert len(coarse) < 80
    assert sum(x.size for x in coarse) == pytest.approx(sum(x.size for x in levels))


def test_one_sided_snapshot(tmp_path: Path) -> None:
    seed = write(tmp_path, '1 {"lastUpdateId": 5, "bids": [["99.0","2"]], "asks": []}\n')
    with pytest.raises(UserError) as caught:
        seed_levels(seed, tmp_path)
    assert str(caught.value) == "feed.txt: the snapshot has an empty side or is crossed"
