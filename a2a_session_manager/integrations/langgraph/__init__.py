"""Checkpoints of LangGraph: `builder.compile(checkpointer=LangGraphSaver(sessions))`."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from langgraph.checkpoint.base import BaseCheckpointSaver as _Base  # noqa: F401  only to say what is missing
except ImportError as error:
    raise MissingDependency("langgraph-checkpoint", "langgraph") from error

from a2a_session_manager.integrations.langgraph.saver import LangGraphSaver

__all__ = ["LangGraphSaver"]
