"""StrandsSessionRepository: where a RepositorySessionManager of Strands keeps its sessions."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from strands.session.session_repository import SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage

from a2a_session_manager.exceptions import SessionAlreadyExists, SessionManagerError
from a2a_session_manager.integrations.strands.owned_loop import OverALoop
from a2a_session_manager.integrations.strands.stored_sessions import StoredSessions
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.sync import LoopThread

if TYPE_CHECKING:
    from strands.multiagent import MultiAgentBase

ResultT = TypeVar("ResultT")


class StrandsSessionRepository(OverALoop, SessionRepository):
    """The `SessionRepository` of Strands: `RepositorySessionManager("trip", StrandsSessionRepository(sessions))`.

    A session is one of ours, and each of its agents a child with its messages. Of two workers that append at once, both
    messages are kept, though Strands numbers them alike. All verbs block, and raise SessionException with our error as
    the cause.

    Args:
        sessions: the manager of the store, or of a namespace of it. It stays open.
        loop: see LoopThread; the repositories and storages over one store in memory share one. By default it is one of
            its own, which `close` ends.
        model: the name of the model whose usages the messages report, which decides about their price.
    """

    def __init__(self, sessions: SessionManager, *, loop: LoopThread | None = None, model: str | None = None) -> None:
        super().__init__(sessions, loop=loop)
        self._stored = StoredSessions(sessions, model)

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        """Create a session, and return it; raises SessionException when there is one of its id."""
        self._run(self._stored.create_session(session), f"Session {session.session_id} already exists")
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        """Return a session, or None when there is none."""
        return self._run(self._stored.read_session(session_id))

    def delete_session(self, session_id: str, **kwargs: Any) -> None:
        """Delete a session with its agents; raises SessionException when there is none."""
        self._run(self._stored.delete_session(session_id))

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Create an agent of a session; one that is there gets this record, and keeps its messages."""
        self._run(self._stored.create_agent(session_id, session_agent))

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        """Return an agent, or None when there is none."""
        return self._run(self._stored.read_agent(session_id, agent_id))

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Store what has changed of an agent; it keeps its time of creation."""
        self._run(self._stored.update_agent(session_id, session_agent))

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Append a message to an agent's."""
        self._run(self._stored.create_message(session_id, agent_id, session_message))

    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        """Return the message of this number, of two the later one, or None when there is none."""
        return self._run(self._stored.read_message(session_id, agent_id, message_id))

    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Store what a message was redacted to; what it was stays in the log, and no verb here returns it."""
        self._run(self._stored.update_message(session_id, agent_id, session_message))

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        """Return at most `limit` messages after the first `offset` ones, in the order in which they were appended."""
        return self._run(self._stored.list_messages(session_id, agent_id, limit, offset))

    def create_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Store the state of a graph or a swarm."""
        self._run(self._stored.create_multi_agent(session_id, multi_agent.id, multi_agent.serialize_state()))

    def read_multi_agent(self, session_id: str, multi_agent_id: str, **kwargs: Any) -> dict[str, Any] | None:
        """Return the state of a graph or a swarm, or None when there is none."""
        return self._run(self._stored.read_multi_agent(session_id, multi_agent_id))

    def update_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Store the state of a graph or a swarm anew; raises SessionException when none was stored."""
        if self._run(self._stored.read_multi_agent(session_id, multi_agent.id)) is None:
            raise SessionException(f"MultiAgent state {multi_agent.id} in session {session_id} does not exist")
        self._run(self._stored.create_multi_agent(session_id, multi_agent.id, multi_agent.serialize_state()))

    def _run(self, work: Coroutine[Any, Any, ResultT], if_taken: str = "") -> ResultT:
        try:
            return self._loop.run(work)
        except SessionManagerError as error:
            is_taken = isinstance(error, SessionAlreadyExists)
            raise SessionException(if_taken if is_taken and if_taken else str(error)) from error
