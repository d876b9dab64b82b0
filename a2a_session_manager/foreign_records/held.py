"""Held: a message as a foreign record holds it, and what the record says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from a2a_session_manager.shapes.shape import RawMessage


class Held(NamedTuple):
    """A message that a record holds, of a shape that is known, or with a role.

    `usage` is what a usage is to be read from, such as the whole reply, and `model` who answered; None for nothing.
    `id` and `time` are the record's own: a number counts seconds since 1970.
    """

    message: RawMessage
    usage: Any = None
    model: str | None = None
    id: str | None = None
    time: str | float | None = None


def held_all(messages: Any) -> Iterator[Held]:
    """Yield the objects among `messages`; nothing for what is no list."""
    for message in messages if isinstance(messages, list | tuple) else ():
        if isinstance(message, Mapping):
            yield Held(dict(message))


def text_of(value: Any) -> str | None:
    """Return a text that is not empty; None for anything else."""
    return value if isinstance(value, str) and value else None


def joined_texts(parts: Iterable[Any]) -> str:
    """Return the texts among `parts`, one a line."""
    return "\n".join(part for part in parts if isinstance(part, str))
