"""An assistant's answer as it is streamed: stored once, whole or marked as interrupted."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable
from types import TracebackType
from typing import Any, Literal, Self

from a2a_session_manager.active import ActiveLog
from a2a_session_manager.concurrency.cancellation import finish_after
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, derived_id, new_id
from a2a_session_manager.integrations.fastapi.chunks import Chunk, texts_of
from a2a_session_manager.integrations.fastapi.sse import EventStream, event_frame, sse_frame
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.texts import with_whole_characters
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

_logger = logging.getLogger(__name__)

# The pauses between tries, in seconds, when the store cannot be reached for a moment. Their sum is below the time that
# a server leaves to the request of a client that has gone.
_PAUSES = (0.0, 0.1, 0.4, 1.0, 2.0)


class StreamedAnswer:
    """Collects an answer's text, for `async with`, and appends it to the session once, when the block ends.

    When the block ends by an error or a cancellation, or because the client has gone, the event holds the text so far,
    and its metadata `"interrupted": True` and, for an error, its `"error_type"`. `messages()` gives it to the next
    model like any other answer. An answer without text is an event without a message, which `messages()` leaves out.
    When the store cannot be reached for a moment, the append is tried again. An answer that is larger than an event
    may be is stored as several events, numbered as `"part"` in their metadata.

    Args:
        log: the ActiveSession or ActiveRun to append to.
        model: the model's name, for pricing; when no usage was set, it is kept in the metadata, and the request counts
            in `requests_without_usage`.
        provider: who serves the model, for `set_usage`; see `usage_from`.
        id: the event's id, so that a request that is sent again stores its answer once. None makes a random one.
    """

    def __init__(
        self, log: ActiveLog, *, model: str | None = None, provider: str | None = None, id: str | None = None
    ) -> None:
        if not isinstance(model, str | None):
            raise InvalidSessionOperation(f"model= is the model's name, not a {type(model).__name__}")
        self._log = log
        self._model = model
        self._provider = provider
        self._id = new_id() if id is None else checked_id(id, "event id")
        self._parts: list[str] = []
        self._usage: TokenUsage | None = None
        self._event: SessionEvent[Any] | None = None
        self._stage: Literal["new", "open", "ended"] = "new"

    @property
    def text(self) -> str:
        """All that was written so far; a character whose halves came in two chunks is whole again."""
        return with_whole_characters("".join(self._parts))

    @property
    def event(self) -> SessionEvent[Any]:
        """The event as it is stored, of several the last. Raises InvalidSessionOperation before the block has ended."""
        if self._event is None:
            raise InvalidSessionOperation(f"the answer {self._id!r} is not stored yet: leave its block first")
        return self._event

    def write(self, chunk: Chunk) -> str:
        """Add the text of `chunk`, and return it; nothing is stored before the block ends.

        A chunk is a text, a text part (`{"type": "text", "text": …}` or an object with such a `text`), a list of these,
        or None, which adds nothing. Raises InvalidEvent for anything else, after adding what is text in it, and
        InvalidSessionOperation outside the block, where the text would be lost.
        """
        if self._stage != "open":
            remedy = "enter it first: async with StreamedAnswer(…)" if self._stage == "new" else "it has ended"
            raise InvalidSessionOperation(f"the answer {self._id!r} takes no text: {remedy}")
        texts, reason = texts_of(chunk)
        self._parts += texts
        if reason is not None:
            raise InvalidEvent(f"the answer {self._id!r} {reason}", event_id=self._id)
        return "".join(texts)

    def set_usage(self, usage: object, *, response_id: str | None = None) -> None:
        """Set what the request used: a provider's usage object, or what else `usage_from` takes; the last call counts.

        `response_id` is the provider's id of the response, where the usage does not say it; see `usage_from`.
        One that is not understood is kept as `ActiveSession.assistant` keeps it, and the answer is not lost. Raises
        InvalidEvent for what is no object at all.
        """
        self._usage = recorded_usage(usage, model=self._model, provider=self._provider, response_id=response_id)

    async def __aenter__(self) -> Self:
        if self._stage != "new":
            raise InvalidSessionOperation(f"the answer {self._id!r} is entered already: make another StreamedAnswer")
        self._log.check_open()  # here, so that it fails before the model is asked
        self._stage = "open"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stage = "ended"
        failed = f"the answer {self._id!r} of session {self._log.session.id!r} could not be kept"
        was_kept = await finish_after(exc, self._append(self._event_after(exc)), failed=failed)
        if exc is not None and not was_kept:
            # The failure is a note on the exception, and nobody reads that when the client has gone.
            _logger.error("%s", exc.__notes__[-1])

    async def _append(self, event: SessionEvent[Any]) -> None:
        try:
            self._event = await self._appended(event)
        except (InvalidEvent, InvalidSessionOperation) as error:
            if not (error.is_too_large and event.message):
                raise
            await self._append_in_parts(event)

    async def _append_in_parts(self, event: SessionEvent[Any]) -> None:
        """Append an answer that is too large for one event as several; the last one has the usage."""
        text, size = event.message, len(event.message) // 2
        start, number = 0, 1
        while start < len(text):
            part_id = event.id if number == 1 else derived_id(f"{event.id}\n{number}")
            metadata = {**event.metadata, "part": number}
            usage = event.token_usage if start + size >= len(text) else None
            part = {"id": part_id, "message": text[start : start + size], "metadata": metadata, "token_usage": usage}
            try:
                self._event = await self._appended(event.model_copy(update=part))
            except (InvalidEvent, InvalidSessionOperation) as error:
                if not error.is_too_large or size <= 1:
                    raise
                size //= 2
            else:
                start, number = start + size, number + 1

    async def _appended(self, event: SessionEvent[Any]) -> SessionEvent[Any]:
        try:
            # By append_late, since the run may have ended while the model was answering.
            return (await retry_if_unknown(lambda: self._log.append_late(event), pauses=_PAUSES))[0]
        except InvalidEvent as error:
            if error.seq is None:
                raise
        # The request was sent before and got another answer, which is stored under this id. An answer is never refused:
        # this one gets an id that is derived from its text, so that it is stored once as well.
        metadata = {**event.metadata, "meant_as": self._id}
        other_id = derived_id(f"{event.id}\n{event.message}")
        return await self._appended(event.model_copy(update={"id": other_id, "metadata": metadata}))

    def _event_after(self, exc: BaseException | None) -> SessionEvent[Any]:
        """Return the event to store when the block has ended by `exc`, or well."""
        metadata: dict[str, Any] = {}
        usage = self._usage
        if self._model is not None and usage is None:
            metadata["model"] = self._model
            usage = missing_usage(self._model, self._provider)
        if exc is not None:
            metadata["interrupted"] = True
        if isinstance(exc, Exception):
            metadata["error_type"] = type(exc).__name__
        message = self.text or None
        return SessionEvent(id=self._id, message=message, source=EventSource.LLM, metadata=metadata, token_usage=usage)


def stream_answer(
    log: ActiveLog,
    tokens: AsyncIterable[Chunk],
    *,
    model: str | None = None,
    provider: str | None = None,
    id: str | None = None,
    detach: bool = False,
) -> EventStream:
    """Return a response that sends the model's `tokens` as they come, and appends the answer to the session once.

    A token is what `StreamedAnswer.write` takes. Its text is sent as a frame `event: token` with a JSON string; the
    last frame is the stored event, `event: event`. For usage, runs or frames of your own, write the generator
    yourself: `EventStream` over `StreamedAnswer`.

    Args:
        log: the ActiveSession or ActiveRun to append to.
        tokens: an async iterable, such as a call of your async generator; it is closed at the end. Raises
            InvalidSessionOperation for anything else.
        model, provider, id: see StreamedAnswer.
        detach: let the answer go on, and be stored whole, when the client leaves; see EventStream.
    """
    if not isinstance(tokens, AsyncIterable):
        raise InvalidSessionOperation(
            f"tokens= is a {type(tokens).__name__}: pass what `async for` takes, such as a call of your async generator"
        )
    answer = StreamedAnswer(log, model=model, provider=provider, id=id)
    return EventStream(_answered(answer, tokens), detach=detach)


async def _answered(answer: StreamedAnswer, tokens: AsyncIterable[Chunk]) -> AsyncGenerator[bytes, None]:
    try:
        async with answer:
            async for token in tokens:
                if text := answer.write(token):
                    yield sse_frame("token", text)
    finally:
        if isinstance(tokens, AsyncGenerator):
            await tokens.aclose()
    yield await event_frame(answer.event)
