"""InMemorySessionStore: encoded bytes in dictionaries, with the promises of every other store but durability."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.pages import checked_indexed
from a2a_session_manager.storage.removed_options import reject_removed_options
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url_parts import shown, split_url

__all__ = ["InMemorySessionStore", "from_url"]


class InMemorySessionStore(BaseSessionStore):
    """Sessions for as long as the process lives, for tests, scripts and trying things out.

    It serves one event loop at a time, and is not safe to use from several threads. `limits` says how large events and
    commits may be; `pricer` gives a usage without a cost one when it is stored. `indexed` are the properties that
    `page` and `count` find sessions by, and `removed` options that 0.1 had, which are refused with the remedy.
    """

    def __init__(
        self,
        *,
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
        **removed: object,
    ) -> None:
        reject_removed_options(removed)
        super().__init__(MemoryBackend(indexed=checked_indexed(indexed)), limits=limits, pricer=pricer)


def from_url(url: str, limits: StoreLimits, pricer: Pricer, indexed: Sequence[str]) -> InMemorySessionStore:
    """Return a fresh store for `memory:`, which names no place."""
    parts = split_url(url)
    if parts.netloc or parts.path.strip("/") or parts.query:
        raise InvalidSessionOperation(f"{shown(url)} names a place, but memory has none: take 'memory:'")
    return InMemorySessionStore(limits=limits, pricer=pricer, indexed=indexed)
