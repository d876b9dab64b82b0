"""Sessions and runs in use: what `SessionManager.open` hands out, where every verb has written when it returns."""

from __future__ import annotations

from a2a_session_manager.active.log import ActiveLog
from a2a_session_manager.active.session import ActiveRun, ActiveSession

__all__ = ["ActiveLog", "ActiveRun", "ActiveSession"]
