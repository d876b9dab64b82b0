"""The rows of compactions, on any store: a prompt under one, and a commit to a session that has some."""

from __future__ import annotations

from itertools import repeat

from a2a_session_manager import EventSource, EventType, SessionEvent, SessionManager
from a2a_session_manager.models.compaction import Compaction, digest
from a2a_session_manager.storage import BaseSessionStore
from benchmarks.measure import Result, compared
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, an_event, grown, repeated

_TAIL = 200
_COMPACTIONS = 30


async def prompt_against_tail(store: BaseSessionStore, sizes: Sizes) -> Result:
    """`messages()` of the longest session under a compaction, against one that is as long as what comes after it."""
    manager = SessionManager(store)

    async def read(session_id: str) -> object:
        async with manager.open(session_id) as chat:
            return await chat.messages()

    short = await grown(store, _TAIL)
    length = max(sizes.lengths[-1], 2 * _TAIL)
    long = await grown(store, length)
    await cover(store, long, length - _TAIL)
    operations = max(sizes.operations // 20, 1)
    samples = {
        f"of {_TAIL}": repeated(read, repeat(short), operations),
        f"of {length:,}, compacted": repeated(read, repeat(long), operations),
    }
    return await compared(samples, turns=sizes.turns)


async def commit_against_plain(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appending to a session with 30 compactions against to one without."""

    async def append(session_id: str) -> object:
        return await store.append(session_id, an_event(short_message()))

    plain, compacted = await grown(store, 2 * _TAIL), await grown(store, 2 * _TAIL)
    for number in range(_COMPACTIONS):
        await cover(store, compacted, _TAIL + number)
    samples = {
        "without": repeated(append, repeat(plain), sizes.operations),
        f"with {_COMPACTIONS}": repeated(append, repeat(compacted), sizes.operations),
    }
    return await compared(samples, turns=sizes.turns)


async def cover(store: BaseSessionStore, session_id: str, last: int) -> None:
    """Let a summary stand for the events up to `last`."""
    session = await store.get(session_id, last=0)
    assert session is not None
    told = Compaction(1, last, (), session.creation_id or "", digest([]), last)
    short = {"role": "user", "content": "What was said before."}
    summary = SessionEvent(message=short, type=EventType.SUMMARY, source=EventSource.LLM, metadata=told.as_metadata())
    await store.append(session, summary)
