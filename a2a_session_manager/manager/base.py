"""ManagerBase: the store that all verbs of a manager are over."""

from __future__ import annotations

from a2a_session_manager.protocols import SessionStore


class ManagerBase:
    """What each topic of a SessionManager's verbs stands on; `copy` and `claim` know a manager by it."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    @property
    def store(self) -> SessionStore:
        """The store that all verbs use."""
        return self._store
