"""Plain JSON to bytes and back: pydantic's way, several times as fast as `json`, which alone knows lone surrogates."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

_SPLIT_CHARACTER = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def dumped(value: Any) -> bytes:
    """Return `value` as bytes; a lone surrogate, which UTF-8 has not, as an ASCII escape."""
    try:
        return to_json(value)
    except (PydanticSerializationError, UnicodeEncodeError):
        return escaped(value)


def escaped(value: Any, *, allow_nan: bool = True) -> bytes:
    """Return JSON in ASCII, where a lone surrogate is an escape like any other, in a key as in a value."""
    text = json.dumps(value, default=to_jsonable_python, allow_nan=allow_nan, separators=(",", ":"))
    return text.encode("ascii")


def has_split_character(value: Any) -> bool:
    """Tell whether two surrogates stand side by side somewhere: as escapes, they would come back as one character."""
    text = json.dumps(value, default=to_jsonable_python, ensure_ascii=False)
    return _SPLIT_CHARACTER.search(text) is not None


def parsed(data: bytes) -> Any:
    """Return the value in `data`. Raises ValueError where there is none."""
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
