"""Where a session lies: in a tree of its own, or in that of the root its locator names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.identifiers import shown
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commits import Flat, lost, mended, status_of
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import creation_of, expires
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Command, ScriptCall, Value
from a2a_session_manager.storage.redis.wire import Sent

_log = logging.getLogger("a2a_session_manager.storage.redis")

_ROOTS_REMEMBERED: Final = 100_000
_SESSIONS_REMEMBERED: Final = 4_096
# A session may be deleted and made again elsewhere while we look; not for ever.
_LOOKS: Final = 3


class Found(NamedTuple):
    """A session's keys, and what the script answered there."""

    keys: SessionKeys
    reply: Flat


class _Stray(NamedTuple):
    """The keys of a session whose locator was lost; the index told of it, and the locator was put back."""

    keys: SessionKeys


_Located = SessionKeys | _Stray | CorruptSession | None
Answer = Found | SessionManagerError | None
CallAt = Callable[[SessionKeys], ScriptCall]


class LookupAttempt(NamedTuple):
    """The scripts for where sessions are thought to lie, by the sessions' index, and whether they are under way."""

    sessions: dict[int, SessionKeys]
    calls: list[ScriptCall]
    sent: Sent | None = None


class Locator:
    """Finds sessions; it remembers the roots of those below one, and takes any other id for a root."""

    def __init__(self, connections: Connections, prefix: str, index: Index) -> None:
        self._connections = connections
        self._index = index
        self._roots: dict[SessionKey, str] = {}

        @lru_cache(maxsize=_SESSIONS_REMEMBERED)
        def made_keys(key: SessionKey, root_id: str) -> SessionKeys:
            return SessionKeys(prefix, key, root_id)

        self._made_keys = made_keys

    def keys_of(self, key: SessionKey) -> SessionKeys:
        """Return where the session lies, as far as is known."""
        return self._made_keys(key, self._roots.get(key, key.id))

    def keys_in(self, key: SessionKey, root_id: str) -> SessionKeys:
        """Return where the session lies in the tree of `root_id`."""
        return self._made_keys(key, root_id)

    def remember(self, keys: SessionKeys) -> None:
        """Look there first from now on."""
        self.remember_root(keys.key, keys.root_id)

    def remember_root(self, key: SessionKey, root_id: str) -> None:
        """Look for a session in this tree first from now on."""
        self._roots.pop(key, None)
        if root_id != key.id:
            while len(self._roots) >= _ROOTS_REMEMBERED:
                del self._roots[next(iter(self._roots))]
            self._roots[key] = root_id

    def forget(self, key: SessionKey) -> None:
        """Take the id for a root's from now on."""
        self._roots.pop(key, None)

    async def find(self, key: SessionKey) -> SessionKeys | None:
        """Return where a session lies, if its own tree, its locator or the index says so."""
        [found] = await self._located([key])
        if isinstance(found, CorruptSession):
            raise found
        return found.keys if isinstance(found, _Stray) else found

    async def repair(self, keys: SessionKeys, listed: Sequence[SessionKeys]) -> None:
        """Put back the locator of the id if it is lost, and leads to another tree of those that list the id.

        Raises CorruptSession if that tree is lost, too.
        """
        others = [each for each in listed if each.root_id != keys.root_id]
        if not others or (await self._connections.read_many([("GET", keys.locator)]))[0] is not None:
            return
        found = await self._strays({keys.key: others})
        if isinstance(stray := found.get(keys.key), CorruptSession):
            raise stray

    async def refuse_lost_tree(self, keys: SessionKeys) -> None:
        """Raise CorruptSession when the session's tree is missing while its root is there."""
        has_tree, has_root = await self._connections.read_many([("EXISTS", keys.tree), ("EXISTS", *keys.of_root)])
        if has_root and not has_tree:
            raise lost(keys.key.id, "tree")

    async def ask(self, key: SessionKey, call_at: CallAt) -> Found | None:
        """Run a script where the session lies; None when there is no such session."""
        [answer] = await self.ask_many([key], [call_at])
        if isinstance(answer, SessionManagerError):
            raise answer
        return answer

    def begin(self, wanted: Sequence[SessionKey], calls_at: Sequence[CallAt]) -> LookupAttempt:
        """Begin what `ask_many` goes on with: the scripts are under way already if that takes no waiting."""
        sessions, calls, _ = _look(dict(enumerate(map(self.keys_of, wanted))), calls_at)
        return LookupAttempt(sessions, calls, self._connections.send_now(calls))

    async def ask_many(
        self,
        wanted: Sequence[SessionKey],
        calls_at: Sequence[CallAt],
        look: LookupAttempt | None = None,
        *,
        is_write: bool = False,
    ) -> list[Answer]:
        """Run a script for each session, all in one round trip, and once more for those that lie elsewhere.

        A script that finds no session answers NOSESSION. Damage and outage are answers, too. A locator that was
        lost is put back; a reader is told so, once, and a write, which may hold what a model has said, goes on.
        `look`: what `begin` has made of it, for a batch: a session whose slot is being moved is let go.
        """
        is_batch = look is not None
        answers: list[Answer] = [None] * len(wanted)
        if look is None:
            look = _look(dict(enumerate(map(self.keys_of, wanted))), calls_at)
        for _ in range(_LOOKS):
            replies = await self.ask_at(list(look.sessions.values()), look.calls, look.sent, lets_go=is_batch)
            lost_ones: dict[int, SessionKeys] = {}
            for (index, keys), answer in zip(look.sessions.items(), replies, strict=True):
                answers[index] = answer
                if answer is None:
                    lost_ones[index] = keys
            elsewhere = await self._look_again(lost_ones, answers, is_write=is_write) if lost_ones else {}
            if not elsewhere:
                break
            look = _look(elsewhere, calls_at)
        return answers

    async def ask_at(
        self,
        sessions: Sequence[SessionKeys],
        calls: Sequence[ScriptCall],
        sent: Sent | None = None,
        *,
        lets_go: bool = False,
    ) -> list[Answer]:
        """Run a script for each session where it is thought to lie, in one round trip."""
        replies = await self._connections.run_many(calls, sent, lets_go=lets_go)
        return [_answer(keys, reply) for keys, reply in zip(sessions, replies, strict=True)]

    async def _look_again(
        self, lost_ones: dict[int, SessionKeys], answers: list[Answer], *, is_write: bool
    ) -> dict[int, SessionKeys]:
        """Return the sessions of those that lie elsewhere than was thought."""
        elsewhere: dict[int, SessionKeys] = {}
        located = await self._located([keys.key for keys in lost_ones.values()])
        for (index, keys), found in zip(lost_ones.items(), located, strict=True):
            there = found.keys if isinstance(found, _Stray) else found
            if isinstance(there, SessionKeys) and there.root_id != keys.root_id:
                self.remember(there)
                if isinstance(found, _Stray) and not is_write:
                    answers[index] = mended(keys.key.id)
                else:
                    elsewhere[index] = there
                continue
            self._roots.pop(keys.key, None)
            if isinstance(found, CorruptSession):
                answers[index] = found
            elif not keys.is_root:
                try:
                    await self.refuse_lost_tree(keys)
                except CorruptSession as error:
                    answers[index] = error
        return elsewhere

    async def _located(self, keys: Sequence[SessionKey]) -> list[_Located]:
        """Return where sessions lie, by their own trees and locators, and by the index where locators are lost."""
        questions: list[Command] = []
        for key in keys:
            own = self.keys_in(key, key.id)
            questions += [
                ("GET", own.locator),
                ("HEXISTS", own.tree, f"n:{key.id}"),
                ("EXISTS", *own.of_root),
                *self._index.questions_below_roots(key),
            ]
        replies = iter(await self._connections.read_many(questions))
        located: list[_Located] = []
        listed: dict[SessionKey, Sequence[SessionKeys]] = {}
        for key, claim, is_root, remains, *below in zip(keys, *[replies] * 5, strict=False):
            if is_root:
                located.append(self.keys_in(key, key.id))
            elif remains:
                located.append(lost(key.id, "tree"))
            elif claim is not None:
                located.append(self.keys_in(key, root_of_claim(claim)))
            else:
                located.append(None)
                listed[key] = await self._index.listed_below_roots(key, below)
        strays = await self._strays(listed)
        return [strays.get(key) if found is None else found for key, found in zip(keys, located, strict=True)]

    async def _strays(
        self, listed: dict[SessionKey, Sequence[SessionKeys]]
    ) -> dict[SessionKey, SessionKeys | _Stray | CorruptSession]:
        """Return which of sessions without a locator live where the index lists them; their locators are put back."""
        sessions = [keys for each in listed.values() for keys in each]
        questions: list[Command] = []
        for keys in sessions:
            questions += [
                ("HGET", keys.tree, f"n:{keys.key.id}"),
                ("HGET", keys.head, "deadline"),
                ("EXISTS", keys.tree),
                ("EXISTS", *keys.of_root),
                ("GET", keys.locator),  # behind the line: what was made a moment ago has both
            ]
        replies = iter(await self._connections.read_many(questions))
        found: dict[SessionKey, SessionKeys | _Stray | CorruptSession] = {}
        for keys, line, deadline, has_tree, has_root, claim in zip(sessions, *[replies] * 5, strict=False):
            if line is not None and claim is not None:
                found[keys.key] = self.keys_in(keys.key, root_of_claim(claim))
            elif line is not None:
                _log.warning("the locator of session %s was lost: it is made anew", shown(keys.key.id))
                found[keys.key] = _Stray(keys)
                await self._put_back(keys, creation_of(line), int(deadline or 0) if expires(line) else 0)
            elif has_root and not has_tree:
                found.setdefault(keys.key, lost(keys.key.id, "tree"))
        return found

    async def _put_back(self, keys: SessionKeys, creation_id: str, deadline: int) -> None:
        own = self.keys_in(keys.key, keys.key.id)
        arguments: list[Value] = [keys.key.id, claim_of(creation_id, keys.root_id), b""]
        calls = [ScriptCall(scripts.CLAIM, (own.locator, own.tree, *own.of_root), arguments, keys.key.id)]
        if deadline:
            calls.append(touch_locator(keys, deadline, is_new=True))
        for answer in await self._connections.run_many(calls):
            if isinstance(answer, SessionManagerError):
                raise answer


def _look(sessions: dict[int, SessionKeys], calls_at: Sequence[CallAt]) -> LookupAttempt:
    return LookupAttempt(sessions, [calls_at[index](keys) for index, keys in sessions.items()])


def claim_of(claim_id: str, root_id: str) -> bytes:
    """Return what a locator holds: whose claim on the id it is, and below which root."""
    return f"{claim_id} {root_id}".encode()


def touch_locator(keys: SessionKeys, deadline: int, *, is_new: bool) -> ScriptCall:
    """Return the call that lets a locator live twice as long as its session, which will expire at `deadline`."""
    arguments: list[Value] = [keys.root_id, deadline, int(is_new)]
    return ScriptCall(scripts.TOUCH_LOCATOR, [keys.locator], arguments, keys.key.id)


def root_of_claim(claim: bytes) -> str:
    """Return the root that a locator leads to."""
    return claim.partition(b" ")[2].decode()


def claim_id_of(claim: bytes) -> str:
    """Return whose claim a locator holds."""
    return claim.partition(b" ")[0].decode()


def _answer(keys: SessionKeys, reply: Any) -> Answer:
    if isinstance(reply, SessionManagerError):
        return reply
    if isinstance(reply, bytes):  # the short form of a good answer
        return Found(keys, reply)
    try:
        return None if status_of(reply, keys.key.id) == b"NOSESSION" else Found(keys, reply)
    except CorruptSession as error:
        return error
