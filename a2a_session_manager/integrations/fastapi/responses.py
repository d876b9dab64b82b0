"""JSON responses that can hold whatever a session holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.serialization.json_check import JsonCheck, unlimited
from a2a_session_manager.serialization.plain_json import escaped
from a2a_session_manager.serialization.values import inline_or_thread


class AsciiJSONResponse(JSONResponse):
    """JSON with ASCII escapes, so that a response may hold lone surrogates: models and clients do send them.

    FastAPI's own response encodes to UTF-8, which cannot express them, and fails. With
    `FastAPI(default_response_class=AsciiJSONResponse)`, no path operation does.
    """

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON. Raises ValueError for NaN and infinities, as FastAPI's own does."""
        return escaped_json(content)


def escaped_json(value: Any) -> bytes:
    """Return JSON in ASCII, where a lone surrogate is an escape like any other."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


async def json_bytes(model: BaseModel, payloads: Iterable[Any] = ()) -> bytes:
    """Return `model` as JSON, encoded in a thread when the `payloads` in it are heavy."""
    return await inline_or_thread(partial(_encoded, model, list(payloads)), DEFAULT_LIMITS, unlimited())


async def json_response(
    model: BaseModel, payloads: Iterable[Any] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response that holds `model`; see json_bytes."""
    return Response(await json_bytes(model, payloads), media_type="application/json", headers=headers)


def _encoded(model: BaseModel, payloads: Iterable[Any], check: JsonCheck) -> bytes:
    for payload in payloads:
        check.check(payload, "payload")  # this stops when the payload is heavy; encoding would not
    try:
        return to_json(model)
    except (PydanticSerializationError, UnicodeEncodeError):
        # `mode="json"` would refuse a key with a lone surrogate.
        return escaped(model.model_dump(), allow_nan=False)
