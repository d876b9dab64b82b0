"""Compaction by a policy: when a conversation has grown too large for the model, and not again and again."""

from __future__ import annotations

import time
from typing import Any

from a2a_session_manager.context.compaction import CompactionRequest, NothingToGainError, compact_session
from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.summaries import Summarizer
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore


class PolicyCompactor:
    """Compacts a session when a policy says so, one at a time, and rests after a try that came to nothing."""

    def __init__(self) -> None:
        self._rests_until = 0.0  # by the monotonic clock
        self._is_under_way = False

    async def compact_if_due(
        self,
        store: SessionStore,
        session: Session[Any],
        policy: CompactionPolicy,
        summarize: Summarizer,
        format: str | None,
    ) -> SessionEvent[Any] | None:
        """Return the summary's event; None where it is not due, under way, or spares nothing.

        Raises what `compact` does.
        """
        # First: what is asked for wrongly is refused on the first call, and not when it is due.
        request = CompactionRequest(
            summarize, policy.kept, format, policy.budget, policy.max_tokens, policy.gained, model=policy.model
        )
        if self._is_under_way or time.monotonic() < self._rests_until:
            return None
        self._is_under_way = True
        try:
            size = await context_size(store, session)
            if size is None or size < policy.start_at:
                return None
            return await self._compact(store, session, request, policy.pause)
        finally:
            self._is_under_way = False

    async def _compact(
        self, store: SessionStore, session: Session[Any], request: CompactionRequest, pause: float
    ) -> SessionEvent[Any] | None:
        event = None
        try:
            event = await compact_session(store, session, request)
        except NothingToGainError:
            return None
        finally:
            self._rests_until = 0.0 if event is not None else time.monotonic() + pause
        return event
