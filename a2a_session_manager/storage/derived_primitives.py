"""Primitives of a Backend that are made of its others: what one has that knows no shorter way of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from a2a_session_manager.exceptions import LeaseLost, SessionNotFound
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import compactions, leases, paging, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, LeaseRenewal, Receipt
from a2a_session_manager.storage.event_walk import find_by_walking, read_by_walking
from a2a_session_manager.storage.read_records import FoundEvents, LoadedSession, LogPage, LogTail, TreeNode
from a2a_session_manager.storage.records import HeldLease, SessionKey

_BYTES_A_PAGE: Final = 1_000_000


class Primitives(Protocol):
    """What these are made of: a backend."""

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]: ...

    def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> Awaitable[list[LoadedSession | None]]: ...

    def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> Awaitable[LogPage | None]: ...

    def tree(self, key: SessionKey) -> Awaitable[list[TreeNode] | None]: ...


async def creation_id_of(backend: Primitives, key: SessionKey) -> str | None:
    """Return what `Backend.creation_id_of` does, from the head."""
    loaded = (await backend.load([key], last=0, whole_head=False))[0]
    return None if loaded is None else loaded.head.creation_id


async def load_until(backend: Primitives, key: SessionKey, seq: int | None, last: int) -> LoadedSession | None:
    """Return what `Backend.load_until` does, from several reads."""
    loaded = (await backend.load([key], last=0, whole_head=False))[0]
    if loaded is None:
        return None
    head = loaded.head
    end = head.last_seq if seq is None else min(seq, head.last_seq)
    read_page = _pages(backend, key, _BYTES_A_PAGE)
    if head.hidden_events:  # a head that comes without `hidden`
        page = await read_page(max(end - 1, 0), 1)
        head.hidden = [] if page is None else list(page.hidden)
    wanted = ranges.visible_tail(end, last, head.hidden)
    events = await read_by_walking(read_page, wanted, head.creation_id)
    return None if events is None else LoadedSession(head, events)


async def read_tail(backend: Primitives, key: SessionKey, last: int | None) -> LogTail | None:
    """Return what `Backend.read_tail` does, from the head and its events."""
    loaded = (await backend.load([key], last=last, whole_head=False))[0]
    return None if loaded is None else _tail_of(loaded)


async def read_compacted(backend: Primitives, key: SessionKey, last: int | None) -> LogTail | None:
    """Return what `Backend.read_compacted` does, from the head and its events: all of them, where summaries count."""
    loaded = (await backend.load([key], last=last, whole_head=False))[0]
    if loaded is None:
        return None
    if not (loaded.head.compactions or loaded.head.placed):
        return _tail_of(loaded)
    loaded = (await backend.load([key], last=None, whole_head=False))[0]
    if loaded is None:
        return None
    shown = compactions.shown(loaded.head, last)
    events = [event for event in loaded.events if ranges.contains(shown.ranges, event.seq)]
    seqs, records = [event.seq for event in events], [event.data for event in events]
    return LogTail(loaded.head.creation_id, seqs, records, shown.earlier_events, (), shown.summaries, shown.compaction)


async def find_events(
    backend: Primitives, key: SessionKey, event_ids: Sequence[str], max_bytes: int
) -> FoundEvents | None:
    """Return what `Backend.find_events` does, from the whole log."""
    return await find_by_walking(_pages(backend, key, max_bytes), key.id, event_ids)


async def forks(backend: Primitives, key: SessionKey, cursor: str | None, limit: int) -> SessionPage | None:
    """Return what `Backend.forks` does, from the whole tree."""
    nodes = await backend.tree(key)
    if nodes is None:
        return None
    found = [node.id for node in nodes if node.parent_id == key.id and node.forked_from is not None]
    return paging.page_after(found, cursor, limit)


async def stamps(backend: Primitives, keys: Sequence[SessionKey]) -> list[str | None]:
    """Return what `Backend.stamps` does, from the heads."""
    loaded = await backend.load(keys, last=0, whole_head=False)
    return [
        None if each is None else f"{each.head.creation_id} {each.head.revision} {each.head.tag}" for each in loaded
    ]


async def held_leases(backend: Primitives, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
    """Return who holds each run now, as the heads tell, by the clock of the machine."""
    heads = {key: None for key, _ in runs}
    loaded = dict(zip(heads, await backend.load(list(heads), last=0, whole_head=False), strict=True))
    found = [(loaded[key], run_id) for key, run_id in runs]
    return [
        None if one is None else leases.held(one.head.leases.get(run_id), leases.wall_clock) for one, run_id in found
    ]


async def renew_leases(backend: Primitives, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
    """Return what `Backend.renew_leases` does, by a commit for each."""
    return [await _renew_lease(backend, renewal) for renewal in renewals]


async def ping(backend: Primitives) -> None:
    """Do what `Backend.ping` does, by a read."""
    await backend.load([SessionKey((), "ping")], last=0, whole_head=False)


async def _renew_lease(backend: Primitives, renewal: LeaseRenewal) -> bool:
    """Let a lease begin anew by a commit that does nothing else, and tell whether its holder still has it."""
    claim = LeaseClaim(renewal.run_id, renewal.token, "hold")
    try:
        await backend.commit(renewal.key, EncodedCommit(lease=claim, creation_id=renewal.creation_id))
    except (LeaseLost, SessionNotFound):
        return False
    return True


def _pages(backend: Primitives, key: SessionKey, max_bytes: int) -> Callable[[int, int], Awaitable[LogPage | None]]:
    async def read_page(after: int, limit: int) -> LogPage | None:
        return await backend.read_log(key, after=after, limit=limit, max_bytes=max_bytes)

    return read_page


def _tail_of(loaded: LoadedSession) -> LogTail:
    """Return the visible events that were loaded."""
    head = loaded.head
    hidden = ranges.size(head.hidden) if head.hidden_events is None else head.hidden_events
    events = list(loaded.events)
    seqs, records = [event.seq for event in events], [event.data for event in events]
    return LogTail(head.creation_id, seqs, records, head.last_seq - hidden - len(events), (), dict(head.placed))
