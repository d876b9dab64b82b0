"""What Strands sees of an agent whose session was compacted by us: all of its messages, by their numbers."""

from __future__ import annotations

from a2a_session_manager.integrations.strands import StrandsSessionRepository
from a2a_session_manager.integrations.strands.records import agent_of
from tests.integrations.compacting import check_is_refused, compact_what_is_ours
from tests.integrations.strands.opening import Opened, opened
from tests.integrations.strands.test_session_repository import message, texts, with_agent

__all__ = ["opened"]  # a fixture


def test_the_messages_stay_whatever_is_compacted_beside_them(opened: Opened) -> None:
    ours = agent_of("trip", "planner")
    with opened(StrandsSessionRepository) as repository:
        with_agent(repository)
        for number in range(3):
            repository.create_message("trip", "planner", message(number))
        repository._loop.run(check_is_refused(repository._sessions, ours, "strands_message"))
        repository._loop.run(compact_what_is_ours(repository._sessions, ours))
        repository.create_message("trip", "planner", message(3))

    with opened(StrandsSessionRepository) as cold:
        assert texts(cold.list_messages("trip", "planner")) == ["0", "1", "2", "3"]
        assert texts(cold.list_messages("trip", "planner", limit=2, offset=2)) == ["2", "3"]
        found = cold.read_message("trip", "planner", 3)
        assert found is not None
        assert texts([found]) == ["3"]
