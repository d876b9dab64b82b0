"""What callers hand in where a verb or a change takes numbers, texts and lists: checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown

# Larger ones mean all: no session has as many events, and every store can count so far.
MOST = 2**53 - 1


def whole_number(name: str, value: Any) -> int:
    """Return `value` if it is a whole number of 0 or more, at most MOST of it.

    Raises InvalidSessionOperation, for True and False as well.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSessionOperation(f"{name}={shown(value)} is no whole number: take 0 or more")
    if value < 0:
        raise InvalidSessionOperation(f"{name}={shown(value)} cannot be negative: take 0 or more")
    return min(value, MOST)


def limit(name: str, value: Any) -> int | None:
    """Return a limit, None for no limit; see whole_number."""
    return None if value is None else whole_number(name, value)


def text(name: str, value: Any) -> str:
    """Return `value` if it is a text that an id may begin with. Raises InvalidSessionOperation."""
    if not isinstance(value, str):
        raise InvalidSessionOperation(f"{name}={shown(value)} is no text: take a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidSessionOperation(
            f"{name}={shown(value)} holds a lone surrogate, which no id has: take valid Unicode"
        ) from None
    return value


def cursor(value: Any) -> str | None:
    """Return the cursor of a page, None for the start. Raises InvalidSessionOperation for what no page gave."""
    return None if value is None else text("cursor", value)


def items(name: str, value: Any) -> Sequence[Any]:
    """Return several things as a sequence: what can be read once only is read here. Raises InvalidSessionOperation."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, str):
        raise InvalidSessionOperation(f"{name}={shown(value)} is one text: pass a list")
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes | BaseModel):
        raise InvalidSessionOperation(f"{name} is a {type(value).__name__}: pass a list")
    return list(value)


def values(name: str, value: Any) -> dict[str, Any]:
    """Return values by key, as a copy. Raises InvalidSessionOperation."""
    if not isinstance(value, Mapping):
        raise InvalidSessionOperation(f"{name} is a {type(value).__name__}: pass a dict")
    return dict(value)
