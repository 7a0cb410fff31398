"""Numbers as a person reads them: nothing cut, nothing rounded up that is a limit."""

from __future__ import annotations

import pytest

from scenarios.formats import at_most, coins, percent, price, ratio, signed_percent, signed_usd, usd


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (usd(0.004), "0"),
        (usd(-0.004), "0"),
        (usd(9_999.5), "9,999.50"),
        (usd(-1_234_567.8), "-1,234,568"),
        (signed_usd(5.0), "+5.00"),
        (signed_usd(-5.0), "-5.00"),
        (signed_usd(0.0), "0"),
        (coins(0.0), "0"),
        (coins(0.34058139), "0.340581"),
        (coins(1e-9), "1e-09"),
        (coins(-1_000.0), "-1,000"),
        (coins(123_456.7), "123,457"),
        (at_most(19_063.999999999), "19,063.99999999"),
        (at_most(6191.43), "6,191.43"),
        (at_most(85_898_345.92), "85,898,345.92"),
        (at_most(0.07), "0.07"),
        (at_most(0.0), "0"),
        (percent(0.002), "0.2 %"),
        (percent(-0.00001), "0 %"),
        (percent(12.0), "1,200 %"),
        (signed_percent(0.12), "+12 %"),
        (signed_percent(0.0), "0 %"),
        (ratio(float("inf")), "no requirement"),
        (ratio(-25.953657), "-2,595.4 %"),
        (ratio(222.1), "22,210 %"),
        (price(97_093.7), "97,093.7"),
        (price(0.00002034), "2.034e-05"),
        (price(0.0904543), "0.0904543"),
    ],
)
def test_formats(text: str, expected: str) -> None:
    assert text == expected
