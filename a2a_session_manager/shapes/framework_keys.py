"""Which keys of frameworks' and protocols' messages are read: `unread` names what stands under others.

As in `provider_keys`, ids, times and states are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.anthropic_blocks import is_block
from a2a_session_manager.shapes.openai_parts import is_more_than_calls
from a2a_session_manager.shapes.provider_keys import ANTHROPIC_BLOCKS, RESPONSES_CONTENT, responses
from a2a_session_manager.shapes.shape import mappings, type_of
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
_OTEL_PARTS: Final = by_type(
    {
        "text": keys("type", "content"),
        "compaction": keys("type", "content"),
        "tool_call": keys("type", "id", "name", "arguments", "builtin"),
        "tool_call_response": keys("type", "id", "name", "response", "result", "builtin"),
        "blob": keys("type", "content", "mime_type", "modality"),
        "binary": keys("type", "content", "media_type"),
        "uri": keys("type", "uri", "mime_type", "modality"),
        "file": keys("type", "file_id", "mime_type", "modality"),
        **dict.fromkeys(("image-url", "audio-url", "video-url", "document-url"), keys("type", "url", "mime_type")),
    }
)
OTEL: Final = keys("role", "name", "finish_reason", parts=_OTEL_PARTS)

# The Vercel AI SDK's: what stands under the options of a part is a part of its own, but for thoughts.
_SIGNATURE: Final = keys("thoughtSignature")
_SIGNED: Final[Mapping[str, Reads]] = {"google": _SIGNATURE, "vertex": _SIGNATURE}
_OUTPUT: Final = keys("type", "value", "reason")
AI_SDK: Final = keys(
    "id",
    "role",
    "providerOptions",
    content=by_type(
        {
            "text": keys("type", "text", "providerOptions"),
            "image": keys("type", "image", "mediaType", "mimeType", "providerOptions"),
            "file": keys("type", "data", "filename", "mediaType", "mimeType", "providerOptions"),
            "tool-call": keys(
                *("type", "toolCallId", "toolName", "input", "args", "providerExecuted", "providerOptions"),
                providerMetadata=_SIGNED,
            ),
            "tool-result": keys(
                *("type", "toolCallId", "toolName", "result", "experimental_content", "isError", "providerOptions"),
                output=_OUTPUT,
            ),
        }
    ),
)
_INVOCATION: Final = (
    *("type", "toolCallId", "toolName", "state", "step", "input", "args", "rawInput", "output", "result"),
    *("errorText", "approval", "providerExecuted", "callProviderMetadata"),
)
_TOLD: Final = keys(*_INVOCATION)
_UI_TYPES: Final = by_type(
    {
        "text": keys("type", "text", "state", "providerMetadata"),
        "file": keys(
            *("type", "mediaType", "mimeType", "filename", "data", "url", "providerReference", "providerMetadata")
        ),
        "tool-invocation": keys(*_INVOCATION, toolInvocation=_TOLD),
        "dynamic-tool": _TOLD,
    }
)


def _ui_part(part: _Object) -> Any:
    is_tool = (type_of(part) or "").startswith("tool-") and isinstance(part.get("toolCallId"), str)
    return _TOLD if is_tool else _UI_TYPES(part)


AI_SDK_UI: Final = keys(
    *("id", "role", "content", "reasoning", "createdAt"),
    parts=_ui_part,
    toolInvocations=_TOLD,
    experimental_attachments=keys("contentType", "name", "url"),
)

# pydantic-ai's
_PART: Final = ("part_kind", "timestamp", "id", "provider_name")
_ITEMS: Final = by_type(
    {
        **dict.fromkeys(
            ("image-url", "audio-url", "video-url", "document-url"),
            keys("kind", "url", "media_type", "identifier", "force_download"),
        ),
        "binary": keys("kind", "data", "media_type", "identifier"),
        "uploaded-file": keys("kind", "file_id", "media_type", "identifier", "provider_name"),
        "text-content": keys("kind", "content"),
    },
    "kind",
)
_CALLED: Final = (*_PART, "tool_name", "tool_call_id", "tool_kind")
PYDANTIC_AI: Final = keys(
    *(
        "kind",
        "instructions",
        "timestamp",
        "run_id",
        "conversation_id",
        "state",
        "usage",
        "model_name",
        "finish_reason",
    ),
    *("provider_name", "provider_url", "provider_details", "provider_response_id", "vendor_details", "vendor_id"),
    parts=by_type(
        {
            "system-prompt": keys(*_PART, "content", "dynamic_ref"),
            "user-prompt": keys(*_PART, content=_ITEMS),
            "retry-prompt": keys(*_CALLED, "content"),
            "text": keys(*_PART, "content"),
            "compaction": keys(*_PART, "content"),
            "tool-call": keys(*_CALLED, "args", provider_details=keys("thought_signature")),
            "tool-return": keys(*_CALLED, "content", "outcome"),
            "file": keys(*_PART, content=_ITEMS),
            "speech": keys(*_PART, "transcript", "audio"),
        },
        "part_kind",
    ),
)

# LangChain's
_LC: Final = ("type", "id", "index", "cache_control")
_LC_MEDIA: Final = keys(
    *(*_LC, "mime_type", "filename", "title", "base64", "data", "text", "url", "file_id", "file_uri", "source_type")
)
_LC_CALL: Final = keys(*_LC, "name", "args")
_LC_BLOCKS: Final = by_type(
    {
        "text": keys(*_LC, "text", "citations"),
        **dict.fromkeys(("text-plain", "image", "audio", "video", "file", "media"), _LC_MEDIA),
        **dict.fromkeys(("tool_call", "invalid_tool_call"), _LC_CALL),
        "non_standard": keys(*_LC, value=lambda block: _lc_block(block)),
    }
)
# Where the signatures of calls are, by the calls' ids.
SIGNATURES: Final = "__gemini_function_call_thought_signatures__"


def _lc_block(block: _Object) -> Any:
    if is_block(block):
        return ANTHROPIC_BLOCKS(block)
    return _LC_BLOCKS(block) or RESPONSES_CONTENT(block) or (responses(block) if type_of(block) else None)


_LC_BODY: Final = keys(
    *("type", "name", "id", "role", "response_metadata", "usage_metadata", "example", "tool_call_chunks"),
    *("chunk_position", "tool_call_id", "status"),
    content=_lc_block,
    tool_calls=_LC_CALL,
    invalid_tool_calls=_LC_CALL,
)


def langchain(body: _Object) -> Mapping[str, Reads]:
    """Return what is read of the body of a message; `response_metadata` is about the answer."""
    return {**_LC_BODY, "additional_kwargs": lambda more: _additional(more, body) if more else {}}


def _additional(more: _Object, body: _Object) -> Mapping[str, Reads]:
    listed = [*mappings(body.get("tool_calls")), *mappings(body.get("invalid_tool_calls"))]
    texts = [key for key in ("reasoning_content", "refusal") if isinstance(more.get(key), str)]
    objects = [key for key in ("reasoning", "function_call") if isinstance(more.get(key), Mapping)]
    calls = [] if is_more_than_calls(more.get("tool_calls")) else ["tool_calls"]
    signed = keys(*(str(call.get("id")) for call in listed))
    return {**keys(*texts, *objects, *calls), SIGNATURES: signed}
