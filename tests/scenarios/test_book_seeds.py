"""Order books that start with recorded depth: from the scenario's TOML to the first book.

The expected book is worked out here from the feed's own text with decimals, tick by tick.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from agents.base import Agent, AgentContext, AgentProcess
from agents.parameters import CapitalParameters
from exchange.order import Side
from scenarios.cli import app
from scenarios.config import load_scenario
from scenarios.depth_seed import DepthSeed
from scenarios.errors import UserError
from scenarios.feed import SHIPPED_FEED
from scenarios.run import run_scenario
from scenarios.run_directory import Run
from scenarios.simulation import Simulation
from scenarios.twin import twin_overrides
from scenarios.validate import simulate_day

SCENARIO = """
name = "seeded"
title = "A minute with a seeded book"
[market]
start = 2025-06-02T12:00:00Z
end = 2025-06-02T12:01:00Z
instruments = ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "ETH-USDT-SWAP",
    "BTC-USD-250926", "BTC-USD-250926-100000-C"]
basis_yearly = 0.1
[market.path]
kind = "legs"
initial_prices = { BTC-USDT = 100_000.0, ETH-USDT = 2_500.0 }
legs = [{ at_s = 60.0, factor = 1.0 }]
"""
QUIET = """
[[agents]]
kind = "market_maker"
instrument_id = "BTC-USDT"
"""
FEED = (
    '1000000000 {"lastUpdateId": 5,'
    ' "bids": [["99999.9","0.5"],["99999.5","2"],["99990.0","0.0004"],["90000.0","3"]],'
    ' "asks": [["100000.1","0.25"],["100010.0","1.5"],["120000.0","9"]]}\n'
)
Ladder = list[tuple[Decimal, Decimal]]


def seed(instrument: str = "BTC-USDT-SWAP", **fields: Any) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["[[book_seeds]]", f'instrument_id = "{instrument}"', *lines, ""])


def scenario(folder: Path, *seeds: str, agents: str = QUIET) -> Path:
    (folder / "feed.txt").write_text(FEED)
    path = folder / "seeded.toml"
    path.write_text(SCENARIO + "".join(seeds) + agents)
    return path


def opened(path: Path, **overrides: Any) -> tuple[dict[str, Any], Simulation, dict[str, Any]]:
    """(summary of ten seconds, the simulation at its end, every book before the first second)."""
    books: dict[str, Any] = {}
    kept: list[Simulation] = []

    def look(simulation: Simulation) -> None:
        kept.append(simulation)
        for name, listing in simulation.house.listings.items():
            sides = (listing.engine.book.depth(side, 10_000) for side in (Side.BUY, Side.SELL))
            books[name] = [
                [(listing.instrument.price(p), listing.instrument.size(n)) for p, n in side]
                for side in sides
            ]

    short = {"market.end": "2025-06-02T12:00:10Z", **overrides}
    summary = run_scenario(path, overrides=short, keep=False, on_start=look)
    assert set(summary["conservation_error_atoms"].values()) == {0}
    return summary, kept[0], books


def shipped() -> tuple[Ladder, Ladder]:
    """Bids and asks of the shipped snapshot as they are written."""
    packed = resources.files("scenarios.data").joinpath(f"replay/{SHIPPED_FEED}").read_bytes()
    for line in gzip.decompress(packed).decode().splitlines():
        message = json.loads(line.partition(" ")[2])
        if "lastUpdateId" in message:
            bids, asks = (
                [(Decimal(price), Decimal(size)) for price, size in message[side]]
                for side in ("bids", "asks")
            )
            return bids, asks
    raise AssertionError("no snapshot in the shipped feed")


def expected(
    ladder: Ladder, mid: Decimal, mark: Decimal, tick: Decimal, lot_coins: Decimal, rounding: str
) -> dict[Decimal, Decimal]:
    """{price: coins} of one side around `mark`, in the plainest way."""
    book: dict[Decimal, Decimal] = {}
    with localcontext() as context:
        context.prec = 60
        for price, size in ladder:
            at = (price * mark / mid / tick).to_integral_value(rounding) * tick
            book[at] = book.get(at, Decimal(0)) + size
        lots = {
            at: (size / lot_coins).to_integral_value(ROUND_HALF_EVEN) for at, size in book.items()
        }
        return {at: count * lot_coins for at, count in lots.items() if count}


def test_a_snapshot_at_its_own_price_comes_out_as_it_is(tmp_path: Path) -> None:
    path = scenario(tmp_path, seed(file="feed.txt", largest_distance=0.5))
    _, simulation, books = opened(path)
    # contracts of 0.01 BTC
    assert books["BTC-USDT-SWAP"] == [
        [
            (Decimal("99999.9"), Decimal(50)),
            (Decimal("99999.5"), Decimal(200)),
            (Decimal(99990), Decimal("0.04")),
            (Decimal(90000), Decimal(300)),
        ],
        [
            (Decimal("100000.1"), Decimal(25)),
            (Decimal(100010), Decimal(150)),
            (Decimal(120000), Decimal(900)),
        ],
    ]
    assert books["BTC-USDT"] == [[], []]
    (seeded,) = simulation.seeded
    assert [account.name for account in seeded.accounts] == ["book_seed/BTC-USDT-SWAP"]


@pytest.mark.parametrize(("instrument", "lot"), [("BTC-USDT", "1e-6"), ("BTC-USDT-SWAP", "1e-4")])
def test_the_shipped_snapshot_level_by_level(tmp_path: Path, instrument: str, lot: str) -> None:
    bids, asks = shipped()
    mid = (bids[0][0] + asks[0][0]) / 2
    _, simulation, books = opened(scenario(tmp_path, seed(instrument)))
    book = simulation.house.listings[instrument].instrument
    for found, ladder, rounding in (
        (books[instrument][0], bids, ROUND_FLOOR),
        (books[instrument][1], asks, ROUND_CEILING),
    ):
        coins = {price: size * book.contract_value for price, size in found}
        assert coins == expected(
            ladder, mid, Decimal(100_000), Decimal("0.1"), Decimal(lot), rounding
        )
        assert len(found) > 700


def test_the_value_of_a_level_moves_to_another_coin_and_to_contracts_of_one_usd(
    tmp_path: Path,
) -> None:
    path = scenario(
        tmp_path,
        seed("ETH-USDT-SWAP", file="feed.txt", sizes="value"),
        seed("BTC-USD-SWAP", file="feed.txt"),
        seed("BTC-USD-250926", file="feed.txt"),
    )
    summary, simulation, books = opened(path)
    eth = books["ETH-USDT-SWAP"]
    # 99999.9 and 99999.5 of a mid of 100,000 are 2499.9975 and 2499.9875 of 2500
    assert [price for price, _ in eth[0][:2]] == [Decimal("2499.99"), Decimal("2499.98")]
    for (price, contracts), worth in zip(eth[0], ("49999.95", "199999.0"), strict=False):
        # contracts of 0.1 coins; a lot is 0.001 coins, 2.5 USD
        assert abs(contracts * Decimal("0.1") * price - Decimal(worth)) <= Decimal("1.25")
    inverse = books["BTC-USD-SWAP"]
    # contracts of 100 USD
    assert abs(inverse[0][0][1] * 100 - Decimal("0.5") * Decimal("99999.9")) <= 5
    # the dated future stands 10 % a year above the index, about 116 days before it expires
    assert 103_000 < summary["book_seeds"]["BTC-USD-250926"]["mid"] < 103_400
    future = books["BTC-USD-250926"]
    assert 103_000 < future[0][0][0] < future[1][0][0] < 103_400
    assert {a.name for seeded in simulation.seeded for a in seeded.accounts} == {
        "book_seed/ETH-USDT-SWAP",
        "book_seed/BTC-USD-SWAP",
        "book_seed/BTC-USD-250926",
    }


def at_first(bitcoin: float) -> dict[str, Any]:
    return {"market.path.initial_prices": {"BTC-USDT": bitcoin, "ETH-USDT": 2500.0}}


def test_absolute_prices_inside_the_price_limits(tmp_path: Path) -> None:
    path = scenario(tmp_path, seed(file="feed.txt", prices="absolute", largest_distance=0.5))
    _, _, books = opened(path, **at_first(101_500.0))
    # sells from 2 % below the index: the asks at 100,000 stay; 2.5 % above, only the last one does
    assert books["BTC-USDT-SWAP"][1][0][0] == Decimal("100000.1")
    summary, _, books = opened(path, **at_first(102_500.0))
    assert [price for price, _ in books["BTC-USDT-SWAP"][1]] == [Decimal(120000)]
    assert books["BTC-USDT-SWAP"][0][0][0] == Decimal("99999.9")
    left_out = summary["book_seeds"]["BTC-USDT-SWAP"]["left_out"]
    assert left_out["outside the price limits"]["levels"] == 2
    whole = 0.5 + 2 + 0.0004 + 3 + 0.25 + 1.5 + 9
    share = left_out["outside the price limits"]["size_share"]
    assert share == pytest.approx((0.25 + 1.5) / whole)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = scenario(tmp_path, seed(file="feed.txt", size_factor=0.1))
    summary, _, _ = opened(path)
    left_out = summary["book_seeds"]["BTC-USDT-SWAP"]["left_out"]
    assert {reason: part["levels"] for reason, part in left_out.items()} == {
        "beyond largest_distance": 2,  # 90,000 and 120,000
        "below half a lot": 1,  # 0.00004 coins, a lot is 0.0001
    }


def test_orders_are_dealt_out_to_accounts_below_the_limit_of_open_orders(tmp_path: Path) -> None:
    _, simulation, books = opened(scenario(tmp_path, seed()))
    (seeded,) = simulation.seeded
    limit = simulation.house.rules.orders.open_orders_per_instrument
    count = sum(len(side) for side in books["BTC-USDT-SWAP"])
    assert len(seeded.accounts) == -(-count // limit) > 1
    held = [[o for o in seeded.orders if o.owner == a.number] for a in seeded.accounts]
    assert max(map(len, held)) <= limit
    assert max(map(len, held)) - min(map(len, held)) <= 1
    value = sum(seeded.value_usd.values())
    for orders in held:
        buys = sum(o.size_lots for o in orders if o.side > 0)
        assert 0 < buys < sum(o.size_lots for o in orders)
    # four times what the orders are worth, all of it in the ledger
    money = [
        simulation.house.ledger.balances[account.balances["USDT"].cash] / 1e8
        for account in seeded.accounts
    ]
    assert sum(money) == pytest.approx(4 * value, rel=1e-6)


def test_the_tables_tell_these_orders_from_the_agents(tmp_path: Path) -> None:
    path = scenario(tmp_path, seed(file="feed.txt"))
    run_scenario(path, out=tmp_path / "run")
    run = Run.load(tmp_path / "run")
    (owner,) = [n for n, name in enumerate(run.account_names) if name.startswith("book_seed/")]
    assert run.account_names[owner] == "book_seed/BTC-USDT-SWAP"
    own = run.orders.filter(pl.col("account") == owner)
    assert own["price"].to_list() == [99999.9, 99999.5, 99990.0, 100000.1, 100010.0]
    assert set(own["event"].cast(pl.String)) == {"accepted"}
    assert own["time_ns"].unique().to_list() == [run.marks["time_ns"][0]]
    first = run.marks.filter(pl.col("instrument").cast(pl.String) == "BTC-USDT-SWAP")
    assert first["bid_depth_5bps"][0] == pytest.approx(250.04)
    assert first["ask_depth_5bps"][0] == 175
    seeds = run.summary["book_seeds"]["BTC-USDT-SWAP"]
    assert (seeds["bids"]["filled_share"], seeds["bids"]["resting_share"]) == (0, 1)
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "run")])
    assert "BTC-USDT-SWAP bids" in shown.output
    assert "owned by book_seed/BTC-USDT-SWAP," in " ".join(shown.output.split())
    account = ["show", str(tmp_path / "run"), "--account", "book_seed/BTC-USDT-SWAP"]
    assert "99,999.9" in CliRunner().invoke(app, account).output
    report = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert report.exit_code == 0, report.output
    assert "BTC-USDT-SWAP asks" in (tmp_path / "run" / "report.html").read_text()


def test_seeds_repeat_and_disturb_no_agent(tmp_path: Path) -> None:
    plain, without, _ = opened(scenario(tmp_path))
    empty, _, _ = opened(scenario(tmp_path), book_seeds=[])
    assert plain["event_hash"] == empty["event_hash"]
    assert "book_seeds" not in plain
    path = scenario(tmp_path, seed(half_life_s=5))
    one, with_seed, _ = opened(path)
    two, _, _ = opened(path)
    assert one["event_hash"] == two["event_hash"] != plain["event_hash"]
    names = [account.name for account in without.house.accounts]
    assert [account.name for account in with_seed.house.accounts][: len(names)] == names
    other, _, _ = opened(path, seed=2)
    resting = one["book_seeds"]["BTC-USDT-SWAP"]["bids"]["resting_share"]
    assert other["book_seeds"]["BTC-USDT-SWAP"]["bids"]["resting_share"] != resting


@pytest.mark.parametrize("half_life", [None, 5.0, 20.0])
def test_orders_fade_with_the_half_life(tmp_path: Path, half_life: float | None) -> None:
    fields = {} if half_life is None else {"half_life_s": half_life}
    _, simulation, _ = opened(scenario(tmp_path, seed(**fields)))
    (seeded,) = simulation.seeded
    # nobody trades in this book: what is gone was withdrawn
    assert all(order.remaining_lots == order.size_lots for order in seeded.orders)
    resting = len(simulation.house.listings["BTC-USDT-SWAP"].engine.book.orders)
    assert resting == sum(len(account.orders) for account in seeded.accounts)
    share = 1.0 if half_life is None else 0.5 ** (10.0 / half_life)
    count = len(seeded.orders)
    assert abs(resting - share * count) <= 4 * (count * share * (1 - share)) ** 0.5


class Dump(Agent):
    """Sells more than the book can take, again and again."""

    def run(self) -> AgentProcess:
        market = self.venue.market("BTC-USDT-SWAP")
        for _ in range(50):
            yield self.sleep(1)
            self.take(market, -(10**6), protection=0.05)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DumpParameters(CapitalParameters):
    kind: str = "dump"

    def build(self, context: AgentContext) -> Agent:
        return Dump(context)


@pytest.mark.parametrize("capital", [4.0, 0.3])
def test_owners_that_are_filled_on_one_side(tmp_path: Path, capital: float) -> None:
    """With the default money a fall by half liquidates nobody; with little it does, and shows."""
    fall = [{"at_s": 20.0, "factor": 1.0}, {"at_s": 59.0, "factor": 0.5}]
    money = {"USDT": 1e9}
    summary = run_scenario(
        scenario(tmp_path, seed(file="feed.txt", capital=capital)),
        overrides={"market.path.legs": fall},
        out=tmp_path / "run",
        extra_agents=(("dump", DumpParameters(balances_usd=money)),),
    )
    assert set(summary["conservation_error_atoms"].values()) == {0}
    bids = summary["book_seeds"]["BTC-USDT-SWAP"]["bids"]
    assert (bids["filled_share"], bids["resting_share"]) == (1, 0)
    run = Run.load(tmp_path / "run")
    owner = run.account_names.index("book_seed/BTC-USDT-SWAP")
    assert run.fills.filter(pl.col("maker") == owner)["size"].sum() == pytest.approx(250.04)
    fallen = set(run.liquidations["account"])
    assert (owner in fallen) == (capital < 1)
    lowest = summary["book_seeds"]["BTC-USDT-SWAP"]["lowest_margin_ratio"]
    assert capital < 1 or lowest > 3


def mistakes() -> Iterator[tuple[str, str]]:
    listed = "BTC-USDT, BTC-USDT-SWAP, BTC-USD-SWAP, ETH-USDT-SWAP"
    name = "book_seeds.0.instrument_id"
    yield "[[book_seeds]]\n", f"{name}: missing"
    yield seed("BTC-EUR"), f"{name}: 'BTC-EUR' is not one of the market's instruments, {listed}"
    option = "BTC-USD-250926-100000-C"
    yield seed(option), f"{name}: {option} is an option, not spot, a perpetual or a future"
    yield (
        seed() * 2,
        ("book_seeds.1.instrument_id: BTC-USDT-SWAP is seeded by book_seeds.0 already"),
    )
    yield seed(depth=1), "book_seeds.0.depth: not a field of this table; allowed: instrument_id,"
    yield seed(file=""), "book_seeds.0.file: is empty; text is needed"
    yield seed(file="none.gz"), "none.gz: no such file"
    yield seed(file="seeded.toml"), "book_seeds.0.file: "
    yield seed(at="noon"), "book_seeds.0.at: 'noon' is not 'snapshot', 'end' or a UTC time"
    yield seed(at=7), "book_seeds.0.at: 7 is not 'snapshot', 'end' or a UTC time"
    yield seed(prices="near"), "book_seeds.0.prices: 'near' is not 'relative' or 'absolute'"
    yield seed(sizes="usd"), "book_seeds.0.sizes: 'usd' is not 'coins' or 'value'"
    yield seed("ETH-USDT-SWAP"), '"coins" of \'BTCUSDT\' are no sizes of ETH-USDT-SWAP; "value"'
    for field in ("size_factor", "stretch", "largest_distance", "capital", "half_life_s"):
        yield seed(**{field: -1.0}), f"book_seeds.0.{field}: -1.0 is not in "
        yield seed() + f"{field} = nan\n", f"book_seeds.0.{field}: nan is not in "
    yield seed(bin_bps=2e3), "book_seeds.0.bin_bps: 2000.0 is not in 0..1000"
    yield (
        seed(prices="absolute", stretch=2.0),
        ("book_seeds.0.stretch: 2 is not 1, as absolute prices need"),
    )
    yield (
        seed(prices="absolute"),
        (
            "book_seeds.0: no ask of the snapshot is left for BTC-USDT-SWAP: 1,000 levels outside"
            " the price limits (the mark is 100000.0; buys are allowed up to 102000.0, sells from"
            " 98000.0)"
        ),
    )
    yield seed(size_factor=1e-6), "no bid of the snapshot is left for BTC-USDT-SWAP: 1,000 levels b"
    yield seed(size_factor=1e6), "size_factor 1e+06 is too large"
    yield seed(capital=0.05), "insufficient margin; more capital than 0.05, or a smaller size_fac"
    yield seed("BTC-USDT", capital=0.01), "more capital than 0.01, or a smaller size_factor than 1"
    yield seed(account_mode="spot"), "account mode; account_mode 'spot' does not trade it"


@pytest.mark.parametrize(("text", "message"), list(mistakes()))
def test_mistakes_are_said_by_field(tmp_path: Path, text: str, message: str) -> None:
    path = scenario(tmp_path, text)
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: book_seeds.")
    assert message in line
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_file_named_on_the_command_line_is_found_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scenario(tmp_path, seed())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "own.txt").write_text(FEED)
    monkeypatch.chdir(elsewhere)
    _, tables, _ = load_scenario(path, ["book_seeds.0.file=own.txt"])
    assert tables["book_seeds"][0]["file"] == str((elsewhere / "own.txt").resolve())


def test_the_other_commands_know_seeds(tmp_path: Path) -> None:
    path = scenario(tmp_path, seed(file="none.gz"))
    with pytest.raises(UserError, match=r"^book_seeds\.0\.file: "):
        simulate_day(str(path), [], 1)
    _, tables, _ = load_scenario(path)
    changed, _, _ = load_scenario(path, twin_overrides("mode=multi_currency", tables))
    assert [entry.account_mode for entry in changed.book_seeds] == ["multi_currency"]


def test_the_example_of_the_page_runs_and_shows_what_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    section = page.split("## A book that starts with recorded depth", 1)[1]
    path = tmp_path / "my-book.toml"
    path.write_text(section.split("```toml\n", 1)[1].split("```", 1)[0], encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    printed = [line.rstrip() for line in result.output.splitlines()]
    table = section.split("```text\n", 1)[1].split("```", 1)[0].rstrip().splitlines()
    assert table[0].startswith(" seeded book")
    assert table == printed[printed.index(table[0]) :][: len(table)]
    bids = Run.load(tmp_path / "run").marks["bid_depth_10bps"].round().to_list()
    first, second, last = (int(bids[n]) for n in (0, 1, -1))
    words = f"bids within 10 bps are {first} coins at first, {second} with both, and back at {last}"
    assert words in section
    fields = section.split("| field |", 1)[1].split("\n\n", 1)[0]
    listed = [line.split("`")[1] for line in fields.splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(field.name for field in dataclasses.fields(DepthSeed))
