"""ETag and If-Match: a session's revision over HTTP, as the guard of a commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.commit_rules import late
from a2a_session_manager.storage.session_sync import tag_of

# A proxy that compresses a response makes its tag a weak one (nginx puts W/ in front); the revision in it still counts.
_TAG = re.compile(r'(?:W/)?"([0-9A-Za-z_-]{1,64})\.(\d{1,18})(?:\.([0-9a-f]{1,16}))?"')


def etag(session: Session[Any]) -> str:
    """Return the ETag of a stored session as it was read: its creation id, its revision, and the tag of that commit.

    So it differs for a session that is created again under the same id, and for a revision whose number comes again
    after a restore. Raises InvalidSessionOperation for a session that was never stored.
    """
    if session.creation_id is None:
        raise InvalidSessionOperation(f"session {session.id!r} was never stored: it has no ETag", session_id=session.id)
    tag = tag_of(session, session.revision)
    return f'"{session.creation_id}.{session.revision}{"." if tag else ""}{tag}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a request's If-Match says.

    `tags` holds (creation id, revision, tag of the commit or "") of each ETag, and is None when there is no If-Match or
    it is `*`.
    """

    tags: tuple[tuple[str, int, str], ...] | None = None

    def revision_of(self, chat: ActiveSession | Session[Any]) -> int | None:
        """Return the `expected_revision` to commit to `chat` with; None when the request asks for no guard.

        Raises SessionConflict when the ETags are of an earlier session of the same id, or of a revision that was lost
        and whose number has come again.
        """
        session = chat if isinstance(chat, Session) else chat.session
        if self.tags is None:
            return None
        current = Guard(session.revision, tag_of(session, session.revision))
        known = [Guard(revision, tag) for creation_id, revision, tag in self.tags if creation_id == session.creation_id]
        revisions = [guard.revision for guard in known if not _is_lost(guard, current)]
        if known and not revisions:
            raise late(session.id, known[0], session.revision)
        if not revisions:
            raise SessionConflict(
                session.id,
                expected_revision=self.tags[0][1],
                revision=session.revision,
                first_missed_seq=1 if session.last_seq else None,
                last_missed_seq=session.last_seq or None,
            )
        return session.revision if session.revision in revisions else max(revisions)


# It is async without awaiting, because FastAPI calls a plain function in a thread.
async def read_if_match(if_match: Annotated[list[str] | None, Header()] = None) -> Precondition:
    """Return the precondition in the header If-Match. Raises InvalidSessionOperation for what is no ETag of `etag`."""
    given = ",".join(if_match or []).strip()
    if given in ("", "*"):
        return Precondition()
    found = [_TAG.fullmatch(tag.strip()) for tag in given.split(",")]
    tags = [(tag[1], int(tag[2]), tag[3] or "") for tag in found if tag is not None]
    if len(tags) < len(found):
        raise InvalidSessionOperation(
            f"If-Match {given[:80]!a} is no ETag of a session: send the one of a read as it is"
        )
    return Precondition(tuple(tags))


def _is_lost(guard: Guard, current: Guard) -> bool:
    """Tell whether `guard` names the current revision's number but another commit."""
    return guard.revision == current.revision and bool(current.tag) and guard.tag not in ("", current.tag)


IfMatch = Annotated[Precondition, Depends(read_if_match)]
