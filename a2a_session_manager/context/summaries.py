"""What a summariser returns, as the messages of a summary and the usage of making it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.client_objects import plain_message, plain_parts
from a2a_session_manager.shapes.normal_form import Call, Message, Opaque, Part, Result, is_blank, text_of
from a2a_session_manager.shapes.recognition import read_message, shape_of
from a2a_session_manager.shapes.shape import RawMessage
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

_USAGES: Final = ("usage", "usage_metadata", "usageMetadata")
# Where the messages of a whole reply are: OpenAI's chat, Responses, Gemini.
_REPLIES: Final = ("choices", "output", "candidates")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a summariser returns that knows more than the text.

    Args:
        content: a text, a message, several, or a client's whole reply.
        usage: what the request used that made it, as `assistant` takes it.
        model: the name of the model; a usage is priced and summed under it.
        provider: who served the model; see `usage_from`.
        method: how it was made, in a word of your own. It is stored with the summary.
    """

    content: Any
    usage: object = None
    model: str | None = None
    provider: str | None = None
    method: str = "summary"


# Gets what is to be summarised, as messages that a model takes.
Summarizer: TypeAlias = Callable[[MessageView], Awaitable[object] | object]


class Summarised(NamedTuple):
    """A summary as it is stored."""

    messages: list[RawMessage]
    usage: TokenUsage | None
    method: str


def summarised(answer: object) -> Summarised:
    """Return what a summariser's answer says. Raises InvalidSessionOperation for one that says nothing.

    A text, and what a model says of its own, speak as the user, for a view must not begin with an answer, and nobody
    but the system speaks with its authority. What a provider has made for itself alone stays as it came.
    """
    told = answer if isinstance(answer, Summary) else Summary(answer)
    if not isinstance(told.method, str):
        raise InvalidSessionOperation(f"method={shown(told.method)} is no word; nothing was written")
    messages = _speaking(list(_messages_in(told.content)))
    read = list(map(read_message, messages))
    if any(isinstance(part, Call) and not part.is_hosted for each in read for part in each.parts):
        raise InvalidSessionOperation("the summariser calls a tool: let it answer with a text; nothing was written")
    if any(isinstance(part, Result) and not part.is_hosted for each in read for part in each.parts):
        raise InvalidSessionOperation(
            "the summariser answers with a tool's result, which no view shows without its call: let it answer with a "
            "text; nothing was written"
        )
    if all(map(is_blank, read)):
        raise InvalidSessionOperation(
            f"the summariser answered nothing: {shown(answer)}: let it return a text, messages, a client's reply, or a "
            "Summary of these; nothing was written"
        )
    return Summarised(messages, _usage_of(told), told.method)


def _messages_in(content: Any) -> Iterator[RawMessage]:
    """Yield the messages that a summariser's answer holds."""
    if content is None or isinstance(content, str):
        yield from [{"role": "user", "content": content}] if content else []
        return
    for name in _REPLIES:
        found = _field(content, name)
        if isinstance(found, list | tuple) and found:
            yield from _messages_in(found if name == "output" else _of_a_choice(found[0]))
            return
    if isinstance(content, Sequence):
        for each in content:
            yield from _messages_in(each)
    elif isinstance(content, Mapping):
        if not isinstance(content.get("role"), str) and shape_of(content) is None:
            raise _no_summary(content)
        yield dict(plain_parts(content))
    else:
        yield _plain(content)


def _of_a_choice(choice: Any) -> Any:
    found = (_field(choice, name) for name in ("message", "content"))
    return next((each for each in found if each is not None), None)


def _plain(item: object) -> RawMessage:
    try:
        message = plain_message(item)
    except InvalidEvent as error:
        raise InvalidSessionOperation(f"the summariser's answer: {error}; nothing was written") from error
    if message is None:
        raise _no_summary(item)
    return message


def _no_summary(item: object) -> InvalidSessionOperation:
    return InvalidSessionOperation(
        f"the summariser answered what is no summary: {shown(item)}: let it return a text, messages, a client's reply, "
        "or a Summary of these; nothing was written"
    )


def _speaking(messages: list[RawMessage]) -> list[RawMessage]:
    """Return what a model alone has said as what the user says; all else as it is."""
    read = list(map(read_message, messages))
    if not read or any(each.role != "assistant" or any(map(_is_providers, each.parts)) for each in read):
        return messages
    return [{"role": "user", "content": "\n\n".join(filter(None, map(_text_of, read)))}]


def _text_of(message: Message) -> str:
    if any(isinstance(part, Call) and not part.is_hosted for part in message.parts):
        raise InvalidSessionOperation("the summariser calls a tool: let it answer with a text; nothing was written")
    return text_of(message.parts).strip()


def _is_providers(part: Part) -> bool:
    """Tell whether a part is what a provider makes of a history that it has compacted itself."""
    raw = part.raw
    return isinstance(part, Opaque) or (isinstance(raw, Mapping) and str(raw.get("type")).startswith("compaction"))


def _usage_of(told: Summary) -> TokenUsage | None:
    if told.usage is not None:
        return recorded_usage(told.usage, model=told.model, provider=told.provider)
    content = told.content
    is_reply = not isinstance(content, str | Sequence) and any(_field(content, each) is not None for each in _USAGES)
    if is_reply:
        return recorded_usage(content, model=told.model, provider=told.provider)
    return None if told.model is None else missing_usage(told.model, told.provider)


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
