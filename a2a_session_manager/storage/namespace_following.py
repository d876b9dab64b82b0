"""`follow_namespace`: which sessions come, change and go, found by looking at all of them every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Final

from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.namespace_looks import looks_of
from a2a_session_manager.storage.page_records import PageQuery
from a2a_session_manager.storage.pages import heads_of, read_page
from a2a_session_manager.storage.records import SessionKey

_HEADS_A_LOAD: Final = 50
_HEADS_A_PAGE: Final = 50
# The longer it takes to look at all sessions, the longer is the pause, so that looking takes a fifth of the time.
LEAST_PAUSE_SECONDS = 1.0  # not Final: tests have no time
_LONGEST_PAUSE_SECONDS: Final = 5.0
_PAUSES_FOR_A_LOOK: Final = 4.0
_STEP_SECONDS: Final = 0.5  # how soon a follower notices that the store is closed


async def follow_namespace(
    backend: Backend, namespace: Namespace, limits: StoreLimits, *, since: Sequence[SessionHead], last: int
) -> AsyncGenerator[NamespaceChange, None]:
    """Yield what differs from `since`, then each change, for ever. Raises StoreUnavailable when the store is closed."""
    looks = looks_of(backend, namespace)
    backend.check_open()
    look = await looks.take(time.monotonic())
    known = look.stamps
    async for change in _missed(backend, namespace, limits, since, known, last):
        yield change
    while True:
        pause = min(max(look.seconds * _PAUSES_FOR_A_LOOK, LEAST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        await _pause(backend, pause)
        # Another's look is as good, if it was not long ago.
        look = await looks.take(time.monotonic() - pause / 2)
        now = look.stamps
        for session_id in known.keys() - now.keys():
            yield NamespaceChange("gone", session_id, None)
        changed = [session_id for session_id, stamp in now.items() if known.get(session_id) != stamp]
        went = set()
        async for session_id, head in _heads(backend, namespace, limits, changed, last):
            if head is not None:
                yield NamespaceChange("changed" if session_id in known else "came", session_id, head)
                continue
            went.add(session_id)  # while we looked
            if session_id in known:
                yield NamespaceChange("gone", session_id, None)
        known = {name: stamp for name, stamp in now.items() if name not in went} if went else now


async def _pause(backend: Backend, seconds: float) -> None:
    while seconds > 0:
        backend.check_open()
        await asyncio.sleep(min(seconds, _STEP_SECONDS))
        seconds -= _STEP_SECONDS


async def _missed(
    backend: Backend,
    namespace: Namespace,
    limits: StoreLimits,
    since: Sequence[SessionHead],
    known: Mapping[str, str],
    last: int,
) -> AsyncGenerator[NamespaceChange, None]:
    """Yield what has become of the sessions in `since`, and which others have been active after all of these."""
    if not since:
        return
    before = {head.id: head for head in since}
    for session_id in before.keys() - known.keys():
        yield NamespaceChange("gone", session_id, None)
    there = [session_id for session_id in before if session_id in known]
    async for session_id, head in _heads(backend, namespace, limits, there, last):
        if head is not None and (head.revision, head.created_at) != _told(before[session_id]):
            yield NamespaceChange("changed", session_id, head)
    newest = max(head.updated_at for head in since)
    query, cursor = PageQuery("updated"), None
    while True:
        page = await read_page(backend, namespace, query, limits, cursor=cursor, limit=_HEADS_A_PAGE, last=last)
        later = [head for head in page if head.updated_at > newest]
        for head in later:
            if head.id not in before:
                yield NamespaceChange("came" if head.created_at > newest else "changed", head.id, head)
        if (cursor := page.cursor) is None or not later:
            return


def _told(head: SessionHead) -> tuple[object, object]:
    return head.revision, head.created_at


async def _heads(
    backend: Backend, namespace: Namespace, limits: StoreLimits, session_ids: Iterable[str], last: int
) -> AsyncGenerator[tuple[str, SessionHead | None], None]:
    ids = list(session_ids)
    for start in range(0, len(ids), _HEADS_A_LOAD):
        few = ids[start : start + _HEADS_A_LOAD]
        loaded = await backend.load([SessionKey(namespace, each) for each in few], last=last, whole_head=False)
        heads = {head.id: head for head in await heads_of([each for each in loaded if each is not None], limits)}
        for session_id in few:
            yield session_id, heads.get(session_id)
