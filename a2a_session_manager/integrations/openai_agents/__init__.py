"""Sessions for openai-agents: `Runner.run(agent, "Hello", session=AgentsSession("trip", sessions))`."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from agents import SessionSettings as _SessionSettings  # noqa: F401  only to say clearly what is missing
except ImportError as error:
    raise MissingDependency("openai-agents", "openai-agents") from error

from a2a_session_manager.integrations.openai_agents.budgets import BudgetHooks
from a2a_session_manager.integrations.openai_agents.compaction import CompactingAgentsSession, responses_compaction
from a2a_session_manager.integrations.openai_agents.session import AgentsSession, UsageHooks

__all__ = ["AgentsSession", "BudgetHooks", "CompactingAgentsSession", "UsageHooks", "responses_compaction"]
