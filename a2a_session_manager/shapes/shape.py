"""Shape: what is known of one message format; every format has one in a module of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from a2a_session_manager.shapes.normal_form import (
    Instruction,
    Json,
    Media,
    MediaKind,
    Message,
    Opaque,
    Other,
    Part,
    Role,
    Text,
)

# A message as JSON: with whatever keys the provider adds.
RawMessage: TypeAlias = dict[str, Any]
# Names what a format cannot hold, such as "reasoning" or "image"; the view's report says it.
Losses: TypeAlias = list[str]

ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "agent": "assistant",
    "tool": "tool",
    "function": "tool",
}

_DATA: Final = "data:"
_BASE64: Final = ";base64,"
_LONGEST_MIME_TYPE: Final = 300  # more is not looked through: the rest of a data URL is megabytes
_IMAGES: Final = {
    "iVBORw": "image/png",
    "/9j/": "image/jpeg",
    "_9j_": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
_OPENAI_FILES: Final = frozenset({"file", "input_file", "input_image"})
_KINDS: Final[Mapping[str, MediaKind]] = {"image": "image", "audio": "audio", "video": "video"}


def _as_it_is(message: RawMessage) -> RawMessage:
    return message


def _nothing(message: Mapping[str, Any]) -> Losses:
    return []


def _same(call_id: str) -> str:
    return call_id


@dataclass(frozen=True, slots=True)
class Shape:
    """A message format.

    Args:
        name: what the format is called here.
        is_mine: tells whether a JSON object is a message of this format, and not of another one as well.
        read: returns the normal form of such a message. It never raises: what it does not know becomes `Other`.
        write: returns a message of the normal form as messages of this format, mostly one, and adds to the list what
            of it the format cannot hold. Of a message that was read from this format, all comes back as it was, but for
            parts that were taken away: `write(read(m))` is `[m]`.
        joins_results: all results of one message's calls have to stand in one message.
        has_system_apart: the system's text goes beside the messages, and not among them.
        begins_with_user: the first message has to be the user's.
        alternates: two messages of one role must not follow each other.
        joins_answers: calls must not stand in a message of their own after one of the model's.
        splits_answers: one answer of a model may be several messages: its thoughts, its texts, and each call.
        refuses_blank_text: a text part must not be empty, also beside others.
        holds_results: a call's result stands in the message of the call: it is written by adding it there.
        as_id: returns a call's id as the format takes it, where it refuses some characters.
        as_input: returns a message of this format as it may be sent, without what a client dumps of an answer beside.
        names_results: a result has to name its tool, and not its call alone.
        signs_calls: a call may have a signature of Gemini's, whatever format it comes from.
        unread: names what a message of this format holds that is in none of its parts, so that no other format gets it.
    """

    name: str
    is_mine: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], Message]
    write: Callable[[Message, Losses], list[RawMessage]]
    joins_results: bool = False
    has_system_apart: bool = False
    begins_with_user: bool = False
    alternates: bool = False
    joins_answers: bool = False
    splits_answers: bool = False
    refuses_blank_text: bool = False
    names_results: bool = False
    holds_results: bool = False
    signs_calls: bool = False
    as_id: Callable[[str], str] = _same
    as_input: Callable[[RawMessage], RawMessage] = _as_it_is
    unread: Callable[[Mapping[str, Any]], Losses] = _nothing


def role_named(name: Any) -> Role:
    """Return the role that a provider's name for it means; "other" for one that nobody knows."""
    return ROLES.get(name, "other") if isinstance(name, str) else "other"


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the objects in a list; nothing for what is no list."""
    for item in value if isinstance(value, list | tuple) else ():
        if isinstance(item, Mapping):
            yield item


def parts_of(content: Any, read_part: Callable[[Mapping[str, Any]], Part], text: Callable[[str], Part]) -> list[Part]:
    """Return content that is a text, a list of parts, or anything else, which is kept as `Other`."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text(content)]
    if not isinstance(content, list | tuple):
        return [Other(content)]
    return [
        read_part(each) if isinstance(each, Mapping) else text(each) if isinstance(each, str) else Other(each)
        for each in content
    ]


def value_of(arguments: Any) -> Any:
    """Return the JSON value that text holds, or the text itself where it holds none; other values as they are."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return arguments


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def text_for(value: Any) -> str:
    """Return text as it is, and any other JSON value as JSON text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def text_said(part: Part) -> str | None:
    """Return the text that a model reads of a part; None for a picture, a call, a thought, or a result."""
    if isinstance(part, Text | Instruction | Media):
        return part.text
    if isinstance(part, Json):
        return text_for(part.value)
    return text_for(part.raw) if isinstance(part, Other) else None


def text_or_none(value: Any) -> str | None:
    """Return a text that is not empty; None for anything else."""
    return value if isinstance(value, str) and value else None


def id_or_none(value: Any) -> str | None:
    """Return an id as text, as it is compared: some servers number their calls. None for what is no id."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_or_none(value)


def type_of(part: Mapping[str, Any]) -> str | None:
    """Return what a part calls its own type; None for nothing, "" for what is no text."""
    kind = part.get("type")
    return kind if isinstance(kind, str) or kind is None else ""


def media_at(
    url: Any, kind: MediaKind, mime_type: str | None = None, name: str | None = None, raw: Any = None
) -> Media:
    """Return the media at a URL; one whose URL is a data URL has its base64 in `data`."""
    if isinstance(url, str) and url.startswith(_DATA):
        end = url.find(_BASE64, len(_DATA), _LONGEST_MIME_TYPE)
        if end >= 0:
            return Media(kind, url[len(_DATA) : end] or mime_type, url[end + len(_BASE64) :], name=name, raw=raw)
    return Media(kind, mime_type, url=text_or_none(url), name=name, raw=raw)


def data_url(media: Media) -> str | None:
    """Return the URL of media; a data URL where its base64 is here."""
    if media.data is None:
        return media.url
    return f"{_DATA}{image_type(media) or 'application/octet-stream'}{_BASE64}{base64_of(media)}"


def is_openai_file(media: Media) -> bool:
    """Tell whether media stand for a file that was uploaded to OpenAI: it does not know others' ids."""
    if media.url is None or "://" in media.url or media.url.startswith(_DATA):
        return False
    return not isinstance(media.raw, Mapping) or media.raw.get("type") in _OPENAI_FILES


def base64_of(media: Media) -> str | None:
    """Return the base64 of media in the standard alphabet: what pydantic dumped is in the one for URLs."""
    data = media.data
    return data.replace("-", "+").replace("_", "/") if data and ("-" in data or "_" in data) else data


def media_kind(mime_type: Any) -> MediaKind:
    """Return what kind of media a MIME type names; a file for all that is no picture, sound or film."""
    return _KINDS.get(mime_type.partition("/")[0], "file") if isinstance(mime_type, str) else "file"


def image_type(media: Media) -> str | None:
    """Return the MIME type of a picture; what its base64 begins with tells it where nothing else does."""
    if media.mime_type is not None or media.data is None:
        return media.mime_type
    return next((kind for start, kind in _IMAGES.items() if media.data.startswith(start)), None)


def content_again(content: Any, parts: Sequence[Part], write: Callable[[Part], list[RawMessage]]) -> Any:
    """Return a message's content without the items that none of `parts` was read from, and with the parts added to it.

    It comes in the order of the parts, and is the content itself where nothing has changed.

    Args:
        content: the items that the parts were read from, or a single one.
        parts: what is to be in the content. `Opaque` is not written: it is a mark on an item, or one of them.
        write: returns the items for a part that was added.
    """
    items = content if isinstance(content, list | tuple) else [] if content is None else [content]
    own = {id(item) for item in items}
    made: list[Any] = []
    for part in parts:
        if id(part.raw) in own and (part.raw is not None or isinstance(part, Other)):
            if not made or made[-1] is not part.raw or not isinstance(part.raw, Mapping):  # one item, several parts
                made.append(part.raw)
        elif not isinstance(part, Opaque):
            made += write(part)
    is_whole = len(made) == len(items) and all(one is other for one, other in zip(made, items, strict=True))
    return content if is_whole else made


def kept_in(items: Any, parts: Sequence[Part]) -> list[Any]:
    """Return those of `items` that some part was read from: the others were taken out of the message."""
    kept = {id(part.raw) for part in parts}
    return [each for each in items if id(each) in kept]


def id_made_of(message: RawMessage) -> str:
    """Return an id for a message of a format that demands one, made of what it says: a view has no ids of its own."""
    text = json.dumps(message, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
