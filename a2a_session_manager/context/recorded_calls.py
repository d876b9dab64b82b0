"""Which recorded call a result belongs to, and the result in the format of its call."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.context.matching import Matching
from a2a_session_manager.context.messages import ChatMessage
from a2a_session_manager.context.prompt import said_in
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.context.tools import result_message
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import ReadableStore
from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.normal_form import Call, Json, Message, Part, Result, Text
from a2a_session_manager.shapes.recognition import BY_NAME, read_message
from a2a_session_manager.shapes.shape import Losses, value_of

# How far back a call is looked for at first.
_SEARCHED: Final = 50


class CallSought(NamedTuple):
    """What is known of a call that a result is for. `arguments` are JSON text; None where they were left out."""

    call_id: str
    name: str
    arguments: str | None
    run_id: str | None


class RecordedCall(NamedTuple):
    """A call that is stored, and the name of its message's shape."""

    call: Call
    shape: str


async def recorded_call(store: ReadableStore, session: Session[Any], sought: CallSought) -> RecordedCall | None:
    """Return the newest call of this id that waits for its result; None when there is none.

    It is looked for among the newest events, and in the whole conversation when the arguments were left out, or when it
    is not sure which call a result there answers. Raises SessionNotFound.
    """
    recent = await newest_messages(store, session, last=_SEARCHED)
    matching = Matching(said_in(recent.messages), has_earlier=bool(recent.earlier_events)).finish()
    found = _waiting(matching, sought)
    is_all = not recent.earlier_events or (sought.arguments is not None and not matching.is_doubtful)
    if found is not None or is_all:
        return found
    everything = await newest_messages(store, session, last=None)
    return await in_thread(lambda: _waiting(Matching(said_in(everything.messages)).finish(), sought))


def result_of(recorded: RecordedCall, name: str, content: str | list[Any], *, is_json: bool) -> ChatMessage:
    """Return a result as the format of its call has it.

    One that the format cannot hold as a whole is written in the chat format, which keeps all of it.

    Args:
        name: the tool's, for a format that wants it.
        content: a text, or content parts.
        is_json: the text is that of a JSON value.
    """
    call, shape = recorded.call, BY_NAME[recorded.shape]
    if shape.name != openai_chat.NAME and call.id is not None:
        losses: Losses = []
        result = Result(call.id, call.name or name, _parts(content, is_json), kind=call.kind)
        written = shape.write(Message("tool", (result,), shape.name), losses)
        if len(written) == 1 and not losses:
            return written[0]
    return result_message(name, content, call.id or name)


def stored_as(message: Any) -> RecordedCall | None:
    """Return the call that a stored result answers, as far as the result tells; None for what is no result."""
    read = read_message(message) if isinstance(message, dict) else None
    result = next((part for part in read.parts if isinstance(part, Result)), None) if read is not None else None
    if read is None or result is None:
        return None
    return RecordedCall(Call(result.call_id, result.name or "", kind=result.kind), read.shape)


def _waiting(matching: Matching, sought: CallSought) -> RecordedCall | None:
    calls = [each for each in matching.waiting_calls() if each.call.id == sought.call_id]
    calls = [each for each in calls if _is_same(each.call, sought)]
    own = [each for each in calls if each.run_id == sought.run_id]
    if not own and sought.arguments is not None:
        # Two runs whose server counts its calls from 0 mean two calls by one id.
        calls = [each for each in calls if each.run_id is None or sought.run_id is None]
    newest = (own or calls)[-1:]
    return RecordedCall(newest[0].call, matching.read[newest[0].at].shape) if newest else None


def _is_same(call: Call, sought: CallSought) -> bool:
    """Tell whether a call is the one that is sought, where its arguments tell: servers count their calls from 0."""
    if sought.arguments is None or call.kind is not None:
        return True
    one, other = value_of(call.arguments), value_of(sought.arguments)
    return call.name == sought.name and (one == other or not (one or other))


def _parts(content: str | list[Any], is_json: bool) -> tuple[Part, ...]:
    if not isinstance(content, str):
        return read_message({"role": "user", "content": content}).parts
    return (Json(value_of(content)),) if is_json else (Text(content),)
