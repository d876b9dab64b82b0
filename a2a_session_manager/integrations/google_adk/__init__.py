"""Sessions for Google's Agent Development Kit: `Runner(agent=…, session_service=ADKSessionService(sessions))`."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from google.adk.sessions.base_session_service import (
        BaseSessionService as _BaseSessionService,  # noqa: F401  only to say clearly what is missing
    )
except ImportError as error:
    raise MissingDependency("google-adk", "google-adk") from error

from a2a_session_manager.integrations.google_adk.session_service import ADKSessionService

__all__ = ["ADKSessionService"]
