"""PydanticAIConversationStore: a contract that pydantic-ai's own store in memory keeps, too."""

from __future__ import annotations

import pytest
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, UserPromptPart

from a2a_session_manager import CorruptSession, InvalidSessionOperation, SessionManager
from a2a_session_manager.integrations.pydantic_ai import (
    PydanticAIConversationStore,
    append_messages,
    message_history,
)
from tests.integrations.bridging import BAD_IDS, ODD_IDS, Losing, sessions
from tests.integrations.pydantic_ai.conversing import agent, shown, store, store_url, talk, texts
from tests.stores import url

__all__ = ["sessions", "store", "store_url", "url"]


async def revision_of(store: ConversationStore, session_id: str) -> str | None:
    record = await store.read_record(session_id)
    return None if record is None else record.revision


async def test_what_is_saved_is_loaded_with_its_usage(store: ConversationStore) -> None:
    assert await store.load("c") is None
    await talk(store, "c", "one", "two")

    loaded = await store.load("c")
    assert loaded is not None
    assert texts(loaded.messages) == ["one", "answer 1", "two", "answer 3"]
    assert loaded.usage.input_tokens == 20
    assert await store.load_entries("c", limit=1) == (await store.load_entries("c") or [])[-1:]
    assert await store.load_entries("c", limit=0) == []


async def test_a_save_over_a_later_one_is_a_conflict_and_leaves_nothing(store: ConversationStore) -> None:
    await talk(store, "c", "one")
    first, second = await store.load("c"), await store.load("c")
    await store.save(await agent.run("a", conversation=first))

    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("b", conversation=second))
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("c", conversation=Conversation(conversation_id="c")))
    assert await shown(store, "c") == ["one", "answer 1", "a", "answer 3"]


async def test_a_head_that_is_not_there_is_a_conflict(store: ConversationStore) -> None:
    record = ConversationRecord(conversation_id="c", head_id="nowhere")
    with pytest.raises(ConversationConflict):
        await store.write_record(record, expected_revision=None)
    await talk(store, "d", "one")
    stored = await store.read_record("d")
    assert stored is not None
    with pytest.raises(ConversationConflict):
        await store.write_record(
            ConversationRecord(conversation_id="d", head_id="nowhere"), expected_revision=stored.revision
        )

    assert await store.read_record("c") is None
    assert await store.read_record("d") == stored


async def test_a_conversation_created_again_is_another_one(store: ConversationStore) -> None:
    old = await talk(store, "c", "one")
    await store.delete("c")
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("late", conversation=old))
    await talk(store, "c", "anew")

    with pytest.raises(ConversationConflict):
        await store.delete_record("c", expected_revision=old.revision or "")
    assert await shown(store, "c") == ["anew", "answer 1"]


async def test_a_branch_leaves_what_it_left_and_can_go_back(store: ConversationStore) -> None:
    await talk(store, "c", "one", "two")
    branch = await store.branch("c", at=2, expected_revision=await revision_of(store, "c"))
    await store.save(await agent.run("other", conversation=branch))
    assert await shown(store, "c") == ["one", "answer 1", "other", "answer 3"]

    record = await store.read_record("c")
    assert record is not None
    [left] = record.branches
    await store.branch("c", from_entry=left, expected_revision=record.revision)
    assert await shown(store, "c") == ["one", "answer 1", "two", "answer 3"]


async def test_a_history_that_was_rewritten_branches_off_what_both_share(store: ConversationStore) -> None:
    conversation = await talk(store, "c", "one", "two")
    again = Conversation(
        messages=[*conversation.messages[:2], ModelRequest([UserPromptPart("edited")])],
        conversation_id="c",
        revision=conversation.revision,
    )
    await store.save(again)

    assert await shown(store, "c") == ["one", "answer 1", "edited"]


async def test_a_fork_shares_what_is_before_it_and_outlives_its_source(store: ConversationStore) -> None:
    await talk(store, "c", "one", "two")
    await store.fork("c", at=2, new_conversation_id="f")
    await talk(store, "f", "three")
    await store.fork("f", new_conversation_id="g")
    await talk(store, "c", "four")
    await store.delete("c")

    assert await shown(store, "c") is None
    assert await shown(store, "f") == ["one", "answer 1", "three", "answer 3"]
    assert await shown(store, "g") == ["one", "answer 1", "three", "answer 3"]
    await talk(store, "c", "anew")
    assert await shown(store, "c") == ["anew", "answer 1"]


async def test_a_fork_of_a_branch_that_was_left(store: ConversationStore) -> None:
    await talk(store, "c", "one", "two")
    branch = await store.branch("c", at=2, expected_revision=await revision_of(store, "c"))
    await store.save(await agent.run("other", conversation=branch))
    record = await store.read_record("c")
    assert record is not None
    await store.fork("c", from_entry=record.branches[0], new_conversation_id="f")
    await talk(store, "f", "more")

    assert await shown(store, "f") == ["one", "answer 1", "two", "answer 3", "more", "answer 5"]
    assert await shown(store, "c") == ["one", "answer 1", "other", "answer 3"]


async def test_what_a_fork_has_copied_is_found_when_its_source_is_gone(store: ConversationStore) -> None:
    await talk(store, "c", "one", "two")
    branch = await store.branch("c", at=2, expected_revision=await revision_of(store, "c"))
    await store.save(await agent.run("other", conversation=branch))
    record = await store.read_record("c")
    assert record is not None
    await store.fork("c", from_entry=record.branches[0], new_conversation_id="f")
    answer = (await store.load_entries("c") or [])[1]
    await store.delete("c")

    assert texts(entry.message for entry in await store.read_history(answer.id)) == ["one", "answer 1"]


async def test_a_fork_at_the_beginning_is_empty(store: ConversationStore) -> None:
    await talk(store, "c", "one")
    await store.fork("c", at=0, new_conversation_id="f")

    assert await shown(store, "f") == []


async def test_scopes_keep_conversations_to_their_owner(store: ConversationStore) -> None:
    for session_id, scope in (("a", "ann"), ("b", "bob"), ("c", "ann")):
        await talk(store, session_id, "hello", scope=scope)
    await talk(store, "a", "more")

    assert [record.conversation_id for record in await store.list_conversations(scope="ann")] == ["a", "c"]
    assert [record.conversation_id for record in await store.list_conversations(limit=2)] == ["a", "c"]
    assert await store.list_conversations(scope="nobody") == []
    assert await store.load("b", scope="ann") is None
    await store.delete("b", scope="ann")
    assert await shown(store, "b") == ["hello", "answer 1"]


async def test_an_entry_is_read_by_its_id_alone(store: ConversationStore) -> None:
    await talk(store, "c", "one")
    [first, _] = await store.load_entries("c") or []

    assert await store.read_entry(first.id) == first
    with pytest.raises(LookupError):
        await store.read_entry("nowhere")


async def test_a_cold_store_finds_all_and_usage_is_counted_once(sessions: SessionManager) -> None:
    await talk(PydanticAIConversationStore(sessions), "c", "one", "two")
    cold = PydanticAIConversationStore(sessions)
    entries = await cold.load_entries("c") or []
    await PydanticAIConversationStore(sessions).fork("c", new_conversation_id="f")
    await talk(cold, "f", "three")

    assert await PydanticAIConversationStore(sessions).read_entry(entries[1].id) == entries[1]
    own = [await sessions.usage(cold.session_id(session_id)) for session_id in ("c", "f")]
    assert [(each.total.requests, each.total_tokens) for each in own] == [(2, 30), (1, 15)]
    assert (await sessions.usage(cold.session_id("c"), tree=True)).total_tokens == 45
    async with sessions.open(cold.session_id("f")) as chat:
        assert [message["kind"] for message in await chat.messages()] == ["request", "response"] * 3


async def test_a_lost_reply_doubles_nothing(sessions: SessionManager) -> None:
    losing = Losing(sessions)
    store = PydanticAIConversationStore(sessions)
    for prompt in ("one", "two"):
        losing.lose(1)
        await talk(store, "c", prompt)
    losing.lose(1)
    await store.fork("c", at=2, new_conversation_id="f")

    assert len(await sessions.events(store.session_id("c"))) == 4
    assert (await sessions.usage(store.session_id("c"))).total.requests == 2
    assert await shown(store, "f") == ["one", "answer 1"]


async def test_a_fork_that_was_begun_and_not_finished_is_absent_and_can_be_made_again(sessions: SessionManager) -> None:
    store = PydanticAIConversationStore(sessions)
    await talk(store, "c", "one", "two")
    await sessions.fork(store.session_id("c"), new_id=store.session_id("f"))  # and then its process died
    assert await store.load("f") is None

    await store.fork("c", at=2, new_conversation_id="f")
    assert await shown(store, "f") == ["one", "answer 1"]


async def test_history_in_and_out_of_any_session(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        await chat.system("Be brief.")
        for prompt in ("one", "two"):
            async with chat.run(agent="planner") as run:
                result = await agent.run(prompt, message_history=await message_history(chat))
                for _ in range(2):  # the second is a repeat
                    await append_messages(run, result.new_messages(), id=prompt)

        assert texts(await message_history(chat)) == ["one", "answer 1", "two", "answer 3"]
        assert texts(await message_history(chat, last=1)) == ["answer 3"]
        assert (await chat.usage()).total_tokens == 30


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_stay_apart_and_come_back(odd: str) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        store = PydanticAIConversationStore(sessions)
        await talk(store, odd, "one")
        await talk(store, f"{odd}/", "other")

        assert await shown(store, odd) == ["one", "answer 1"]
        assert {record.conversation_id for record in await store.list_conversations()} == {odd, f"{odd}/"}


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_bad_input_is_a_user_error_with_ours_inside_and_nothing_is_written(bad: str) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        store = PydanticAIConversationStore(sessions)
        with pytest.raises(UserError) as caught:
            await store.load(bad)
        assert isinstance(caught.value.__cause__, InvalidSessionOperation)
        entry = ConversationEntry(id=bad or "x" * 600, parent_id=None, message=ModelRequest([UserPromptPart("one")]))
        record = ConversationRecord(conversation_id="c", head_id=entry.id)
        with pytest.raises((UserError, ValueError)):
            await store.write_record(record, new_entries=[entry], expected_revision=None)

        assert await sessions.list_sessions() == []


async def test_what_cannot_be_read_any_more_is_named(sessions: SessionManager) -> None:
    store = PydanticAIConversationStore(sessions)
    await talk(store, "c", "one")
    session_id = store.session_id("c")
    [first, *_] = await sessions.events(session_id)
    mark = first.metadata
    newest = (await store.load_entries("c") or [])[-1].id
    marked = {"pydantic_ai": {"v": 1, "parent": newest}}
    odd = first.model_copy(update={"id": "odd", "message": {"kind": "unheard"}, "metadata": marked})
    late = first.model_copy(update={"id": "late", "metadata": {"pydantic_ai": {"v": 2, "links": []}}})
    await sessions.append(session_id, odd, late)
    assert mark["pydantic_ai"]["v"] == 1

    for entry_id, words in (("odd", "this release of pydantic-ai"), ("late", "newer release")):
        with pytest.raises(UserError, match=words) as caught:
            await store.read_entry(entry_id)
        assert isinstance(caught.value.__cause__, CorruptSession)
    await sessions.create(store.session_id("n"), state={"pydantic_ai": {"v": 2}})
    with pytest.raises(UserError, match="newer release"):
        await talk(store, "n", "one")
