"""A2APushNotificationConfigStore: the rules of the SDK's stores of push notification configs, on every store."""

from __future__ import annotations

import asyncio

import pytest
from a2a.types.a2a_pb2 import TaskPushNotificationConfig
from a2a.utils.errors import InternalError, InvalidParamsError

from a2a_session_manager import (
    CorruptSession,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionChange,
    SessionManager,
)
from a2a_session_manager.integrations.a2a import A2APushNotificationConfigStore
from tests.integrations.a2a.making import ANN, BOB, caller
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture


def config(id: str = "c-1", url: str = "https://ann.example/a", token: str = "") -> TaskPushNotificationConfig:
    return TaskPushNotificationConfig(id=id, url=url, token=token)


def urls(configs: list[TaskPushNotificationConfig]) -> list[str]:
    return [each.url for each in configs]


async def test_a_config_comes_back_through_a_cold_store_with_its_task(open_store: OpenStore) -> None:
    async with open_store() as store:
        given = config(token="secret")
        returned = await A2APushNotificationConfigStore(SessionManager(store)).set_info("t/1", given, ANN)

    async with open_store() as store:
        found = await A2APushNotificationConfigStore(SessionManager(store)).get_info("t/1", ANN)
    assert found == [returned]
    assert (returned.task_id, returned.token) == ("t/1", "secret")
    assert given == config(token="secret")  # the caller's stays as it is


async def test_a_config_without_an_id_has_that_of_its_task_and_is_replaced_by_the_next_one() -> None:
    configs = A2APushNotificationConfigStore(SessionManager(InMemorySessionStore()))
    await configs.set_info("t-1", config(id="", url="https://a.example"), ANN)
    await configs.set_info("t-1", config(id="other"), ANN)
    await configs.set_info("t-1", config(id="", url="https://b.example"), ANN)

    found = await configs.get_info("t-1", ANN)
    assert [each.id for each in found] == ["other", "t-1"]
    assert found[1].url == "https://b.example"


async def test_owners_read_their_own_and_dispatch_reads_all(open_store: OpenStore) -> None:
    async with open_store() as store:
        configs = A2APushNotificationConfigStore(SessionManager(store))
        for owner in (ANN, BOB, caller("")):
            await configs.set_info("t-1", config(url=f"https://{owner.user.user_name}.example"), owner)

        assert urls(await configs.get_info("t-1", BOB)) == ["https://bob.example"]
        assert urls(await configs.get_info("t-1", caller(""))) == ["https://.example"]
        assert len(await configs.get_info_for_dispatch("t-1")) == 3
        assert await configs.get_info("t-2", ANN) == []
        assert await configs.get_info_for_dispatch("t-2") == []


async def test_deleting_takes_one_config_or_all_of_the_owner(open_store: OpenStore) -> None:
    async with open_store() as store:
        configs = A2APushNotificationConfigStore(SessionManager(store))
        await configs.delete_info("t-1", ANN)
        for name in ("1", "2", "3"):
            await configs.set_info("t-1", config(id=name), ANN)
        await configs.set_info("t-1", config(id="1"), BOB)
        await configs.delete_info("t-1", ANN, "2")
        await configs.delete_info("t-1", ANN, "nope")
        assert [each.id for each in await configs.get_info("t-1", ANN)] == ["1", "3"]
        await configs.delete_info("t-1", ANN)

        assert await configs.get_info("t-1", ANN) == []
        assert len(await configs.get_info_for_dispatch("t-1")) == 1


async def test_configs_that_are_set_at_once_are_all_kept(open_store: OpenStore) -> None:
    async with open_store() as store:
        configs = A2APushNotificationConfigStore(SessionManager(store))
        await asyncio.gather(*(configs.set_info("t-1", config(id=str(number)), ANN) for number in range(10)))

        assert len(await configs.get_info("t-1", ANN)) == 10


@pytest.mark.parametrize("id", ["", "x" * 600])
async def test_an_id_that_cannot_be_stored_is_refused_with_the_cause(id: str) -> None:
    sessions = SessionManager(InMemorySessionStore())
    with pytest.raises(InvalidParamsError) as refused:
        await A2APushNotificationConfigStore(sessions).set_info(id, config(), ANN)

    assert isinstance(refused.value.__cause__, InvalidSessionOperation)
    assert await sessions.list_sessions() == []


async def test_a_config_of_another_release_is_an_error_and_no_absence() -> None:
    sessions = SessionManager(InMemorySessionStore())
    configs = A2APushNotificationConfigStore(sessions)
    await configs.set_info("t-1", config(), ANN)
    change = SessionChange(set_state={"ann/c-1": {"config": {"newField": 1}, "place": 1}})
    await sessions.commit("push/t-1", change)
    with pytest.raises(InternalError) as unread:
        await configs.get_info("t-1", ANN)

    assert isinstance(unread.value.__cause__, CorruptSession)
