"""Ages, sizes and properties as people write them on a command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def age_in(text: str) -> timedelta:
    """Return an age such as 90d, 12h or 30m; without a unit it is seconds. Raises InvalidSessionOperation."""
    return timedelta(seconds=_quantity(text, _SECONDS, "an age", "90d, 12h, 30m or 45s"))


def size_in(text: str) -> int:
    """Return a size such as 500MB or 2GiB in bytes. Raises InvalidSessionOperation."""
    return int(_quantity(text, _BYTES, "a size", "500MB, 2GiB or 1000000"))


def properties_in(texts: Sequence[str] | None, indexed: Sequence[str] | None = None) -> dict[str, Any]:
    """Return properties given as KEY=TEXT, or KEY:=VALUE for a number, true or false.

    Raises InvalidSessionOperation for anything else, and for a key that is not among those that are `indexed`.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key.strip(":") or not equals:
            raise InvalidSessionOperation(
                f"{shown(text)} is no property: write KEY=TEXT, or KEY:=VALUE for a number, true or false"
            )
        found[key.removesuffix(":")] = _json(text, value) if key.endswith(":") else value
    unknown = [key for key in found if indexed is not None and key not in indexed]
    if unknown:
        raise InvalidSessionOperation(
            f"sessions are not found by the property {shown(unknown[0])}: if the application has it in indexed=, say "
            "so with --indexed, or in A2A_SESSIONS_INDEXED"
        )
    return found


def _quantity(text: str, units: dict[str, int], what: str, such_as: str) -> float:
    match = _NUMBER.fullmatch(text.strip())
    unit = None if match is None else units.get(match[2].lower())
    if match is None or unit is None or len(text) > 20:
        raise InvalidSessionOperation(f"{shown(text)} is no {what.partition(' ')[2]}: write {what} such as {such_as}")
    return float(match[1]) * unit


def _json(text: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise InvalidSessionOperation(
            f"{shown(text)} has no JSON value after :=: write a number, true or false, or = for a text"
        ) from None
