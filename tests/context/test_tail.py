"""How full the context is: the newest request, found by one read of the log's end."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation, SessionManager, SessionNotFound
from a2a_session_manager.storage import BaseSessionStore
from tests.stores import open_store, store

__all__ = ["open_store", "store"]


@pytest.fixture
def loads(store: BaseSessionStore, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many events each read asked for."""
    asked: list[int | None] = []
    load = store._backend.load

    async def noted(keys: Any, *, last: int | None, whole_head: bool) -> Any:
        asked.append(last)
        return await load(keys, last=last, whole_head=whole_head)

    monkeypatch.setattr(store._backend, "load", noted)
    return asked


def used(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


async def test_the_context_size_is_that_of_the_newest_request(store: BaseSessionStore, loads: list[int | None]) -> None:
    sessions = SessionManager(store)
    async with sessions.open("talk") as chat:
        await chat.assistant("a", usage=used(900, 80))
        await chat.assistant("b", usage=used(1_000, 30))
        for at in range(10):
            await chat.user(f"and {at}")
        loads.clear()

        assert await chat.context_size() == await sessions.context_size("talk") == 1_030
        assert loads == [20, 20]
        assert (await chat.usage()).total_tokens == 2_010


async def test_it_is_found_however_far_back_and_once_per_read(store: BaseSessionStore, loads: list[int | None]) -> None:
    async with SessionManager(store).open("talk") as chat:
        await chat.assistant("a", usage=used(900, 80))
        await chat.append(*({"role": "user", "content": f"and {at}"} for at in range(50)))
        loads.clear()

        assert await chat.context_size() == 980
        assert loads == [20, 40, 80]


async def test_without_any_usage_one_read_tells(store: BaseSessionStore, loads: list[int | None]) -> None:
    async with SessionManager(store).open("talk") as chat:
        await chat.append(*({"role": "user", "content": f"and {at}"} for at in range(50)))
        loads.clear()

        assert await chat.context_size() is None
        assert loads == [20]


async def test_an_answer_taken_back_fills_the_context_no_more(store: BaseSessionStore) -> None:
    async with SessionManager(store).open("talk") as chat:
        await chat.assistant("a", usage=used(900, 80))
        await chat.assistant("b", usage=used(1_000, 30))
        await chat.retract(last=1)

        assert await chat.context_size() == 980
        assert (await chat.usage()).total_tokens == 2_010


async def test_a_session_that_is_not_there_is_not_found(store: BaseSessionStore) -> None:
    with pytest.raises(SessionNotFound):
        await SessionManager(store).context_size("nowhere")


@pytest.mark.parametrize("bad", [5, None, b"talk", "", "\ud83d"])
async def test_the_context_size_of_what_is_no_session_is_refused(store: BaseSessionStore, bad: Any) -> None:
    with pytest.raises(InvalidSessionOperation, match="session id"):
        await SessionManager(store).context_size(bad)
