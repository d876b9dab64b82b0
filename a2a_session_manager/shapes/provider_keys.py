"""Which keys of providers' messages are read: `unread` names what stands under others.

Ids, times, states and hints, such as where a cache ends or how sharp a picture is wanted, say nothing to a model of
another provider: they are among the keys, as if they were read. What is said of an answer as a whole is, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.gemini_parts import BLOB_KEYS, PART_KEYS
from a2a_session_manager.shapes.unread_keys import Reads, by_type, keys

_Object = Mapping[str, Any]


# Anthropic's
_BLOCK: Final = ("type", "cache_control")
_PLAIN: Final = keys(*_BLOCK, "text")
_FILE: Final[Mapping[str, Reads]] = {
    "base64": keys("type", "media_type", "data"),
    "text": keys("type", "media_type", "data"),
    "url": keys("type", "url"),
    "file": keys("type", "file_id"),
}
_IN_SOURCE: Final = by_type({"text": _PLAIN, "image": keys(*_BLOCK, source=by_type(_FILE))})
_SOURCE: Final = by_type({**_FILE, "content": keys("type", content=_IN_SOURCE)})
_PICTURE: Final = keys(*_BLOCK, source=_SOURCE)
# Whether citations are wanted, and not what was cited.
_PAPER: Final = keys(*_BLOCK, "title", "context", "citations", source=_SOURCE)
_FOUND_TEXT: Final = keys(*_BLOCK, "title", "source", "citations", content=by_type({"text": _PLAIN}))
_IN_ANTHROPIC_RESULTS: Final = by_type(
    {
        "text": _PLAIN,
        "image": _PICTURE,
        "document": _PAPER,
        "search_result": _FOUND_TEXT,
        "tool_reference": keys(*_BLOCK, "tool_name"),
    }
)


def _tool_use(block: _Object) -> Mapping[str, Reads]:
    called = keys(*_BLOCK, "id", "name", "input")
    return {**called, "caller": None} if block.get("caller") == {"type": "direct"} else called  # as nearly all are


def _compaction(block: _Object) -> Mapping[str, Reads] | None:
    return keys(*_BLOCK, "content") if isinstance(block.get("content"), str) else None


ANTHROPIC_BLOCKS: Final = by_type(
    {
        "text": keys(*_BLOCK, "text", "citations"),
        "image": _PICTURE,
        "document": _PAPER,
        "search_result": _FOUND_TEXT,
        "tool_use": _tool_use,
        "tool_result": keys(*_BLOCK, "tool_use_id", "is_error", content=_IN_ANTHROPIC_RESULTS),
        "container_upload": keys(*_BLOCK, "file_id"),
        "compaction": _compaction,
    }
)
_OF_ANTHROPICS_ANSWERS: Final = ("id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "usage")
ANTHROPIC: Final = keys(
    "role", *_OF_ANTHROPICS_ANSWERS, "container", "context_management", "diagnostics", content=ANTHROPIC_BLOCKS
)

# OpenAI's Responses
_ITEM: Final = ("type", "id", "status", "phase", "created_by")
_CALL_ITEM: Final = (*_ITEM, "call_id", "name")
RESPONSES_CONTENT: Final = by_type(
    {
        "input_text": keys("type", "text"),
        "output_text": keys("type", "text", "logprobs"),
        "text": keys("type", "text"),
        "refusal": keys("type", "refusal"),
        "input_image": keys("type", "image_url", "file_id", "detail"),
        "computer_screenshot": keys("type", "image_url", "file_id", "detail"),
        "input_file": keys("type", "filename", "file_data", "file_url", "file_id", "detail"),
        "input_audio": keys("type", input_audio=keys("data", "format")),
    }
)
_MESSAGE_ITEM: Final = keys(*_ITEM, "role", content=RESPONSES_CONTENT)
_OUTPUT_ITEM: Final = keys(*_CALL_ITEM, "max_output_length", output=RESPONSES_CONTENT)
_SHELL_ITEM: Final = keys(*_CALL_ITEM, "max_output_length", output=keys("stdout", "stderr", "outcome", "created_by"))
_SEARCHED: Final = (*_ITEM, "call_id", "execution")


def _client_side(reads: Reads) -> Reads:
    """Return what is read of a search that the client runs; one that the provider runs is lost as a whole."""
    return lambda item: reads if item.get("execution") == "client" and not callable(reads) else None


RESPONSES_ITEMS: Final[Mapping[str, Reads]] = {
    "message": _MESSAGE_ITEM,
    "function_call": keys(*_CALL_ITEM, "arguments"),
    "custom_tool_call": keys(*_CALL_ITEM, "input"),
    "computer_call": keys(*_CALL_ITEM, "action", "actions"),
    "local_shell_call": keys(*_CALL_ITEM, "action"),
    "shell_call": keys(*_CALL_ITEM, "action"),
    "apply_patch_call": keys(*_CALL_ITEM, "operation"),
    **dict.fromkeys(("function_call_output", "custom_tool_call_output", "computer_call_output"), _OUTPUT_ITEM),
    **dict.fromkeys(("local_shell_call_output", "apply_patch_call_output"), _OUTPUT_ITEM),
    "shell_call_output": _SHELL_ITEM,
    "tool_search_call": _client_side(keys(*_SEARCHED, "arguments")),
    "tool_search_output": _client_side(keys(*_SEARCHED, "tools")),
    "mcp_approval_request": keys(*_ITEM, "server_label", "name", "arguments"),
    "mcp_approval_response": keys(*_ITEM, "approval_request_id", "approve", "reason"),
    "additional_tools": keys(*_ITEM, "role", "tools"),
}
_RESPONSES_ITEM: Final = by_type(RESPONSES_ITEMS)


def responses(item: _Object) -> Any:
    """Return what is read of an item."""
    return _MESSAGE_ITEM if item.get("type") is None else _RESPONSES_ITEM(item)


# Gemini's
_GEMINI_SIGNS: Final = ("thought", "thoughtSignature", "thought_signature", "mediaResolution", "media_resolution")
_GEMINI_TEXT: Final = keys("text", *_GEMINI_SIGNS)


def gemini_part(part: _Object) -> Any:
    """Return what is read of a part: its text, or else the first thing that it holds."""
    if isinstance(part.get("text"), str):
        return _GEMINI_TEXT
    read = next((key for key, value in part.items() if key in PART_KEYS and isinstance(value, Mapping)), None)
    return None if read is None else _GEMINI_PARTS[read]


_GEMINI_RESULT: Final = keys("id", "name", "response", parts=gemini_part)
_GEMINI_READ: Final[Mapping[str, Reads]] = {
    **dict.fromkeys(PART_KEYS),
    **dict.fromkeys(("inlineData", "inline_data", "fileData", "file_data"), keys(*BLOB_KEYS)),
    **dict.fromkeys(("functionCall", "function_call"), keys("id", "name", "args")),
    **dict.fromkeys(("functionResponse", "function_response"), _GEMINI_RESULT),
}
_GEMINI_PARTS: Final = {key: keys(*_GEMINI_SIGNS, **{key: inner}) for key, inner in _GEMINI_READ.items()}


_OF_GEMINIS_ANSWERS: Final = ("index", "finishReason", "finish_reason", "tokenCount", "token_count", "avgLogprobs")
GEMINI: Final = keys("role", *_OF_GEMINIS_ANSWERS, "avg_logprobs", parts=gemini_part, content=gemini_part)

# Amazon Bedrock's
_SIGNED_USE: Final = keys("toolUseId", "name", "input", "type", "reasoningSignature")
_WHERE: Final = keys("bytes", "text", s3Location=keys("uri", "bucketOwner"), content=keys("text"))
_MEDIA: Final = keys("format", source=_WHERE)
_DOCUMENT: Final = keys("format", "name", "context", "citations", source=_WHERE)
_FOUND: Final = keys("title", "source", "citations", content=keys("text"))
_IN_BEDROCKS_RESULTS: Final = keys("text", "json", image=_MEDIA, document=_DOCUMENT, video=_MEDIA, searchResult=_FOUND)
_BEDROCK_BLOCK: Final = keys(
    *("text", "reasoningContent", "cachePoint", "guardContent", "citationsContent"),
    image=_MEDIA,
    document=_DOCUMENT,
    video=_MEDIA,
    audio=_MEDIA,
    toolUse=_SIGNED_USE,
    toolResult=keys("toolUseId", "status", "type", content=_IN_BEDROCKS_RESULTS),
    searchResult=_FOUND,
)


def _bedrock_block(block: _Object) -> Any:
    return None if _BEDROCK_BLOCK.keys().isdisjoint(block) else _BEDROCK_BLOCK


BEDROCK: Final = keys("role", content=_bedrock_block)
