"""What Redis servers say of themselves, and which of the store's promises they cannot keep as they are set up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import RedisError, ResponseError

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.errors import outage, translated

Info = Mapping[str, Any]

_SECONDS: Final = 5.0
_OLDEST: Final = (6, 2)
_NEARLY_FULL: Final = 0.9


async def diagnose_servers(client: AnyClient, place: str, *, has_expiry: bool) -> list[StoreFinding]:
    """Return what is found of each server that is written to. Raises StoreUnavailable when one does not answer.

    `place` names the server, if it is one; `has_expiry` tells that the store's keys have a time to live.
    """
    found: list[StoreFinding] = []
    try:
        async with asyncio.timeout(_SECONDS):
            for name, options in _servers(client, place):
                found += await _of_one(client, name, options, has_expiry=has_expiry)
    except Exception as error:
        raise translated(outage(error)) from error
    return found


async def _of_one(client: AnyClient, name: str, options: Mapping[str, Any], *, has_expiry: bool) -> list[StoreFinding]:
    try:
        info: Info = await client.execute_command("INFO", **options)
    except ResponseError as error:
        text = f"its settings cannot be asked for ({error})"
        return [StoreFinding("note", "silent_server", name, text, "grant +info to be told of them")]
    fsync = await _fsync(client, options)
    return [
        *_of_server(name, info),
        *_of_memory(name, info, has_expiry=has_expiry),
        *_of_persistence(name, info, fsync),
    ]


def _servers(client: AnyClient, place: str) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(client, RedisCluster):
        return [(str(node.name), {"target_nodes": node}) for node in client.get_primaries()]
    return [(place, {})]


async def _fsync(client: AnyClient, options: Mapping[str, Any]) -> str | None:
    """Return how the server brings its log to disk; None where it does not say."""
    try:
        answer = await client.execute_command("CONFIG GET", "appendfsync", **options)
    except RedisError:
        return None  # hosted servers have no CONFIG, and users often no right to it
    values = {_text(key): _text(value) for key, value in dict(answer).items()} if answer else {}
    return values.get("appendfsync")


def _of_server(name: str, info: Info) -> Iterator[StoreFinding]:
    is_valkey = "valkey_version" in info
    version = _text(info.get("valkey_version" if is_valkey else "redis_version", ""))
    yield StoreFinding(
        "note", "server", name, f"{'Valkey' if is_valkey else 'Redis'} {version or 'of unknown version'}"
    )
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < _OLDEST:
        yield StoreFinding(
            "error", "old_server", name, f"version {version} is older than 6.2", "upgrade to Redis 6.2 or newer"
        )
    if _text(info.get("role", "master")) != "master":
        yield StoreFinding("error", "replica", name, "this server is a replica", "use the address of its primary")


def _of_memory(name: str, info: Info, *, has_expiry: bool) -> Iterator[StoreFinding]:
    policy, most = _text(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    if policy != "noeviction" and (has_expiry or not policy.startswith("volatile-")):
        yield StoreFinding(
            "error" if most else "warning",
            "eviction",
            name,
            f"maxmemory-policy is {policy}: a server that is full loses parts of sessions",
            "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
        )
    used = int(info.get("used_memory", 0))
    if most and used > most * _NEARLY_FULL:
        yield StoreFinding(
            "warning",
            "nearly_full",
            name,
            f"{used * 100 // most} % of maxmemory are used; a full server refuses writes",
            "raise maxmemory, or delete sessions",
        )


def _of_persistence(name: str, info: Info, fsync: str | None) -> Iterator[StoreFinding]:
    if not int(info.get("aof_enabled", 0)):
        yield StoreFinding(
            "warning",
            "no_append_only_file",
            name,
            "appendonly is off: what was acknowledged since the last snapshot is lost when the server dies",
            "CONFIG SET appendonly yes, and the same in its configuration file",
        )
    elif fsync is None:
        yield StoreFinding("note", "append_only_file", name, "appendonly is on; appendfsync cannot be asked for")
    elif fsync == "no":
        yield StoreFinding(
            "warning",
            "no_fsync",
            name,
            "appendfsync is no: power loss takes what the system had not yet written, often 30 seconds",
            "CONFIG SET appendfsync everysec, or always where nothing may be lost",
        )
    else:
        yield StoreFinding("note", "append_only_file", name, f"appendonly is on, appendfsync is {fsync}")
    for field, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if _text(info.get(field, "ok")) != "ok":
            yield StoreFinding(
                "error",
                "write_failed",
                name,
                f"the last write of its {what} failed",
                "look at the server's disk and log",
            )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
