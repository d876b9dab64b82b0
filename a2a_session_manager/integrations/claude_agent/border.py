"""The border to the SDK: its keys as our ids, and our errors as its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from claude_agent_sdk import ClaudeSDKError

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.integrations.foreign_ids import joined_id


def main_id(key: Mapping[str, Any]) -> str:
    """Return the id of our session for the main transcript of `key`. Raises InvalidSessionOperation."""
    return joined_id(_part(key, "project_key"), _part(key, "session_id"))


def transcript_id(key: Mapping[str, Any]) -> str:
    """Return the id of our session for the transcript of `key`, that of a sub-agent too."""
    if key.get("subpath") is None:
        return main_id(key)
    return joined_id(_part(key, "project_key"), _part(key, "session_id"), _part(key, "subpath"))


@contextmanager
def sdk_errors() -> Iterator[None]:
    """Raise ValueError for what can never be stored, and ClaudeSDKError for all else; ours is its cause."""
    try:
        yield
    except (InvalidEvent, InvalidSessionOperation) as error:
        raise ValueError(str(error)) from error
    except SessionManagerError as error:
        raise ClaudeSDKError(str(error)) from error


def _part(key: Mapping[str, Any], name: str) -> str:
    value = key.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidSessionOperation(f"the key's {name} is missing or empty: pass the SDK's own key")
    return value
