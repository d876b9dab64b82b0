"""export_conversation: a session as one text in another format, and what that could not hold."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.reading import conversation
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.exporters.markdown import as_markdown
from a2a_session_manager.identifiers import shown
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.protocols import ReadableStore, SessionStore

ExportFormat: TypeAlias = Literal["openai", "anthropic", "responses", "markdown"]


class ConversationExport(NamedTuple):
    """A conversation as text, and what was moved, closed or left out, or could not be converted."""

    text: str
    findings: list[Finding]


async def export_conversation(
    sessions: SessionManager | SessionStore, id: str, *, format: ExportFormat = "openai"
) -> ConversationExport:
    """Return the visible conversation of the session `id`, whole and without summaries in the place of what was said.

    `sessions` is a manager or a store that has it.

    As "openai", "anthropic" and "responses" it is one line of JSON, an object that has `messages`, `system` and
    `messages`, or `input`, as the APIs take them; `import_conversations` reads the first and the last one again.
    "markdown" is for people: who said what, when, with calls and results, and what it cost. Raises SessionNotFound, and
    InvalidSessionOperation for an unknown format.
    """
    if format not in _WRITERS:
        raise InvalidSessionOperation(f"format={shown(format)} is unknown: take one of {', '.join(_WRITERS)}")
    store = sessions.store if isinstance(sessions, SessionManager) else sessions
    return await _WRITERS[format](store, id)


async def _openai(store: ReadableStore, id: str) -> ConversationExport:
    view = await _view(store, id, "openai")
    return _line({"messages": list(view)}, view)


async def _anthropic(store: ReadableStore, id: str) -> ConversationExport:
    view = await _view(store, id, "anthropic")
    system = {} if view.system is None else {"system": view.system}
    return _line({**system, "messages": list(view)}, view)


async def _responses(store: ReadableStore, id: str) -> ConversationExport:
    view = await _view(store, id, "responses")
    return _line({"input": list(view)}, view)


async def _markdown(store: ReadableStore, id: str) -> ConversationExport:
    text, findings = await as_markdown(store, id)
    return ConversationExport(text, findings)


_WRITERS: Final[Mapping[str, Callable[[ReadableStore, str], Awaitable[ConversationExport]]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "responses": _responses,
    "markdown": _markdown,
}
assert tuple(_WRITERS) == get_args(ExportFormat), "each format has its writer"


async def _view(store: ReadableStore, id: str, format: str) -> MessageView:
    session = await store.get(id, last=0)
    if session is None:
        raise SessionNotFound(id)
    return await conversation(store, session, format=format, compacted=False)


def _line(value: Mapping[str, Any], view: MessageView) -> ConversationExport:
    return ConversationExport(_json(value) + "\n", list(view.report))


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value)
    return text
