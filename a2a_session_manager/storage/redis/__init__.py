"""RedisSessionStore: sessions on Redis, shared by any number of machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from a2a_session_manager.exceptions import InvalidSessionOperation, MissingDependency

try:
    import redis.asyncio as _redis  # noqa: F401  only to say clearly what is missing
except ImportError as error:
    raise MissingDependency("redis", "redis") from error

from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.storage.pages import checked_indexed
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.address import RedisAddress, address_from_url
from a2a_session_manager.storage.redis.backend import RedisBackend
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import checked_prefix, probe_key
from a2a_session_manager.storage.redis.rights import PLAIN
from a2a_session_manager.storage.removed_options import reject_removed_options
from a2a_session_manager.storage.store import BaseSessionStore

if TYPE_CHECKING:
    from a2a_session_manager.storage.redis.clients import AnyClient

__all__ = ["RedisSessionStore", "create_redis_session_store", "from_url"]

DEFAULT_PREFIX = "session:"


class RedisSessionStore(BaseSessionStore):
    """Sessions on Redis 6.2 or newer or Valkey: one server, a cluster, or a primary found by Sentinels.

    Args:
        client: a `redis.asyncio.Redis` or `RedisCluster` of your own. It is used as it is, and stays open.
        address: in place of a client: the servers, which the store connects to and disconnects from by itself.
        key_prefix: what all keys of the store begin with; stores with different prefixes share nothing.
        expiration_seconds: how long a session lives after the last write to it or to one below it; None: for ever.
        limits: how large events and commits may be.
        pricer: gives a usage without a cost one when it is stored.
        indexed: the properties that `page` and `count` find sessions by.
        removed: options that 0.1 had, which are refused with the remedy.
    """

    def __init__(
        self,
        client: AnyClient | None = None,
        *,
        address: RedisAddress | None = None,
        key_prefix: str = DEFAULT_PREFIX,
        expiration_seconds: float | None = None,
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
        **removed: object,
    ) -> None:
        reject_removed_options(removed)
        if (client is None) == (address is None):
            raise InvalidSessionOperation("RedisSessionStore takes a client or an address=, one of the two")
        prefix, indexed = checked_prefix(key_prefix), checked_indexed(indexed)
        ttl = _milliseconds(expiration_seconds)
        connections = Connections(
            address, client, scripts=scripts.ALL, probe_key=probe_key(prefix), plain_commands=PLAIN
        )
        backend = RedisBackend(connections, prefix=prefix, ttl=ttl, indexed=indexed)
        super().__init__(backend, limits=limits, pricer=pricer)


def from_url(url: str, limits: StoreLimits, pricer: Pricer, indexed: Sequence[str]) -> RedisSessionStore:
    """Return a store for `redis://`, `rediss://`, `redis+cluster://` or `redis+sentinel://`.

    `?key_prefix=` and `?expiration_seconds=` are the store's own options, the others redis-py's.
    """
    address, options = address_from_url(url)
    return RedisSessionStore(
        address=address,
        key_prefix=options.get("key_prefix", DEFAULT_PREFIX),
        expiration_seconds=_seconds(options.get("expiration_seconds")),
        limits=limits,
        pricer=pricer,
        indexed=indexed,
    )


def create_redis_session_store(
    host: str = "localhost",
    port: int = 6379,
    db: int = 0,
    password: str | None = None,
    key_prefix: str = DEFAULT_PREFIX,
    expiration_seconds: float | None = None,
    indexed: Sequence[str] = (),
    **redis_kwargs: Any,
) -> RedisSessionStore:
    """Return a store on one server: its `host` and `port`, the number of its `db`, and its `password`, if it has one.

    `redis_kwargs` are further arguments of `redis.asyncio.Redis`, such as `ssl=True`. For `key_prefix`,
    `expiration_seconds` and `indexed`, the properties that sessions are found by, see RedisSessionStore.
    """
    reject_removed_options(
        {name: value for name, value in redis_kwargs.items() if name in ("session_class", "auto_save")}
    )
    address = RedisAddress.server(host, port, db=db, password=password, **redis_kwargs)
    return RedisSessionStore(
        address=address, key_prefix=key_prefix, expiration_seconds=expiration_seconds, indexed=indexed
    )


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        # Without the text: a mistyped URL may have put a password there.
        raise InvalidSessionOperation("the URL's expiration_seconds is no number of seconds") from None


def _milliseconds(seconds: object) -> int:
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.001 <= seconds <= 10**10:
        raise InvalidSessionOperation(
            f"expiration_seconds={seconds!r} cannot be used: take a number above 0, or None to keep sessions for ever"
        )
    return round(seconds * 1_000)
