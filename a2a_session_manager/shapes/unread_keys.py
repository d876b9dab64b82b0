"""What of a message is in none of its parts: the keys that a format's reader passes over, where they say something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from a2a_session_manager.shapes.shape import Losses

# The keys of an object that are read, each with what is read of its value. None stands for all of it, or for an object
# that conversions name as a whole where they lose it. A function tells what is read of one object, or one in a list.
Reads: TypeAlias = "Mapping[str, Reads] | Callable[[Mapping[str, Any]], Mapping[str, Reads] | None] | None"

# What an answer cites, as providers name it beside the answer.
_SOURCES: Final = frozenset(
    {"groundingmetadata", "citationmetadata", "urlcontextmetadata", "citations", "annotations", "searchresults"}
)
_NOTHING: Final[tuple[Any, ...]] = (None, "")


def keys(*names: str, **inner: Reads) -> dict[str, Reads]:
    """Return keys of which all is read, and some of which more is told."""
    return {**dict.fromkeys(names), **inner}


def by_type(tables: Mapping[str, Reads], key: str = "type") -> Any:
    """Return what is read of an object of one of several types; one of another type is read as a whole."""

    def reads(given: Mapping[str, Any]) -> Any:
        kind = given.get(key)
        found = tables.get(kind) if isinstance(kind, str) else None
        return found(given) if callable(found) else found

    return reads


def about_answer(given: Mapping[str, Any]) -> Mapping[str, Reads]:
    """Return what is read of an object about an answer as a whole: all but what the answer was made of."""
    return keys(*(key for key in given if key.lower().replace("_", "") not in _SOURCES))


def unread(given: Any, reads: Reads, path: str = "") -> Losses:
    """Return the paths of the keys, in an object or the objects of a list, under which something stands unread."""
    if isinstance(given, list | tuple):
        return [name for each in given for name in unread(each, reads, path)]
    if not isinstance(given, Mapping):
        return []
    known = reads(given) if callable(reads) else reads
    if known is None:
        return []
    found: Losses = []
    for key, value in given.items():
        name = f"{path}.{key}" if path else str(key)
        if key in known:
            found += unread(value, known[key], name)
        elif not is_empty(value):
            found.append(name)
    return found


def is_empty(value: Any) -> bool:
    """Tell whether a value says nothing, as most keys do that clients dump of an answer."""
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_empty, value))
    return value is False or value in _NOTHING
