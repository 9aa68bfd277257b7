"""The page in a real browser, against a real Prometheus: every panel of every dashboard, and what it says when there is nothing to show."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from browser import Browser, chromium
from command import running
from history import HOSTILE, filled_prometheus
from selenium.webdriver import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from mailweir.services.dashboard import BOARDS, Page, Prometheus, address, find_library, read_boards
from mailweir.services.dashboard.board import FOLDER, parse

NOWHERE = "http://127.0.0.1:1"
"""Where no Prometheus can be."""
DRAWN = """
const colours = [...arguments[0].querySelectorAll('.swatch')].map((one) => getComputedStyle(one).borderTopColor.match(/\\d+/g).join());
const canvas = arguments[0].querySelector('canvas');
const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
for (let at = 0; at < data.length; at += 4)
  if (data[at + 3] > 250 && colours.includes(data.slice(at, at + 3).join())) return true;
return false;
"""
"""Whether a graph has a pixel in the colour of one of its lines."""

TINTED = """
const wanted = getComputedStyle(document.documentElement).getPropertyValue(arguments[1]).trim().slice(1).match(/../g).map((two) => parseInt(two, 16));
const canvas = arguments[0].querySelector('canvas');
const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
for (let at = 0; at < data.length; at += 4)
  if (data[at + 3] > 80 && wanted.every((part, of) => Math.abs(part - data[at + of]) < 8)) return true;
return false;
"""
"""Whether a picture has a pixel in a colour of the style sheet; the edge of a thin line is half transparent."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of the file."""
    with chromium() as found:
        yield found


@pytest.fixture(autouse=True)
def _wide_and_silent(browser: Browser) -> None:
    browser.size(1280)
    browser.complaints()


@contextmanager
def served(prometheus: str) -> Iterator[str]:
    """Where `mailweir dashboard` answers."""
    with running("dashboard", "--prometheus", prometheus, "--port", 0, "--scrape-seconds", 900) as process:
        assert process.stdout
        yield process.stdout.readline().split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def page(prometheus: str) -> Iterator[str]:
    """The page of the Prometheus with a history."""
    with served(prometheus) as url:
        yield url


def source(name: str) -> dict[str, Any]:
    """Grafana's file of a dashboard."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def kinds(name: str, kind: str) -> list[str]:
    """Titles of the panels of a kind, in their order."""
    return [panel["title"] for panel in source(name)["panels"] if (panel["type"] == "row") == (kind == "row")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_of_grafanas_file_is_drawn(browser: Browser, page: str, end: int, name: str, scheme: str) -> None:
    """The same rows and panels in the same order, each with data, lines with a value; nothing on the console."""
    browser.size(1280, scheme)
    browser.open(f"{page}{name}?until={end}")
    assert browser.texts("h2") == kinds(name, "row")
    assert browser.texts("h3") == kinds(name, "panel")
    assert {title: state for title, state in browser.states().items() if state != "ok"} == {}
    assert [text for text in browser.texts(".legend .value, .number") if text == "–"] == []
    graphs = [panel["title"] for panel in source(name)["panels"] if panel["type"] == "timeseries"]
    assert [title for title in graphs if not browser.run(DRAWN, browser.panel(title))] == []
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [1280, 820, 390])
@pytest.mark.parametrize("name", BOARDS)
def test_it_fits_a_screen_and_a_phone(browser: Browser, page: str, end: int, name: str, width: int) -> None:
    """Nothing is wider than the window, and each picture has room."""
    browser.size(width)
    browser.open(f"{page}{name}?until={end}")
    assert browser.run("return innerWidth") == width
    assert browser.run("const page = document.documentElement; return page.scrollWidth - page.clientWidth") == 0
    assert min(browser.run("return [...document.querySelectorAll('.plot')].map((one) => one.clientWidth)")) >= 180


def test_a_variable_changes_what_is_asked(browser: Browser, page: str, end: int) -> None:
    """One stage leaves only its lines, the address tells it, and so do the links to the other dashboards."""
    browser.open(f"{page}stream?until={end}")
    assert browser.texts("[name=stage] option") == ["All", "classify", "ingest"]
    lines = browser.texts("article:first-of-type .legend button span:nth-child(2)")
    assert any(line.startswith("classify") for line in lines)
    Select(browser.one("[name=stage]")).select_by_value("ingest")
    browser.settled()
    lines = browser.texts(".grid:first-of-type .legend button span:nth-child(2)")
    assert lines
    assert {line.split()[0] for line in lines} & {"classify", "ingest"} == {"ingest"}  # spans know no stage
    assert "stage=ingest" in browser.driver.current_url
    assert "stage=ingest" in str(browser.one("nav a[data-board=model]").get_attribute("href"))


def test_the_range_and_the_price_change_what_is_asked(browser: Browser, page: str, end: int) -> None:
    """A week reaches back a week; twice the price is twice the cost."""
    browser.open(f"{page}capacity?until={end}")
    [cost] = browser.texts("[data-panel='4'] .number")
    Select(browser.one("#range")).select_by_value("7d")
    browser.settled()
    asked = browser.run("return performance.getEntriesByType('resource').at(-1).name")
    assert "range=7d" in asked
    with urlopen(asked) as answer:
        times = json.load(answer)["times"]
    assert times[-1] - times[0] == 7 * 86_400
    price = browser.one("[name=core_hour]")
    price.clear()
    price.send_keys("0.08", Keys.ENTER)
    browser.settled()
    assert float(browser.texts("[data-panel='4'] .number")[0].strip("$")) == pytest.approx(
        2 * float(cost.strip("$")), rel=0.01
    )


def test_a_label_is_text_whatever_is_in_it(browser: Browser, page: str, end: int) -> None:
    """A version named like a piece of HTML stands in drop-down, table and legend, can be chosen, and makes no element."""
    browser.open(f"{page}model?until={end}")
    assert HOSTILE in browser.texts("[name=version] option")
    assert HOSTILE in browser.texts("td")
    assert any(HOSTILE in name for name in browser.texts(".legend button span:nth-child(2)"))
    Select(browser.one("[name=version]")).select_by_value(HOSTILE)
    browser.settled()
    lines = browser.run("return [...arguments[0].querySelectorAll('.legend button')].map((one) => one.children[1].textContent)",
                        browser.panel("Decisions by version"))  # fmt: skip
    assert lines == [HOSTILE]
    assert browser.run("return document.querySelectorAll('main img').length") == 0
    assert browser.driver.title == "mailweir: Model"
    assert browser.complaints() == []


def test_nothing_is_not_zero(browser: Browser, page: str, end: int) -> None:
    """Zero is drawn as zero; where nothing was recorded the panel says so."""
    browser.open(f"{page}model?until={end}")
    assert "0 %" in browser.panel("Labels against a week ago").text
    browser.open(f"{page}overview?until={end}&environment=nowhere")
    assert set(browser.states().values()) == {"empty"}
    assert "No data" in browser.panel("How late are we").text
    assert browser.one("[name=environment]").get_attribute("value") == "nowhere"


def test_a_number_that_is_old_says_so(browser: Browser, page: str, end: int) -> None:
    """Two hours after the end of the history the last value is still shown, with its moment."""
    browser.open(f"{page}overview?until={end + 7_200}")
    assert "last at" in browser.panel("Workers seen").text


def test_a_description_and_a_line_are_reached_by_keyboard(browser: Browser, page: str, end: int) -> None:
    """Focus shows what a panel means; the space bar takes a line out of the picture and puts it back."""
    browser.open(f"{page}overview?until={end}")
    panel = browser.panel("Lag by stage")
    browser.run("arguments[0].querySelector('.why').focus()", panel)
    tip = "return getComputedStyle(arguments[0].querySelector('.tip')).visibility"
    assert browser.run(tip, panel) == "visible"
    button = panel.find_element("css selector", ".legend button")
    for pressed in ("false", "true"):
        button.send_keys(Keys.SPACE)
        assert button.get_attribute("aria-pressed") == pressed
    link = panel.find_element("link text", "Runbook").get_attribute("href")
    with urlopen(str(link)) as answer:
        assert answer.read().startswith(b"# MailweirLagGrows")


def test_it_asks_again_by_itself_and_leaves_the_reader_alone(browser: Browser, page: str, end: int) -> None:
    """Without a click; the focus stays, so does what was switched off, and no picture of before is kept."""
    hurry = "const wait = window.setTimeout; window.waits = []; window.setTimeout = (call, ms) => (window.waits.push(ms), wait(call, ms / 20));"
    command = "Page.addScriptToEvaluateOnNewDocument"
    script = browser.driver.execute_cdp_cmd(command, {"source": hurry})
    try:
        browser.open(f"{page}stream?until={end}&refresh=10")
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    button = browser.panel("Lag in seconds").find_element("css selector", ".legend button")
    button.send_keys(Keys.SPACE)
    browser.run("performance.clearResourceTimings()")
    asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/panels/2?')).length"
    WebDriverWait(browser.driver, 30).until(lambda _: browser.run(asked) >= 3)
    browser.settled()
    assert browser.run("return window.waits.filter((ms) => ms !== 10000)") == []
    assert browser.run("return document.activeElement === arguments[0]", button)
    assert button.get_attribute("aria-pressed") == "false"
    Select(browser.one("[name=stage]")).select_by_value("ingest")  # other lines: other pictures
    browser.settled()
    assert browser.run("return uPlot.sync('mailweir').plots.length") == len(browser.states())


def test_numbers_have_sensible_units(browser: Browser, page: str) -> None:
    """By Grafana's names of units, three digits each."""
    wanted = [
        ["s", 0.0123, "12.3 ms"], ["s", 5, "5 s"], ["s", 90, "90 s"], ["s", 600, "10 min"], ["s", 2e-5, "20 µs"], ["s", 4e5, "4.63 d"],
        ["percentunit", 0.125, "12.5 %"], ["percentunit", 0, "0 %"], ["ops", 1234, "1.23k/s"], ["ops", 0.05, "0.05/s"], ["ops", 0, "0/s"],
        ["bytes", 512 * 2**20, "512 MiB"], ["currencyUSD", -1.5, "-$1.5"], ["short", 2_500_000, "2.5M"], ["none", 14.4, "14.4"], ["s", None, "–"],
    ]  # fmt: skip
    browser.open(f"{page}overview")
    script = "const done = arguments[1]; import('/files/units.js').then(({format}) => done(arguments[0].map(([unit, value]) => format(unit, value))))"
    assert browser.driver.execute_async_script(script, wanted) == [text for _, _, text in wanted]


def test_a_prometheus_that_is_away_is_said(browser: Browser) -> None:
    """With its address and the reason, once above the page and in each panel."""
    with served(NOWHERE) as url:
        browser.open(f"{url}overview")
        said = browser.one("#trouble").text
        assert f"Prometheus at {NOWHERE} does not answer (Connection refused)." in said
        assert "--prometheus" in said
        assert "from before" not in said
        assert set(browser.states().values()) == {"error"}
        assert "No answer" in browser.panel("Workers seen").text


def test_what_was_seen_stays_when_prometheus_or_the_server_goes(browser: Browser, tmp_path: Path, end: int) -> None:
    """The pictures of before, and above them who is gone."""
    with filled_prometheus(tmp_path, end) as prometheus:
        with served(prometheus) as url:
            browser.open(f"{url}overview?until={end}")
            assert not browser.one("#trouble").is_displayed()
        browser.one("form button").click()
        browser.settled()
        said = browser.one("#trouble").text
        assert (
            "server of this page has ended. Start mailweir dashboard again. What is drawn below is from before." in said
        )
        assert set(browser.states().values()) == {"ok"}


async def test_limits_bands_and_changes_of_model_are_drawn(browser: Browser, prometheus: str, end: int) -> None:
    """Each in its colour where there is something, and not where there is nothing; here a model takes over every second hour."""
    found = {name: json.loads((FOLDER / f"{name}.json").read_bytes()) for name in ("overview", "stream")}
    found["overview"]["annotations"]["list"][0]["expr"] = "(vector(time()) % 7200) < 60"
    boards = {name: parse(name, json.dumps(board).encode()) for name, board in found.items()}
    page = Page(Prometheus(address(prometheus)), boards, find_library(), 900, Path("nowhere"))
    await page.start(0)
    try:
        await asyncio.to_thread(browser.open, f"{page.url}overview?until={end}")
        assert browser.one("#event").is_displayed()
        assert browser.run(TINTED, browser.panel("Records finished"), "--event")
        assert browser.run(TINTED, browser.panel("Loss budget, slow"), "--bad")
        assert not browser.run(TINTED, browser.panel("Records finished"), "--bad")
        assert "bad from 60 s" in browser.panel("Lag by stage").text
        await asyncio.to_thread(browser.open, f"{page.url}stream?until={end}&range=6h")
        assert not browser.one("#event").is_displayed()
        assert not browser.run(TINTED, browser.panel("Records finished"), "--event")
        assert browser.run(TINTED, browser.panel("Ages of batches"), "--heat")
    finally:
        await page.stop()


async def test_a_query_that_fails_is_said_in_its_panel(browser: Browser, prometheus: str, end: int) -> None:
    """With Prometheus' own words; the other panels are drawn."""
    broken = (
        (FOLDER / "overview.json")
        .read_bytes()
        .replace(b"count(mailweir_trainer_running", b"count(by mailweir_trainer_running")
    )
    boards = read_boards() | {"overview": parse("overview", broken)}
    page = Page(Prometheus(address(prometheus)), boards, find_library(), 900, Path("nowhere"))
    await page.start(0)
    try:
        await asyncio.to_thread(browser.open, f"{page.url}overview?until={end}")
        states = browser.states()
        assert {title for title, state in states.items() if state != "ok"} == {"Workers seen"}
        assert "parse error" in browser.panel("Workers seen").text
        assert not browser.one("#trouble").is_displayed()
    finally:
        await page.stop()
