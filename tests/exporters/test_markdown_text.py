"""Texts in the Markdown of a transcript, as a renderer shows them: none is lost, or taken for another thing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # which rich brings
from markdown_it.token import Token

from a2a_session_manager import InMemorySessionStore, SessionManager, export_conversation
from a2a_session_manager.exporters.markdown_text import code, plain, shown
from tests.draws import few
from tests.exporters.markdown_rows import CODE, PIECES, PLAIN, SHOWN, STARTS

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tokens(markdown: str) -> Iterator[Token]:
    for token in RENDERER.parse(markdown):
        yield token
        yield from token.children or ()


def visible(markdown: str) -> str:
    """Return what a reader sees, with where links lead and what language code is in."""
    found: list[str] = []
    leads_to: list[str] = []
    for token in tokens(markdown):
        if token.type in ("text", "code_inline", "fence", "code_block", "text_special"):
            found += [token.info if token.type == "fence" else "", token.content]
        elif token.type == "link_open":
            leads_to.append(str(token.attrs["href"]))
        elif token.type == "link_close":
            found.append(leads_to.pop())
        elif token.type in ("softbreak", "hardbreak", "paragraph_open", "heading_open", "td_open", "th_open"):
            found.append("\n")
    return "".join(found)


def words(text: str) -> list[str]:
    return re.findall("[a-j][0-9]", text)


def headings(markdown: str) -> list[tuple[str, str]]:
    found = list(tokens(markdown))
    return [(each.tag, found[at + 1].content) for at, each in enumerate(found) if each.type == "heading_open"]


_lines = st.builds(
    lambda start, rest: start + "".join(rest),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES), max_size=5),
)
_texts = st.lists(_lines, max_size=6).map("\n".join)


async def exported(texts: Sequence[str]) -> str:
    async with InMemorySessionStore() as store:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            for text in texts:
                await chat.assistant(
                    [{"type": "thinking", "thinking": text, "signature": "s"}, {"type": "text", "text": text}]
                )
        return (await export_conversation(store, "trip", format="markdown")).text


@settings(deadline=None, max_examples=few(25, of=6_000))
@given(texts=st.lists(_texts, min_size=1, max_size=2))
@example(["```\na1", "b2"])
@example(["- a1\n  ```\n<b>b2\n  ```"])
@example(["a1 ` b2\nc3 ` <b> ` d4"])
@example(["<!-- a1", "b2 -->"])
def test_a_transcript_shows_all_that_was_said_and_has_its_own_headings_alone(texts: list[str]) -> None:
    markdown = asyncio.run(exported(texts))

    assert not [each for each in tokens(markdown) if each.type in ("html_block", "html_inline", "image")]
    found = headings(markdown)
    assert [tag for tag, _ in found] == ["h1", *("h2" for _ in texts)]
    assert all(text.startswith("Assistant · ") for _, text in found[1:])
    assert words(visible(markdown)) == [word for text in texts for word in words(text) * 2]


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [
        ("a <b>c</b> &lt; d", "a <b>c</b> &lt; d"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("# Title", "# Title"),
        ("Title\n---", "Title\n---"),
        ("> # Title", "# Title"),
        ("[a]: /b", "[a]: /b"),
        ("![a](b)", "!ab"),  # a link, which is not fetched
        ("```\nno end", "```\nno end\n"),
        ("use `<div>` and `` a`b ``", "use <div> and a`b"),
        ("a < b && c", "a < b && c"),
        ("one ` tick <i>", "one ` tick <i>"),
    ],
)
def test_a_text_shows_as_it_was_said(text: str, is_shown: str) -> None:
    assert visible(shown(text)).replace("markdown", "").strip("\n") == is_shown.strip("\n")


@pytest.mark.parametrize(("text", "markdown"), SHOWN)
def test_a_text_has_the_markdown_that_shows_it(text: str, markdown: str) -> None:
    assert shown(text) == markdown


@pytest.mark.parametrize(("text", "markdown"), PLAIN)
def test_a_title_has_the_markdown_that_shows_it(text: str, markdown: str) -> None:
    assert plain(text) == markdown


@pytest.mark.parametrize(("text", "markdown"), CODE)
def test_a_span_of_code_has_the_markdown_that_shows_it(text: str, markdown: str) -> None:
    assert code(text) == markdown


@pytest.mark.parametrize(
    "text",
    [
        "**Bold**, *soft* and `code`.",
        "- one\n- two\n\n1. three\n   - four",
        "```html\n<b>\n# no title\n```\n\nThen.",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "See [this](https://example.org), and\n\n---\n\n> a quote",
        "    indented",
    ],
)
def test_what_harms_nothing_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@given(text=st.text())
def test_a_title_shows_letter_by_letter(text: str) -> None:
    clean = " ".join("".join(each for each in text if each.isprintable() or each.isspace()).split())
    made = f"# x{plain(clean)}x"

    [heading] = [each for each in tokens(made) if each.type == "inline"]
    assert "".join(child.content for child in heading.children or ()) == f"x{clean}x"
    assert {child.type for child in heading.children or ()} <= {"text", "text_special"}
