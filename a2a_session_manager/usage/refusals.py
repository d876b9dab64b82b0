"""What is no usage of a request is refused, by name where it is known."""

from __future__ import annotations

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.pricing.usage_reader import snake
from a2a_session_manager.serialization.plain_objects import fields_of

_KNOWN = {
    "total_token_usage": "Codex's sum over its whole session: pass `last_token_usage`, which is that of one request",
    "model_usage": "Claude Code's sums by model: record each model's usage by itself",
    "pages_processed": "counted in pages, not in tokens",
    "seconds": "counted in seconds, not in tokens",
    "characters": "counted in characters, not in tokens",
    "search_units": "counted in searches, not in tokens",
    "total_tokens": "a total alone, which does not say what of it is input: pass TokenUsage(prompt_tokens=…)",
    "input_token_details": "only the parts of an input, without the whole",
    "rate_limits": "Codex's limits, without any usage",
}


def not_recognised(usage: object) -> InvalidEvent:
    """Return the error for what no provider calls a usage."""
    names = _names(usage, 3)
    known = next((f", {reason}" for name, reason in _KNOWN.items() if name in names), "")
    fields = fields_of(usage)
    seen = "" if fields is None else f" with the keys {sorted(map(str, fields))[:20]}"
    return InvalidEvent(
        f"usage is not understood: a {type(usage).__name__}{seen}{known}. Give a provider's usage object as it is, "
        "or pass TokenUsage(prompt_tokens=…, completion_tokens=…)",
        path="usage",
    )


def _names(value: object, depth: int) -> set[str]:
    fields = fields_of(value) if depth else None
    names: set[str] = set()
    for name, part in (fields or {}).items():
        names.add(snake(str(name)))
        names |= _names(part, depth - 1)
    return names
