"""Sessions for Strands Agents: a repository of messages for its RepositorySessionManager, and a Storage of bytes."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from strands.storage import Storage as _Storage  # noqa: F401  only to say clearly what is missing
except ImportError as error:
    raise MissingDependency("strands-agents", "strands") from error

from a2a_session_manager.integrations.strands.session_repository import StrandsSessionRepository
from a2a_session_manager.integrations.strands.storage import StrandsStorage

__all__ = ["StrandsSessionRepository", "StrandsStorage"]
