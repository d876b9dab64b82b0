"""Values to JSON bytes: checked first, and encoded in a thread when they are heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic_core import PydanticSerializationError, to_json

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.serialization.json_check import JsonCheck, SizeCheck, TooHeavy
from a2a_session_manager.serialization.plain_json import escaped, has_split_character

EncodedT = TypeVar("EncodedT")


def encode_value(value: Any, check: JsonCheck, *path: str) -> bytes:
    """Return a state value or a property as JSON bytes. Raises InvalidEvent with the `path` of what is no JSON."""
    plain = check.check(value, *path)
    try:
        return to_json(plain)
    except (PydanticSerializationError, UnicodeEncodeError):
        return escaped_whole(plain, str(path[0]))


async def inline_or_thread(
    encode: Callable[[JsonCheck], EncodedT],
    limits: StoreLimits,
    heavy_check: JsonCheck | None = None,
    *,
    values_beside: int = 0,
) -> EncodedT:
    """Return `encode(check)`: on the event loop for a light payload, in a thread for one that would hold it up.

    In the thread, `heavy_check` is used. By default that is one that refuses what is over the limits before it is
    encoded. `values_beside` is how many values' time `encode` takes for all that it does beside its payloads.
    """
    try:
        return encode(JsonCheck(limits.inline_bytes - values_beside * JsonCheck.VALUE_WEIGHT))
    except TooHeavy:
        return await in_thread(encode, heavy_check or SizeCheck(limits.event_bytes))


def escaped_whole(value: Any, what: str) -> bytes:
    """Return JSON in ASCII. Raises InvalidEvent, which names `what`, for a surrogate pair in two halves."""
    if has_split_character(value):
        raise InvalidEvent(
            f"{what}: one character stands in two halves, which would come back as one: "
            "join them with text.encode('utf-16', 'surrogatepass').decode('utf-16', 'surrogatepass')",
            path=what,
        )
    return escaped(value)
