"""Plain JSON to bytes and back: pydantic's way, several times as fast as `json`, which alone knows lone surrogates."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json


def dumped(value: Any) -> bytes:
    """Return `value` as bytes; a lone surrogate, which UTF-8 has not, as an ASCII escape."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, separators=(",", ":")).encode()


def parsed(data: bytes) -> Any:
    """Return the value in `data`. Raises ValueError where there is none."""
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
