"""Who said it."""

from __future__ import annotations

from enum import StrEnum


class EventSource(StrEnum):
    """The author of an event; tools and the application itself speak as SYSTEM."""

    USER = "user"
    LLM = "llm"
    SYSTEM = "system"
