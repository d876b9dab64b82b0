"""Transcripts of claude-agent-sdk: `ClaudeAgentOptions(session_store=ClaudeSessionStore(sessions), resume=…)`."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from claude_agent_sdk import fold_session_summary as _fold  # noqa: F401  only to say clearly what is missing
except ImportError as error:
    raise MissingDependency("claude-agent-sdk", "claude-agent") from error

from a2a_session_manager.integrations.claude_agent.session_store import ClaudeSessionStore

__all__ = ["ClaudeSessionStore"]
