"""What both bridges to Strands are over: a manager, and a loop of its own on which its store is used."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from a2a_session_manager.manager import SessionManager
from a2a_session_manager.sync import LoopThread


class OverALoop:
    """Uses `sessions` on a loop in a thread of its own, since Strands calls from plain code and from several loops.

    Args:
        sessions: the manager of the store, or of a namespace of it. It stays open.
        loop: the loop to use it on; several that share one store in memory need the same one. By default it is one that
            begins with the first call, and ends with `close`.
    """

    def __init__(self, sessions: SessionManager, *, loop: LoopThread | None = None, **options: Any) -> None:
        self._sessions = sessions
        self._loop = LoopThread() if loop is None else loop
        self._owns_loop = loop is None
        self._owns_sessions = False

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return one over a store of its own, which `close` closes.

        `url` is such as `file:./sessions`; see `store_from_url`. `options` are the others of the class. Raises
        InvalidSessionOperation for a bad URL.
        """
        made = cls(SessionManager.from_url(url), **options)
        made._owns_sessions = True
        return made

    def close(self) -> None:
        """Close what this has opened: the store of `from_url`, and the loop. Doing it twice is fine."""
        if self._owns_sessions and not self._loop.is_closed:
            self._loop.run(self._sessions.aclose())
        if self._owns_loop:
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
