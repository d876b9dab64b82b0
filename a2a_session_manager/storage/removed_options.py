"""Options of release 0.1 that stores no longer take: an error names the option and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from a2a_session_manager.exceptions import InvalidSessionOperation

_REMEDIES: Final = {
    "session_class": "read typed payloads with get(id, message_type=M)",
    "auto_save": "await store.save(session), or write through SessionManager.open",
}


def reject_removed_options(options: Mapping[str, object]) -> None:
    """Raise InvalidSessionOperation for an option of 0.1, and TypeError for one that never existed."""
    for name in options:
        if name in _REMEDIES:
            raise InvalidSessionOperation(f"{name}= is gone since 0.2: {_REMEDIES[name]}")
        raise TypeError(f"unexpected option {name!r}")
