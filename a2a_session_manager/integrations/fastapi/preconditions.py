"""ETag and If-Match: a session's revision over HTTP, as the guard of a commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage.commit_rules import late
from a2a_session_manager.storage.records import Guard
from a2a_session_manager.storage.session_sync import tag_of

# Compressing proxies weaken a tag on its way out (nginx puts W/ in front); the revision in it is as good as before.
_TAG = re.compile(r'(?:W/)?"([0-9A-Za-z_-]{1,64})\.(\d{1,18})(?:\.([0-9a-f]{1,16}))?"')


def etag(session: Session[Any]) -> str:
    """Return the tag of a stored session as last seen: which life of its id, and which revision of it, also
    where that number comes again after a restore.

    Raises InvalidSessionOperation for one that was never stored.
    """
    if session.creation_id is None:
        raise InvalidSessionOperation(f"session {session.id!r} was never stored: it has no ETag", session_id=session.id)
    tag = tag_of(session, session.revision)
    return f'"{session.creation_id}.{session.revision}{"." if tag else ""}{tag}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a request's If-Match says: (creation id, revision, the tag of its commit or "") of each ETag.

    None: it says nothing, or `*`.
    """

    tags: tuple[tuple[str, int, str], ...] | None = None

    def revision_of(self, chat: ActiveSession | Session[Any]) -> int | None:
        """Return the `expected_revision` for a commit to this session; None leaves the commit unguarded.

        Raises SessionConflict when the tags are of an earlier session of the same id, or of a revision that was lost
        and has come again.
        """
        session = chat if isinstance(chat, Session) else chat.session
        if self.tags is None:
            return None
        current = Guard(session.revision, tag_of(session, session.revision))
        known = [Guard(revision, tag) for life, revision, tag in self.tags if life == session.creation_id]
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


# Async without awaiting: FastAPI sends a plain function to a thread.
async def read_if_match(if_match: Annotated[list[str] | None, Header()] = None) -> Precondition:
    """Return the request's precondition. Raises InvalidSessionOperation for what no read has sent as an ETag."""
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
    """Tell whether a revision that was read is another one than the current one of the same number."""
    return guard.revision == current.revision and bool(current.tag) and guard.tag not in ("", current.tag)


IfMatch = Annotated[Precondition, Depends(read_if_match)]
