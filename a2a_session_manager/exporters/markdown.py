"""A session as Markdown, for people to read: one section an event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.exporters.markdown_text import code, fenced, plain, shown
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.protocols import ReadableStore
from a2a_session_manager.shapes.normal_form import Call, Instruction, Json, Media, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.shapes.shape import text_for, value_of

_PAGE: Final = 200
_LINE_ENDS: Final = re.compile("\r\n?")
# Commands to a terminal, and halves of characters, which no file can hold.
_UNSHOWN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SPEAKERS: Final = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


async def as_markdown(store: ReadableStore, session_id: str) -> tuple[str, list[Finding]]:
    """Return a session as Markdown, and which of its events say nothing that it could show."""
    session = await store.get(session_id, last=0)
    if session is None:
        raise SessionNotFound(session_id)
    sections = ["\n".join(_heading(session))]
    left_out: list[Finding] = []
    after: int | None = 0
    while after is not None:
        page = await store.events_page(session, after=after, limit=_PAGE)
        for event in page.events:
            if (section := _section(event)) is not None:
                sections.append(section)
            else:
                text = f"event {event.seq} is of the type {event.type}, and says nothing"
                left_out.append(Finding("not_converted", (event.seq or 0,), text))
        after = page.next_after
    if left_out:
        told = (
            "1 record that says nothing was"
            if len(left_out) == 1
            else f"{len(left_out):,} records that say nothing were"
        )
        sections.append(f"*{told} left out.*")
    return "\n\n".join(sections) + "\n", left_out


def _heading(session: Session[Any]) -> Iterator[str]:
    title, metadata = session.metadata.properties.get("title"), session.metadata
    yield f"# {plain(_clean(title if isinstance(title, str) else session.id))}"
    yield ""
    yield f"- id: {code(_clean(session.id))}"
    yield f"- from {metadata.created_at:%Y-%m-%d %H:%M:%S} to {metadata.updated_at:%Y-%m-%d %H:%M:%S} UTC"
    total = session.token_summary.total
    if total.requests:
        requests = "1 request" if total.requests == 1 else f"{total.requests:,} requests"
        yield f"- {total.total_tokens:,} tokens in {requests}, {_cost(total)}"


def _cost(total: TokenTally) -> str:
    return f"{'at least ' if total.is_lower_bound else ''}${total.estimated_cost_usd:f}"


def _section(event: SessionEvent[Any]) -> str | None:
    message = message_from_event(event)
    if message is None:
        return None
    read = read_message(message)
    named = _SPEAKERS.get(read.role) or plain(_clean(str(message.get("role") or event.source)))
    model = "" if event.token_usage is None or not event.token_usage.model else f", {event.token_usage.model}"
    head = f"## {named} · {event.timestamp:%Y-%m-%d %H:%M:%S}{plain(_clean(model))}"
    said = [text for part in read.parts if (text := _part(part))]
    return "\n\n".join([head, *said])


def _part(part: Part) -> str:
    match part:
        case Text() | Instruction():
            return shown(_clean(part.text))
        case Reasoning():
            text = _clean(part.text)
            return "\n".join(f"> {line}" for line in shown(text).split("\n")) if text.strip() else ""
        case Media(text=str(text)) if text:
            return shown(_clean(text))
        case Media():
            place = part.url or ("" if part.data is None else f"{len(part.data):,} characters of base64")
            return f"*{part.kind}*: {code(_clean(part.name or place or part.mime_type or ''))}"
        case Call():
            return f"**calls {code(_clean(part.name))}**\n\n{fenced(_clean(_pretty(part.arguments)), 'json')}"
        case Result():
            return fenced(_clean("\n".join(filter(None, map(_plain, part.content)))), "")
        case _:
            return fenced(_clean(_pretty(part.raw)), "json")


def _plain(part: Part) -> str:
    if isinstance(part, Text | Instruction | Reasoning):
        return part.text
    if isinstance(part, Json):
        return _pretty(part.value)
    return _part(part)


def _pretty(value: Any) -> str:
    found = value_of(value)
    return text_for(found) if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=2, default=str)


def _clean(text: str) -> str:
    return _UNSHOWN.sub("\ufffd", _LINE_ENDS.sub("\n", text))
