"""The normal form of a message: who speaks, and in parts what is said. Rules and counts are written over it alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

# "tool" is a message of nothing but results; "other" a role that no shape knows, such as "critic".
Role: TypeAlias = Literal["system", "user", "assistant", "tool", "other"]
MediaKind: TypeAlias = Literal["image", "audio", "video", "file"]

# Named tuples: a prompt has thousands, and they take a third of the time of dataclasses. `raw` of a part is what it was
# read from: its shape writes it again as it came.


class Text(NamedTuple):
    """Text that is said. `signature` is what Gemini signs it with, where another format keeps that."""

    text: str
    raw: Any = None
    signature: str | None = None


class Instruction(NamedTuple):
    """Text of the system inside of a message that says other things too."""

    text: str
    raw: Any = None


class Reasoning(NamedTuple):
    """What a model thought. `text` may be empty, where the provider keeps it to itself; a signature is in `raw`.

    `signer` says whose the signature is, where that is known and the rest of the part looks like another provider's.
    """

    text: str
    raw: Any = None
    signer: str | None = None


class Media(NamedTuple):
    """A picture, sound, film or file.

    It comes as base64 in `data`, at a `url` (a provider's id of an uploaded file counts as one), or as `text`.
    """

    kind: MediaKind
    mime_type: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    text: str | None = None
    raw: Any = None


class Json(NamedTuple):
    """A JSON value that a model reads as JSON text, such as the object that a tool returned."""

    value: Any
    raw: Any = None


class Call(NamedTuple):
    """A call of a tool.

    `id` is None where the shape has none: then its result goes by the name. `arguments` are as the shape has them: a
    JSON value, or its text. A hosted tool is run by the provider, which brings the result: nobody else is to answer it.
    `kind` says what kind of tool it is, where a format tells kinds apart, such as "custom": the result is of it too.
    `signature` is what Gemini signs the thought with that led to the call: it refuses the call without.
    """

    id: str | None
    name: str
    arguments: Any = None
    is_hosted: bool = False
    kind: str | None = None
    raw: Any = None
    signature: str | None = None


class Result(NamedTuple):
    """What a tool answered to the call that `call_id` names, or `name` where there is no id."""

    call_id: str | None
    name: str | None
    content: tuple[Part, ...] = ()
    is_error: bool = False
    is_hosted: bool = False
    kind: str | None = None
    raw: Any = None


class Opaque(NamedTuple):
    """What only its own provider can read, such as a history that it has compacted; `what` says what it is."""

    what: str
    raw: Any = None


class Other(NamedTuple):
    """What the shape does not know. It is kept as it came, counted as JSON text, and reported."""

    raw: Any


Part: TypeAlias = Text | Instruction | Reasoning | Media | Json | Call | Result | Opaque | Other


class Message(NamedTuple):
    """A message: `shape` is the name of the format that it was read from, `raw` the message itself.

    A message that was made here, and not read, has no `raw`, and its shape says nothing.
    """

    role: Role
    parts: tuple[Part, ...]
    shape: str = ""
    name: str | None = None
    raw: Any = None


UNKNOWN_SHAPE: Final = "unknown"

_BY_ITSELF: Final = {Instruction: "system", Result: "tool"}


def split(message: Message) -> list[Message]:
    """Return a message as several that each speak in one role: instructions, results, and what else is said, in order.

    Hosted results stay beside their calls. Results that stand beside what a user says come first, as nothing may stand
    between a call and its result.
    """
    found: list[Message] = []
    parts = message.parts
    if message.role != "assistant":
        parts = tuple(sorted(parts, key=lambda part: not isinstance(part, Result)))
    for part in parts:
        role: Any = message.role if isinstance(part, Result) and part.is_hosted else _BY_ITSELF.get(type(part))
        role = role or ("assistant" if message.role == "assistant" else _without_results(message.role))
        if found and found[-1].role == role:
            found[-1] = found[-1]._replace(parts=(*found[-1].parts, part))
        else:
            found.append(message._replace(role=role, parts=(part,), raw=None))
    return [message] if len(found) <= 1 else found


def is_blank(message: Message) -> bool:
    """Tell whether a message says nothing: no part, or none but empty text and white space."""
    return all(isinstance(part, Text | Instruction) and not part.text.strip() for part in message.parts)


def text_of(parts: Sequence[Part], separator: str = "\n") -> str:
    """Return the texts among `parts`; media, calls and thoughts are not among them."""
    return separator.join(part.text for part in parts if isinstance(part, Text | Instruction))


def _without_results(role: Role) -> Role:
    return "user" if role == "tool" else role
