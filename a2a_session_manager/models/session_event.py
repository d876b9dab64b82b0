"""SessionEvent: one recorded thing in a session, frozen from the moment it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Self, cast

from pydantic import AwareDatetime, ConfigDict, Field
from typing_extensions import TypeVar

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import Identifier, new_id
from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.counted_response import AddedUsage, CountedResponse, counted_again
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.fields_set import SharedFieldsSet, put_extra, put_fields_set, put_private
from a2a_session_manager.models.token_summary import SummedUsage
from a2a_session_manager.models.token_usage import TokenUsage, tells_context
from a2a_session_manager.tokens.counting import TokenCounter

MessageT = TypeVar("MessageT", default=Any)
# The key in the metadata of an event of a copy that says, with false, that its usage was spent elsewhere. Users have
# metadata of their own: it is a key that nobody takes by chance.
COUNTED: Final = "a2a_session_manager.counted"

# By the id of the response; of one that has a single usage that alone, which takes no time.
_Counted = dict[str, TokenUsage | CountedResponse]


class SessionEvent(SharedFieldsSet, Generic[MessageT]):
    """An event of a session's log.

    A change inside the payload of a stored event is not seen by `save`: append a new event instead.

    Attributes:
        id: unique in its session; a random one unless given. Appending the same id again changes nothing.
        message: any JSON value, or a pydantic model if it can be read back as an equal one. A read returns plain JSON,
            or models of M where it asked for `message_type=M`.
        source, type: who the event comes from, and what it records.
        timestamp: when the event was made. It orders nothing.
        task_id: the id of the run that the event belongs to.
        metadata: JSON values under string keys, for whatever else is to be known.
        token_usage: the usage of the model request that the event comes from.
        seq: the event's number in its session, 1, 2, 3 …, given by the store; None before it is stored.
        retracted: whether the event is hidden from the default view.
        restored: whether `restore` or `follow` tells with it that the event is visible again. It is never stored, and
            False wherever an event is read.
        is_repeat: whether a write brought the id again. Then this is the event that was stored before under it.
        message_error: why a stored message did not fit the `message_type` that a read asked for, and so is plain JSON.
            It is never stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier = Field(default_factory=new_id)
    # It is not `MessageT | None`, so that code may read `event.message["content"]` without a check for None.
    message: MessageT = cast("Any", None)
    source: EventSource = EventSource.LLM
    # Left to right, so that a known type becomes its EventType and any other string stays.
    type: EventType | str = Field(default=EventType.MESSAGE, union_mode="left_to_right")
    timestamp: AwareDatetime = Field(default_factory=utc_now)
    task_id: Identifier | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    token_usage: TokenUsage | None = None
    seq: int | None = None
    retracted: bool = False
    restored: bool = False
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

        When the provider has reported a usage, make the event with that as `token_usage` instead.

        Args:
            message: the event's payload.
            prompt: the request, as text or chat messages.
            completion: the answer's text; None when there is none.
            model: the model's name, which decides about the tokenizer and the price.
            counter: counts the tokens in place of the library's own TiktokenCounter.
            fields: further fields of the event.
        """
        event = cls(message=message, **fields)
        counted = await TokenUsage.from_text(prompt, completion, model, counter=counter)
        return event.model_copy(update={"token_usage": await counted.priced_at(event.timestamp)})

    def __setattr__(self, name: str, value: Any) -> None:
        raise InvalidSessionOperation(
            f"event {self.id!r} is frozen, {name!r} cannot be set: append a new event and retract this one"
        )


def counts(metadata: Mapping[str, Any]) -> bool:
    """Tell whether the usage of an event with this metadata is spent where it is; a copy's was spent elsewhere."""
    return metadata.get(COUNTED) is not False


def names_responses(events: Iterable[SessionEvent[Any]]) -> bool:
    """Tell whether an event has a usage that says which response it is of."""
    return any(event.token_usage is not None and event.token_usage.response_id is not None for event in events)


def spent_by(
    events: Iterable[SessionEvent[Any]], before: Iterable[SessionEvent[Any]] = ()
) -> Iterator[tuple[SummedUsage, str, str | None]]:
    """Yield the usage of each event that has one, with the event's source and run, for TokenSummary.plus_all.

    Of a response that an earlier one of them has a usage of, or one of the events `before`, only what exceeds that.
    """
    counted: _Counted | None = None
    for event in events:
        usage = event.token_usage
        if usage is None:
            continue
        spent: SummedUsage = usage
        if usage.response_id is not None:
            counted = _counted_in(before) if counted is None else counted
            spent = _counted_once(usage, usage.response_id, counted)
        if not counts(event.metadata):
            continue
        yield spent, event.source.value, event.task_id


def _counted_in(events: Iterable[SessionEvent[Any]]) -> _Counted:
    counted: _Counted = {}
    for event in events:
        usage = event.token_usage
        if usage is not None and usage.response_id is not None:
            _counted_once(usage, usage.response_id, counted)
    return counted


def _counted_once(usage: TokenUsage, response_id: str, counted: _Counted) -> SummedUsage:
    """Return what `usage` adds to what is `counted` by the id of the response, and count it there."""
    before = counted.setdefault(response_id, usage)
    if before is usage:
        return usage
    if isinstance(before, TokenUsage):
        before = CountedResponse(before.model, before.counters())
    added, counted[response_id] = counted_again(before, usage.model, usage.counters())
    return AddedUsage(usage.model, added)


def decides_context(event: SessionEvent[Any]) -> bool:
    """Tell whether an event decides how full a model's context is: by its usage, or because it has emptied it.

    What a compaction has used says nothing of what the next request will take, nor has what was refused.
    """
    if event.type == EventType.USAGE:
        return False
    return tells_context(event.token_usage) or compaction_in(event.type, event.metadata) is not None


def with_seq(
    event: SessionEvent[MessageT],
    seq: int,
    *,
    retracted: bool = False,
    restored: bool = False,
    is_repeat: bool = False,
) -> SessionEvent[MessageT]:
    """Return a copy of `event` with its place in the log; the original stays as it is."""
    # This is model_copy(update=…) made faster, since every append calls it. Parts of frozen events may be shared.
    copy: SessionEvent[MessageT] = object.__new__(type(event))
    fields = copy.__dict__
    fields.update(event.__dict__)
    fields["seq"] = seq
    fields["retracted"] = retracted
    fields["restored"] = restored
    fields["is_repeat"] = is_repeat
    put_fields_set(copy, event.__pydantic_fields_set__)
    put_extra(copy, event.__pydantic_extra__)
    put_private(copy, event.__pydantic_private__)
    return copy
