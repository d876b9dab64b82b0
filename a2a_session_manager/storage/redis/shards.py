"""The parts of the index: how a member is added, and the marks that tell of a shard that was lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import mark_keys, shard_name
from a2a_session_manager.storage.redis.script import ScriptCall

FOR_EVER: Final = "0"
_LOST: Final = b"lost:"


class Kept(NamedTuple):
    """What came of adding a member to a part of the index."""

    members: int  # how many there are, this one included; 0 if there is no such part, and should have been
    is_new: bool  # the part
    is_moved: bool  # its end
    end: bytes  # in ms since the epoch, or +inf
    due: Sequence[bytes]  # members whose score has passed


def keep(
    key: bytes, member: bytes, score: str, life: str, *, limit_of_due: int = 0, must_exist: bool = False
) -> ScriptCall:
    """Return the call of `keep.lua`, which says how `score` and `life` are written."""
    return ScriptCall(scripts.KEEP, [key], [member, score, life, limit_of_due, int(must_exist)])


def kept(reply: Any) -> Kept:
    """Return what a call of `keep` has answered."""
    _, count, change, end, due = reply
    return Kept(count, change == b"new", change == b"moved", end, due)


async def run_all(connections: Connections, calls: Sequence[ScriptCall]) -> list[Any]:
    """Run calls in one round trip and return their answers; raises the first error."""
    answers = await connections.run_many(calls) if calls else []
    for answer in answers:
        if isinstance(answer, SessionManagerError):
            raise answer
    return answers


class Marks:
    """Says which shards of a namespace's index hold lines, in two keys: so a shard that is missing is known to be lost.

    A shard is marked after its first line is there, and loses its marks before its last line goes. A mark that has
    a shard's end as its score is void from then on.
    """

    def __init__(self, connections: Connections, prefix: str) -> None:
        self._connections = connections
        self._prefix = prefix

    def reading(self, namespace: str) -> list[ScriptCall]:
        """Return the calls whose answers `read` takes."""
        return [ScriptCall(scripts.SHARDS, [key], []) for key in mark_keys(self._prefix, namespace)]

    @staticmethod
    def read(answers: Sequence[Any]) -> set[bytes]:
        """Return the names of marked shards."""
        return {name for _, names in answers for name in names}

    def setting(self, namespace: str, shard: bytes, end: bytes, life: str) -> list[ScriptCall]:
        """Return the calls that mark a shard, up to its own end."""
        return [keep(key, shard_name(shard), end.decode(), life) for key in mark_keys(self._prefix, namespace)]

    async def set_lost(self, namespace: str, shard: bytes, life: str) -> None:
        """Remember that lines of a shard were lost, though there are others in it by now."""
        score = "+inf" if life == FOR_EVER else f"+{life}"
        keys = mark_keys(self._prefix, namespace)
        await run_all(self._connections, [keep(key, _LOST + shard_name(shard), score, life) for key in keys])

    async def remove(self, namespace: str, shards: Iterable[bytes]) -> None:
        """Take the marks off shards."""
        names = [shard_name(shard) for shard in shards]
        await self._connections.read_many([("ZREM", key, *names) for key in mark_keys(self._prefix, namespace)])

    def refuse_lost(self, namespace: str, shards: Iterable[bytes], marked: set[bytes]) -> None:
        """Raise CorruptSession when lines of one of the shards were lost."""
        for shard in shards:
            if _LOST + shard_name(shard) in marked:
                raise self.lost(namespace, shard)

    def lost(self, namespace: str, shard: bytes) -> CorruptSession:
        """Return the error for a listing that would be short."""
        marks = " and ".join(repr(key.decode()) for key in mark_keys(self._prefix, namespace))
        return CorruptSession(
            "",
            f"redis has lost {shard.decode()!r}, a part of the index of namespace {namespace!r}, and a listing would "
            "be short: restore it from a backup. Or create() each session that you know, which lists it again, and "
            f"then remove {marks}; an eviction policy other than noeviction does this",
        )
