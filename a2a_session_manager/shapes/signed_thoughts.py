"""Thoughts that other formats keep with the signature that Anthropic gave them, without which it refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Reasoning
from a2a_session_manager.shapes.shape import RawMessage, text_for

_ANTHROPIC: Final = "anthropic"
# What pydantic-ai calls thoughts by that only Claude can read: what it says of them is their signature.
_REDACTED_IDS: Final = ("redacted_thinking", "redacted_content")


def signed_thinking(part: Reasoning) -> RawMessage | None:
    """Return thinking that another format keeps with the signature that Anthropic gave it."""
    raw = part.raw if isinstance(part.raw, Mapping) else {}
    if raw.get("part_kind") == "thinking":
        return _of_pydantic_ai(raw)
    options = raw.get("providerOptions") or raw.get("providerMetadata")
    own = options.get(_ANTHROPIC) if isinstance(options, Mapping) else None
    if isinstance(own, Mapping) and isinstance(own.get("signature"), str):
        return {"type": "thinking", "thinking": part.text, "signature": own["signature"]}
    if isinstance(own, Mapping) and isinstance(own.get("redactedData"), str):
        return {"type": "redacted_thinking", "data": own["redactedData"]}
    return None


def _of_pydantic_ai(thinking: Mapping[str, Any]) -> RawMessage | None:
    signature = thinking.get("signature")
    if thinking.get("provider_name") != _ANTHROPIC or not isinstance(signature, str) or not signature:
        return None
    if thinking.get("id") in _REDACTED_IDS:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text_for(thinking.get("content") or ""), "signature": signature}
