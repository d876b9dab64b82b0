"""SessionManager: what applications use. Its verbs are in one module each topic."""

from __future__ import annotations

from a2a_session_manager.manager.session_manager import SessionManager

__all__ = ["SessionManager"]
