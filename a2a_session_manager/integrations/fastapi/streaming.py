"""An assistant's answer as it is streamed: kept whole or marked as interrupted, and once."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable
from types import TracebackType
from typing import Any, Self

from a2a_session_manager.accounting.usage import usage_from
from a2a_session_manager.active import ActiveLog
from a2a_session_manager.assured import surely, write_at_end
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.integrations.fastapi.sse import EventStream, event_frame, sse_frame
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.identifier import checked_id, new_id
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage

_logger = logging.getLogger(__name__)


class StreamedAnswer:
    """Collects an answer's text, for `async with`: it is appended once, when the block ends, however it ends.

    When the block is left by an error, a cancellation, or because the client has gone, the event's metadata
    says `"interrupted": True` and, of an error, its `"error_type"`. The message is then the text so far, so that
    `messages()` gives it to the next model like any other answer. An answer without text is an event without a
    message, which `messages()` leaves out.
    """

    def __init__(
        self, log: ActiveLog, *, model: str | None = None, provider: str | None = None, id: str | None = None
    ) -> None:
        self._log = log
        self._model = model
        self._provider = provider
        self._id = new_id() if id is None else checked_id(id, "event id")
        self._parts: list[str] = []
        self._usage: TokenUsage | None = None
        self._event: SessionEvent[Any] | None = None
        self._has_ended = False

    @property
    def text(self) -> str:
        """All that was written so far."""
        return "".join(self._parts)

    @property
    def event(self) -> SessionEvent[Any]:
        """The event as it was stored. Raises InvalidSessionOperation before the block has ended."""
        if self._event is None:
            raise InvalidSessionOperation(f"the answer {self._id!r} is not stored yet: leave its block first")
        return self._event

    def write(self, text: str) -> None:
        """Add to the text; nothing is stored yet. Raises InvalidSessionOperation behind the end of the block."""
        if self._has_ended:
            raise InvalidSessionOperation(f"the answer {self._id!r} has ended: what is written now would be lost")
        self._parts.append(text)

    def set_usage(self, usage: object) -> None:
        """Take the provider's usage object, the last one counts. Raises InvalidEvent when it is none."""
        self._usage = usage_from(usage, model=self._model, provider=self._provider)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._has_ended = True
        failed = f"the answer {self._id!r} of session {self._log.session.id!r} could not be kept"
        was_kept = await write_at_end(self._append(self._stored(exc)), exc, failed=failed)
        if exc is not None and not was_kept:
            # Whoever has left does not read notes.
            _logger.error("%s", exc.__notes__[-1])

    async def _append(self, event: SessionEvent[Any]) -> None:
        stored = await surely(lambda: self._log.append(event))
        self._event = stored[0]

    def _stored(self, exc: BaseException | None) -> SessionEvent[Any]:
        about: dict[str, Any] = {}
        if self._model is not None and self._usage is None:
            about["model"] = self._model
        if exc is not None:
            about["interrupted"] = True
        if isinstance(exc, Exception):
            about["error_type"] = type(exc).__name__
        message = self.text or None
        return SessionEvent(
            id=self._id, message=message, source=EventSource.LLM, metadata=about, token_usage=self._usage
        )


def stream_answer(
    log: ActiveLog,
    tokens: AsyncIterable[str],
    *,
    model: str | None = None,
    provider: str | None = None,
    id: str | None = None,
) -> EventStream:
    """Return a response that sends the model's `tokens` as they come, and appends the answer once.

    Each token is a frame `event: token` with a JSON string; the last frame is the stored event, `event: event`.
    For usage, runs or frames of your own, write the generator yourself: `EventStream` over `StreamedAnswer`.
    """
    return EventStream(_answered(StreamedAnswer(log, model=model, provider=provider, id=id), tokens))


async def _answered(answer: StreamedAnswer, tokens: AsyncIterable[str]) -> AsyncGenerator[bytes, None]:
    try:
        async with answer:
            async for token in tokens:
                answer.write(token)
                yield sse_frame("token", token)
    finally:
        if isinstance(tokens, AsyncGenerator):
            await tokens.aclose()
    yield await event_frame(answer.event)
