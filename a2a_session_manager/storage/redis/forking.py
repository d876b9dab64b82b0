"""Forks in one round trip, where nothing asks for a closer look at their source."""

from __future__ import annotations

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.creating import Creator
from a2a_session_manager.storage.redis.heads import head_of
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.replies import hash_of
from a2a_session_manager.storage.redis.session_reader import SessionReader


async def fork_at_once(
    creator: Creator, reader: SessionReader, locator: Locator, source: SessionKey, key: SessionKey, draft: ForkDraft
) -> HeadRecord | LoadedSession | None:
    """Make a fork, or return what is to be looked at; see `Backend.fork_at_once`."""
    of_source = locator.keys_of(source)
    keys = locator.keys_in(key, of_source.root_id)
    reply = await creator.fork_at_once(of_source, keys, draft)
    if reply[0] == b"LOOK":
        return await reader.loaded_until(of_source, reply)
    if reply[0] != b"OK" or isinstance(reply[2][0][0], bytes):
        return None
    if len(reply) > 4:
        return await head_of(key, keys.root_id, hash_of(reply[4]), (), ())
    # It was made by an earlier try, whose answer was lost.
    [made] = await reader.load([key], last=0, whole_head=False)
    if made is None:
        raise SessionNotFound(key.id)
    return made.head
