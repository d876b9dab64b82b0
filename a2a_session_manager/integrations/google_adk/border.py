"""The border to the ADK: its errors for ours, and the ids of our sessions for what it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.adk.errors.input_validation_error import InputValidationError

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation
from a2a_session_manager.integrations.foreign_ids import joined_id, prefix_of


class StaleSessionError(ValueError):
    """Somebody else has changed the session since it was read. The ADK's own error of this name is not public."""


class UnreadableSessionError(ValueError):
    """What is stored of a session is damaged, or a newer release wrote it; a ValueError, as the ADK's errors are."""


@contextmanager
def their_errors() -> Iterator[None]:
    """Raise the ADK's errors in the place of ours, which are the causes. It has none for a store that fails."""
    try:
        yield
    except (InvalidSessionOperation, InvalidEvent) as error:
        raise InputValidationError(str(error)) from error
    except CorruptSession as error:
        raise UnreadableSessionError(str(error)) from error


def session_of(app_name: str, user_id: str, session_id: str) -> str:
    """Return the id of our session for one of the ADK's; names may be empty, and are texts."""
    return joined_id("session", app_name, user_id, session_id, may_be_empty=True)


def sessions_of(app_name: str, user_id: str | None) -> str:
    """Return what the ids of the sessions of an app, or of one of its users, begin with."""
    users = () if user_id is None else (user_id,)
    return prefix_of("session", app_name, *users, may_be_empty=True)


def app_state_of(app_name: str) -> str:
    """Return the id of our session that holds the state of an app."""
    return joined_id("app", app_name, may_be_empty=True)


def user_state_of(app_name: str, user_id: str) -> str:
    """Return the id of our session that holds the state of a user of an app."""
    return joined_id("user", app_name, user_id, may_be_empty=True)
