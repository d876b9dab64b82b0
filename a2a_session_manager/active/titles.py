"""Titles of sessions: the strongest one stays, whoever writes last."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final, Literal, get_args

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore

TitleBy = Literal["auto", "agent", "user"]

_STRENGTHS: Final = {by: strength for strength, by in enumerate(get_args(TitleBy))}
_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.005


async def set_title(
    store: SessionStore, session: Session[Any] | str, text: str, *, by: TitleBy, write_id: str | None
) -> bool:
    """Set the properties `title` and `title_by`, unless a stronger title is there; return whether they were set.

    Nothing is stronger than the user's, which needs no look at what is there. A weaker one is guarded by the revision
    at which it was allowed. Raises SessionConflict when others were faster each time.
    """
    change = _title_change(text, by)
    if by == "user":
        await store.commit(session, change, write_id=write_id)
        return True
    for attempt in range(1, _TRIES):
        try:
            return await _set_weaker(store, session, change, by, write_id)
        except SessionConflict:
            await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
    return await _set_weaker(store, session, change, by, write_id)


async def _set_weaker(
    store: SessionStore, session: Session[Any] | str, change: SessionChange, by: TitleBy, write_id: str | None
) -> bool:
    session_id = session.id if isinstance(session, Session) else session
    read = await store.get(session_id, last=0)
    if read is None:
        raise SessionNotFound(session_id)
    meant = session if isinstance(session, Session) else read
    if meant.creation_id not in (None, read.creation_id):
        raise SessionNotFound(session_id)  # the title that was read is that of a later session of this id
    if _strength(read.metadata.properties) > _STRENGTHS[by]:
        return False
    await store.commit(meant, change, expected_revision=read.revision, write_id=write_id)
    return True


def _title_change(text: object, by: TitleBy) -> SessionChange:
    if by not in _STRENGTHS:
        raise InvalidSessionOperation(f"by={shown(by)} is unknown: take 'auto', 'agent' or 'user'")
    if not isinstance(text, str) or not text.strip():
        raise InvalidSessionOperation(
            f"{shown(text)} is no title: take a text, or remove the title by unset_properties('title', 'title_by')"
        )
    return SessionChange(set_properties={"title": text, "title_by": by})


def _strength(properties: dict[str, Any]) -> int:
    """Return how strong the title among `properties` is; -1 for none.

    One that was set without saying by whom, or by whom nobody knows, is as strong as the user's.
    """
    if properties.get("title") is None:
        return -1
    by = properties.get("title_by")
    return _STRENGTHS.get(by, _STRENGTHS["user"]) if isinstance(by, str) else _STRENGTHS["user"]
