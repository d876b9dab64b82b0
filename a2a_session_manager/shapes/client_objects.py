"""Messages that the official clients return, as JSON objects."""

from __future__ import annotations

from typing import Any


def plain_message(item: object) -> dict[str, Any] | None:
    """Return a client's message as a JSON object that a shape reads; None for what is no message."""
    return None
