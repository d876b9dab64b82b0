"""Which keys of frameworks' messages are read: `unread` names what stands under others.

As in `provider_keys`, ids, times and states are among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.ai_sdk_parts import SIGNERS
from a2a_session_manager.shapes.anthropic_blocks import is_block
from a2a_session_manager.shapes.openai_keys import CALL, content_part
from a2a_session_manager.shapes.openai_parts import is_more_than_calls
from a2a_session_manager.shapes.provider_keys import ANTHROPIC_BLOCKS, RESPONSES_CONTENT, responses
from a2a_session_manager.shapes.pydantic_ai_parts import is_told_apart
from a2a_session_manager.shapes.shape import mappings, type_of
from a2a_session_manager.shapes.unread_keys import Reads, about_answer, by_type, keys

_Object = Mapping[str, Any]

# The Vercel AI SDK's: what stands under the options of a part is a part of its own, but for thoughts.
_SIGNATURE: Final = keys("thoughtSignature")
_SIGNED: Final[Mapping[str, Reads]] = dict.fromkeys(SIGNERS, _SIGNATURE)
_DATA: Final = by_type(
    {
        "data": keys("type", "data"),
        "url": keys("type", "url"),
        "text": keys("type", "text"),
        "reference": keys("type", "reference"),
    }
)
_SDK_MEDIA: Final = ("type", "mediaType", "mimeType", "filename")
_ITEM: Final = by_type(
    {
        "text": keys("type", "text"),
        **dict.fromkeys(("media", "file-data", "image-data", "image"), keys(*_SDK_MEDIA, "data")),
        **dict.fromkeys(("file-url", "image-url"), keys(*_SDK_MEDIA, "url")),
        **dict.fromkeys(("file-id", "image-file-id"), keys(*_SDK_MEDIA, "fileId")),
        **dict.fromkeys(("file-reference", "image-file-reference"), keys(*_SDK_MEDIA, "providerReference")),
        "file": keys(*_SDK_MEDIA, data=_DATA),
    }
)
_SAID: Final = keys("type", "value", "reason")


def _output(output: _Object) -> Mapping[str, Reads]:
    return {**_SAID, "value": _ITEM} if output.get("type") == "content" else _SAID


AI_SDK: Final = keys(
    "id",
    "role",
    "providerOptions",
    content=by_type(
        {
            "text": keys("type", "text", "providerOptions"),
            "image": keys("type", "image", "mediaType", "mimeType", "providerOptions"),
            "file": keys(*_SDK_MEDIA, "providerOptions", data=_DATA),
            "tool-call": keys(
                *("type", "toolCallId", "toolName", "input", "args", "providerExecuted", "providerOptions"),
                providerMetadata=_SIGNED,
            ),
            "tool-result": keys(
                *("type", "toolCallId", "toolName", "result", "isError", "providerOptions"),
                output=_output,
                experimental_content=_ITEM,
            ),
        }
    ),
)
_INVOCATION: Final = (
    *("type", "toolCallId", "toolName", "state", "step", "input", "args", "rawInput", "output", "result"),
    *("errorText", "providerExecuted", "callProviderMetadata"),
)
_APPROVAL: Final = keys("id", "approved", "reason", "isAutomatic")
_TOLD: Final = keys(*_INVOCATION, approval=_APPROVAL)
_UI_TYPES: Final = by_type(
    {
        "text": keys("type", "text", "state", "providerMetadata"),
        "file": keys(
            *("type", "mediaType", "mimeType", "filename", "data", "url", "providerReference", "providerMetadata")
        ),
        "step-start": keys("type"),
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
_RETURNED: Final = keys(*_CALLED, "content", "outcome")


def _tool_return(part: _Object) -> Mapping[str, Reads]:
    """Return what is read of a tool's answer, which is any JSON value, or a list of what a user may say as well."""
    content = part.get("content")
    items = content if isinstance(content, list) else [content]
    return {**_RETURNED, "content": _ITEMS} if any(map(is_told_apart, items)) else _RETURNED


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
    *("provider_name", "provider_url", "provider_response_id", "vendor_id", "model_id", "canonical_system"),
    *("workspace_ref", "history_digest", "failed_attempts"),
    provider_details=about_answer,
    vendor_details=about_answer,
    parts=by_type(
        {
            "system-prompt": keys(*_PART, "content", "dynamic_ref"),
            "user-prompt": keys(*_PART, content=_ITEMS),
            "retry-prompt": keys(*_CALLED, "content"),
            "text": keys(*_PART, "content"),
            "compaction": keys(*_PART, "content"),
            "tool-call": keys(*_CALLED, "args", provider_details=keys("thought_signature")),
            "tool-return": _tool_return,
            "instruction-delta": keys(*_PART, "content", "base_hash"),
            "file": keys(*_PART, content=_ITEMS),
            "speech": keys(*_PART, "transcript", audio=_ITEMS),
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
_LC_OBJECTS: Final[Mapping[str, Reads]] = {"reasoning": None, "function_call": keys("name", "arguments")}
# Where the signatures of calls are, by the calls' ids.
SIGNATURES: Final = "__gemini_function_call_thought_signatures__"


def _lc_block(block: _Object) -> Any:
    if is_block(block) and type_of(block) != "text":
        return ANTHROPIC_BLOCKS(block)
    found = _LC_BLOCKS(block) or RESPONSES_CONTENT(block) or (responses(block) if type_of(block) else None)
    return found or content_part(block)


_LC_BODY: Final = keys(
    *("type", "name", "id", "role", "usage_metadata", "example", "tool_call_chunks"),
    *("chunk_position", "tool_call_id", "status"),
    response_metadata=about_answer,
    content=_lc_block,
    tool_calls=_LC_CALL,
    invalid_tool_calls=_LC_CALL,
)
# Beside the body, where a message has one.
LANGCHAIN_AROUND: Final = keys("type", "data", "lc", "id", "kwargs", "name", "graph")


def langchain(body: _Object) -> Mapping[str, Reads]:
    """Return what is read of the body of a message."""
    return {**_LC_BODY, "additional_kwargs": lambda more: _additional(more, body) if more else {}}


def _additional(more: _Object, body: _Object) -> Mapping[str, Reads]:
    listed = [*mappings(body.get("tool_calls")), *mappings(body.get("invalid_tool_calls"))]
    texts = [key for key in ("reasoning_content", "refusal") if isinstance(more.get(key), str)]
    objects = {key: reads for key, reads in _LC_OBJECTS.items() if isinstance(more.get(key), Mapping)}
    calls = {} if is_more_than_calls(more.get("tool_calls")) else {"tool_calls": CALL}
    signed = keys(*(str(call.get("id")) for call in listed))
    return {**keys(*texts), **objects, **calls, SIGNATURES: signed}
