"""Sessions that lie on a Redis server: those of openai-agents, and of release 0.1 of this library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlunsplit

from a2a_session_manager.exceptions import InvalidSessionOperation, MissingDependency, StoreUnavailable
from a2a_session_manager.importers import openai_agents, release_0_1
from a2a_session_manager.importers.records import Record, SessionStart
from a2a_session_manager.importers.source import ImportFault
from a2a_session_manager.importers.times import Clock, time_of
from a2a_session_manager.storage.url_parts import shown, split_url

try:
    from redis import Redis
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingDependency("redis", "redis") from error

_PREFIXES: Final = {openai_agents.NAME: "agents:session", release_0_1.NAME: "session:"}
_PREFIX: Final = "key_prefix"
_ITEMS: Final = 200
_SECONDS: Final = 30.0


class RedisServer:
    """What lies on a server under a prefix; `format` is None where that is not said, and each is looked for."""

    def __init__(self, url: str, format: str | None) -> None:
        parts = split_url(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.name = shown(url)
        self._prefix = options.pop(_PREFIX, None)
        self._url = urlunsplit(parts._replace(query=urlencode(options)))
        self._made_at = datetime.now(UTC)
        if format is not None and format not in _PREFIXES:
            raise InvalidSessionOperation(f"on Redis are sessions of {' and '.join(_PREFIXES)}, and none of {format}")
        self._formats = list(_PREFIXES) if format is None else [format]

    def formats(self) -> list[str]:
        """Return the formats of which there are sessions. Raises ImportFault when there are none."""
        with self._client() as client:
            found = [name for name in self._formats if next(self._keys(client, name), None) is not None]
        if not found:
            prefixes = self._prefix or " and ".join(_PREFIXES[name] for name in self._formats)
            raise ImportFault(
                f"{self.name} has no sessions of {' or '.join(self._formats)} under {prefixes}: say ?key_prefix=…; "
                "nothing was written"
            )
        return found

    def read(self, format: str) -> Iterator[Record]:
        """Yield the sessions of a format."""
        with self._client() as client:
            for key in sorted(self._keys(client, format)):
                session = self._agents_session if format == openai_agents.NAME else self._old_session
                yield from session(client, key)

    def _keys(self, client: Any, format: str) -> Iterator[str]:
        """Yield the keys of the sessions of a format."""
        prefix = _PREFIXES[format] if self._prefix is None else self._prefix
        is_agents = format == openai_agents.NAME
        start = f"{prefix.removesuffix(':')}:" if is_agents else prefix
        escaped = "".join(f"\\{each}" if each in "*?[]\\^" else each for each in start)
        for key in client.scan_iter(match=f"{escaped}*", count=_ITEMS):
            is_one = _is_agents_session if is_agents else _is_old_session
            if is_one(client, key):
                yield key

    def _agents_session(self, client: Any, key: str) -> Iterator[Record]:
        told = client.hgetall(key)
        session_id, made, changed = (told.get(name) for name in ("session_id", "created_at", "updated_at"))
        if session_id is None:
            return
        clock = Clock(self._made_at)
        at = clock.at(made)
        yield SessionStart(
            session_id, created_at=at.time, updated_at=time_of(changed), about={"id": session_id, "key": key}
        )
        first = 0
        while items := client.lrange(f"{key}:messages", first, first + _ITEMS - 1):
            for number, text in enumerate(items, start=first + 1):
                yield openai_agents.item_of(session_id, text, str(number), clock.at(None))
            first += len(items)

    def _old_session(self, client: Any, key: str) -> Iterator[Record]:
        text = client.get(key)
        record = _session_in(text)
        if record is not None:
            yield from release_0_1.session_of(record, Clock(self._made_at), len(text))

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            client = Redis.from_url(self._url, decode_responses=True, socket_timeout=_SECONDS)
        except (ValueError, TypeError):
            raise InvalidSessionOperation(f"{self.name} cannot be read: check its options") from None
        try:
            yield client
        except RedisError as error:
            raise StoreUnavailable(f"{self.name} cannot be read: {type(error).__name__}; import it again") from error
        finally:
            client.close()


def _session_in(text: str | None) -> dict[str, Any] | None:
    try:
        record = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and release_0_1.is_mine([record]) else None


def _is_agents_session(client: Any, key: str) -> bool:
    return client.type(key) == "hash" and bool(client.hexists(key, "session_id"))


def _is_old_session(client: Any, key: str) -> bool:
    return client.type(key) == "string" and _session_in(client.get(key)) is not None
