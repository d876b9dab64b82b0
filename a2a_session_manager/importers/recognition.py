"""Which format a file is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.importers import (
    a2a_tasks,
    chatgpt,
    claude_code,
    codex,
    langchain,
    openai_agents,
    openai_chat,
    pydantic_ai,
    release_0_1,
    responses,
    sharegpt,
)
from a2a_session_manager.importers.records import Record
from a2a_session_manager.importers.source import ImportFault, SourceFile

_LOOKED_AT: Final = 20
_MOST_LOOKED_AT: Final = 1_000_000
_MAGIC: Final = {
    b"PK\x03\x04": "a ZIP archive: unpack it, and import what is in it",
    b"\x1f\x8b": "compressed: uncompress it first",
    b"(\xb5/\xfd": "compressed: uncompress it first",
}


class Format(NamedTuple):
    """A format: its name, what it is, how it is told by a file's first values, and its reader."""

    name: str
    what: str
    is_mine: Callable[[Sequence[Any]], bool]
    read: Callable[[SourceFile], Iterator[Record]]


# Those with the plainer marks come later.
_IN_VALUES: Final = tuple(
    Format(module.NAME, module.WHAT, module.is_mine, module.read)
    for module in (
        release_0_1,
        chatgpt,
        claude_code,
        codex,
        a2a_tasks,
        pydantic_ai,
        langchain,
        sharegpt,
        responses,
        openai_chat,
    )
)
_SQLITE: Final = Format(openai_agents.NAME, openai_agents.WHAT, lambda values: False, openai_agents.read)
FORMATS: Final[Mapping[str, Format]] = {each.name: each for each in (*_IN_VALUES, _SQLITE)}


def known_formats() -> str:
    """Return the names of the formats, for an error."""
    return ", ".join(FORMATS)


def format_named(name: str) -> Format:
    """Return a format by its name. Raises InvalidSessionOperation for an unknown one."""
    if name not in FORMATS:
        raise InvalidSessionOperation(f"format={shown(name)} is unknown: take one of {known_formats()}")
    return FORMATS[name]


def recognised(source: SourceFile) -> Format | None:
    """Return the format of a file; None for an empty one, and for one that is JSON of no known format.

    Raises ImportFault for what is no JSON.
    """
    head = source.head(16)
    if head.startswith(openai_agents.MAGIC):
        return _SQLITE
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise source.fault(f"this is {what}")
    if not head.strip():
        return None
    values = _first_values(source)
    return next((each for each in _IN_VALUES if _is_of(each, values)), None)


def unknown(source: SourceFile) -> ImportFault:
    """Return the error for a file of no known format, which says what was seen."""
    if not source.head(64).strip():
        return source.fault("the file is empty")
    known = f"{known_formats()}, and bundles of this library, by import_bundle"
    return source.fault(
        f"its format is not recognised: it begins with {_seen(_first_values(source))}; known are {known}"
    )


def _is_of(format: Format, values: Sequence[Any]) -> bool:
    """Tell whether values are of a format, if need be with odd ones among them."""
    if not values or format.is_mine(values):
        return bool(values)
    return format.is_mine(values[:1]) and sum(format.is_mine([each]) for each in values) * 2 > len(values)


def _first_values(source: SourceFile) -> list[Any]:
    found: list[Any] = []
    weight = 0
    try:
        for value in islice(source.values(), _LOOKED_AT):
            found.append(value.data)
            weight += value.weight
            if weight > _MOST_LOOKED_AT:
                break
    except ImportFault:
        if not found:
            raise  # else, who reads it will say so
    return found


def _seen(values: Sequence[Any]) -> str:
    if not values:
        return "an empty array"
    first = values[0]
    if isinstance(first, Mapping):
        return f"an object with the keys {', '.join(shown(key) for key in list(first)[:8]) or '(none)'}"
    return f"a JSON value of the type {type(first).__name__}, {shown(first)}"
