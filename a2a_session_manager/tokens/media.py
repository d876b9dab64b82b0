"""What media take of a prompt: an estimate, since providers go by size and not by text."""

from __future__ import annotations

from typing import Final

from a2a_session_manager.shapes.normal_form import Media, MediaKind

_TOKENS: Final[dict[MediaKind, int]] = {"image": 1_000, "audio": 1_000, "video": 2_000, "file": 2_000}


def media_tokens(media: Media) -> int:
    """Return about what a picture, sound, film or file takes."""
    return _TOKENS[media.kind]
