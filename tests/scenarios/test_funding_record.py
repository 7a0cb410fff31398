"""Recorded funding: the lowest rates of the calibration's table."""

import pytest

from scenarios.errors import UserError
from scenarios.funding_record import recorded_funding
from tests.scenarios.path_tools import span


@pytest.mark.parametrize(
    ("days", "btc", "eth"),
    [
        (("2020-03-12T00:00:00", "2020-03-15T00:00:00"), -0.30, -0.28),
        (("2021-05-19T00:00:00", "2021-05-22T00:00:00"), -0.09, -0.36),
        (("2022-05-09T00:00:00", "2022-05-14T00:00:00"), -0.04, -0.08),
        (("2025-10-10T00:00:00", "2025-10-13T00:00:00"), -0.011, -0.013),
    ],
)
def test_lowest_funding_of_the_events(days: tuple[str, str], btc: float, eth: float) -> None:
    window = span(*days)
    for series, lowest in (("BTC-USDT-SWAP", btc), ("ETH-USDT-SWAP", eth)):
        rates = recorded_funding(series, window.start_ns, window.end_ns)
        times = [funding.time_ns for funding in rates]
        assert times == sorted(times)
        assert min(funding.rate for funding in rates) * 100 == pytest.approx(lowest, rel=0.13)


def test_outside_the_record_and_unknown() -> None:
    assert recorded_funding("BTC-USDT-SWAP", 0, 10**18) == []
    with pytest.raises(UserError) as caught:
        recorded_funding("SOL-USDT-SWAP", 0, 1)
    assert str(caught.value) == (
        "no recorded funding of SOL-USDT-SWAP; recorded: BTC-USDT-SWAP, ETH-USDT-SWAP"
    )
