"""store_from_url: the schemes of URLs, and the module that opens a store for each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url_parts import shown, split_url

# A module is imported when a URL names its scheme, because each store needs libraries of its own.
_MODULES: Final = {
    "memory": "a2a_session_manager.storage.memory",
    "file": "a2a_session_manager.storage.file",
    "redis": "a2a_session_manager.storage.redis",
    "rediss": "a2a_session_manager.storage.redis",
    "redis+cluster": "a2a_session_manager.storage.redis",
    "redis+sentinel": "a2a_session_manager.storage.redis",
}


def store_from_url(
    url: str,
    *,
    limits: StoreLimits = DEFAULT_LIMITS,
    pricer: Pricer = DEFAULT_PRICER,
    indexed: Sequence[str] = (),
) -> BaseSessionStore:
    """Return a new store for `url`; it connects, or opens its files, on first use.

    `memory:` is an empty store at each call. `file:DIRECTORY` takes `?durability=disk`; `~` is the home directory, and
    a relative directory is below the working directory at the time of the call. `redis://HOST:PORT/DB`, `rediss://`
    (TLS), `redis+cluster://HOST:PORT,HOST:PORT` and `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE` take
    `?key_prefix=`, `?expiration_seconds=` and options of redis-py.

    `limits` says how large events and commits may be; `pricer` gives a usage without a cost one when it is stored.
    `indexed` are the properties that `page` and `count` find sessions by.
    Raises InvalidSessionOperation for a bad URL; the error shows nothing of it but the scheme, since it may hold a
    password.
    """
    split_url(url)
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in _MODULES:
        known = ", ".join(f"{name}:" for name in _MODULES)
        raise InvalidSessionOperation(f"{shown(url)} has no known scheme: take one of {known}")
    store: BaseSessionStore = import_module(_MODULES[scheme]).from_url(url, limits, pricer, indexed)
    return store
