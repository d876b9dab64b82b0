"""Catching up: what an earlier call has left of a session is made what the record says of it by now."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.bundles.guarded_session import GuardedSession, spoilt
from a2a_session_manager.bundles.records import UNFINISHED, SessionRecord
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import StoredCompaction


async def catch_up(
    session: GuardedSession, record: SessionRecord, head: HeadRecord, properties: dict[str, bytes], most_bytes: int
) -> None:
    """Bring what is there of `session`, which `head` tells, to what `record` says of that.

    `properties` are those that it is to have, and no commit of values is to have more than `most_bytes`. Raises
    InvalidSessionOperation for a session that is not what an earlier call has left.
    """
    _check(head, record)
    await _put_values(session, record, head, properties, most_bytes)
    for compaction in head.compactions:
        if compaction not in record.compactions:
            await _end_compaction(session, record, compaction, head.compactions)
    wanted = ranges.common(record.hidden, [(1, session.last_seq)])
    restored, hidden = ranges.subtract(session.hidden, wanted), ranges.subtract(wanted, session.hidden)
    async for event_ids in session.ids_in(restored):
        await session.show(event_ids)
    async for event_ids in session.ids_in(hidden):
        await session.hide(event_ids)


def _check(head: HeadRecord, record: SessionRecord) -> None:
    source = head.forked_from
    parts = tuple((each.session_id, each.first_seq, each.last_seq) for each in head.segments)
    is_ours = (
        head.created_at == record.created_at
        and head.parent_id == record.parent_id
        and (None if source is None else (source.id, source.seq)) == record.forked_from
        and parts == record.parts
        and head.last_seq <= record.last_seq
        and head.updated_at <= record.updated_at
    )
    if not is_ours:
        raise spoilt(record.id)


async def _put_values(
    session: GuardedSession, record: SessionRecord, head: HeadRecord, wanted: dict[str, bytes], most_bytes: int
) -> None:
    """Make properties, state and runs those of the record, in commits that are not too large."""
    if UNFINISHED in head.properties:
        wanted = {**wanted, UNFINISHED: head.properties[UNFINISHED]}
    parts = [
        *(EncodedCommit(properties={name: value}) for name, value in _difference(head.properties, wanted)),
        *(EncodedCommit(state={name: value}) for name, value in _difference(head.state, record.state)),
        *(EncodedCommit(runs={run_id: run}) for run_id, run in record.runs.items() if head.runs.get(run_id) != run),
    ]
    start = size = 0
    for place, part in enumerate(parts):
        size += part.size
        if place > start and size > most_bytes:
            await session.commit(_joined(parts[start:place]))
            start, size = place, part.size
    if parts:
        await session.commit(_joined(parts[start:]))


async def _end_compaction(
    session: GuardedSession, record: SessionRecord, ended: StoredCompaction, others: Sequence[StoredCompaction]
) -> None:
    """End a summary that counts no more: something in its range was hidden, or shown again, meanwhile."""
    counting = ranges.merged((each.first, each.last) for each in others if each in record.compactions)
    free = ranges.subtract([(ended.first, ended.last)], counting)
    if not free:
        raise spoilt(record.id)
    seq = free[0][0]
    async for event_ids in session.ids_in([(seq, seq)]):
        is_hidden = ranges.contains(session.hidden, seq)
        for change in (session.show, session.hide) if is_hidden else (session.hide, session.show):
            await change(event_ids)


def _joined(parts: Sequence[EncodedCommit]) -> EncodedCommit:
    return EncodedCommit(
        properties={name: value for part in parts for name, value in part.properties.items()},
        state={name: value for part in parts for name, value in part.state.items()},
        runs={run_id: run for part in parts for run_id, run in part.runs.items()},
    )


def _difference(here: dict[str, bytes], wanted: dict[str, bytes]) -> list[tuple[str, bytes | None]]:
    """Return which values to set, and as None which to unset."""
    gone: list[tuple[str, bytes | None]] = [(name, None) for name in here if name not in wanted]
    return [*gone, *((name, value) for name, value in wanted.items() if here.get(name) != value)]
