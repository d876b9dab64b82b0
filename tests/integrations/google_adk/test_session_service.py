"""ADKSessionService: the rules of the ADK's session services, on every store, and what theirs do not do."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.input_validation_error import InputValidationError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.session import Session
from google.genai import types

from a2a_session_manager import (
    BaseSessionStore,
    CorruptSession,
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.integrations.google_adk import ADKSessionService
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

ROOT = Path(__file__).parents[3]
ANN: dict[str, Any] = {"app_name": "app", "user_id": "ann"}
NASTY = ["a/b", "a:b", "a%2Fb", "..", "Kelvin \u212a"]


def said(text: str, *, author: str = "agent", **more: Any) -> Event:
    content = types.Content(role="user" if author == "user" else "model", parts=[types.Part(text=text)])
    return Event(author=author, content=content, invocation_id="i-1", **more)


def changed(**delta: Any) -> Event:
    return Event(author="agent", actions=EventActions(state_delta=delta))


def memory() -> ADKSessionService:
    return ADKSessionService(SessionManager(InMemorySessionStore()))


async def found(service: ADKSessionService, session_id: str = "s", **config: Any) -> Session:
    session = await service.get_session(
        **ANN, session_id=session_id, config=GetSessionConfig(**config) if config else None
    )
    assert session is not None
    return session


def texts(session: Session) -> list[str | None]:
    return [event.content.parts[0].text for event in session.events if event.content and event.content.parts]


class TestCreating:
    async def test_a_session_comes_back_equal_through_a_cold_store(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            state = {"app:a": 1, "user:u": {"deep": [None]}, "s": "x", "temp:t": 1}
            created = await ADKSessionService(SessionManager(store)).create_session(**ANN, session_id="s", state=state)

        async with open_store() as store:
            again = await found(ADKSessionService(SessionManager(store)))
        assert again == created
        assert again.state == {"app:a": 1, "user:u": {"deep": [None]}, "s": "x"}

    async def test_spaces_around_an_id_do_not_count_and_an_empty_one_is_made_up(self) -> None:
        service = memory()
        padded = await service.create_session(**ANN, session_id="  s ")
        made_up = await service.create_session(**ANN, session_id="   ")

        assert padded.id == "s"
        assert (await found(service, " s  ")).id == "s"
        assert len(made_up.id) > 20
        await service.delete_session(**ANN, session_id=" s ")
        assert await service.get_session(**ANN, session_id="s") is None

    async def test_an_id_that_is_taken_is_refused_before_shared_state_is_touched(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            await service.create_session(**ANN, session_id="s", state={"app:a": 1, "user:u": 1})
            with pytest.raises(AlreadyExistsError):
                await service.create_session(**ANN, session_id="s", state={"app:a": 2, "user:u": 2})

            assert (await found(service)).state == {"app:a": 1, "user:u": 1}

    @pytest.mark.parametrize("name", NASTY)
    async def test_apps_users_and_ids_of_any_kind_stay_apart(self, name: str, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            await service.create_session(app_name=name, user_id=name, session_id=name, state={"user:x": 1})
            await service.create_session(app_name=name, user_id="a", session_id="b/" + name)
            listed = await service.list_sessions(app_name=name, user_id=name)

            assert [(each.app_name, each.user_id, each.id) for each in listed.sessions] == [(name, name, name)]
            assert await service.get_user_state(app_name=name, user_id=name) == {"x": 1}

    @pytest.mark.parametrize(
        "names",
        [{"session_id": "x" * 600}, {"session_id": "s", "user_id": None}, {"session_id": "s", "app_name": None}],
    )
    async def test_what_cannot_be_stored_is_refused_with_the_cause(self, names: dict[str, Any]) -> None:
        sessions = SessionManager(InMemorySessionStore())
        with pytest.raises(InputValidationError) as refused:
            await ADKSessionService(sessions).create_session(**{**ANN, **names})

        assert isinstance(refused.value.__cause__, InvalidSessionOperation)
        assert await sessions.list_sessions() == []

    async def test_state_that_is_no_json_is_refused_before_anything_is_written(self) -> None:
        sessions = SessionManager(InMemorySessionStore())
        service = ADKSessionService(sessions)
        for bad in (object(), float("nan")):
            with pytest.raises(InputValidationError) as refused:
                await service.create_session(**ANN, session_id="s", state={"app:a": 1, "bad": bad})
            assert isinstance(refused.value.__cause__, InvalidEvent)

        assert await sessions.list_sessions() == []

    async def test_a_manager_of_a_namespace_will_do(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store).namespace("acme").namespace("adk"))
            await service.create_session(**ANN, session_id="s", state={"app:a": 1})

            assert await SessionManager(store).list_sessions() == []
            assert (await found(service)).state == {"app:a": 1}


class TestAppending:
    async def test_an_event_comes_back_equal_and_the_callers_session_is_what_is_read(
        self, open_store: OpenStore
    ) -> None:
        blob = types.Part(inline_data=types.Blob(data=b"\x00\xff", mime_type="image/png"))
        event = Event(
            author="agent",
            content=types.Content(role="model", parts=[blob, types.Part(text="\u2028")]),
            actions=EventActions(state_delta={"s": 1, "app:a": [1], "user:u": None, "temp:t": 9}),
            long_running_tool_ids={"call-1"},
        )
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            session = await service.create_session(**ANN, session_id="s")
            returned = await service.append_event(session, event)

        async with open_store() as store:
            again = await found(ADKSessionService(SessionManager(store)))
        assert again.events == [returned]
        assert session.state.pop("temp:t") == 9
        assert again == session
        assert again.last_update_time == event.timestamp
        assert again.state == {"s": 1, "app:a": [1], "user:u": None}

    async def test_a_partial_event_is_stored_nowhere(self) -> None:
        service = memory()
        session = await service.create_session(**ANN, session_id="s")
        await service.append_event(session, said("par", partial=True))

        assert session.events == []
        assert (await found(service)).events == []

    async def test_an_event_that_is_sent_again_changes_nothing(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            sessions = SessionManager(store)
            service = ADKSessionService(sessions)
            session = await service.create_session(**ANN, session_id="s")
            usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=90, candidates_token_count=12)
            event = said("a", usage_metadata=usage, actions=EventActions(state_delta={"app:n": 1, "s": 1}))
            await service.append_event(session, event)
            await service.append_event(session, changed(**{"app:n": 2, "s": 2}))
            await service.append_event(session, event)
            await service.append_event(await found(service), event)

            again = await found(service)
            assert [len(again.events), len(session.events)] == [2, 2]
            assert again.state == {"app:n": 2, "s": 2}
            assert (await sessions.usage("session/app/ann/s")).total_tokens == 102

    async def test_two_events_that_share_an_id_by_mistake_are_both_kept(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            session = await service.create_session(**ANN, session_id="s")
            first, second = said("one", id="fixed"), said("two", id="fixed")
            for event in (first, second, second):
                await service.append_event(session, event)

            assert texts(await found(service)) == ["one", "two"]

    async def test_an_append_to_a_session_that_is_gone_is_refused_and_the_callers_stays_as_it_is(self) -> None:
        service = memory()
        session = await service.create_session(**ANN, session_id="s")
        await service.delete_session(**ANN, session_id="s")
        with pytest.raises(SessionNotFoundError):
            await service.append_event(session, changed(s=1))

        assert (session.events, session.state) == ([], {})

    async def test_a_store_that_fails_raises_our_error_and_the_callers_session_stays_as_it_is(self) -> None:
        store = InMemorySessionStore()
        service = ADKSessionService(SessionManager(store))
        session = await service.create_session(**ANN, session_id="s")
        await store.aclose()
        with pytest.raises(StoreUnavailable):
            await service.append_event(session, changed(s=1))

        assert (session.events, session.state) == ([], {})

    async def test_fifty_writers_at_once_lose_no_delta_and_no_event(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            await service.create_session(**ANN, session_id="s")

            async def write(number: int) -> None:
                await service.append_event(
                    await found(service), changed(**{f"app:{number}": 1, f"user:{number}": 1, str(number): 1})
                )

            await asyncio.gather(*(write(number) for number in range(50)))
            session = await found(service)

        assert len(session.events) == 50
        assert len(session.state) == 150

    async def test_a_stale_writer_is_refused_if_that_is_asked_for(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store), refuse_stale=True)
            fresh = await service.create_session(**ANN, session_id="s", state={"app:a": 1})
            stale = await found(service)
            event = changed(**{"app:a": 2})
            await service.append_event(fresh, event)
            await service.append_event(fresh, said("two"))
            with pytest.raises(ValueError, match="modified in storage"):
                await service.append_event(stale, changed(**{"app:a": 3}))
            await service.append_event(stale, event)  # this one is known

            again = await found(service)
            assert (len(again.events), again.state) == (2, {"app:a": 2})

    async def test_by_default_both_writers_land(self) -> None:
        service = memory()
        await service.create_session(**ANN, session_id="s")
        one, two = await found(service), await found(service)
        await service.append_event(one, said("one"))
        await service.append_event(two, said("two"))

        assert texts(await found(service)) == ["one", "two"]


class TestReading:
    async def test_the_newest_events_by_number_and_since_a_time(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            session = await service.create_session(**ANN, session_id="s")
            for number in range(1, 6):
                await service.append_event(session, said(str(number), timestamp=float(number)))

            assert texts(await found(service, num_recent_events=2)) == ["4", "5"]
            assert texts(await found(service, num_recent_events=0)) == []
            assert texts(await found(service, after_timestamp=4.0)) == ["4", "5"]
            assert texts(await found(service, after_timestamp=0.5)) == ["1", "2", "3", "4", "5"]
            assert texts(await found(service, after_timestamp=2.0, num_recent_events=2)) == ["4", "5"]
            assert texts(await found(service, after_timestamp=9.0)) == []

    async def test_a_session_that_is_not_there_is_none(self) -> None:
        assert await memory().get_session(**ANN, session_id="nope") is None
        assert await memory().get_user_state(**ANN) == {}

    async def test_a_listing_has_the_oldest_first_with_merged_state_and_no_events(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            for user, name, time in (("bob", "1", 3.0), ("ann", "2", 1.0), ("ann", "1", 1.0)):
                session = await service.create_session(app_name="app", user_id=user, session_id=name)
                await service.append_event(session, said("x", timestamp=time))
                await service.append_event(
                    session, Event(author="a", timestamp=time, actions=EventActions(state_delta={"user:is": user}))
                )
            everyone = (await service.list_sessions(app_name="app")).sessions
            anns = (await service.list_sessions(**ANN)).sessions

        assert [(each.user_id, each.id) for each in everyone] == [("ann", "1"), ("ann", "2"), ("bob", "1")]
        assert [(each.user_id, each.id) for each in anns] == [("ann", "1"), ("ann", "2")]
        assert [each.state for each in everyone] == [{"user:is": "ann"}, {"user:is": "ann"}, {"user:is": "bob"}]
        assert all(each.events == [] for each in everyone)
        assert everyone[2].last_update_time == 3.0

    async def test_no_user_and_an_empty_user_are_not_the_same(self) -> None:
        service = memory()
        await service.create_session(app_name="app", user_id="", session_id="s")
        await service.create_session(**ANN, session_id="s")

        assert len((await service.list_sessions(app_name="app", user_id="")).sessions) == 1
        assert len((await service.list_sessions(app_name="app")).sessions) == 2

    async def test_a_record_of_another_release_is_an_error_and_no_absence(self) -> None:
        sessions = SessionManager(InMemorySessionStore())
        service = ADKSessionService(sessions)
        await service.create_session(**ANN, session_id="s")
        bad = SessionEvent(message={"author": 5, "content": "no"}, type="google_adk_event")
        await sessions.append("session/app/ann/s", bad)
        with pytest.raises(ValueError, match="event 1") as unread:
            await found(service)
        assert isinstance(unread.value.__cause__, CorruptSession)

        await sessions.set_properties("session/app/ann/s", adk_format=2)
        for reading in (found(service), service.list_sessions(app_name="app")):
            with pytest.raises(ValueError, match="format 2"):
                await reading


class TestWhenThingsFail:
    async def test_a_lost_reply_doubles_nothing(self) -> None:
        backend = LossyBackend(InMemorySessionStore()._open_backend)
        service = ADKSessionService(SessionManager(BaseSessionStore(backend)))
        backend.replies_to_lose = 1
        session = await service.create_session(**ANN, session_id="s", state={"app:a": 0})
        for number in range(3):
            backend.replies_to_lose = 1
            await service.append_event(session, changed(**{"app:a": number, "s": number}))

        again = await found(service)
        assert again == session
        assert len(again.events) == 3

    async def test_what_was_to_be_shared_when_a_process_died_is_shared_by_the_next_read(
        self, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        where = "a2a_session_manager.integrations.google_adk.session_service.share"
        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            session = await service.create_session(**ANN, session_id="s", state={"app:n": 1})

            async def die(*args: object, **options: object) -> None:
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                patched.setattr(where, die)
                with pytest.raises(KeyboardInterrupt):
                    await service.append_event(session, changed(**{"app:n": 2, "user:u": 1}))

        async with open_store() as store:
            service = ADKSessionService(SessionManager(store))
            assert (await service.list_sessions(**ANN)).sessions[0].state == {"app:n": 2, "user:u": 1}
            assert (await found(service)).state == {"app:n": 2, "user:u": 1}

    async def test_a_cancelled_append_is_whole_or_absent_and_can_be_sent_again(self) -> None:
        backend = LossyBackend(InMemorySessionStore()._open_backend)
        service = ADKSessionService(SessionManager(BaseSessionStore(backend)))
        session, event = await service.create_session(**ANN, session_id="s"), changed(**{"app:n": 1, "s": 1})
        backend.hold()
        appending = asyncio.ensure_future(service.append_event(session, event))
        await backend.begun.wait()
        appending.cancel()
        await asyncio.sleep(0)
        backend.go.set()
        with pytest.raises(asyncio.CancelledError):
            await appending
        assert session.events == []
        await service.append_event(session, event)

        again = await found(service)
        assert again == session
        assert (len(again.events), again.state) == (1, {"app:n": 1, "s": 1})


TURNS = """
import asyncio, os, signal, sys
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.google_adk import ADKSessionService

async def main(url):
    async with SessionManager.from_url(url) as sessions:
        service = ADKSessionService(sessions)
        names = {"app_name": "app", "user_id": "ann", "session_id": "s"}
        session = await service.get_session(**names) or await service.create_session(**names)
        for number in range(len(session.events), len(session.events) + 5):
            delta = {f"app:{number}": number, f"user:{number}": number}
            event = Event(author="user", id=f"e-{number}", actions=EventActions(state_delta=delta))
            await service.append_event(session, event)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_conversation_goes_on_in_a_second_process_after_the_first_was_killed(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 's'}"
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", TURNS, url, cwd=ROOT)
        assert await process.wait() == -9

    async with SessionManager.from_url(url) as sessions:
        session = await found(ADKSessionService(sessions))
    assert [event.id for event in session.events] == [f"e-{number}" for number in range(10)]
    assert len(session.state) == 20
