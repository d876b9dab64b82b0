"""EventSource: who an event comes from."""

from __future__ import annotations

from enum import StrEnum


class EventSource(StrEnum):
    """The author of an event. SYSTEM stands for tools and the application itself."""

    USER = "user"
    LLM = "llm"
    SYSTEM = "system"
