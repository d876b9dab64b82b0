"""A2AVersionedTaskStore under two processes that stream into one task."""

from __future__ import annotations

import asyncio

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.a2a import A2AVersionedTaskStore
from tests.integrations.a2a.making import ANN
from tests.integrations.bridging import finished
from tests.stores import shared_url

__all__ = ["shared_url"]

WRITER = """
import asyncio, sys
from a2a.server.cluster import ConcurrentTaskModificationError, TaskVersion
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types.a2a_pb2 import Artifact, Part, TaskArtifactUpdateEvent
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.a2a import A2AVersionedTaskStore
from tests.integrations.a2a.making import ANN, task

async def main(url, name, count):
    async with SessionManager.from_url(url) as sessions:
        tasks = A2AVersionedTaskStore(sessions, usage_key="usage")
        number = 0
        while number < count:
            stored = await tasks.get("t-1", ANN)
            try:
                if stored is None:
                    one = task()
                    await tasks.save(one, event=one, prev=None, prev_version=TaskVersion.MISSING, context=ANN)
                    continue
                artifact = Artifact(artifact_id="answer", parts=[Part(text=f"{name} {number}")])
                is_more = bool(stored.task.artifacts)
                event = TaskArtifactUpdateEvent(task_id="t-1", context_id="c-1", artifact=artifact, append=is_more)
                event.metadata.update({"usage": {"prompt_tokens": 9, "completion_tokens": 1}})
                append_artifact_to_task(stored.task, event)
                await tasks.save(
                    stored.task, event=event, prev=stored.task, prev_version=stored.version, context=ANN
                )
                number += 1
            except ConcurrentTaskModificationError:
                pass  # the other one was faster: read it again

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_two_processes_on_one_task_keep_all_and_the_order_of_each(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, name, "10") for name in ("a", "b")))

    async with SessionManager.from_url(shared_url) as sessions:
        stored = await A2AVersionedTaskStore(sessions).get("t-1", ANN)
        usage = await sessions.usage("task/ann/t-1")
    assert stored is not None
    said = [part.text for part in stored.task.artifacts[0].parts]
    for name in ("a", "b"):
        assert [each for each in said if each.startswith(name)] == [f"{name} {number}" for number in range(10)]
    assert len(said) == usage.total.requests == 20
