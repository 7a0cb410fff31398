"""The path object: look-up, the USD rule, what a reader must be told, wrong parameters."""

import pickle

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from scenarios.bar_file import parse_time_ns
from scenarios.errors import UserError
from scenarios.path_kinds import (
    AnyPath,
    BarPath,
    GeometricBrownianPath,
    Leg,
    LegsPath,
    PathParameters,
    PegPath,
    SeveralPaths,
)
from scenarios.paths import PricePath, build_path
from scenarios.sampling import Window
from scenarios.streams import Streams
from tests.scenarios.path_tools import SECOND, hours, span

ADAPTER: TypeAdapter[AnyPath] = TypeAdapter(PathParameters)
STILL = (Leg(at_s=1, factor=1.0),)


def still(**prices: float) -> PricePath:
    """A flat path of these prices; BTC_USDT stands for BTC-USDT."""
    initial = {name.replace("_", "-"): price for name, price in prices.items()}
    return build_path(LegsPath(initial_prices=initial, legs=STILL), hours(1), Streams(1))


def test_look_up() -> None:
    path = build_path(
        GeometricBrownianPath(initial_prices={"BTC-USDT": 1.0, "ETH-USDT": 2.0}),
        Window(1000, 1000 + 10 * SECOND),
        Streams(1),
    )
    assert (len(path), path.start_ns, path.end_ns) == (10, 1000, 1000 + 10 * SECOND)
    assert path.times_ns[3] == 1000 + 3 * SECOND
    assert path.row_at(1000 + 3 * SECOND) == path.row_at(1000 + 4 * SECOND - 1) == 3
    assert path.row_at(0) == 0
    assert path.row_at(10**18) == 9
    assert path.at(1000) == {"BTC-USDT": 1.0, "ETH-USDT": 2.0}
    steps = list(path.steps())
    assert [time for time, _ in steps] == path.times_ns.tolist()
    assert (np.array([row for _, row in steps]) == path.prices).all()
    with pytest.raises(ValueError, match="read-only"):
        path.prices[0, 0] = 5.0
    with pytest.raises(UserError, match="the path has no series X-Y; it has BTC-USDT, ETH-USDT"):
        path.of("X-Y")


def test_samples_of_a_window() -> None:
    assert Window(0, 10, 3).samples == 4  # 0 3 6 9
    assert Window(0, 9, 3).samples == 3
    assert Window(0, 1).samples == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "end: 1970-01-01T00:00:00Z is not after the start, 1970-01-01T00:00:00Z"),
        ((0, 5, 0), "step: 0 ns is not above 0"),
        ((0, 10**18, 1), "samples from 1970"),
    ],
)
def test_wrong_windows(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Window(*arguments)
    assert message in str(caught.value)


def test_usd_rule() -> None:
    path = still(BTC_USDT=50000.0, BTC_USD=49000.0, ETH_USDT=3000.0, USDT_USD=0.98)
    assert path.usd_rule("BTC") == ("BTC-USD",)
    assert path.usd_rule("ETH") == ("ETH-USDT", "USDT-USD")
    assert path.usd_rule("USDT") == ("USDT-USD",)
    assert path.usd_rule("USD") == ()
    assert path.usd_index("ETH")[0] == pytest.approx(2940)
    assert path.usd_index("BTC")[0] == 49000
    assert path.usd_index("USD").tolist() == [1.0] * 3600
    assert path.usd_index("ETH") is path.usd_index("ETH")
    assert path.pair_index("BTC", "USDT")[0] == 50000
    assert path.pair_index("BTC", "ETH")[0] == pytest.approx(49000 / 2940)
    assert path.index_notes(["BTC", "ETH", "USDT", "USD"]) == ()
    with pytest.raises(UserError) as caught:
        path.usd_index("SOL")
    assert str(caught.value) == (
        "the path has no price of SOL: SOL-USD or SOL-USDT is needed; "
        "it has BTC-USDT, BTC-USD, ETH-USDT, USDT-USD"
    )


def test_without_a_dollar_price_of_the_stablecoin_it_counts_as_one() -> None:
    path = still(BTC_USDT=50000.0)
    assert path.usd_index("BTC")[0] == 50000
    assert path.usd_index("USDT")[0] == 1
    assert path.index_notes(["BTC", "USDT"]) == (
        "BTC: no series USDT-USD; one USDT counts as one USD",
        "USDT: no series USDT-USD; one USDT counts as one USD",
    )


def test_a_perpetual_as_index_is_said() -> None:
    window = span("2025-10-10T20:00:00", "2025-10-10T22:00:00")
    path = build_path(BarPath(file="2025-10-tariff-cascade"), window, Streams(1))
    assert path.usd_rule("SOL") == ("SOL-USDT-SWAP",)
    assert path.usd_rule("BTC") == ("BTC-USDT",)
    notes = path.index_notes(["BTC", "SOL"])
    assert notes[1] == (
        "SOL: the index is the perpetual SOL-USDT-SWAP, which already holds the forced flow of "
        "that day: a cascade on top of it counts that flow twice"
    )
    assert not notes[0].startswith("BTC: the index is the perpetual")


def test_sources_for_the_manifest() -> None:
    window = span("2025-10-10T20:00:00", "2025-10-10T22:00:00")
    path = build_path(
        BarPath(file="2025-10-tariff-cascade"), window, Streams(1), series=["BTC-USDT-SWAP"]
    )
    source = path.sources[0]
    assert (source.series, source.kind, source.file) == (
        "BTC-USDT-SWAP",
        "bars",
        "2025-10-tariff-cascade",
    )
    assert source.steps == {"1m": 75, "5m": 9}
    assert len(source.sha256) == 64


def test_wanted_series_come_in_their_order_or_are_refused() -> None:
    model = GeometricBrownianPath(initial_prices={"BTC-USDT": 1.0, "ETH-USDT": 2.0})
    path = build_path(model, hours(1), Streams(1), series=["ETH-USDT", "BTC-USDT", "ETH-USDT"])
    assert path.series == ("ETH-USDT", "BTC-USDT")
    with pytest.raises(UserError, match="no series SOL-USDT; it has BTC-USDT, ETH-USDT"):
        build_path(model, hours(1), Streams(1), series=["SOL-USDT"])


def test_paths_side_by_side() -> None:
    parts = (
        BarPath(file="2020-03-black-thursday", series=("BTC-USDT",)),
        PegPath(initial_prices={"USDT-USD": 0.97}),
    )
    window = span("2020-03-12T10:00:00", "2020-03-12T11:00:00")
    path = build_path(SeveralPaths(parts=parts), window, Streams(1))
    assert path.series == ("BTC-USDT", "USDT-USD")
    alone = build_path(parts[1], window, Streams(1))
    assert (path.of("USDT-USD") == alone.of("USDT-USD")).all()
    with pytest.raises(UserError, match=r"parts\.2: USDT-USD is already in a part before it"):
        build_path(SeveralPaths(parts=(*parts, parts[1])), window, Streams(1))


def test_a_path_that_leaves_the_range_of_prices_is_refused() -> None:
    model = GeometricBrownianPath(initial_prices={"BTC-USDT": 1e11}, annual_drift=20.0)
    with pytest.raises(UserError, match=r"BTC-USDT: the path reaches 1.0\d*e\+12 at 2024-0"):
        build_path(
            model,
            Window(
                parse_time_ns("2024-01-01T00:00:00Z"),
                parse_time_ns("2024-06-01T00:00:00Z"),
                60 * SECOND,
            ),
            Streams(1),
        )


def test_global_numpy_state_is_neither_read_nor_changed() -> None:
    model = GeometricBrownianPath(initial_prices={"BTC-USDT": 1.0})
    np.random.seed(1)
    before = pickle.dumps(np.random.get_state())
    one = build_path(model, hours(1), Streams(1))
    assert pickle.dumps(np.random.get_state()) == before
    np.random.seed(2)
    assert (build_path(model, hours(1), Streams(1)).prices == one.prices).all()


GBM = {"kind": "gbm", "initial_prices": {"BTC-USDT": 60000}}
LEGS = {"kind": "legs", "initial_prices": {"USDT-USD": 1}, "legs": [{"at_s": 5, "factor": 0.9}]}
EVENT = {"kind": "scaled_event", "file": "x", "event_start": "2020-03-12T00:00:00Z"}
WRONG = {
    "no kind": ({}, "Unable to extract tag using discriminator 'kind'"),
    "unknown kind": ({"kind": "heston"}, "'heston' found using 'kind' does not match"),
    "no prices": ({"kind": "gbm"}, "initial_prices"),
    "empty prices": ({**GBM, "initial_prices": {}}, "at least 1 item"),
    "negative price": ({**GBM, "initial_prices": {"BTC-USDT": -1}}, "greater than or equal to"),
    "no series": ({**GBM, "initial_prices": {"btc": 1}}, "'btc' is not a series as BTC-USDT"),
    "unknown field": ({**GBM, "volatility": 1}, "volatility"),
    "negative volatility": ({**GBM, "annual_volatility": -0.1}, "greater than or equal to 0"),
    "NaN": ({**GBM, "annual_volatility": float("nan")}, "annual_volatility"),
    "shock of -100 %": ({**GBM, "shocks": [{"at_s": 0, "size": -1}]}, "greater than or equal to"),
    "shock before the start": ({**GBM, "shocks": [{"at_s": -1, "size": 0.1}]}, "shocks.0.at_s"),
    "kappa": ({**GBM, "news_split": {"kappa": 1.5}}, "less than or equal to 1"),
    "no legs": ({**LEGS, "legs": []}, "at least 1 item"),
    "legs out of order": (
        {**LEGS, "legs": [{"at_s": 5, "factor": 0.9}, {"at_s": 5, "factor": 0.8}]},
        "legs.1.at_s: 5 is not after 5",
    ),
    "speed 0": ({**EVENT, "speed": 0}, "greater than or equal to 0.01"),
    "event start": ({**EVENT, "event_start": "noon"}, "event_start: 'noon' is not a UTC time"),
    "event end": (
        {**EVENT, "kind": "bootstrap", "event_end": "2020-03-11T00:00:00Z"},
        "block_s: 1800 is longer than the event, -86400 s",
    ),
    "clustering": (
        {**GBM, "kind": "calm", "clustering": {"variances": [0.1]}},
        "variances: one for each of time_constants_s is needed",
    ),
    "nested part": ({"kind": "several", "parts": [{"kind": "gbm"}]}, "parts.0.gbm.initial_prices"),
    "series twice": (
        {"kind": "bars", "file": "x", "series": ["BTC-USDT", "BTC-USDT"]},
        "series: a series appears twice",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parameters(case: str) -> None:
    table, message = WRONG[case]
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(table)
    lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors()]
    assert any(message in line for line in lines), lines
