"""CompactingAgentsSession in the real framework, which asks for a compaction after a turn and goes on with the rest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from agents import Runner
from agents.memory import is_openai_responses_compaction_aware_session

from a2a_session_manager import (
    CompactionPolicy,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionManager,
    Summary,
    TokenUsage,
)
from a2a_session_manager.integrations.openai_agents import (
    AgentsSession,
    CompactingAgentsSession,
    UsageHooks,
    responses_compaction,
)
from tests.integrations.openai_agents.scripted_runs import price
from tests.integrations.scripted import agent, calls, says
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

OPAQUE = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}


class _Compactor:
    """What `client.responses` is, as far as it is used here."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []

    async def compact(self, *, model: str, input: Any) -> Any:
        self.inputs.append(input)
        usage = TokenUsage(prompt_tokens=100, completion_tokens=7, model=model, cost_pico_usd=5)
        return SimpleNamespace(output=[{"role": "user", "content": "Oslo?"}, OPAQUE], usage=usage)


async def test_the_framework_has_it_compacted_and_goes_on_with_what_is_left(open_store: OpenStore) -> None:
    responses = _Compactor()
    client: Any = SimpleNamespace(responses=responses)
    async with open_store() as store:
        session = CompactingAgentsSession(
            "talk", SessionManager(store), summarize=responses_compaction(client, "gpt-4o"), items=2
        )
        assert is_openai_responses_compaction_aware_session(session)
        travel = agent([says("Sunny. " * 20)], [says("Rainy. " * 20, "msg_2")], [says("Fine.", "msg_3")])
        await Runner.run(travel, "Oslo? " * 20, session=session)
        assert responses.inputs == []
        await Runner.run(travel, "Bergen? " * 20, session=session)
        items = await session.get_items()

        assert [each.get("role") for each in responses.inputs[0]] == ["user", "assistant"] * 2
        assert items == [{"role": "user", "content": "Oslo?"}, OPAQUE]
        await Runner.run(travel, "Voss?", session=session)
        assert travel.model.inputs[-1][:2] == items  # type: ignore[union-attr]  # it is the scripted one

    async with open_store() as cold, SessionManager(cold).open("talk") as chat:
        views = {each: await chat.messages(format=each) for each in ("responses", "openai")}
        assert views["responses"][1] == OPAQUE
        assert [each["role"] for each in views["openai"]] == ["user", "user", "assistant"]
        assert "compaction" in " ".join(each.text for each in views["openai"].report)
        assert len(await chat.messages(compacted=False)) == 6
        assert (await chat.usage()).total_tokens == 107
        [event] = [each for each in await chat.events() if each.type == "summary"]
        assert event.metadata["compaction"]["method"] == "responses.compact"


async def test_the_newest_item_is_popped_though_a_summary_stands_for_it() -> None:
    session = CompactingAgentsSession("talk", SessionManager(InMemorySessionStore()), summarize=lambda view: "short")
    given: list[Any] = [{"role": "user", "content": "Oslo? " * 9}, {"role": "assistant", "content": "Sun. " * 9}]
    await session.add_items(given)
    await session.run_compaction({"force": True})
    assert await session.get_items() == [{"role": "user", "content": "short"}]

    assert await session.pop_item() == given[1]
    assert await session.get_items() == given[:1]
    await session.clear_session()
    assert await session.get_items() == []


async def test_a_policy_goes_by_the_usage_that_was_recorded() -> None:
    policy = CompactionPolicy(start_at=110, keep=0, minimum_gain=1)
    session = CompactingAgentsSession(
        "talk", SessionManager(InMemorySessionStore()), summarize=lambda view: Summary("short"), policy=policy
    )
    await session.run_compaction()
    travel = agent([calls("price", '{"to": "Oslo"}')], [says("120 EUR " * 9)], tools=[price])
    await Runner.run(travel, "Oslo?", session=session, hooks=UsageHooks(session))

    assert await session.get_items() == [{"role": "user", "content": "short"}]
    assert await session.compact(force=True) is None
    with pytest.raises(InvalidSessionOperation, match="no function"):
        CompactingAgentsSession("talk", SessionManager(InMemorySessionStore()), summarize="short")  # type: ignore[arg-type]  # on purpose
    assert not is_openai_responses_compaction_aware_session(AgentsSession("a", SessionManager(InMemorySessionStore())))
