"""GuardedSession: a session of a store that one writes to alone, by commits that name what was seen last.

Whoever writes to it meanwhile is never mixed with that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from a2a_session_manager.bundles.records import SessionRecord
from a2a_session_manager.bundles.snapshot import read_events
from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, EventsKnown, Receipt
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedRestoration, EncodedRetraction, Range
from a2a_session_manager.storage.target import Target

# Until a session is whole, it was last active so long before the time that it will have.
BEFORE_MICROS: Final = 1_000_000


class OthersWriteError(Exception):
    """Somebody else has written to the session since it was read: it is to be looked at again."""


class GuardedSession:
    """The session at `target` as `head` has it, on its way to what `record` says.

    Attributes:
        last_seq, hidden, updated_at: what it has by now, and what of that is hidden.
    """

    def __init__(self, target: Target, record: SessionRecord, head: HeadRecord) -> None:
        self.creation_id = head.creation_id
        self.last_seq = head.last_seq
        self.hidden = list(head.hidden)
        self.updated_at = head.updated_at
        self._target = target
        self._record = record
        self._revision, self._tag = head.revision, head.tag

    async def hide(self, event_ids: tuple[str, ...]) -> None:
        """Hide events that are there."""
        await self.commit(EncodedCommit(retraction=EncodedRetraction(event_ids)))

    async def show(self, event_ids: tuple[str, ...]) -> None:
        """Show events again that are hidden."""
        await self.commit(EncodedCommit(restoration=EncodedRestoration(event_ids)))

    async def ids_in(self, wanted: Iterable[Range]) -> AsyncIterator[tuple[str, ...]]:
        """Yield the ids of stored events by their seqs, some at a time."""
        for first, last in wanted:
            head = HeadRecord(self._target.key, self.creation_id, None, "", 1, 0, 0)
            async for page in read_events(self._target, head, after=first - 1, last=last):
                yield tuple(event.id for event in page)

    async def commit(self, commit: EncodedCommit, *, is_last: bool = False) -> None:
        """Write the commit at the place where it belongs. Raises OthersWriteError when others have written there."""
        record = self._record
        commit.write_id = hidden_id()
        commit.written_at = record.updated_at if is_last else record.updated_at - BEFORE_MICROS
        commit.creation_id = self.creation_id
        commit.expected_revision, commit.expected_tag = self._revision, self._tag
        backend, key = self._target[:2]
        try:
            receipt: Receipt = await finish(backend.commit(key, commit), patience=self._target.limits.cancel_seconds)
        except (EventsKnown, SessionConflict) as error:
            raise OthersWriteError from error
        if receipt.last_seq != self.last_seq + len(commit.events):
            raise spoilt(record.id)
        self._revision, self._tag, self.last_seq = receipt.revision, receipt.tag, receipt.last_seq
        self.updated_at = receipt.updated_at
        ranges.add(self.hidden, receipt.hidden)
        if receipt.restored:
            ranges.remove(self.hidden, receipt.restored)


def spoilt(session_id: str) -> InvalidSessionOperation:
    """Return the error for a session that is not what was left of it when it was brought here."""
    return InvalidSessionOperation(
        f"session {session_id!r} was not whole yet when somebody wrote to it, or it is another one: delete it, and "
        "bring it again",
        session_id=session_id,
    )
