"""Usage as callers hand it in → TokenUsage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.token_usage import TokenUsage


def usage_from(usage: object, *, model: str | None = None) -> TokenUsage:
    """Return `usage`, a TokenUsage or a mapping of its fields, under `model` where it names none.

    Raises InvalidEvent for anything else, and for numbers that contradict each other.
    """
    if isinstance(usage, Mapping):
        usage = _validated(usage)
    if not isinstance(usage, TokenUsage):
        raise InvalidEvent(
            f"usage is a {type(usage).__name__}: pass TokenUsage(prompt_tokens=…, completion_tokens=…)", path="usage"
        )
    return usage if usage.model or model is None else usage.model_copy(update={"model": model})


def _validated(usage: Mapping[str, Any]) -> TokenUsage:
    try:
        return TokenUsage.model_validate(dict(usage))
    except ValidationError as error:
        raise InvalidEvent(f"usage is not understood: {error}", path="usage") from error
