"""Where a session lies: in a tree of its own, or in that of the root its locator names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.commits import Flat, status_of
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import Place
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.wire import Sent

_ROOTS_REMEMBERED: Final = 100_000
_PLACES_REMEMBERED: Final = 4_096
# A session may be deleted and made again elsewhere while we look; not for ever.
_LOOKS: Final = 3


class Found(NamedTuple):
    """A session's place, and what the script answered there."""

    place: Place
    reply: Flat


Answer = Found | SessionManagerError | None
CallAt = Callable[[Place], ScriptCall]


class Look(NamedTuple):
    """The scripts for where sessions are thought to lie, by the sessions' index, and whether they are under way."""

    places: dict[int, Place]
    calls: list[ScriptCall]
    sent: Sent | None = None


class Locator:
    """Finds sessions; it remembers the roots of those below one, and takes any other id for a root."""

    def __init__(self, connections: Connections, prefix: str) -> None:
        self._connections = connections
        self._roots: dict[SessionKey, str] = {}

        @lru_cache(maxsize=_PLACES_REMEMBERED)
        def place_of(key: SessionKey, root_id: str) -> Place:
            return Place(prefix, key, root_id)

        self._place_of = place_of

    def place(self, key: SessionKey) -> Place:
        """Return where the session lies, as far as is known."""
        return self._place_of(key, self._roots.get(key, key.id))

    def place_in(self, key: SessionKey, root_id: str) -> Place:
        """Return where the session lies in the tree of `root_id`."""
        return self._place_of(key, root_id)

    def remember(self, place: Place) -> None:
        """Look there first from now on."""
        self.remember_root(place.key, place.root_id)

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

    async def find(self, key: SessionKey) -> Place | None:
        """Return where a session lies, if its own tree or its locator says so."""
        own = self.place_in(key, key.id)
        claim, is_root = await self._connections.read_many([("GET", own.locator), ("HEXISTS", own.tree, f"n:{key.id}")])
        return self._place_named(key, claim, is_root=bool(is_root))

    async def ask(self, key: SessionKey, call_at: CallAt) -> Found | None:
        """Run a script where the session lies; None when there is no such session."""
        [answer] = await self.ask_many([key], [call_at])
        if isinstance(answer, SessionManagerError):
            raise answer
        return answer

    def begin(self, keys: Sequence[SessionKey], calls_at: Sequence[CallAt]) -> Look:
        """Begin what `ask_many` goes on with: the scripts are under way already if that takes no waiting."""
        look = _look(dict(enumerate(map(self.place, keys))), calls_at)
        return look._replace(sent=self._connections.send_now(look.calls))

    async def ask_many(
        self, keys: Sequence[SessionKey], calls_at: Sequence[CallAt], look: Look | None = None
    ) -> list[Answer]:
        """Run a script for each session, all in one round trip, and once more for those that lie elsewhere.

        A script that finds no session answers NOSESSION. Damage and outage are answers, too.
        `look`: what `begin` has made of it.
        """
        answers: list[Answer] = [None] * len(keys)
        if look is None:
            look = _look(dict(enumerate(map(self.place, keys))), calls_at)
        for _ in range(_LOOKS):
            replies = await self.ask_at(list(look.places.values()), look.calls, look.sent)
            lost: dict[int, Place] = {}
            for (index, place), answer in zip(look.places.items(), replies, strict=True):
                answers[index] = answer
                if answer is None:
                    lost[index] = place
            elsewhere = await self._look_again(lost, answers) if lost else {}
            if not elsewhere:
                break
            look = _look(elsewhere, calls_at)
        return answers

    async def ask_at(
        self, places: Sequence[Place], calls: Sequence[ScriptCall], sent: Sent | None = None
    ) -> list[Answer]:
        """Run a script for each session where it is thought to lie, in one round trip."""
        replies = await self._connections.run_many(calls, sent)
        return [_answer(place, reply) for place, reply in zip(places, replies, strict=True)]

    async def _look_again(self, lost: dict[int, Place], answers: list[Answer]) -> dict[int, Place]:
        """Return the places of those that lie elsewhere than was thought."""
        questions: list[Command] = []
        for place in lost.values():
            own = self.place_in(place.key, place.key.id)
            questions += [("GET", place.locator), ("HEXISTS", own.tree, f"n:{place.key.id}")]
        replies = await self._connections.read_many(questions)
        elsewhere: dict[int, Place] = {}
        for (index, place), claim, is_root in zip(lost.items(), replies[::2], replies[1::2], strict=True):
            found = self._place_named(place.key, claim, is_root=bool(is_root))
            if found is not None and found.root_id != place.root_id:
                elsewhere[index] = found
                self.remember(found)
            else:
                self._roots.pop(place.key, None)
                if not place.is_root:
                    answers[index] = await self._lost_tree(place)
        return elsewhere

    def _place_named(self, key: SessionKey, claim: bytes | None, *, is_root: bool) -> Place | None:
        if is_root:
            return self.place_in(key, key.id)
        return None if claim is None else self.place_in(key, root_of_claim(claim))

    async def _lost_tree(self, place: Place) -> CorruptSession | None:
        """Return the error for a session whose tree is missing while the root's head is there."""
        root = place.beside(place.root_id)
        has_tree, has_root = await self._connections.read_many([("EXISTS", place.tree), ("EXISTS", root.head)])
        if has_root and not has_tree:
            try:
                status_of([b"LOST", b"tree"], place.key.id)
            except CorruptSession as error:
                return error
        return None


def _look(places: dict[int, Place], calls_at: Sequence[CallAt]) -> Look:
    return Look(places, [calls_at[index](place) for index, place in places.items()])


def claim_of(claim_id: str, root_id: str) -> bytes:
    """Return what a locator holds: whose claim on the id it is, and below which root."""
    return f"{claim_id} {root_id}".encode()


def root_of_claim(claim: bytes) -> str:
    """Return the root that a locator leads to."""
    return claim.partition(b" ")[2].decode()


def claim_id_of(claim: bytes) -> str:
    """Return whose claim a locator holds."""
    return claim.partition(b" ")[0].decode()


def _answer(place: Place, reply: Any) -> Answer:
    if isinstance(reply, SessionManagerError):
        return reply
    if isinstance(reply, bytes):  # the short form of a good answer
        return Found(place, reply)
    try:
        return None if status_of(reply, place.key.id) == b"NOSESSION" else Found(place, reply)
    except CorruptSession as error:
        return error
