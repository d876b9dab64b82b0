"""A counter of which the counts can be read off."""

from __future__ import annotations

from math import inf
from typing import Any

from a2a_session_manager.shapes.normal_form import Media
from a2a_session_manager.tokens.bound import json_text
from a2a_session_manager.tokens.chat import Messages, MessagesCount

MEDIA = 7_000_000


class Characters:
    """A token a character, and MEDIA for a picture, sound, film or file."""

    def __init__(self) -> None:
        self.encoding: str | None = "chars"
        self.texts: list[str] = []
        self.seen: list[Media] = []

    def text(self, text: str) -> tuple[int, bool]:
        self.texts.append(text)
        return len(text), True

    def messages(self, messages: Messages, count: MessagesCount, most: float = inf) -> tuple[int, bool]:
        return count(messages, self, most)

    def json(self, value: Any) -> tuple[int, bool]:
        return self.text(json_text(value))[0], False

    def media(self, media: Media) -> tuple[int, bool]:
        self.seen.append(media)
        return MEDIA, False
