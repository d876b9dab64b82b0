"""Which keys of the messages of A2A, AG-UI and OpenTelemetry are read: `unread` names what stands under others.

As in `provider_keys`, ids, times and states are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.otel_parts import are_parts
from a2a_session_manager.shapes.unread_keys import Reads, by_type, keys

_Object = Mapping[str, Any]

# A2A's
_A2A_WHERE: Final = ("bytes", "raw", "fileWithBytes", "file_with_bytes", "uri", "url", "fileWithUri", "file_with_uri")
_A2A_FILE: Final = (*_A2A_WHERE, "mimeType", "mime_type", "mediaType", "media_type", "name", "filename")
_A2A_MARKS: Final = frozenset({"text", "data", "file", *_A2A_WHERE})
_A2A_PART: Final = keys("kind", "text", "data", *_A2A_FILE, file=keys(*_A2A_FILE))


def _a2a_part(part: _Object) -> Any:
    return None if _A2A_MARKS.isdisjoint(part) else _A2A_PART


_A2A_IDS: Final = ("messageId", "message_id", "contextId", "context_id", "taskId", "task_id")
A2A: Final = keys("kind", "role", *_A2A_IDS, parts=_a2a_part)

# AG-UI's
_AG_UI_IDS: Final = ("id", "toolCallId", "tool_call_id", "subagentRunId", "subagent_run_id")
_AG_UI_SOURCE: Final = keys("type", "value", "mimeType", "mime_type")
_AG_UI_MEDIA: Final = keys("type", source=_AG_UI_SOURCE, metadata=keys("filename"))
_AG_UI_CONTENT: Final = by_type(
    {
        "text": keys("type", "text"),
        "binary": keys("type", "mimeType", "mime_type", "data", "url", "id", "filename"),
        **dict.fromkeys(("image", "audio", "video", "document"), _AG_UI_MEDIA),
    }
)
_AG_UI_CALL: Final = keys("id", "type", function=keys("name", "arguments"))
_AG_UI: Final = keys(
    "role", *_AG_UI_IDS, "name", "error", content=_AG_UI_CONTENT, toolCalls=_AG_UI_CALL, tool_calls=_AG_UI_CALL
)


def ag_ui(message: _Object) -> Any:
    """Return what is read of a message; an activity is for people alone."""
    return None if message.get("role") == "activity" else _AG_UI


# OpenTelemetry's
_OTEL_ANSWER: Final = keys("type", "id", "name", "response", "result", "builtin")


def _otel_answer(part: _Object) -> Mapping[str, Reads]:
    """Return what is read of a tool's answer, which is any JSON value, or a list of parts as well."""
    answer = part.get("response", part.get("result"))
    return {**_OTEL_ANSWER, **dict.fromkeys(("response", "result"), _OTEL_PARTS)} if are_parts(answer) else _OTEL_ANSWER


_OTEL_PARTS: Final = by_type(
    {
        "text": keys("type", "content"),
        "compaction": keys("type", "content"),
        "tool_call": keys("type", "id", "name", "arguments", "builtin"),
        "tool_call_response": _otel_answer,
        "blob": keys("type", "content", "mime_type", "modality"),
        "binary": keys("type", "content", "media_type"),
        "uri": keys("type", "uri", "mime_type", "modality"),
        "file": keys("type", "file_id", "mime_type", "modality"),
        **dict.fromkeys(("image-url", "audio-url", "video-url", "document-url"), keys("type", "url", "mime_type")),
    }
)
OTEL: Final = keys("role", "name", "finish_reason", parts=_OTEL_PARTS)
