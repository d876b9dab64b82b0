"""From a URL to a store: the schemes that are known, and how each opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.storage.memory import InMemorySessionStore


def store_from_url(url: str, *, limits: StoreLimits = DEFAULT_LIMITS) -> BaseSessionStore:
    """Return a new store for `url`; it opens on first use. Raises InvalidSessionOperation for a bad URL.

    `memory:` is a fresh store of its own at each call.
    """
    scheme, colon, place = url.partition(":")
    opener = _SCHEMES.get(scheme) if colon else None
    if opener is None:
        known = ", ".join(f"{name}:" for name in _SCHEMES)
        raise InvalidSessionOperation(f"store URL {url!r} has no known scheme: take one of {known}")
    return opener(url, place, limits)


def _memory(url: str, place: str, limits: StoreLimits) -> BaseSessionStore:
    if place.strip("/"):
        raise InvalidSessionOperation(f"store URL {url!r} names a place, but memory has none: take 'memory:'")
    return InMemorySessionStore(limits=limits)


_SCHEMES: Mapping[str, Callable[[str, str, StoreLimits], BaseSessionStore]] = {"memory": _memory}
