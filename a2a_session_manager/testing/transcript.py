"""Conversations for tests: made in one line, and compared with what a store holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import ndiff
from typing import Any

from a2a_session_manager.active import ActiveLog
from a2a_session_manager.context.messages import ChatMessage, chat_messages, event_from_message
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore

# A pair of role and content such as ("user", "Hello"), a chat message, or an event.
Said = tuple[str, Any] | Mapping[str, Any] | SessionEvent[Any]


async def make_session(
    store: SessionStore,
    *said: Said,
    id: str | None = None,
    parent_id: str | None = None,
    state: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Session[Any]:
    """Create a session in `store` with a conversation, in one commit, and return it.

    Each of `said` is a pair of role and content, `("user", "Hello")`, a chat message, or an event. `id=None` makes a
    random one; `parent_id` puts the session below another one. `state` and `properties` are what it begins with. Raises
    SessionAlreadyExists.
    """
    events = [_event(each) for each in said]
    change = SessionChange(events=events, set_state=state or {}, set_properties=properties or {})
    return await store.create(id, parent_id=parent_id, change=change)


async def assert_transcript(
    store: SessionStore, session: Session[Any] | ActiveLog | str, expected: Iterable[Said]
) -> None:
    """Fail with the difference unless the conversation that `store` holds is `expected`.

    `session` is an id, a Session, or what `open` or `run` gave. Of a pair in `expected`, role and content are compared;
    of a chat message or an event, every key of the message. Raises AssertionError, or SessionNotFound.
    """
    __tracebackhide__ = True
    events = await (session.events() if isinstance(session, ActiveLog) else store.events(session))
    wanted, found = list(expected), chat_messages(events)
    if len(wanted) == len(found) and all(map(_is_like, wanted, found)):
        return
    lines = ndiff(_wanted_lines(wanted, found), [_whole(message) for message in found])
    difference = "\n".join(line for line in lines if not line.startswith("?"))
    raise AssertionError(f"session {_id_of(session)!r} says something else (- expected, + stored):\n{difference}")


def _event(said: Said) -> SessionEvent[Any]:
    return said if isinstance(said, SessionEvent) else event_from_message(_message(said))


def _message(said: Said) -> Mapping[str, Any]:
    if isinstance(said, SessionEvent):
        return next(iter(chat_messages([said])), {})
    if isinstance(said, Mapping):
        return said
    role, content = said
    return {"role": role, "content": content}


def _is_like(wanted: Said, message: ChatMessage) -> bool:
    if isinstance(wanted, tuple):
        return wanted == (message["role"], message.get("content"))
    return _message(wanted) == message


def _wanted_lines(wanted: Sequence[Said], found: Sequence[ChatMessage]) -> list[str]:
    """Return a line for each expected message; a pair that matches the stored message is shown as that message."""
    padded: list[ChatMessage | None] = [*found, *[None] * len(wanted)]
    return [
        _whole(message if message is not None and _is_like(each, message) else _message(each))
        for each, message in zip(wanted, padded, strict=False)
    ]


def _whole(message: Mapping[str, Any]) -> str:
    others = {key: value for key, value in message.items() if key not in ("role", "content")}
    return f"{message.get('role')}: {message.get('content')!r}{f' {others!r}' if others else ''}"


def _id_of(session: Session[Any] | ActiveLog | str) -> str:
    if isinstance(session, str):
        return session
    return session.id if isinstance(session, Session) else session.session.id
