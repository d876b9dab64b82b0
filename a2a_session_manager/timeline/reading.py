"""Reads what a timeline shows: a session and all below it, with their runs, events and totals, from any store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.ranges import merged
from a2a_session_manager.storage.records import Range

_EVENTS_A_PAGE: Final = 500

Progress = Callable[[int], None]


class CompactionInForce(NamedTuple):
    """The compaction in force: the seq of its summary, and that of the last event it may stand for."""

    summary: int
    last: int


@dataclass(slots=True)
class ReadSession:
    """A session as it was read.

    `first` is the seq of its first own event that was asked for. Of a fork that is shown below its source, what it has
    inherited is no event of its own; `hides` are the ranges of seqs of that which it does not show. `earlier` events
    before `first` were left out.
    """

    head: Session[Any]
    summary: TokenSummary
    runs: list[SessionRun]
    events: list[SessionEvent[Any]]
    covering: CompactionInForce | None
    first: int
    earlier: int
    hides: list[Range]


class ReadTree(NamedTuple):
    """The sessions of a timeline in creation order, the top one first, and what all of them spent together.

    `spent` counts deleted sessions, too, where the top is a root.
    """

    sessions: list[ReadSession]
    spent: TokenSummary


async def read_tree(
    store: SessionStore, session_id: str, *, alone: bool, last: int | None, progress: Progress | None = None
) -> ReadTree:
    """Read a session, and unless it is to be `alone`, all below it; of each the newest `last` events, None for all.

    `progress` is called with the number of events that were read so far. A session that is deleted meanwhile is left
    out. Raises SessionNotFound for the first one.
    """
    ids = [session_id] if alone else await ids_below(store, session_id)
    found: list[ReadSession] = []
    count = 0

    def counted(more: int) -> None:
        nonlocal count
        count += more
        if progress is not None:
            progress(count)

    for each in ids:
        try:
            found.append(await read_session(store, each, last=last, is_top=each == session_id, counted=counted))
        except SessionNotFound:
            if each == session_id:
                raise
    return ReadTree(found, await store.usage(session_id, tree=not alone))


async def ids_below(store: SessionStore, session_id: str) -> list[str]:
    """Return the ids of a session and all below it, in creation order, the session first. Raises SessionNotFound."""
    nodes: Sequence[TreeNode] = await store.tree(session_id)
    below = {session_id}
    for node in nodes:  # parents come before their children
        if node.parent_id in below:
            below.add(node.id)
    return [session_id, *(node.id for node in nodes if node.id in below and node.id != session_id)]


async def read_head(store: SessionStore, session_id: str) -> tuple[Session[Any], TokenSummary, list[SessionRun]]:
    """Return a session without events, what it spent, and all its runs. Raises SessionNotFound."""
    head = await store.get(session_id, last=0)
    if head is None:
        raise SessionNotFound(session_id)
    return head, await store.usage(session_id), await store.runs(session_id)


async def read_session(
    store: SessionStore, session_id: str, *, last: int | None, is_top: bool = False, counted: Progress | None = None
) -> ReadSession:
    """Read one session; what a fork has inherited is read where it `is_top` alone. Raises SessionNotFound."""
    head, summary, runs = await read_head(store, session_id)
    inherited = 0 if is_top or head.forked_from is None else head.forked_from.seq
    after = inherited if last is None else max(inherited, head.last_seq - last)
    events = await _read_events(store, head, after, counted)
    covering = None
    if any(compaction_in(event.type, event.metadata) is not None for event in events):
        tail = await newest_messages(store, head, last=0, compacted=True)
        covering = None if tail.compaction is None else CompactionInForce(tail.compaction, tail.covered)
    hides = await _hidden_of_source(store, head, inherited, events) if inherited else []
    return ReadSession(head, summary, runs, events, covering, after + 1, after - inherited, hides)


async def _hidden_of_source(
    store: SessionStore, head: Session[Any], inherited: int, own: Sequence[SessionEvent[Any]]
) -> list[Range]:
    """Return what a fork has hidden of the events that it inherits, which are read to tell, where there is any."""
    hidden = head.last_seq - head.earlier_events
    if hidden <= sum(event.retracted for event in own):
        return []
    found: list[Range] = []
    after: int | None = 0
    while after is not None and after < inherited:
        page = await store.events_page(
            head, after=after, limit=min(_EVENTS_A_PAGE, inherited - after), include_retracted=True
        )
        found += [(event.seq, event.seq) for event in page.events if event.retracted and event.seq is not None]
        after = page.next_after
    return merged(found)


async def _read_events(
    store: SessionStore, head: Session[Any], after: int, counted: Progress | None
) -> list[SessionEvent[Any]]:
    events: list[SessionEvent[Any]] = []
    following: int | None = after
    slices = Slices()
    while following is not None:
        page = await store.events_page(head, after=following, limit=_EVENTS_A_PAGE, include_retracted=True)
        events += page.events
        following = page.next_after
        if counted is not None:
            counted(len(page.events))
        if slices.is_over():
            await slices.give_way()
    return events
