"""An assistant's answer as it is streamed: kept whole or marked as interrupted, and once."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable
from types import TracebackType
from typing import Any, Literal, Self

from a2a_session_manager.active import ActiveLog
from a2a_session_manager.concurrency.unknown_outcomes import retry_if_unknown, write_at_end
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, derived_id, new_id
from a2a_session_manager.integrations.fastapi.chunks import Chunk, texts_of
from a2a_session_manager.integrations.fastapi.sse import EventStream, event_frame, sse_frame
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.texts import with_whole_characters
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.provider_usage import usage_from

_logger = logging.getLogger(__name__)

# A store that is away for a moment must not cost the answer; in all less than a client that has left is waited for.
_PAUSES = (0.0, 0.1, 0.4, 1.0, 2.0)


class StreamedAnswer:
    """Collects an answer's text, for `async with`: it is appended once, when the block ends, however it ends.

    When the block is left by an error, a cancellation, or because the client has gone, the event's metadata
    says `"interrupted": True` and, of an error, its `"error_type"`. The message is then the text so far, so that
    `messages()` gives it to the next model like any other answer. An answer without text is an event without a
    message, which `messages()` leaves out. A store that cannot be reached for a moment is asked again, and an answer
    that is larger than an event may be is stored as several, with their number as `"part"` in the metadata.
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
        """All that was written so far, with the halves of a character joined that came in two chunks."""
        return with_whole_characters("".join(self._parts))

    @property
    def event(self) -> SessionEvent[Any]:
        """The event as it was stored. Raises InvalidSessionOperation before the block has ended."""
        if self._event is None:
            raise InvalidSessionOperation(f"the answer {self._id!r} is not stored yet: leave its block first")
        return self._event

    def write(self, chunk: Chunk) -> str:
        """Add to the text, and return what was added; nothing is stored yet.

        A chunk is text, a text part (`{"type": "text", "text": …}` or an object with such a `text`), a list of them,
        or None, which adds nothing. Raises InvalidEvent for anything else, after adding what is text in it, and
        InvalidSessionOperation outside the block, where what is written would be lost.
        """
        if self._stage != "open":
            remedy = "enter it first: async with StreamedAnswer(…)" if self._stage == "new" else "it has ended"
            raise InvalidSessionOperation(f"the answer {self._id!r} takes no text: {remedy}")
        texts, refusal = texts_of(chunk)
        self._parts += texts
        if refusal is not None:
            raise InvalidEvent(f"the answer {self._id!r} {refusal}", event_id=self._id)
        return "".join(texts)

    def set_usage(self, usage: object) -> None:
        """Take the provider's usage object, the last one counts. Raises InvalidEvent when it is none."""
        self._usage = usage_from(usage, model=self._model, provider=self._provider)

    async def __aenter__(self) -> Self:
        if self._stage != "new":
            raise InvalidSessionOperation(f"the answer {self._id!r} is entered already: make another StreamedAnswer")
        self._log.check_open()  # now, and not when the model has spoken
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
        was_kept = await write_at_end(self._append(self._stored(exc)), exc, failed=failed)
        if exc is not None and not was_kept:
            # Whoever has left does not read notes.
            _logger.error("%s", exc.__notes__[-1])

    async def _append(self, event: SessionEvent[Any]) -> None:
        try:
            self._event = await self._appended(event)
        except (InvalidEvent, InvalidSessionOperation) as error:
            if not (error.is_too_large and event.message):
                raise
            await self._append_in_parts(event)

    async def _append_in_parts(self, event: SessionEvent[Any]) -> None:
        """Append an answer that is larger than an event may be as several ones, the last of which has the usage."""
        text, size = event.message, len(event.message) // 2
        start, number = 0, 1
        while start < len(text):
            part_id = event.id if number == 1 else derived_id(f"{event.id}\n{number}")
            about = {**event.metadata, "part": number}
            usage = event.token_usage if start + size >= len(text) else None
            part = {"id": part_id, "message": text[start : start + size], "metadata": about, "token_usage": usage}
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
            # Late, perhaps: the run it belongs to may have ended while the model spoke.
            return (await retry_if_unknown(lambda: self._log.append_late(event), pauses=_PAUSES))[0]
        except InvalidEvent as error:
            if error.seq is None:
                raise
        # A request that was sent again got another answer: what a model has said is never refused. The id follows
        # from what was said, so that the same answer, sent once more, is stored once.
        about = {**event.metadata, "meant_as": self._id}
        other_id = derived_id(f"{event.id}\n{event.message}")
        return await self._appended(event.model_copy(update={"id": other_id, "metadata": about}))

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
    tokens: AsyncIterable[Chunk],
    *,
    model: str | None = None,
    provider: str | None = None,
    id: str | None = None,
    detach: bool = False,
) -> EventStream:
    """Return a response that sends the model's `tokens` as they come, and appends the answer once.

    A token is what `StreamedAnswer.write` takes; its text is a frame `event: token` with a JSON string, and the last
    frame is the stored event, `event: event`. With `detach`, the answer is finished and kept when the client leaves;
    see EventStream. For usage, runs or frames of your own, write the generator yourself: `EventStream` over
    `StreamedAnswer`. Raises InvalidSessionOperation for tokens that no `async for` takes.
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
