"""The creation of a session: listed, claimed in its id's own slot, created in its tree's slot, looked for in the index.

A crash in between leaves a claim or a line of the index that leads nowhere. Readers pass over it, the next
creation of the id takes it over, and listings remove it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionNotFound,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Parent, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.activity_entries import ActivityEntries
from a2a_session_manager.storage.redis.claims import claim_call, claim_id_of, claim_of, root_of_claim
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.creation_calls import (
    Made,
    child_call,
    fork_call,
    made_session,
    planned_session,
    recall_call,
    root_call,
)
from a2a_session_manager.storage.redis.entries import IndexedSession
from a2a_session_manager.storage.redis.entry_writes import EntryWriter
from a2a_session_manager.storage.redis.expiry import Expiry
from a2a_session_manager.storage.redis.index import Announced, Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.replies import Flat, status_of
from a2a_session_manager.storage.redis.script import Call, ScriptCall
from a2a_session_manager.storage.redis.shards import run_all

_LISTED_REMEMBERED: Final = 64


class Creator:
    """Makes sessions; of several that make the same id at once, one does."""

    def __init__(
        self,
        connections: Connections,
        locator: Locator,
        index: Index,
        entries: EntryWriter,
        activity: ActivityEntries,
        expiry: Expiry,
        reaper: Reaper,
    ) -> None:
        self._connections = connections
        self._is_at_once = not connections.has_nodes  # one server does all that is sent, in turn
        self._entries = entries
        self._activity = activity
        self._locator = locator
        self._index = index
        self._expiry = expiry
        self._reaper = reaper
        # What was listed for forks that were not made at once: most are made after a closer look.
        self._listed: dict[SessionKeys, tuple[str, IndexedSession, Announced]] = {}

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        """Make the session; see `Backend.create`."""
        root_id = key.id if creation.parent is None else creation.parent.root_id
        keys = self._locator.keys_in(key, root_id)
        planned = planned_session(creation, commit)
        if creation.parent is not None and self._is_at_once:
            at_once = await self._create_child_at_once(keys, creation, creation.parent, commit)
            if at_once is not None:
                return await self._entered(keys, planned, *at_once)
        # A locator that was lost is put back first, where the index tells of it: the id is not free.
        announced = await self._index.announce(keys, planned, expires=creation.expires)
        await self._locator.repair(keys, announced.below_roots)
        try:
            if creation.parent is None:
                made = await self._create_root(keys, creation, commit)
            else:
                made = await self._create_child(keys, creation, creation.parent, commit)
        except (InvalidSessionOperation, SessionAlreadyExists, SessionNotFound):
            await self._reaper.forget([keys])
            raise
        return await self._entered(keys, planned, made, announced)

    async def _entered(self, keys: SessionKeys, planned: IndexedSession, made: Made, announced: Announced) -> Receipt:
        """See to it that a session that was made is listed; return the receipt."""
        # Whoever removed the line as one that led nowhere, before the session was there, is undone.
        stays = announced.line_stays or made.tree_stays
        self._reaper.look_after(await self._index.enter(made.keys, made.deadline, made.looked[:-1], stays=stays))
        self._locator.remember(keys.key, made.keys.root_id)
        self._activity.remember(keys.key, planned.updated_at)
        if made.keys == keys and not made.receipt.is_repeat:
            [entry] = made.looked[-1:] or await run_all(self._connections, [self._entries.look(keys)])
            await self._entries.created(keys, planned, announced, entry or b"")
        return made.receipt

    async def _create_child_at_once(
        self, keys: SessionKeys, creation: Creation, parent: Parent, commit: EncodedCommit
    ) -> tuple[Made, Announced] | None:
        """Make a session below its parent in one round trip.

        Return it, and what was found when it was listed; None where anything is in the way, and each step has to be
        looked at. Whatever was done then is done again.
        """
        ttl, claim_id = self._expiry.ttl, creation.creation_id
        call = child_call(keys, creation, parent, claim_id, commit, ttl=ttl, claims=self._own(keys))
        planned = planned_session(creation, commit)
        listed = self._listed_before(keys, planned, creation.creation_id)
        reply, looked, announced = await self._sent_at_once(keys, planned, call, listed, expires=creation.expires)
        made = await self._made_at_once(keys, reply, looked, commit)
        return None if made is None else (made, announced)

    async def fork_at_once(self, source: SessionKeys, keys: SessionKeys, draft: ForkDraft) -> Flat:
        """Make a fork of the session `source` as it is found, in one round trip; return what `fork.lua` answers.

        Where that is no good answer, nothing was made but a line of the index, as when a creation is cut off.
        """
        commit = draft.commit
        creation = Creation(draft.creation_id, commit.written_at)
        names = self._entries.names(keys)
        call = fork_call(source, keys, creation, draft, names, ttl=self._expiry.ttl, claims=self._own(keys))
        planned = IndexedSession(creation.created_at, creation.active_at, commit.properties, is_top=True)
        reply, looked, announced = await self._sent_at_once(keys, planned, call, expires=creation.expires)
        made = await self._made_at_once(keys, reply, looked, commit)
        if made is not None:
            await self._entered(keys, planned, made, announced)
        else:
            self._listed[keys] = creation.creation_id, planned, announced
            self._take_off_the_list()
        return reply

    def _take_off_the_list(self) -> None:
        """Remove the lines of forks that were refused after a closer look, many at a time: nobody else may ever list.

        Whoever makes one of them after all, that late, lists it again.
        """
        if len(self._listed) >= _LISTED_REMEMBERED:
            oldest = list(islice(self._listed, _LISTED_REMEMBERED // 2))
            for keys in oldest:
                del self._listed[keys]
            self._reaper.forget_later(oldest)

    def _listed_before(self, keys: SessionKeys, planned: IndexedSession, creation_id: str) -> Announced | None:
        """Return what was found when this very session was listed so, as a fork that was looked at then."""
        told = self._listed.pop(keys, None)
        if told is None or told[0] != creation_id:
            return None
        names = self._entries.names(keys)
        is_same = told[1][:2] == planned[:2] and told[1].facets(names) == planned.facets(names)
        return told[2] if is_same else None

    async def _sent_at_once(
        self,
        keys: SessionKeys,
        planned: IndexedSession,
        call: ScriptCall,
        listed: Announced | None = None,
        *,
        expires: bool,
    ) -> tuple[Flat, Sequence[Any], Announced]:
        """List a session, unless it was `listed` before, create it, and look for it; return the answers."""
        listing: list[Call] = []
        if listed is None:
            listing = self._index.announcement(keys, planned, expires=expires, is_at_once=True)
        look = [] if self._expiry.ttl else [*self._index.look(keys), self._entries.look(keys)]
        answers = await run_all(self._connections, [*listing, call, *look])
        reply, *looked = answers[len(listing) :]
        return reply, looked, listed or self._index.announced(keys, answers[0], ())

    async def _made_at_once(
        self, keys: SessionKeys, reply: Flat, looked: Sequence[Any], commit: EncodedCommit
    ) -> Made | None:
        if reply[0] != b"OK" or isinstance(reply[2][0][0], bytes):
            return None
        made = made_session(reply, keys, commit, looked)
        if made.deadline:
            await self._expiry.bound_locator(keys, made.deadline)
        return made

    async def _create_root(self, keys: SessionKeys, creation: Creation, commit: EncodedCommit) -> Made:
        taken_over = b""
        while True:
            call = root_call(keys, creation, commit, taken_over, ttl=self._expiry.ttl)
            reply, *looked = await self._created(call, keys)
            if status_of(reply, keys.key.id) != b"CLAIMED":
                return made_session(reply, keys, commit, looked)
            taken_over = reply[1]
            elsewhere = await self._existing(keys.key, taken_over, commit)
            if elsewhere is not None:
                return elsewhere

    async def _create_child(self, keys: SessionKeys, creation: Creation, parent: Parent, commit: EncodedCommit) -> Made:
        attempt = 0
        while True:
            # A claim that was refused is so for ever: the next try takes another.
            claim_id = f"{creation.creation_id}.{attempt}" if attempt else creation.creation_id
            elsewhere = await self._claim(keys, claim_id, commit)
            if elsewhere is not None:
                return elsewhere
            call = child_call(keys, creation, parent, claim_id, commit, ttl=self._expiry.ttl)
            reply, *looked = await self._created(call, keys)
            status = status_of(reply, keys.key.id)
            if status == b"REFUSED":
                attempt += 1
            elif status == b"FIRST":
                with suppress(SessionNotFound):  # the next try is told that the parent is gone
                    self._reaper.look_after(await self._expiry.refresh(keys.of(parent.id), reply[1]))
            elif status == b"EXPIRED":
                await self._reaper.remove_expired([keys])
            elif status == b"NOPARENT":
                await self._reaper.release(keys, claim_of(claim_id, keys.root_id))
                await self._locator.refuse_lost_tree(keys.of(parent.id))
                raise SessionNotFound(parent.id)
            elif status == b"MORTAL":
                await self._reaper.release(keys, claim_of(claim_id, keys.root_id))
                raise InvalidSessionOperation(
                    f"session {keys.key.id!r} cannot stay for ever below {parent.id!r}, which expires: create the "
                    "parent with expires=False, too, or this one without",
                    session_id=keys.key.id,
                )
            else:
                made = made_session(reply, keys, commit, looked)
                if made.deadline:
                    await self._expiry.bound_locator(keys, made.deadline)
                return made

    async def _created(self, call: ScriptCall, keys: SessionKeys) -> Sequence[Any]:
        """Return what a creation answers and, where one server does both in turn, what `Made.looked` holds."""
        if self._connections.has_nodes or self._expiry.ttl:
            return [await self._connections.run(call)]
        return await run_all(self._connections, [call, *self._index.look(keys), self._entries.look(keys)])

    async def _claim(self, keys: SessionKeys, claim_id: str, commit: EncodedCommit) -> Made | None:
        """Claim the id on its own slot; return what exists already, if the id is taken."""
        own = self._own(keys)
        taken_over = b""
        while True:
            call = claim_call(own, claim_of(claim_id, keys.root_id), taken_over)
            reply: Flat = await self._connections.run(call)
            status = status_of(reply, keys.key.id)
            if status == b"OK":
                return None
            if status == b"ROOT":
                elsewhere = await self._recalled(own, commit)
            else:
                taken_over = reply[1]
                elsewhere = await self._existing(keys.key, taken_over, commit)
            if elsewhere is not None:
                return elsewhere

    async def _existing(self, key: SessionKey, claim: bytes, commit: EncodedCommit) -> Made | None:
        """Return what the claim on an id has led to; if to nothing, forbid that it ever does."""
        keys = self._locator.keys_in(key, root_of_claim(claim))
        if await self._reaper.forbid(keys, claim_id_of(claim)):
            return None
        return await self._recalled(keys, commit)

    async def _recalled(self, keys: SessionKeys, commit: EncodedCommit) -> Made | None:
        """Return the first result of this very creation; None when the session is gone by now.

        Raises SessionAlreadyExists for another's.
        """
        reply: Flat = await self._connections.run(recall_call(keys, commit))
        if status_of(reply, keys.key.id) == b"NOSESSION":
            return None
        return made_session(reply, keys, commit)

    def _own(self, keys: SessionKeys) -> SessionKeys:
        """Return the keys that lie in the slot of the session's id, where it is claimed."""
        return self._locator.keys_in(keys.key, keys.key.id)
