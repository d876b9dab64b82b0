"""What cannot be stored or read through the A2A bridge: the SDK's errors, ours inside, and nothing half-written."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from a2a.server.cluster import TaskVersion
from a2a.server.context import ServerCallContext
from a2a.types.a2a_pb2 import ListTasksRequest, TaskPushNotificationConfig
from a2a.utils.errors import InternalError, InvalidParamsError

from a2a_session_manager import (
    CorruptSession,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
)
from a2a_session_manager.integrations.a2a import (
    A2APushNotificationConfigStore,
    A2ATaskEventStream,
    A2ATaskStore,
    A2AVersionedTaskStore,
)
from tests.integrations.a2a.making import ANN, BOB, COMPLETED, caller, chunks, moved, task
from tests.integrations.bridging import BAD_IDS, ODD_IDS

MISSING = TaskVersion.MISSING


def in_memory() -> SessionManager:
    return SessionManager(InMemorySessionStore())


async def next_event(sessions: SessionManager, task_id: str, after: TaskVersion = MISSING) -> Any:
    async with aclosing(A2ATaskEventStream(sessions).subscribe(task_id, after=after)) as events:
        return await anext(events)


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_of_tasks_owners_and_configs_stay_apart_and_come_back(odd: str) -> None:
    sessions = in_memory()
    tasks, configs = A2AVersionedTaskStore(sessions), A2APushNotificationConfigStore(sessions)
    owner, other = caller(odd), caller(f"{odd}/{odd}")
    for who, task_id in ((owner, odd), (owner, f"{odd}/{odd}"), (other, odd)):
        one = task(task_id)
        await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=who)
        await configs.set_info(task_id, TaskPushNotificationConfig(id=odd, url="https://a"), who)

    assert {each.id for each in (await tasks.list(ListTasksRequest(), owner)).tasks} == {odd, f"{odd}/{odd}"}
    assert [each.id for each in (await tasks.list(ListTasksRequest(), other)).tasks] == [odd]
    assert [each.id for each in await configs.get_info(odd, other)] == [odd]
    assert len(await configs.get_info_for_dispatch(odd)) == 2
    await configs.delete_info(odd, owner, odd)
    assert await configs.get_info(odd, owner) == []
    assert len(await configs.get_info_for_dispatch(odd)) == 1
    assert (await next_event(sessions, f"{odd}/{odd}")).event == task(f"{odd}/{odd}")


@pytest.mark.parametrize("bad", [bad for bad in BAD_IDS if bad != "\ud800"])  # protobuf has no such text
async def test_an_id_that_cannot_be_stored_is_refused_wherever_it_is_given(bad: str) -> None:
    sessions = in_memory()
    tasks, versioned = A2ATaskStore(sessions), A2AVersionedTaskStore(sessions)
    configs = A2APushNotificationConfigStore(sessions)
    one = task(bad)
    for calling in (
        tasks.save(one, ANN),
        tasks.get(bad, ANN),
        tasks.delete(bad, ANN),
        versioned.save(one, event=one, prev=None, prev_version=MISSING, context=ANN),
        versioned.get(bad, ANN),
        configs.set_info(bad, TaskPushNotificationConfig(id="c"), ANN),
        configs.get_info(bad, ANN),
    ):
        with pytest.raises(InvalidParamsError) as refused:
            await calling
        assert isinstance(refused.value.__cause__, InvalidSessionOperation)

    assert await sessions.list_sessions() == []


async def test_a_config_or_an_owner_whose_name_is_too_long_is_refused() -> None:
    sessions = in_memory()
    configs, tasks = A2APushNotificationConfigStore(sessions), A2ATaskStore(sessions)
    long = caller("x" * 600)
    for calling in (
        configs.set_info("t-1", TaskPushNotificationConfig(id="x" * 600), ANN),
        configs.set_info("t-1", TaskPushNotificationConfig(id="c"), long),
        tasks.save(task(), long),
        tasks.list(ListTasksRequest(), long),
    ):
        with pytest.raises(InvalidParamsError) as refused:
            await calling
        assert isinstance(refused.value.__cause__, InvalidSessionOperation)

    assert await sessions.list_sessions() == []


async def test_without_a_user_a_task_is_of_whoever_is_anonymous_and_without_an_owner_it_is_refused() -> None:
    sessions, anonymous = in_memory(), ServerCallContext()
    await A2ATaskStore(sessions).save(task(), anonymous)
    assert await A2ATaskStore(sessions).get("t-1", anonymous) == task()
    assert await A2ATaskStore(sessions).get("t-1", ANN) is None

    nobody: Any = lambda context: None  # noqa: E731  a resolver that knows no owner
    ownerless, configs = A2ATaskStore(sessions, owner_resolver=nobody), A2APushNotificationConfigStore(sessions)
    for calling in (
        ownerless.save(task("t-2"), ANN),
        ownerless.get("t-1", ANN),
        ownerless.list(ListTasksRequest(), ANN),
        A2APushNotificationConfigStore(sessions, owner_resolver=nobody).set_info(
            "t-1", TaskPushNotificationConfig(id="c"), ANN
        ),
    ):
        with pytest.raises(InvalidParamsError) as refused:
            await calling
        assert isinstance(refused.value.__cause__, InvalidSessionOperation)
    assert len(await sessions.list_sessions()) == 1
    assert await configs.get_info_for_dispatch("t-1") == []


@pytest.mark.parametrize(
    "bad",
    [
        {"task": {"id": "t-1", "newField": 1}},
        {"status": {"status": {"state": "TASK_STATE_NEVER_HEARD_OF", "message": 5}}},
        {"artifact": {"artifact": {"parts": [{"hologram": {}}]}}},
        {"change": {"artifacts": [{"at": 9, "parts": [{"text": "x"}]}]}},
        "no object",
    ],
)
async def test_a_task_that_the_sdk_cannot_read_any_more_is_named_and_all_else_stays_readable(bad: Any) -> None:
    sessions = in_memory()
    tasks, one = A2AVersionedTaskStore(sessions), task()
    version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
    await tasks.save(task("t-2"), event=None, prev=None, prev_version=MISSING, context=BOB)
    await sessions.append("task/ann/t-1", SessionEvent(message=bad, type="a2a_task"))
    before = await sessions.events("task/ann/t-1")
    cold, [event] = A2AVersionedTaskStore(sessions), chunks(one, 1)

    for calling in (
        cold.get("t-1", ANN),
        cold.list(ListTasksRequest(), ANN),
        cold.save(one, event=event, prev=one, prev_version=version, context=ANN),
        A2ATaskStore(sessions).save(one, ANN),
    ):
        with pytest.raises(InternalError) as unread:
            await calling
        assert isinstance(unread.value.__cause__, CorruptSession)
    assert await sessions.events("task/ann/t-1") == before
    assert await cold.get("t-2", BOB) is not None
    assert len((await cold.list(ListTasksRequest(), BOB)).tasks) == 1


async def test_an_event_that_the_sdk_cannot_read_any_more_ends_its_stream_with_the_cause() -> None:
    sessions = in_memory()
    tasks, one = A2AVersionedTaskStore(sessions), task()
    version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
    await sessions.append("task/ann/t-1", SessionEvent(message={"status": {"later": 1}}, type="a2a_task"))

    with pytest.raises(InternalError) as unread:
        await next_event(sessions, "t-1", version)
    assert isinstance(unread.value.__cause__, CorruptSession)


async def test_a_record_of_a_newer_format_is_refused_by_each_verb_and_nothing_is_written() -> None:
    sessions = in_memory()
    tasks, one = A2AVersionedTaskStore(sessions), task()
    configs = A2APushNotificationConfigStore(sessions)
    version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
    await configs.set_info("t-1", TaskPushNotificationConfig(id="c"), ANN)
    for session_id in ("task/ann/t-1", "push/t-1"):
        await sessions.set_properties(session_id, a2a_format=2)
    await sessions.unset_properties("task/ann/t-1", "a2a_state")  # it may be under another name
    before = [await sessions.get(session_id) for session_id in ("task/ann/t-1", "push/t-1")]
    cold, later = A2AVersionedTaskStore(sessions), moved(one, COMPLETED)

    for calling in (
        cold.get("t-1", ANN),
        cold.list(ListTasksRequest(), ANN),
        cold.save(one, event=later, prev=one, prev_version=version, context=ANN),
        A2ATaskStore(sessions).save(one, ANN),
        next_event(sessions, "t-1", version),
        next_event(sessions, "t-1"),
        configs.set_info("t-1", TaskPushNotificationConfig(id="d"), ANN),
        configs.get_info("t-1", ANN),
        configs.get_info_for_dispatch("t-1"),
        configs.delete_info("t-1", ANN),
    ):
        with pytest.raises(InternalError, match="format 2") as refused:
            await calling
        assert isinstance(refused.value.__cause__, CorruptSession)
    assert [await sessions.get(session_id) for session_id in ("task/ann/t-1", "push/t-1")] == before


async def test_a_fork_is_a_task_of_its_own_name() -> None:
    sessions = in_memory()
    tasks, one = A2AVersionedTaskStore(sessions), task()
    await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
    await sessions.fork("task/ann/t-1", new_id="task/ann/t-2")

    stored = await tasks.get("t-2", ANN)
    assert stored is not None
    assert stored.task.id == "t-2"
    assert sorted(each.id for each in (await tasks.list(ListTasksRequest(), ANN)).tasks) == ["t-1", "t-2"]
    [event] = chunks(stored.task, 1)
    await tasks.save(stored.task, event=event, prev=None, prev_version=stored.version, context=ANN)
    assert await A2ATaskStore(sessions).get("t-2", ANN) == stored.task
    assert await A2ATaskStore(sessions).get("t-1", ANN) == one
