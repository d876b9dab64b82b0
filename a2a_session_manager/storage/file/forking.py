"""Making a fork in one hop: its source is read, and then it is created. It runs in worker threads."""

from __future__ import annotations

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage import heads
from a2a_session_manager.storage.file.creating import create
from a2a_session_manager.storage.file.session_reader import SessionReader, TakesLongError
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession
from a2a_session_manager.storage.records import SessionKey


def fork(
    directory: StoreDirectory, reader: SessionReader, source: SessionKey, key: SessionKey, draft: ForkDraft
) -> HeadRecord | LoadedSession | None:
    """Make a fork and return its head, or what of its source wants a closer look; None where reading that takes long.

    Raises BusyError when somebody is in the way.
    """
    try:
        reader.refuse_long(source, draft.last)
    except TakesLongError:
        return None
    plan = reader.plan_fork(source, draft)
    if plan is None:
        return reader.load_until(source, draft.seq, draft.last)
    creation, commit, inheritance = plan
    receipt = create(directory, key, creation, commit, inheritance)
    if not receipt.is_repeat:
        return heads.made_head(key, creation, commit, receipt)
    made = reader.load(key, last=0, whole_head=False)
    if made is None:
        raise SessionNotFound(key.id)
    return made.head
