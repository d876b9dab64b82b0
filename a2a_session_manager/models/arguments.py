"""Checks of the numbers, texts and lists that callers pass to verbs and changes, made before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown

# A larger number means all: no session has that many events, and every store can count up to it.
MOST = 2**53 - 1


def whole_number(name: str, value: Any) -> int:
    """Return `value`, or MOST if it is larger. Raises InvalidSessionOperation unless it is a whole number from 0 on.

    True and False are refused as well.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSessionOperation(f"{name}={shown(value)} is no whole number: take 0 or more")
    if value < 0:
        raise InvalidSessionOperation(f"{name}={shown(value)} cannot be negative: take 0 or more")
    return min(value, MOST)


def limit(name: str, value: Any) -> int | None:
    """Return a limit, or None for no limit. Raises what whole_number raises."""
    return None if value is None else whole_number(name, value)


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False. Raises InvalidSessionOperation otherwise."""
    if not isinstance(value, bool):
        raise InvalidSessionOperation(f"{name}={shown(value)} is neither True nor False")
    return value


def text(name: str, value: Any) -> str:
    """Return `value` if an id may begin with it; it may be empty. Raises InvalidSessionOperation otherwise."""
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
    """Return the cursor of a page, None for the start. Raises InvalidSessionOperation for what cannot be a cursor."""
    return None if value is None else text("cursor", value)


def items(name: str, value: Any) -> Sequence[Any]:
    """Return `value` as a sequence; an iterator is read to its end. Raises InvalidSessionOperation for one thing."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, str):
        raise InvalidSessionOperation(f"{name}={shown(value)} is one text: pass a list")
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes | BaseModel):
        raise InvalidSessionOperation(f"{name} is a {type(value).__name__}: pass a list")
    return list(value)


def values(name: str, value: Any) -> dict[str, Any]:
    """Return a mapping as a dict of its own. Raises InvalidSessionOperation for anything else."""
    if not isinstance(value, Mapping):
        raise InvalidSessionOperation(f"{name} is a {type(value).__name__}: pass a dict")
    return dict(value)
