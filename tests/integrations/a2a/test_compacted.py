"""What the A2A SDK sees of a task whose session was compacted by us: the task, in a later version."""

from __future__ import annotations

from a2a.server.cluster import TaskVersion

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.a2a import A2AVersionedTaskStore
from a2a_session_manager.integrations.a2a.border import task_session
from tests.integrations.a2a.making import ANN, message, task
from tests.integrations.bridging import sessions
from tests.integrations.compacting import check_is_refused, compact_what_is_ours
from tests.stores import url

__all__ = ["sessions", "url"]


async def test_the_task_stays_whatever_is_compacted_beside_it(sessions: SessionManager) -> None:
    store, mine = A2AVersionedTaskStore(sessions), task()
    await store.save(mine, event=None, prev=None, prev_version=TaskVersion.MISSING, context=ANN)
    ours = task_session("ann", mine.id)
    await check_is_refused(sessions, ours, "a2a_task")
    await compact_what_is_ours(sessions, ours)

    found = await A2AVersionedTaskStore(sessions).get(mine.id, ANN)
    assert found is not None
    before, version = found.task, found.version
    assert before == mine
    mine.history.append(message("after"))
    later = await store.save(mine, event=None, prev=before, prev_version=version, context=ANN)

    assert later.is_after(version)
    cold = await A2AVersionedTaskStore(sessions).get(mine.id, ANN)
    assert cold is not None
    assert cold.task == mine
