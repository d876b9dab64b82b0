"""Values of channels as JSON: plain ones as they are, others as the bytes that the saver's serializer makes."""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.identifiers import derived_id

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.base import SerializerProtocol

Encoded = dict[str, Any]
_DEEPEST: Final = 40
# The messages of which all that is encoded lies in their fields.
_MESSAGES: Final = "langchain_core.messages."
# What LangGraph's serializer gives a form of its own is left to it.
_PLAIN_ALONE: Final = (
    ormsgpack.OPT_NON_STR_KEYS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)


class Encoder:
    """Encodes with a serializer; one that is not LangGraph's own, such as one that encrypts, is never gone around."""

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        self._takes_plain = type(serde) is JsonPlusSerializer

    def encode(self, value: Any) -> Encoded:
        """Return `value` as JSON."""
        if self._takes_plain and _is_plain(value, _DEEPEST):
            return {"json": value}
        kind, data = self._serde.dumps_typed(value)
        return {"kind": kind, "data": base64.b64encode(data).decode()}

    def decode(self, encoded: Encoded) -> Any:
        """Return the value again; raises what the serializer does for one that it cannot read any more."""
        if "json" in encoded:
            return encoded["json"]
        return self._serde.loads_typed((encoded["kind"], binascii.a2b_base64(encoded["data"])))

    def look_of(self, value: Any) -> bytes | None:
        """Return what is the same only as long as a message would be encoded alike, which it tells in a tenth of that.

        None for all but messages whose fields are plain values.
        """
        kind = type(value)
        if not self._takes_plain or not kind.__module__.startswith(_MESSAGES):
            return None
        try:
            fields = ormsgpack.packb([kind.__qualname__, value.__dict__, value.__pydantic_extra__], option=_PLAIN_ALONE)
        except (AttributeError, TypeError):
            return None
        return blake2b(fields, digest_size=16).digest()


def digest(encoded: Encoded) -> str:
    """Return what tells whether two encoded values are the same."""
    return derived_id(f"{encoded['kind']} {encoded['data']}" if "data" in encoded else json.dumps(encoded))


def newer(session_id: str) -> CorruptSession:
    """Return the error for a record of a later format."""
    return CorruptSession(session_id, f"{session_id!r} was written by a newer release: upgrade a2a_session_manager")


def _is_plain(value: Any, depth: int) -> bool:
    """Tell whether JSON gives just this value back."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -(2**53) < int(value) < 2**53
    if depth == 0:
        return False
    if kind is list:
        return all(_is_plain(item, depth - 1) for item in value)
    if kind is dict:
        return all(type(key) is str and _is_plain(item, depth - 1) for key, item in value.items())
    return False
