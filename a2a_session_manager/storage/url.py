"""From a URL to a store: the schemes that are known, and which module opens each."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url_parts import shown, split_url

# Imported when a URL asks for it: a store brings its own libraries, and not everybody needs all of them.
_MODULES: Final = {
    "memory": "a2a_session_manager.storage.memory",
    "file": "a2a_session_manager.storage.file",
    "redis": "a2a_session_manager.storage.redis",
    "rediss": "a2a_session_manager.storage.redis",
    "redis+cluster": "a2a_session_manager.storage.redis",
    "redis+sentinel": "a2a_session_manager.storage.redis",
}


def store_from_url(
    url: str, *, limits: StoreLimits = DEFAULT_LIMITS, pricer: Pricer = DEFAULT_PRICER
) -> BaseSessionStore:
    """Return a new store for `url`; it opens on first use.

    Raises InvalidSessionOperation for a bad URL, and repeats nothing of it but the scheme: it may hold a password.

    `memory:` is a fresh store of its own at each call; `file:DIRECTORY` takes `?durability=disk`
    and is fixed at once: `~` is the home directory, and a relative one lies below the working directory of now;
    `redis://HOST:PORT/DB`, `rediss://` (TLS), `redis+cluster://HOST:PORT,HOST:PORT` and
    `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE` take `?key_prefix=` and `?expiration_seconds=`.
    A usage without a cost gets it from `pricer`.
    """
    split_url(url)
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in _MODULES:
        known = ", ".join(f"{name}:" for name in _MODULES)
        raise InvalidSessionOperation(f"{shown(url)} has no known scheme: take one of {known}")
    store: BaseSessionStore = import_module(_MODULES[scheme]).from_url(url, limits, pricer)
    return store
