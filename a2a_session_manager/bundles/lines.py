"""The lines of a bundle: how it begins, how a session ends in it, and how it ends itself."""

from __future__ import annotations

from typing import Final

from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.serialization.plain_json import dumped

VERSION: Final = 1
HEADER: Final = b'{"bundle":"a2a_session_manager","version":%d}\n' % VERSION
HEADER_START: Final = b'{"bundle":"a2a_session_manager","version":'
SESSION_START: Final = b'{"session":'
END_START: Final = b'{"end":'
MANIFEST_START: Final = b'{"manifest":'


def end_line(session_id: str, events: int, sha256: str) -> bytes:
    """Return the line after the last one of a session, with the digest of its lines."""
    return END_START + dumped({"id": session_id, "events": events, "sha256": sha256}) + b"}\n"


def manifest_line(sessions: int, events: int, losses: list[Loss], sha256: str) -> bytes:
    """Return the last line, with the digest of all before it."""
    told = {"sessions": sessions, "events": events, "losses": losses, "sha256": sha256}
    return MANIFEST_START + dumped(told) + b"}\n"
