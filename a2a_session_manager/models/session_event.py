"""One recorded thing: frozen from the moment it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Self, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from typing_extensions import TypeVar

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import Identifier, new_id
from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.fields_set import SharedFieldsSet, put_fields_set
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.tokens.counting import TokenCounter

MessageT = TypeVar("MessageT", default=Any)

# Past `SessionEvent.__setattr__`, which refuses.
_put_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_put_private = BaseModel.__dict__["__pydantic_private__"].__set__


class SessionEvent(SharedFieldsSet, Generic[MessageT]):
    """An event of a session's log; `task_id` is the id of the run it belongs to, `timestamp` when it was made.

    `message` is any JSON value or a pydantic model; `SessionEvent[M]` brings models of M back, otherwise they
    return as plain JSON. A model is stored only if it can be read back as an equal one. Where a read asked for a
    `message_type` that a stored message does not fit, that one is plain JSON, and `message_error`, which is never
    stored, says why. The store gives `seq` (1, 2, 3 … per session; None before it is stored) and says
    `retracted` of an event that is hidden from the default view, and `is_repeat` of an event that a write brought
    again: then it is the one stored before, under the same id. A change inside the payload of a stored event is not
    seen by `save`: append a new event instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier = Field(default_factory=new_id)
    # Not `MessageT | None`: who reads `event.message["content"]` knows that there is a message.
    message: MessageT = cast("Any", None)
    source: EventSource = EventSource.LLM
    # Left to right: a known kind becomes its EventType, any other string stays.
    type: EventType | str = Field(default=EventType.MESSAGE, union_mode="left_to_right")
    timestamp: AwareDatetime = Field(default_factory=utc_now)
    task_id: Identifier | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    token_usage: TokenUsage | None = None
    seq: int | None = None
    retracted: bool = False
    is_repeat: bool = False
    message_error: str | None = Field(default=None, exclude=True)

    @classmethod
    async def create_with_tokens(
        cls,
        message: MessageT,
        prompt: str | Iterable[Mapping[str, Any]] = "",
        completion: str | None = None,
        model: str = "gpt-3.5-turbo",
        *,
        counter: TokenCounter | None = None,
        **fields: Any,
    ) -> Self:
        """Return an event with the tokens of its request counted, and priced at its timestamp.

        `prompt` is the request's text or chat messages, `completion` the answer's text. `fields` are further fields
        of the event. Where the provider reported its usage, make the event with that as `token_usage` instead.
        """
        event = cls(message=message, **fields)
        counted = await TokenUsage.from_text(prompt, completion, model, counter=counter)
        return event.model_copy(update={"token_usage": await counted.priced_at(event.timestamp)})

    def __setattr__(self, name: str, value: Any) -> None:
        raise InvalidSessionOperation(
            f"event {self.id!r} is frozen, {name!r} cannot be set: append a new event and retract this one"
        )


def spent_by(events: Iterable[SessionEvent[Any]]) -> Iterator[tuple[TokenUsage, str, str | None]]:
    """Yield the usage of each event that has one, with its source and its run, as TokenSummary.plus_all takes them."""
    for event in events:
        if event.token_usage is not None:
            yield event.token_usage, event.source.value, event.task_id


def with_seq(
    event: SessionEvent[MessageT], seq: int, *, retracted: bool = False, is_repeat: bool = False
) -> SessionEvent[MessageT]:
    """Return a copy of `event` that knows its place in the log; the original stays unplaced."""
    # What model_copy(update=…) does, for less: every append places its events. What is frozen may be shared.
    copy: SessionEvent[MessageT] = object.__new__(type(event))
    fields = copy.__dict__
    fields.update(event.__dict__)
    fields["seq"] = seq
    fields["retracted"] = retracted
    fields["is_repeat"] = is_repeat
    put_fields_set(copy, event.__pydantic_fields_set__)
    _put_extra(copy, event.__pydantic_extra__)
    _put_private(copy, event.__pydantic_private__)
    return copy
