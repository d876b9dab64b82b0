"""A2ATaskEventStream: what is saved through one store is followed through another one, in order and once."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing

import pytest
from a2a.server.cluster import TaskVersion, VersionedEvent
from a2a.types.a2a_pb2 import Message, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent
from a2a.utils.errors import InvalidParamsError

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.a2a import A2ATaskEventStream, A2AVersionedTaskStore
from tests.integrations.a2a.making import ANN, BOB, COMPLETED, chunks, message, moved, task
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

MISSING = TaskVersion.MISSING


async def until_completed(stream: A2ATaskEventStream, task_id: str, after: TaskVersion) -> list[VersionedEvent]:
    """Follow a task until its status says that it is completed."""
    seen = []
    async with aclosing(stream.subscribe(task_id, after=after)) as events:
        async for versioned in events:
            seen.append(versioned)
            event = versioned.event
            if isinstance(event, TaskStatusUpdateEvent) and event.status.state == COMPLETED:
                return seen
    return seen


async def test_events_come_through_another_store_in_order_and_once(open_store: OpenStore) -> None:
    async with open_store() as here, open_store() as there:
        tasks, one = A2AVersionedTaskStore(SessionManager(here)), task()
        version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
        stream = A2ATaskEventStream(SessionManager(there))
        following = asyncio.ensure_future(until_completed(stream, "t-1", version))
        sent: list[object] = []
        for event in chunks(one, 5):
            version = await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)
            await stream.publish("t-1", VersionedEvent(event=event, version=version))
            sent.append(event)
        last = moved(one, COMPLETED, "done")
        await tasks.save(one, event=last, prev=one, prev_version=version, context=ANN)
        seen = await asyncio.wait_for(following, 60)

    assert [each.event for each in seen] == [*sent, last]
    assert all(later.version.is_after(earlier.version) for earlier, later in itertools.pairwise(seen))


async def test_only_what_is_newer_than_the_version_comes_whatever_led_to_it(open_store: OpenStore) -> None:
    async with open_store() as store:
        tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
        first = version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
        [event] = chunks(one, 1)
        version = await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)
        one.history.append(message("by hand"))
        version = await tasks.save(one, event=None, prev=one, prev_version=version, context=ANN)
        said = message("said")
        version = await tasks.save(one, event=said, prev=one, prev_version=version, context=ANN)
        version = await tasks.save(one, event=one, prev=one, prev_version=version, context=ANN)
        last = moved(one, COMPLETED)
        await tasks.save(one, event=last, prev=one, prev_version=version, context=ANN)
        stream = A2ATaskEventStream(SessionManager(store))
        everything = [each.event for each in await until_completed(stream, "t-1", MISSING)]
        later = [each.event for each in await until_completed(stream, "t-1", first)]

    kinds = [Task, TaskArtifactUpdateEvent, Message, Task, TaskStatusUpdateEvent]
    assert [type(each) for each in everything] == kinds
    assert later == everything[1:]
    assert later[1] == said


async def test_a_version_tells_whose_task_is_meant() -> None:
    sessions = SessionManager(InMemorySessionStore())
    tasks, stream = A2AVersionedTaskStore(sessions), A2ATaskEventStream(sessions)
    versions = []
    for owner in (ANN, BOB):
        one = task(context_id=owner.user.user_name)
        version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=owner)
        versions.append(version)
        await tasks.save(one, event=moved(one, COMPLETED), prev=one, prev_version=version, context=owner)
    [seen] = await until_completed(stream, "t-1", versions[1])
    assert isinstance(seen.event, TaskStatusUpdateEvent)
    assert seen.event.context_id == "bob"
    with pytest.raises(InvalidParamsError, match="2 owners"):
        await until_completed(stream, "t-1", MISSING)


async def test_a_task_that_is_not_there_yet_is_awaited(open_store: OpenStore) -> None:
    async with open_store() as store:
        sessions = SessionManager(store)
        tasks, stream, one = A2AVersionedTaskStore(sessions), A2ATaskEventStream(sessions), task()
        following = asyncio.ensure_future(until_completed(stream, "t-1", MISSING))
        await asyncio.sleep(0.01)
        version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
        event = moved(one, COMPLETED)
        await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)

        assert [type(each.event) for each in await asyncio.wait_for(following, 60)] == [Task, TaskStatusUpdateEvent]


async def test_a_task_that_is_deleted_ends_its_stream() -> None:
    sessions = SessionManager(InMemorySessionStore())
    tasks, stream, one = A2AVersionedTaskStore(sessions), A2ATaskEventStream(sessions), task()
    version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
    following = asyncio.ensure_future(until_completed(stream, "t-1", version))
    await asyncio.sleep(0.01)
    await tasks.delete("t-1", ANN)

    assert await asyncio.wait_for(following, 60) == []
