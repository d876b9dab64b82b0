"""Sessions for code that blocks, and for other event loops: `SyncSessionManager.from_url("file:./sessions")`."""

from __future__ import annotations

from a2a_session_manager.sync.conversation import SyncHold, SyncRun, SyncSession
from a2a_session_manager.sync.loop_thread import LoopThread
from a2a_session_manager.sync.manager import SyncSessionManager

__all__ = ["LoopThread", "SyncHold", "SyncRun", "SyncSession", "SyncSessionManager"]
