"""Where a fork may begin: the calls that are looked for, whatever their format and however many they are."""

from __future__ import annotations

import json

import pytest

from a2a_session_manager import InvalidSessionOperation, SessionManager
from a2a_session_manager.context.forking import _MARKS
from a2a_session_manager.shapes.normal_form import Call, Message, Result, Text
from a2a_session_manager.shapes.recognition import BY_NAME
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from tests.context.examples import ASK, SAY, call, result

MANY = [f"c{number}" for number in range(40)]


@pytest.mark.parametrize("shape", sorted(BY_NAME))
def test_each_call_and_result_has_a_mark_in_its_json(shape: str) -> None:
    parts = (Call("c1", "weather", {"city": "Oslo"}), Result("c1", "weather", (Text("rain"),)))
    for role, part in (("assistant", parts[0]), ("tool", parts[1])):
        for message in BY_NAME[shape].write(Message(role, (part,), shape), []):  # type: ignore[arg-type]  # a role
            data = json.dumps(message).encode()
            assert any(mark in data for mark in _MARKS), message


async def test_many_calls_of_one_message_are_found_after_many_results() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await chat.append(ASK, call(*MANY), *map(result, MANY[:-1]))
        with pytest.raises(InvalidSessionOperation, match=r"weather \(event 2\)"):
            await chat.fork()
        await chat.append(result(MANY[-1]), SAY)
        for at in (1, 42, 43):
            assert (await chat.fork(at=at)).session.last_seq == at
        with pytest.raises(InvalidSessionOperation, match="and 35 more"):
            await chat.fork(at=2)


async def test_a_call_that_was_given_up_long_ago_keeps_nobody_from_forking() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await chat.append(ASK, call("c1"), *[SAY] * 16)
        fork = await chat.fork()
        with pytest.raises(InvalidSessionOperation, match="event 2"):
            await chat.fork(at=17)

        assert [each.seq for each in await fork.open_calls()] == [2]


async def test_a_call_is_open_as_long_as_its_turn_is_under_way_however_much_comes_after_it() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await chat.append(*[ASK, SAY] * 200)
        await chat.append(ASK, call("slow"), *[each for name in MANY for each in (call(name), result(name))])
        with pytest.raises(InvalidSessionOperation, match="event 402"):
            await chat.fork()
        assert (await chat.fork(on_open="interrupt")).session.last_seq == 483
        looks: list[int] = []
        backend = sessions.store._open_backend  # type: ignore[attr-defined]  # it is a store of ours
        load_until = backend.load_until

        async def noted(key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
            looks.append(last)
            found: LoadedSession | None = await load_until(key, seq=seq, last=last)
            return found

        backend.load_until = noted
        await chat.append(result("slow"))

        assert (await chat.fork()).session.last_seq == 483
        assert max(looks) == 256  # of 483
