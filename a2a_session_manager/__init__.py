"""Keeps the conversations of AI agents: sessions, runs, trees and token usage, on any store."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import a2a_session_manager.hierarchy as _hierarchy
from a2a_session_manager.provider import SessionStoreProvider as SessionStoreProvider

if TYPE_CHECKING:
    from a2a_session_manager.protocols import SessionStore as SessionStore
    from a2a_session_manager.public import *  # noqa: F403 - for type checkers, what __getattr__ finds
    from a2a_session_manager.public import __all__ as __all__

__version__ = "0.2.0.dev0"


def _memory_store() -> SessionStore:
    # It is imported here, because every import of a module runs this package first, and a program that sets a store of
    # its own needs no other.
    store: SessionStore = import_module("a2a_session_manager.storage").InMemorySessionStore()
    return store


SessionStoreProvider.default_factory = _memory_store
_hierarchy.current_store = SessionStoreProvider.get_store


if not TYPE_CHECKING:  # so that type checkers report a name that is not there

    def __getattr__(name: str) -> Any:
        """Import the public names when one is first used: a program that imports one of our modules loads no other."""
        public = import_module("a2a_session_manager.public")
        if name != "__all__" and name not in public.NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(public, name)

    def __dir__() -> list[str]:
        return [*__getattr__("__all__"), "__version__"]
