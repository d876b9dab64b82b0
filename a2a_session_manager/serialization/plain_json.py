"""Plain JSON to bytes and back: by pydantic, which is several times as fast as `json`, or by `json`, if need be.

Only `json` can write and read lone surrogates.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

_SPLIT_CHARACTER = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def dumped(value: Any) -> bytes:
    """Return `value` as bytes in UTF-8, or in ASCII with escapes when there is a lone surrogate in it."""
    try:
        return to_json(value)
    except (PydanticSerializationError, UnicodeEncodeError):
        return escaped(value)


def escaped(value: Any, *, allow_nan: bool = True) -> bytes:
    """Return JSON in ASCII, where a lone surrogate is an escape like any other, in keys and values."""
    text = json.dumps(value, default=to_jsonable_python, allow_nan=allow_nan, separators=(",", ":"))
    return text.encode("ascii")


def has_split_character(value: Any) -> bool:
    """Tell whether two surrogates of a pair are side by side: as escapes, they would be read back as one character."""
    text = json.dumps(value, default=to_jsonable_python, ensure_ascii=False)
    return _SPLIT_CHARACTER.search(text) is not None


def parsed(data: bytes) -> Any:
    """Return the value that `data` encodes. Raises ValueError when it is no JSON."""
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
