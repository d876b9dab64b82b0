"""A shard of the index and its two marks: a shard that was lost is told from one that is empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.namespaces import Namespace, path_of
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import mark_of_loss, shard_with_marks
from a2a_session_manager.storage.redis.script import Call, ScriptCall, Value

FOR_EVER: Final = "0"
# How many keys of a shard are there when nothing is listed in it, and when it is whole.
_WELL: Final = (0, 3)


def is_doubtful(count_of_keys: int) -> bool:
    """Tell whether a shard or a mark of it may be lost, from how many of the three keys are there."""
    return count_of_keys not in _WELL


def listing(prefix: str, shard: bytes, line: bytes, lifetime: str, *, is_whole: bool = False) -> ScriptCall:
    """Return the call of `list.lua`, which says how `lifetime` is written and what `is_whole` does.

    It answers whether lines of the shard were lost.
    """
    return ScriptCall(scripts.LIST, _all_keys(prefix, shard), [line, lifetime, int(is_whole)])


def unlisting(prefix: str, shard: bytes, lines: Sequence[Value]) -> ScriptCall:
    """Return the call that removes lines of a shard, and its marks with the last line."""
    return ScriptCall(scripts.UNLIST, _all_keys(prefix, shard), lines)


async def run_all(connections: Connections, calls: Sequence[Call]) -> list[Any]:
    """Run calls in one round trip and return their answers; raises the first error."""
    answers = await connections.run_many(calls) if calls else []
    for answer in answers:
        if isinstance(answer, SessionManagerError):
            raise answer
    return answers


def lost_shard(prefix: str, namespace: Namespace, shard: bytes) -> CorruptSession:
    """Return the error for a listing that would be short."""
    _, *marks = _all_keys(prefix, shard)
    return CorruptSession(
        "",
        f"redis has lost {shard.decode()!r}, a part of the index of namespace {path_of(namespace)!r}, and a listing "
        "would be short: restore it from a backup. Or create() each session that you know, which lists it again, and "
        f"then remove {' and '.join(repr(mark.decode()) for mark in marks)}; an eviction policy other than noeviction "
        "does this",
    )


def _all_keys(prefix: str, shard: bytes) -> tuple[bytes, ...]:
    return *shard_with_marks(prefix, shard), mark_of_loss(prefix, shard)
