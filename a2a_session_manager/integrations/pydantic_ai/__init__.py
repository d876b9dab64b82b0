"""Conversations of pydantic-ai: `store = PydanticAIConversationStore(sessions)`, also for its AG-UI adapter."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from pydantic_ai.conversation_store import ConversationStore as _Base  # noqa: F401  to say what is missing
except ImportError as error:
    raise MissingDependency("pydantic-ai-slim>=2.68", "pydantic-ai") from error

from a2a_session_manager.integrations.pydantic_ai.conversation_store import PydanticAIConversationStore
from a2a_session_manager.integrations.pydantic_ai.message_history import append_messages, message_history

__all__ = ["PydanticAIConversationStore", "append_messages", "message_history"]
