"""What `show`, `explain`, `compare` and `report` print, and what they say to wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from accounts.events import Deleveraging, LiquidationStage, PostingBatch, PostingKind
from scenarios.account_view import account_at
from scenarios.cascade import build_cascade
from scenarios.cli import app
from scenarios.compare import difference_rows, setting_differences
from scenarios.digest import five_sentences
from scenarios.market_sample import PositionSnapshot
from scenarios.report_figures import cascade_figure, state_figure
from scenarios.run_directory import Run
from scenarios.show import parse_time
from scenarios.story import StoryTeller
from tests.scenarios.fake_run import write_fake_run
from tests.scenarios.hand_run import E8, action, at, bankrupt, falls, marks, sample, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Account 0 holds 2 BTC bought at 7,500, is sold down, taken over, and leaves a hole."""
    events = [
        marks(0, 7_400), sample(0, 7_400),
        PositionSnapshot(at(0), 0, 0, 20_000, -15_000 * E8),
        PostingBatch(
            np.array([
                (at(0), int(PostingKind.DEPOSIT), 2, 0, 3_000 * E8, 0),
                (at(0), int(PostingKind.TRADE), 1, 2, 15_000 * E8, 0),
            ]),
            ["cash/trader/0", "cost/trader/0/BTC-USDT-SWAP", "outside"], ["USDT"] * 3,
        ),
        sample(60, 7_010), marks(60, 7_010), falls(61, 0), action(61, 1, 0),
        action(65, 2, 0, filled_lots=0, average_price=0.0, notional_usd=0.0, slippage_usd=0.0),
        action(66, 3, 0, filled_lots=0, average_price=0.0, notional_usd=0.0, slippage_usd=0.0),
        falls(70, 1), action(70, 4, 1, trigger=1),
        action(80, 5, 0, stage=LiquidationStage.TAKE_OVER, reason="equity is used up"),
        bankrupt(80, 5, 0),
        Deleveraging(at(81), 5, 0, 2, "BTC-USDT-SWAP", 5_000, 69_000, 70_000, 25.0),
        sample(120, 6_900),
    ]  # fmt: skip
    return write_run(tmp_path_factory.mktemp("show") / "run", events)


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", result.output)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return re.sub(r"\s+", " ", result.output)


def test_the_story_names_cause_price_slippage_and_payer(run: Run) -> None:
    story = StoryTeller(run).tell(0)
    assert story.opening == [
        "Held long 2 BTC in BTC-USDT-SWAP, bought at 7,500 on average; when its troubles began at"
        " 00:01:01 the mark stood at 7,010 (-6.53 %)."
    ]
    texts = [m.text for m in story.moments]
    assert (
        texts[0]
        == (
            "It is liquidated from here on: margin ratio 95 % = adjusted equity 950 / maintenance"
            " margin 1,000 USD."
        )
        or "margin ratio 95 %" in texts[0]
    )
    step = texts[1]
    assert (
        "Standard reduction (largest improvement): sold 100 of 200 BTC-USDT-SWAP at 7,000" in step
    )
    assert "0.14 % worse than the mark (10.00 USD), fee 3.50 USD" in step
    assert "ratio 95 % -> 105 %" in step
    assert "2 attempts until 00:01:06 to sell 200 BTC-USDT-SWAP found nobody" in texts[2]
    assert "took 100 BTC-USDT-SWAP at the bankruptcy price 6,900" in texts[3]
    assert story.ending[-1].startswith(
        "It left a hole of 100.00 USD. The insurance fund paid 60.00"
    )
    assert "deleveraged winners paid 25.00 USD, nobody paid 15.00 USD" in story.ending[-1]


def test_the_story_names_who_pushed(run: Run) -> None:
    texts = [m.text for m in StoryTeller(run).tell(1).moments]
    assert any("pushed by action 1 of trader/0" in text for text in texts)


def test_a_winner_has_a_story_and_a_bystander_none(run: Run) -> None:
    winner = StoryTeller(run).tell(2)
    assert "against trader/0; profit forgone 25.00 USD" in winner.moments[0].text
    assert StoryTeller(run).tell(7).opening == ["Nothing was forced on this account."]


def test_who_took_the_other_side_comes_from_the_fills(tmp_path: Path) -> None:
    fake = Run.load(write_fake_run(tmp_path / "run", steps=700, longs=12))
    step = next(
        r for r in fake.liquidations.iter_rows(named=True)
        if r["filled_lots"] and r["stage"] == "standard"
    )  # fmt: skip
    fills = fake.fills.filter(cause_id=step["action_id"])
    assert int(fills["size_lots"].sum()) == step["filled_lots"]
    text = next(
        m.text
        for m in StoryTeller(fake).tell(step["account"]).moments
        if m.kind == "step" and m.time_ns == step["time_ns"]
    )
    largest = fills.group_by("maker").agg(x=fills["size_lots"].sum()).row(0)[0]
    assert fake.account_names[largest] in text


def test_show_prints_the_run(run: Run) -> None:
    printed = invoke("show", run.path)
    for sentence in five_sentences(run):
        assert sentence in printed
    assert "bad debt, USD 100.00" in printed
    assert "conservation exact" in printed
    assert "trader/0" in printed


def test_show_prints_an_account_at_a_time(run: Run) -> None:
    before = invoke("show", run.path, "--account", "trader/0", "--at", "30s")
    assert "trader/0 account 0, 2020-03-12 00:00:30 UTC: healthy" in before
    assert "BTC-USDT-SWAP 200 2 BTC 7,500 7,400 14,800 -200.00" in before
    assert "USDT 3,000 0 +3,000" in before and "equity 2,800" in before
    # 12 % of 14,800 by MR1, 0.2 % by MR4.
    assert "BTC 1,776.00 29.60" in before and "recomputed: adjusted equity" in before
    after = invoke("show", run.path, "--account", "0", "--at", "00:01:30")
    assert "00:01:30 UTC: liquidating" in after
    assert "equity is used up" in after


def test_explain_prints_the_story(run: Run) -> None:
    printed = invoke("explain", run.path, "trader/0")
    assert "the story of trader/0" in printed and "It left a hole of 100.00 USD" in printed


def test_compare_prints_settings_and_differences(run: Run, tmp_path: Path) -> None:
    other = write_run(tmp_path / "b", [marks(0, 7_400), sample(0, 7_400), sample(60, 7_300)])
    printed = invoke("compare", run.path, other.path, "--html", tmp_path / "x.html")
    assert "bankrupt accounts 1 0 -1" in printed
    assert "bad debt, USD 100.00 0 -100.00" in printed
    assert "lowest mark of BTC-USDT-SWAP 6,900 7,300 +5.80 %" in printed
    assert "plotly" in (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "same, event for event" in invoke("compare", run.path, run.path)
    assert all(row[3] in ("+0", "0", "+0.00 %") for row in difference_rows(run, run))


def test_settings_that_differ_are_named_by_their_path() -> None:
    left = {"a": 1, "agents": [{"x": 1}, {"x": 2}], "only": 3}
    right = {"a": 1, "agents": [{"x": 1}, {"x": 5}], "new": 4}
    assert setting_differences(left, right) == [
        ("agents.1.x", "2", "5"),
        ("only", "3", "-"),
        ("new", "-", "4"),
    ]


def test_report_writes_the_page_and_twin_metrics(run: Run, tmp_path: Path) -> None:
    twin = write_run(tmp_path / "b", [marks(0, 7_400), sample(0, 7_400), sample(60, 7_000)])
    assert "report.html" in invoke("report", run.path, "--twin", twin.path)
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Against its" in text
    overshoot = Run.load(run.path).summary["metrics"]["price"]["overshoot"]
    assert overshoot == pytest.approx(6_900 / 7_000 - 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2020-03-12T00:01:00Z", 60),
        ("2020-03-12T00:01:00", 60),
        ("2020-03-12T01:01:00+01:00", 60),
        ("00:01:00", 60),
        ("00:01", 60),
        ("1m", 60),
        ("+1.5m", 90),
        ("90s", 90),
    ],
)
def test_times(run: Run, text: str, seconds: int) -> None:
    assert parse_time(run, text) == at(seconds)


def test_the_end_is_that_of_the_run_and_not_of_the_last_sample(tmp_path: Path) -> None:
    """A sample every ten seconds or less often: what comes after the last one counts too."""
    events = [marks(0, 7_400), sample(0, 7_400), sample(50, 7_400), falls(58, 0)]
    run = write_run(tmp_path / "run", events)
    assert run.summary["simulated_seconds"] == 60.0
    assert parse_time(run, "59s") == at(59) and parse_time(run, None) == at(60)
    assert account_at(run, 0, parse_time(run, None)).state == "liquidating"


def test_the_busiest_40_minutes_are_named_where_the_run_is_longer(run: Run, tmp_path: Path) -> None:
    assert "40 minutes" not in five_sentences(run)[3], "a run of one minute"
    longer = Run.load(write_fake_run(tmp_path / "run", steps=700, longs=12))
    assert "the busiest 40 minutes saw" in five_sentences(longer)[3]


def test_dots_of_the_first_and_the_last_generation_are_whole(run: Run) -> None:
    axis = cascade_figure(run, build_cascade(run))["layout"]["yaxis"]
    assert axis["range"] == [1.5, -0.5] and axis["dtick"] == 1, "generations 0 and 1, downwards"


def test_nobody_in_trouble_is_a_line_at_zero_over_the_whole_run(tmp_path: Path) -> None:
    """Without a line the axis would show the year 2000."""
    run = write_run(tmp_path / "run", [marks(0, 7_400), sample(0, 7_400), sample(50, 7_400)])
    (line,) = state_figure(run)["data"]
    assert (line["x"][0], line["x"][-1]) == (at(0) // 10**6, at(50) // 10**6)
    assert set(line["y"]) == {0} and line["name"] == "nobody"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--account", "nobody"), "neither a name nor a number from 0 to 9"),
        (("--account", "0", "--at", "noon"), "is no time"),
        (("--account", "0", "--at", "25:00:00"), "is no time"),
        (("--account", "0", "--at", "2020-13-01"), "is no time"),
        (("--account", "0", "--at", "2021-01-01"), "outside the run"),
        (("--account", "0", "--at", "3h"), "outside the run"),
        (("--at", "1m"), "needs --account"),
    ],
)
def test_wrong_questions_get_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("show", run.path, *arguments)


@pytest.mark.parametrize("command", ["show", "explain", "compare", "report"])
def test_what_is_no_run_is_refused_by_every_command(command: str, tmp_path: Path) -> None:
    more = {"explain": ["x"], "compare": [str(tmp_path)]}.get(command, [])
    assert "is no run" in refused(command, tmp_path, *more)
    assert "no such folder" in refused(command, tmp_path / "no", *more)
