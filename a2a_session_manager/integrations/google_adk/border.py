"""The border to the ADK: its errors for ours, and the ids of our sessions for what it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.adk.errors.input_validation_error import InputValidationError

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import path_of


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
    """Return the id of our session for one of the ADK's."""
    user = _text("user_id", user_id)  # None would stand for all users
    return sessions_of(app_name, user) + path_of((_text("session_id", session_id),))


def sessions_of(app_name: str, user_id: str | None) -> str:
    """Return what the ids of the sessions of an app, or of one of its users, begin with."""
    app = f"session/{path_of((_text('app_name', app_name),))}/"
    return app if user_id is None else f"{app}{path_of((_text('user_id', user_id),))}/"


def app_state_of(app_name: str) -> str:
    """Return the id of our session that holds the state of an app."""
    return f"app/{path_of((_text('app_name', app_name),))}"


def user_state_of(app_name: str, user_id: str) -> str:
    """Return the id of our session that holds the state of a user of an app."""
    return f"user/{path_of((_text('app_name', app_name), _text('user_id', user_id)))}"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidSessionOperation(f"{name}={shown(value)} is no text")
    return value
