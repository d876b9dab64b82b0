"""The border to pydantic-ai: our errors as its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.exceptions import UserError

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation


@contextmanager
def user_errors() -> Iterator[None]:
    """Raise UserError for what cannot be stored, or not be read any more; ours is its cause."""
    try:
        yield
    except (CorruptSession, InvalidEvent, InvalidSessionOperation) as error:
        raise UserError(str(error)) from error
