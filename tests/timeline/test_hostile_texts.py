"""Whatever is stored, a page has its own scripts and elements alone, and holds what was stored as text."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from a2a_session_manager import SessionManager, export_conversation, session_timeline
from tests import hostile
from tests.draws import few
from tests.timeline.trees import data_of

_PLAIN = (["trip", "child", "run", "tool"], ["Oslo", "Hello", "value", "gpt-4o"])


class _Elements(HTMLParser):
    """Notes the elements of a page, with the names of their attributes, and what its scripts are."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", []))


async def _exported(names: list[str], texts: list[str]) -> tuple[str, str]:
    (session_id, child_id, run_id, tool), (title, said, value, model) = names, texts
    async with SessionManager.from_url("memory:") as sessions:
        async with sessions.open(session_id, properties={"title": title, "agent": value, run_id: value}) as chat:
            await chat.user(said)
            async with chat.run(id=run_id, agent=tool) as run:
                await run.tool(tool, {run_id: said}, result={tool: value}, call_id=tool)
                await run.assistant(said, model=model, usage={"prompt_tokens": 5, "completion_tokens": 1})
            await chat.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": said}}]})
        if child_id != session_id:
            await sessions.create(child_id, parent_id=session_id, properties={"title": said})
        page = await session_timeline(sessions, session_id)
        return page, (await export_conversation(sessions, session_id, format="markdown")).text


@settings(deadline=None, max_examples=few(5, of=200), phases=[Phase.generate])
@given(st.lists(hostile.ids, min_size=4, max_size=4), st.lists(hostile.texts, min_size=4, max_size=4))
def test_a_page_has_no_element_of_what_is_stored(names: list[str], texts: list[str]) -> None:
    page, markdown = asyncio.run(_exported(names, texts))
    plain, _ = asyncio.run(_exported(*_PLAIN))

    assert page.isascii()
    assert _Elements(page).found == _Elements(plain).found
    data_of(page)  # the JSON in it is whole
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 0x9F for char in markdown), repr(markdown)
    markdown.encode()
