"""SessionStoreProvider: which store is current. This is all the global state of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

from a2a_session_manager.exceptions import InvalidSessionOperation

if TYPE_CHECKING:
    from a2a_session_manager.protocols import SessionStore

_scoped: ContextVar[SessionStore | None] = ContextVar("a2a_session_manager_store", default=None)


class SessionStoreProvider:
    """Gives the current store to sessions that were made by hand; a session that was read knows its own.

    `default_factory` makes the store that is current until `set_store` is called; the package sets it to the memory
    store.
    """

    default_factory: ClassVar[Callable[[], SessionStore] | None] = None
    _store: ClassVar[SessionStore | None] = None

    @classmethod
    def get_store(cls) -> SessionStore:
        """Return the store of the innermost `use`; without one, that of `set_store`; without it, the default store."""
        scoped = _scoped.get()
        if scoped is not None:
            return scoped
        if cls._store is None:
            cls._store = cls._default()
        return cls._store

    @classmethod
    def set_store(cls, store: SessionStore | None) -> None:
        """Make `store` current for the process; None makes a fresh default store current."""
        cls._store = store

    @classmethod
    @contextmanager
    def use(cls, store: SessionStore) -> Iterator[SessionStore]:
        """Make `store` current inside a `with` block, for this task and the tasks that it starts there."""
        token = _scoped.set(store)
        try:
            yield store
        finally:
            _scoped.reset(token)

    @classmethod
    def _default(cls) -> SessionStore:
        if cls.default_factory is None:
            raise InvalidSessionOperation("no store is current: call SessionStoreProvider.set_store(store)")
        return cls.default_factory()
