"""The report: one page, no network, no console error, and a slider that steps through the crash."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.report import render, write_report
from scenarios.report_replay import MOST_LOG_LINES
from scenarios.report_series import thinned
from scenarios.run_directory import Run
from tests.scenarios.fake_run import write_fake_run

LARGEST = 8_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.load(write_fake_run(tmp_path_factory.mktemp("run") / "fake"))


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    return write_report(run)


def embedded(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script id="page" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_the_page_is_small_and_asks_for_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    own = text[: text.index("<script>")] + text[text.rindex('<script id="page"') :]
    assert not re.search(r'(src|href)="(?!data:|#)', own), "every resource is inside"
    assert "@import" not in own and "url(" not in own


def test_five_sentences_hold_the_run_s_figures(run: Run, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sentences = re.findall(r"<p>(.*?)</p>", text[text.index('class="sentences"') :])[:5]
    assert len(sentences) == 5
    summary = run.summary
    assert f"{summary['liquidated_accounts']:,}" in sentences[2]
    assert f"{summary['fills']:,} fills" in sentences[1]
    assert str(summary["bankrupt_accounts"]) in sentences[4]


def test_every_touched_account_has_its_story(run: Run, page: Path) -> None:
    content = embedded(page)
    touched = {
        *run.liquidations["account"].unique().to_list(),
        *run.bankruptcies["account"].to_list(),
        *run.deleveragings["winner"].to_list(),
    }
    assert len(content["stories"]) == len(touched)
    text = page.read_text(encoding="utf-8")
    names = re.findall(r'data-name="([^"]+)"', text)
    assert sorted(names) == sorted(run.account_names[a] for a in touched)
    assert all(story for story in content["stories"])


def test_frames_show_what_was_recorded(run: Run, page: Path) -> None:
    film = embedded(page)["replay"]
    marks = run.marks.filter(instrument="BTC-USDT-SWAP")
    times = (marks["time_ns"] // 1_000_000).to_list()
    assert film["t"] == sorted(set(film["t"])) and set(film["t"]) <= set(times)
    for frame in (0, len(film["t"]) // 2, -1):
        row = times.index(film["t"][frame])
        assert film["book"]["mark"][frame] == pytest.approx(marks["mark"][row], rel=1e-6)
        lots = marks["bid_depth_100bps"][row] * 0.01 * marks["mark"][row]
        band = film["book"]["bands"].index(1)
        assert film["book"]["bids"][frame][band] == pytest.approx(lots, rel=1e-3)
    counts = np.array([film["counts"][s.replace(" ", "_")] for s in film["states"]])
    traders = sum(not n.startswith("fund/") for n in run.account_names)
    assert (counts.sum(axis=0) == traders).all() and (counts >= 0).all()
    assert film["counts"]["bankrupt"][-1] == run.summary["bankrupt_accounts"]
    assert len(film["log"]) <= MOST_LOG_LINES and film["log"]
    assert film["log"] == sorted(film["log"])
    frames = [c["frame"] for c in film["chapters"]]
    assert frames == sorted(frames) and frames[0] == 0 and frames[-1] == len(film["t"]) - 1


def test_a_hostile_account_name_stays_text(tmp_path: Path) -> None:
    path = write_fake_run(tmp_path / "run", steps=700, longs=6)
    manifest = json.loads((path / "manifest.json").read_text())
    evil = "</script><script>document.title='gone'</script>"
    manifest["accounts"] = [evil + str(i) for i in range(len(manifest["accounts"]))]
    (path / "manifest.json").write_text(json.dumps(manifest))
    html = render(Run.load(path))
    assert evil not in html


def test_a_run_without_liquidations_has_a_report(tmp_path: Path) -> None:
    html = render(Run.load(write_fake_run(tmp_path / "run", steps=30, longs=0)))
    assert "Nobody was liquidated" in html


def test_a_small_recording_has_a_report_too(tmp_path: Path) -> None:
    html = render(Run.load(write_fake_run(tmp_path / "run", steps=700, longs=6, record="summary")))
    assert "Step through it" in html


def test_thinning_keeps_extremes() -> None:
    values = np.zeros(10_000)
    values[4_321], values[7_777] = 5.0, -5.0
    kept = thinned(values, 100)
    assert {0, 4_321, 7_777, 9_999} <= set(kept.tolist()) and len(kept) <= 102


def chromium() -> tuple[str, str] | None:
    """Paths of a browser and its driver."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = chromium()
    if found is None:
        reason = "no chromium and chromedriver on the PATH"
        assert os.environ.get("SELLOFF_REQUIRE_BROWSER") != "1", reason
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.binary_location = found[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    yield driver
    driver.quit()


def open_page(browser: Any, page: Path, width: int = 1280) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.set_window_size(width, 900)
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(
        lambda d: d.execute_script("return document.body.dataset.ready") == "true"
    )


def console_errors(browser: Any) -> list[str]:
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def move(browser: Any, frame: int) -> None:
    browser.execute_script(
        "const s = document.getElementById('slider'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        frame,
    )


def test_in_a_browser(browser: Any, page: Path, run: Run) -> None:
    open_page(browser, page)
    film = embedded(page)["replay"]
    last = len(film["t"]) - 1
    # Every picture is drawn.
    for plot in browser.find_elements("css selector", ".plot"):
        assert plot.find_elements("css selector", "svg.main-svg"), plot.get_attribute("id")
    # The slider steps: clock, numbers, dots and log follow.
    move(browser, 0)
    before = browser.find_element("id", "numbers").text
    move(browser, last)
    assert browser.find_element("id", "numbers").text != before
    bankrupt = browser.execute_script(
        "return [...document.querySelectorAll('#numbers div')].map(d => d.innerText)"
    )
    assert f"bankrupt\n{run.summary['bankrupt_accounts']}" in bankrupt
    assert browser.find_elements("css selector", "#replay-log li")
    lowest = browser.execute_script(
        "return document.getElementById('replay-accounts').data[0].y.filter(y => y === 0.05).length"
    )
    assert lowest == sum(s[-1] == "5" for s in film["accounts"]["states"])
    # A chapter jumps to its frame; play moves on by itself.
    chapter = next(i for i, c in enumerate(film["chapters"]) if c["title"] == "Trough")
    browser.execute_script(
        "document.querySelectorAll('#chapters button')[arguments[0]].click()", chapter
    )
    slider = browser.find_element("id", "slider")
    assert int(slider.get_attribute("value")) == film["chapters"][chapter]["frame"]
    move(browser, 0)
    browser.find_element("id", "play").click()
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda d: int(slider.get_attribute("value")) >= 2)
    browser.find_element("id", "play").click()
    # A story opens.
    browser.execute_script("document.querySelector('details[data-story]').open = true")
    WebDriverWait(browser, 5).until(
        lambda d: d.find_element("css selector", "details[data-story] .story").text != ""
    )
    assert console_errors(browser) == []
    requested = [
        json.loads(e["message"])["message"]["params"]["request"]["url"]
        for e in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in e["message"]
    ]
    assert [u for u in requested if not u.startswith(("file:", "data:", "blob:"))] == []


def test_on_a_phone_and_in_print(browser: Any, page: Path) -> None:
    open_page(browser, page, width=400)
    wide, seen = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert wide <= seen, "nothing sticks out of the screen"
    size = browser.execute_script(
        "return getComputedStyle(document.querySelector('.lead')).fontSize"
    )
    assert float(size.removesuffix("px")) >= 14
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 50_000
    assert console_errors(browser) == []


@pytest.mark.parametrize("width", [500, 760, 1000, 1200, 1400])
def test_large_figures_stay_in_their_tiles(browser: Any, page: Path, width: int) -> None:
    open_page(browser, page, width)
    over = browser.execute_script(
        "return [...document.querySelectorAll('.tiles b')].filter(b => {"
        "b.textContent = '12,125,268,850';"  # twelve billions
        "return b.scrollWidth > b.clientWidth; }).length"
    )
    assert over == 0
