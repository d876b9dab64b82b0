"""ActiveBase: the store and the session that all verbs of an open session or run are over."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore


class ActiveBase:
    """What each topic of the verbs stands on; a run says here when nothing can be written."""

    def __init__(self, store: SessionStore, session: Session[Any], run_id: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self.session = session

    def check_open(self) -> None:
        """Raise InvalidSessionOperation when nothing can be written, which is so for a run outside its block."""

    @property
    def _writable(self) -> SessionStore:
        """The store, for a write; a run looks first whether it may write, and claims its lease by it."""
        return self._store

    def _check_may_begin(self) -> None:
        """Raise what `check_open` raises, and LeaseLost for a run that is known to be somebody else's."""
        self.check_open()

    def _check_may_append(self) -> None:
        """Raise what `check_open` raises, before an event is made, unless its appending will do that."""
