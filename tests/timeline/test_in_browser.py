"""The timeline in a real browser: large trees, hostile texts, search, links, filters, keys, both colour schemes, paper.

It takes Playwright, of any recent version, and a Chromium on the PATH, or the one that the variable CHROMIUM names.
`.ci/browser` installs both, and sets BROWSER_REQUIRED, so that nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import a2a_session_manager.timeline
from a2a_session_manager import SessionManager, session_timeline
from a2a_session_manager.exporters import markdown_text
from tests.exporters import markdown_rows
from tests.integrations.fastapi.serving import Served
from tests.timeline.trees import bad, hostile_tree, large_tree, marked_tree

IS_REQUIRED = "BROWSER_REQUIRED" in os.environ
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if IS_REQUIRED:
    playwright: Any = import_module("playwright.sync_api")
else:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: .ci/browser installs it")
    pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: .ci/browser installs it")

MOST_NODES = 2_000
SHOWN = "article, .session"

# Opens an address and returns the page; what it asks the network for and says on its console goes into the lists.
Open = Callable[..., Any]


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Run `work` beside the loop that Playwright has in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _written(make: Callable[[SessionManager], Coroutine[Any, Any, None]], session_id: str, file: Path) -> Path:
    sessions = SessionManager.from_url("memory:")
    await make(sessions)
    await asyncio.to_thread(file.write_text, await session_timeline(sessions, session_id), "ascii")
    return file


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Let tests block: the loop in their thread is Playwright's. What they write is made in another one."""


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a tree with all marks."""
    file: Path = done(_written(marked_tree, "trip", tmp_path_factory.mktemp("marked") / "page.html"))
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Opened(list[Any]):
    """The pages that a test has opened, and what they asked for and said."""

    requests: list[str]
    said: list[str]


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    found = Opened()
    found.requests, found.said = [], []
    yield found
    for page in found:
        page.context.close()

    assert found.said == []


@pytest.fixture
def open_page(browser: Any, opened: Opened) -> Open:
    def open_it(place: Path | str, *, wait: bool = True, **options: Any) -> Any:
        page = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options}).new_page()
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("console", lambda message: opened.said.append(message.text))
        page.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.append(page)
        address = f"file://{place}" if str(place).startswith("/") else str(place)
        page.goto(address)
        if wait:
            page.wait_for_selector(SHOWN)
        return page

    return open_it


def nodes(page: Any) -> int:
    count: int = page.evaluate("document.querySelectorAll('*').length")
    return count


def said(page: Any, id: str, text: str) -> None:
    """Wait until an element says something."""
    page.locator(f"#{id}", has_text=text).wait_for(timeout=20_000)


def current(page: Any) -> str:
    """Return the link to the current row."""
    link: str = page.locator(".row.current .seq").first.get_attribute("href")
    return link


def test_ten_thousand_events_and_fifty_sessions_are_few_elements(
    open_page: Open, opened: Opened, tmp_path: Path
) -> None:
    def make(sessions: SessionManager) -> Coroutine[Any, Any, None]:
        return large_tree(sessions, events=10_200, children=49)

    place = done(_written(make, "large", tmp_path / "large.html"))
    page = open_page(place)

    # No bound: that would be one on what else the machine has to do. Two seconds are too long, `-s` shows it.
    shown = page.evaluate("performance.getEntriesByName('shown')[0].startTime")
    print(f"\n10,196 events and 50 sessions are shown after {shown:.0f} ms")
    counts = [nodes(page)]
    page.click("#open-all")
    scroller = page.locator("#scroller")
    for _ in range(12):
        scroller.evaluate("each => each.scrollTop += each.scrollHeight / 12")
        page.wait_for_timeout(50)
        counts.append(nodes(page))
    assert max(counts) < MOST_NODES
    assert page.locator("#figures").inner_text().count("10,196") == 1
    assert page.evaluate("document.querySelectorAll('[role=treeitem]').length") < 50
    page.evaluate("location.hash = '#child-40/57'")
    page.wait_for_timeout(300)
    assert current(page) == "#child-40/57"
    assert [each for each in opened.requests if not each.startswith(f"file://{place}")] == []


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_hostile_texts_stay_texts(colors: str, open_page: Open, opened: Opened, tmp_path: Path) -> None:
    place = done(_written(hostile_tree, bad("id"), tmp_path / "page.html"))
    page = open_page(place, color_scheme=colors)
    page.click("#open-all")
    for _ in range(3):  # whatever can be shown is shown
        for button in page.locator("[aria-expanded=false]").all():
            if button.is_visible():
                button.click()
    page.wait_for_timeout(200)

    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.querySelectorAll('img, iframe, object, embed').length") == 0
    assert page.evaluate("document.querySelectorAll('script').length") == 4
    assert page.evaluate("Object.getPrototypeOf({}) === Object.prototype && ({}).nested === undefined")
    page.fill("#search", "window.pwned='")
    said(page, "hits", "of")
    text = ""
    for _ in range(40):
        text += page.locator("#rows").inner_text() + page.locator(".top-bar").inner_text()
        page.locator("#scroller").evaluate("each => each.scrollTop += 300")
        page.wait_for_timeout(15)
    fields = "id title key nested state value text tool arguments result role name content definition metadata error"
    missing = [field for field in fields.split() if f"window.pwned='{field}" not in text]
    assert missing == []
    assert [each for each in opened.requests if not each.startswith("file://")] == []


def test_search_finds_what_is_collapsed_in_a_child_and_opens_it(open_page: Open, marked: Path) -> None:
    page = open_page(marked)
    assert page.locator("text=needle in a child").count() == 0

    page.fill("#search", "NEEDLE in a")
    page.wait_for_selector("mark")

    assert page.locator("mark").first.inner_text() == "needle in a"
    assert page.locator("#hits").inner_text() == "1 of 1"
    assert current(page) == "#flights/1"
    page.fill("#search", "nobody says this")
    said(page, "hits", "nothing found")


LINKS = {
    "#2": "#2",
    "#4": "#4",
    "#flights/": "#flights/",
    "#flights/2": "#flights/1",  # a result is shown with its call
    "#by-train/5": "#by-train/5",
}


@pytest.mark.parametrize(("link", "shown"), LINKS.items())
def test_a_link_leads_to_its_event(link: str, shown: str, open_page: Open, marked: Path) -> None:
    page = open_page(f"file://{marked}{link}")

    assert current(page) == shown
    assert page.locator(".row.current").is_visible()


def test_a_retraction_a_summary_a_fork_and_an_unknown_cost_are_marked(open_page: Open, marked: Path) -> None:
    page = open_page(marked)

    text = page.locator("body").inner_text()
    for said in (
        "1 event retracted (#4)",
        "in force",
        "fork of trip at #3",
        "in summary #7",
        "1 of unknown cost",
        "≥ $",
    ):
        assert said in text, said
    assert page.locator("nav .item").nth(1).inner_text().split("\n")[1].startswith("unknown")
    page.click(".retracted-mark button")
    assert "Book the hostle." in page.locator("#rows").inner_text()


def test_filters_leave_only_what_they_say(open_page: Open, marked: Path) -> None:
    page = open_page(marked)

    page.click("#focused")
    roles = page.locator("article h3").all_inner_texts()
    page.click("#clear")
    page.click("#errors")
    errors = page.locator("#rows").inner_text()
    page.click("#clear")
    page.select_option("#agent", "flights")
    agents = page.locator("article").count()

    assert {role.lower() for role in roles} <= {"user", "assistant"}
    assert "the bank does not answer" in errors
    assert "Two days" not in errors
    assert agents == 2


def test_keys_lead_from_prompt_to_prompt(open_page: Open, marked: Path) -> None:
    page = open_page(marked)

    places = []
    for _ in range(3):
        page.keyboard.press("n")
        places.append(current(page))
    page.keyboard.press("p")

    assert places == ["#2", "#5", "#8"]
    assert current(page) == "#5"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def test_light_and_dark_have_colours_that_can_be_read(open_page: Open, marked: Path) -> None:
    script = """() => {
        const light = (color) => {
            const [r, g, b] = color.match(/[\\d.]+/g).map((each) => {
                const part = each / 255;
                return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (element) => {
            for (; element; element = element.parentElement) {
                const color = getComputedStyle(element).backgroundColor;
                if (!color.endsWith(", 0)")) return color;
            }
        };
        const SHOWN = "h1, h2, h3, p, .chip, .text, .usage, time, .filter, .item span, dt, dd b";
        const found = {};
        for (const element of document.querySelectorAll(SHOWN)) {
            if (!element.offsetParent || element.closest(".retracted")) continue;
            const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
            const ratio = (a + 0.05) / (b + 0.05);
            if (ratio < 4.5) found[element.className || element.tagName] = ratio;
        }
        return [found, getComputedStyle(document.body).backgroundColor];
    }"""
    unreadable_light, light = open_page(marked, color_scheme="light").evaluate(script)
    page = open_page(marked, color_scheme="dark")
    unreadable_dark, dark = page.evaluate(script)
    page.click("#theme")
    _, toggled = page.evaluate(script)

    assert (unreadable_light, unreadable_dark) == ({}, {})
    assert toggled == light != dark


def test_paper_has_all_rows_one_below_the_other(open_page: Open, marked: Path) -> None:
    page = open_page(marked)

    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    text = page.locator("#rows").inner_text()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")

    assert "Two days in Oslo?" in text
    assert "Thanks." in text


def test_everything_can_be_copied(open_page: Open, marked: Path) -> None:
    page = open_page(f"file://{marked}#flights/1")
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")

    page.locator(".row.current").hover()
    page.click(".row.current button[title='Copy as Markdown']")
    markdown = page.evaluate("window.copied")
    page.click(".row.current button[title='Copy as JSON']")
    copied = page.evaluate("JSON.parse(window.copied)")

    assert "needle in a child" in markdown
    assert "**search**" in markdown
    assert (copied["seq"], copied["session_id"], copied["message"]["role"]) == (1, "flights", "assistant")


MARKDOWN = Path(a2a_session_manager.timeline.__file__).with_name("page") / "markdown.js"


def in_markdown(page: Any, function: str, texts: list[str]) -> list[str]:
    """Return what a function of the page's script makes of texts."""
    made: list[str] = page.evaluate(f"texts => {{ {MARKDOWN.read_text()}; return texts.map({function}); }}", texts)
    return made


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        ("shownText", markdown_rows.SHOWN),
        ("plainText", markdown_rows.PLAIN),
        ("codeSpan", markdown_rows.CODE),
    ],
    ids=["text", "title", "code"],
)
def test_a_text_has_the_markdown_that_the_exporter_makes(
    function: str, rows: list[tuple[str, str]], open_page: Open, marked: Path
) -> None:
    made = in_markdown(open_page(marked), function, [text for text, _ in rows])

    assert made == [markdown for _, markdown in rows]


def test_any_text_has_the_markdown_that_the_exporter_makes(open_page: Open, marked: Path) -> None:
    draw = random.Random(1)
    starts, pieces = markdown_rows.STARTS, markdown_rows.PIECES
    lines = [draw.choice(starts) + "".join(draw.choices(pieces, k=draw.randint(0, 5))) for _ in range(20_000)]
    texts = ["\n".join(draw.choices(lines, k=draw.randint(1, 6))).replace("\r", "") for _ in range(10_000)]
    page = open_page(marked)

    rules = {"shownText": markdown_text.shown, "plainText": markdown_text.plain, "codeSpan": markdown_text.code}
    for function, rule in rules.items():
        made = in_markdown(page, function, texts)
        differ = [(text, mine) for text, mine in zip(texts, made, strict=True) if mine != rule(text)]
        assert differ == []


def test_what_is_copied_shows_texts_as_they_were_said(open_page: Open, tmp_path: Path) -> None:
    long = "# needle <b>\r\n" * 400
    number = '{"id": 12345678901234567890}'
    said, made = zip(*(row for row in markdown_rows.SHOWN if row[0]), strict=True)

    async def make(sessions: SessionManager) -> None:
        async with sessions.open("a`<i>") as chat:
            for text in said:
                await chat.user(text)
            await chat.assistant([{"type": "thinking", "thinking": "# Hm\n<b>", "signature": "s"}])
            called = {"id": "c1", "type": "function", "function": {"name": "*f*", "arguments": number}}
            await chat.append({"role": "assistant", "content": None, "tool_calls": [called]})
            await chat.tool("*f*", {"found": [long]}, call_id="c1")
            await chat.append({"role": "<b>\n# critic", "content": "```"})

    page = open_page(done(_written(make, "a`<i>", tmp_path / "page.html")))
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.locator(".session.top button[title='Copy as Markdown']").first.click()
    copied = page.evaluate("window.copied")

    sections = copied.split("\n### ")
    assert sections[0].startswith("# a\\`\\<i\\>\n\nSession `` a`<i> ``, ")
    for section, markdown in zip(sections[1:], made, strict=False):
        assert section.partition("\n")[2].strip("\n") == markdown.strip("\n")
    thought, called, returned, critic = sections[len(made) + 1 :]
    assert "> \\# Hm\n> \\<b>\n" in thought
    assert "**\\*f\\***" in called
    assert number in called
    assert returned.count("needle <b>") == 400
    assert critic.startswith(f"#{len(made) + 4} \\<b\\> \\# critic\n\n````markdown\n```\n````")


def test_the_bundle_can_be_taken_out_of_the_page(open_page: Open, tmp_path: Path) -> None:
    async def make(sessions: SessionManager) -> None:
        await large_tree(sessions, events=40, children=2)
        await sessions.export_bundle(tmp_path / "as it is", "large")

    page = open_page(done(_written(make, "large", tmp_path / "page.html")))

    with page.expect_download() as found:
        page.click("#save")
    assert found.value.suggested_filename == "large.bundle"
    assert Path(found.value.path()).read_bytes() == (tmp_path / "as it is").read_bytes()


@pytest.mark.parametrize("narrow", [False, True])
def test_names_say_what_controls_do(narrow: bool, open_page: Open, marked: Path) -> None:
    page = open_page(marked, **({"viewport": {"width": 400, "height": 800}} if narrow else {}))
    script = """() => [...document.querySelectorAll("button, input, select, a, [role=img]")]
        .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.title)).map((each) => each.outerHTML)"""

    assert page.evaluate(script) == []
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("[role=feed] > article[aria-posinset]").count() > 0


def test_a_live_page_shows_what_comes(open_page: Open, opened: Opened, tmp_path: Path) -> None:
    directory = tmp_path / "sessions"
    done(_on_files(directory, marked_tree))
    with Served("tests.timeline.served:app", directory=directory) as served:
        page = open_page(f"{served.url}/timeline/trip?live=true")
        said(page, "live", "live")
        done(_on_files(directory, _go_on))
        said(page, "tree", "hotels")
        said(page, "figures", "Retracted2")
        page.keyboard.press("G")
        said(page, "rows", "It came later.")
        page.context.close()
        opened.clear()

    assert {each.partition("?")[0] for each in opened.requests} == {f"{served.url}/timeline/trip"}


async def _on_files(directory: Path, work: Callable[[SessionManager], Coroutine[Any, Any, None]]) -> None:
    async with SessionManager.from_url(f"file:{directory}") as sessions:
        await work(sessions)


async def _go_on(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        async with chat.child("hotels") as hotels:
            await hotels.user("Hotels?")
        await chat.retract(last=1)
        await chat.assistant("It came later.")
