"""A2ATaskStore and A2AVersionedTaskStore: the rules of the SDK's stores, on every store, and what theirs do not do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from a2a.server.cluster import ConcurrentTaskModificationError, TaskVersion
from a2a.types.a2a_pb2 import ListTasksRequest, Task
from a2a.utils.errors import InternalError, InvalidParamsError
from a2a.utils.task import encode_page_token
from google.protobuf.timestamp_pb2 import Timestamp

from a2a_session_manager import (
    BaseSessionStore,
    CorruptSession,
    FileSessionStore,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.integrations.a2a import A2ATaskStore, A2AVersionedTaskStore
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.integrations.a2a.making import (
    ANN,
    BOB,
    CANCELED,
    COMPLETED,
    caller,
    chunks,
    message,
    moved,
    task,
)
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

ROOT = Path(__file__).parents[3]
MISSING = TaskVersion.MISSING
NASTY = ["a/b", "a:b", "a%2Fb", "..", "Kelvin \u212a", "x" * 400]


async def streamed(store: A2AVersionedTaskStore, of: Task, count: int) -> TaskVersion:
    """Save a task as the SDK's server does while its agent streams; return the last version."""
    version = await store.save(of, event=of, prev=None, prev_version=MISSING, context=ANN)
    for event in chunks(of, count):
        version = await store.save(of, event=event, prev=of, prev_version=version, context=ANN)
    return version


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class TestTaskStore:
    async def test_a_task_comes_back_equal_through_a_cold_store(self, open_store: OpenStore) -> None:
        one = task(seconds=7)
        one.metadata.update({"deep": {"list": [1.5, None, "\u2028"]}})
        one.history.append(message("hello"))
        async with open_store() as store:
            await A2ATaskStore(SessionManager(store)).save(one, ANN)

        async with open_store() as store:
            assert await A2ATaskStore(SessionManager(store)).get("t-1", ANN) == one

    async def test_what_is_handed_out_and_in_is_a_copy(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2ATaskStore(SessionManager(store)), task()
            await tasks.save(one, ANN)
            one.context_id = "another"
            found = await tasks.get("t-1", ANN)
            assert found is not None
            found.context_id = "a third"

            assert await tasks.get("t-1", ANN) == task()

    async def test_any_change_of_a_task_is_stored(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2ATaskStore(SessionManager(store)), task(seconds=1)
            for _ in chunks(one, 3):
                await tasks.save(one, ANN)
            one.artifacts[0].name = "named later"
            one.artifacts[0].parts[0].text = "corrected"
            await tasks.save(one, ANN)
            assert await tasks.get("t-1", ANN) == one
            one.history.extend([message("a"), message("b")])
            one.metadata.update({"k": 1})
            await tasks.save(one, ANN)
            assert await tasks.get("t-1", ANN) == one
            del one.history[0]
            del one.artifacts[:]
            one.ClearField("metadata")
            one.ClearField("status")
            one.context_id = "c-2"
            await tasks.save(one, ANN)

        async with open_store() as store:
            assert await A2ATaskStore(SessionManager(store)).get("t-1", ANN) == one

    async def test_the_last_one_who_saves_wins(self, open_store: OpenStore) -> None:
        async with open_store() as first, open_store() as second:
            here, there = A2ATaskStore(SessionManager(first)), A2ATaskStore(SessionManager(second))
            await here.save(task(), ANN)
            theirs = task(state=COMPLETED)
            theirs.history.append(message("theirs"))
            await there.save(theirs, ANN)
            ours = task()
            ours.history.append(message("ours"))
            await here.save(ours, ANN)

            assert await there.get("t-1", ANN) == ours

    async def test_owners_see_their_own_tasks_alone(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks = A2ATaskStore(SessionManager(store))
            await tasks.save(task(context_id="of ann"), ANN)
            await tasks.save(task(context_id="of bob"), BOB)
            await tasks.save(task("t-2"), caller("ann/t-1"))

            assert (await tasks.get("t-1", ANN) or Task()).context_id == "of ann"
            assert (await tasks.get("t-1", BOB) or Task()).context_id == "of bob"
            assert [each.context_id for each in (await tasks.list(ListTasksRequest(), ANN)).tasks] == ["of ann"]
            assert await tasks.get("t-1", caller("")) is None
            await tasks.delete("t-1", ANN)
            assert await tasks.get("t-1", ANN) is None
            assert await tasks.get("t-1", BOB) is not None

    async def test_deleting_what_is_not_there_is_fine_and_an_id_can_be_used_again(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks = A2ATaskStore(SessionManager(store))
            await tasks.delete("t-1", ANN)
            await tasks.save(task(), ANN)
            await tasks.delete("t-1", ANN)
            again = task(context_id="again")
            await tasks.save(again, ANN)

            assert await tasks.get("t-1", ANN) == again

    @pytest.mark.parametrize("id", NASTY)
    async def test_ids_and_owners_of_any_kind_stay_apart(self, id: str, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, owner = A2ATaskStore(SessionManager(store)), caller(id[:50])
            await tasks.save(task(id), owner)

            assert [each.id for each in (await tasks.list(ListTasksRequest(), owner)).tasks] == [id]
            assert await tasks.get(id, owner) == task(id)

    @pytest.mark.parametrize("id", ["", "x" * 600])
    async def test_an_id_that_cannot_be_stored_is_refused_with_the_cause(self, id: str) -> None:
        sessions = SessionManager(InMemorySessionStore())
        tasks = A2ATaskStore(sessions)
        with pytest.raises(InvalidParamsError) as refused:
            await tasks.save(task(id), ANN)

        assert isinstance(refused.value.__cause__, InvalidSessionOperation)
        assert await sessions.list_sessions() == []

    async def test_a_number_that_json_has_not_is_refused_before_anything_is_written(self) -> None:
        sessions = SessionManager(InMemorySessionStore())
        one = task()
        one.metadata.update({"x": float("nan")})
        with pytest.raises(InvalidParamsError):
            await A2ATaskStore(sessions).save(one, ANN)

        assert await sessions.list_sessions() == []

    async def test_a_store_that_fails_is_an_internal_error_with_the_cause(self) -> None:
        store = InMemorySessionStore()
        await store.aclose()
        with pytest.raises(InternalError) as failed:
            await A2ATaskStore(SessionManager(store)).get("t-1", ANN)

        assert isinstance(failed.value.__cause__, StoreUnavailable)

    async def test_a_record_of_another_release_is_an_error_and_no_absence(self) -> None:
        sessions = SessionManager(InMemorySessionStore())
        tasks = A2ATaskStore(sessions)
        await tasks.save(task(), ANN)
        await sessions.append("task/ann/t-1", SessionEvent(message={"patch": {}}, type="a2a_task"))
        with pytest.raises(InternalError) as unread:
            await tasks.get("t-1", ANN)
        assert isinstance(unread.value.__cause__, CorruptSession)

        await sessions.set_properties("task/ann/t-1", a2a_format=2)
        with pytest.raises(InternalError, match="format 2"):
            await tasks.get("t-1", ANN)

    async def test_a_manager_of_a_namespace_will_do(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            sessions = SessionManager(store).namespace("acme").namespace("a2a")
            await A2ATaskStore(sessions).save(task(), ANN)

            assert await SessionManager(store).list_sessions() == []
            assert await A2ATaskStore(sessions).get("t-1", ANN) == task()


class TestListing:
    async def test_the_newest_status_comes_first_and_no_time_last(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks = A2ATaskStore(SessionManager(store))
            for one in (task("old", seconds=1), task("b", seconds=2), task("a", seconds=2), task("none")):
                await tasks.save(one, ANN)
            listed = await tasks.list(ListTasksRequest(), ANN)

        assert [one.id for one in listed.tasks] == ["b", "a", "old", "none"]
        assert (listed.total_size, listed.page_size, listed.next_page_token) == (4, 50, "")

    async def test_a_listing_filters_by_context_state_and_time(self) -> None:
        tasks = A2ATaskStore(SessionManager(InMemorySessionStore()))
        await tasks.save(task("1", seconds=5), ANN)
        await tasks.save(task("2", COMPLETED, "c-2", seconds=6), ANN)
        await tasks.save(task("3", COMPLETED), ANN)

        async def ids(**asked: object) -> list[str]:
            return [one.id for one in (await tasks.list(ListTasksRequest(**asked), ANN)).tasks]  # type: ignore[arg-type, unused-ignore]

        assert await ids(context_id="c-1") == ["1", "3"]
        assert await ids(status=COMPLETED) == ["2", "3"]
        assert await ids(status_timestamp_after=Timestamp(seconds=6)) == ["2"]
        assert await ids(context_id="nope") == []

    async def test_a_page_token_is_a_place_that_stays_when_its_task_changes(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks = A2ATaskStore(SessionManager(store))
            for number in range(5):
                await tasks.save(task(f"t-{number}", seconds=number), ANN)
            first = await tasks.list(ListTasksRequest(page_size=2), ANN)
            await tasks.save(task("t-3", COMPLETED, seconds=9), ANN)
            second = await tasks.list(ListTasksRequest(page_size=2, page_token=first.next_page_token), ANN)
            third = await tasks.list(ListTasksRequest(page_size=2, page_token=second.next_page_token), ANN)

        assert [[one.id for one in page.tasks] for page in (first, second, third)] == [
            ["t-4", "t-3"],
            ["t-2", "t-1"],
            ["t-0"],
        ]
        assert third.next_page_token == ""

    async def test_a_token_of_an_older_sdk_names_the_first_task_of_its_page(self) -> None:
        tasks = A2ATaskStore(SessionManager(InMemorySessionStore()))
        for number in range(3):
            await tasks.save(task(f"t-{number}", seconds=number), ANN)
        page = await tasks.list(ListTasksRequest(page_token=encode_page_token("t-1")), ANN)

        assert [one.id for one in page.tasks] == ["t-1", "t-0"]
        for token in ("!", encode_page_token("nope")):
            with pytest.raises(InvalidParamsError):
                await tasks.list(ListTasksRequest(page_token=token), ANN)


class TestVersions:
    async def test_each_save_has_a_later_version_that_a_read_returns(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
            first = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            second = await tasks.save(one, event=None, prev=one, prev_version=first, context=ANN)
            stored = await tasks.get("t-1", ANN)

            assert second.is_after(first)
            assert stored is not None
            assert stored.version == second
            assert not first.is_missing

    async def test_a_save_that_comes_too_late_is_refused_and_changes_nothing(self, open_store: OpenStore) -> None:
        async with open_store() as first, open_store() as second:
            here, there = (A2AVersionedTaskStore(SessionManager(each)) for each in (first, second))
            one = task()
            version = await here.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            theirs = task()
            event = moved(theirs, COMPLETED)
            newest = await there.save(theirs, event=event, prev=one, prev_version=version, context=ANN)
            late = task(context_id="late")
            for stale in (version, MISSING):
                with pytest.raises(ConcurrentTaskModificationError):
                    await here.save(late, event=None, prev=one, prev_version=stale, context=ANN)

            stored = await here.get("t-1", ANN)
            assert stored is not None
            assert (stored.task, stored.version) == (theirs, newest)

    async def test_of_two_at_once_one_is_refused(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
            version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            saves = [
                tasks.save(task(context_id=name), event=None, prev=one, prev_version=version, context=ANN)
                for name in "abc"
            ]
            done = await asyncio.gather(*saves, return_exceptions=True)

            assert sum(isinstance(each, ConcurrentTaskModificationError) for each in done) == 2
            assert sum(isinstance(each, TaskVersion) for each in done) == 1

    async def test_a_version_of_a_deleted_task_is_none_of_the_next_one(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
            version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            await tasks.delete("t-1", ANN)
            with pytest.raises(ConcurrentTaskModificationError):
                await tasks.save(one, event=None, prev=one, prev_version=version, context=ANN)

    async def test_a_cancelled_task_passes_unless_it_has_ended_or_is_not_there(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
            gone = task(state=CANCELED)
            with pytest.raises(ConcurrentTaskModificationError):
                await tasks.save(gone, event=None, prev=None, prev_version=MISSING, context=ANN)
            version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            await tasks.save(task(context_id="newer"), event=None, prev=one, prev_version=version, context=ANN)
            await tasks.save(gone, event=moved(one, CANCELED), prev=one, prev_version=version, context=ANN)
            with pytest.raises(ConcurrentTaskModificationError):
                await tasks.save(gone, event=None, prev=gone, prev_version=version, context=ANN)

            stored = await tasks.get("t-1", ANN)
            assert stored is not None
            assert stored.task.status.state == CANCELED


class TestWhatIsStored:
    async def test_a_streamed_answer_is_stored_as_what_is_new_in_it(self, tmp_path: Path) -> None:
        count = 300
        async with FileSessionStore(tmp_path / "s") as store:
            tasks, one = A2AVersionedTaskStore(SessionManager(store)), task()
            await streamed(tasks, one, count)
            stored = await A2AVersionedTaskStore(SessionManager(store)).get("t-1", ANN)
            assert stored is not None
            assert stored.task == one
        size = await anyio.to_thread.run_sync(size_of, tmp_path)

        assert size <= count * 500  # so that 1,000 chunks take half a megabyte

    async def test_usage_in_the_metadata_is_in_our_totals_once(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            sessions = SessionManager(store)
            tasks, one = A2AVersionedTaskStore(sessions, usage_key="usage"), task()
            version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
            event = moved(one, COMPLETED, "done")
            event.metadata.update({"usage": {"prompt_tokens": 90, "completion_tokens": 12}})
            one.metadata.MergeFrom(event.metadata)
            version = await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)
            one.history.append(message("more"))
            await tasks.save(one, event=None, prev=one, prev_version=version, context=ANN)

            assert (await sessions.usage("task/ann/t-1")).total_tokens == 102

    async def test_a_lost_reply_doubles_nothing(self) -> None:
        store = InMemorySessionStore()
        backend = LossyBackend(store._open_backend)
        sessions = SessionManager(BaseSessionStore(backend))
        tasks, one = A2AVersionedTaskStore(sessions), task()
        backend.replies_to_lose = 1
        version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
        for event in chunks(one, 3):
            backend.replies_to_lose = 1
            version = await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)

        stored = await tasks.get("t-1", ANN)
        assert stored is not None
        assert (stored.task, stored.version) == (one, version)
        assert len(await sessions.events("task/ann/t-1")) == 4

    async def test_a_save_that_is_cancelled_is_whole_or_absent_and_the_next_one_goes_on(self) -> None:
        backend = LossyBackend(InMemorySessionStore()._open_backend)
        sessions = SessionManager(BaseSessionStore(backend))
        tasks, one = A2AVersionedTaskStore(sessions), task()
        version = await tasks.save(one, event=one, prev=None, prev_version=MISSING, context=ANN)
        [event] = chunks(one, 1)
        backend.hold()
        saving = asyncio.ensure_future(tasks.save(one, event=event, prev=one, prev_version=version, context=ANN))
        await backend.begun.wait()
        saving.cancel()
        await asyncio.sleep(0)
        backend.go.set()
        with pytest.raises(asyncio.CancelledError):
            await saving

        stored = await tasks.get("t-1", ANN)
        assert stored is not None
        assert stored.task == one
        assert len(await sessions.events("task/ann/t-1")) == 2
        later = moved(one, COMPLETED)
        await tasks.save(one, event=later, prev=one, prev_version=stored.version, context=ANN)


STREAM = """
import asyncio, os, signal, sys
from a2a.server.cluster import TaskVersion
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.a2a import A2AVersionedTaskStore
from tests.integrations.a2a.making import ANN, chunk, task
from a2a.server.tasks.task_manager import append_artifact_to_task

async def main(url, count):
    async with SessionManager.from_url(url) as sessions:
        tasks = A2AVersionedTaskStore(sessions)
        stored = await tasks.get("t-1", ANN)
        if stored is None:
            one = task()
            version = await tasks.save(one, event=one, prev=None, prev_version=TaskVersion.MISSING, context=ANN)
        else:
            one, version = stored.task, stored.version
        start = len(one.artifacts[0].parts) if one.artifacts else 0
        for number in range(start, start + count):
            event = chunk(one, number)
            append_artifact_to_task(one, event)
            version = await tasks.save(one, event=event, prev=one, prev_version=version, context=ANN)
        print(len(one.artifacts[0].parts), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_a_stream_goes_on_in_a_second_process_after_the_first_was_killed(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 's'}"
    for said in (b"5\n", b"10\n"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STREAM, url, "5", cwd=ROOT, stdout=subprocess.PIPE
        )
        assert (await process.communicate())[0] == said

    async with SessionManager.from_url(url) as sessions:
        stored = await A2AVersionedTaskStore(sessions).get("t-1", ANN)
    assert stored is not None
    expected = task()
    for _ in chunks(expected, 10):
        pass
    assert stored.task == expected
