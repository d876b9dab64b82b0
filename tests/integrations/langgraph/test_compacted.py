"""What LangGraph sees of a thread that was compacted by us: all of its state, also in a copy."""

from __future__ import annotations

from langchain_core.messages import HumanMessage

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.langgraph import LangGraphSaver
from tests.integrations.bridging import sessions
from tests.integrations.compacting import check_is_refused, compact_what_is_ours
from tests.integrations.langgraph.test_saver import config, talking
from tests.stores import url

__all__ = ["sessions", "url"]


async def test_the_state_stays_whatever_is_compacted_beside_it(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    await talking(saver).ainvoke({"messages": [HumanMessage("hi", id="1")]}, config())
    await check_is_refused(sessions, saver.session_id("t"), "langgraph_checkpoint")
    await compact_what_is_ours(sessions, saver.session_id("t"))

    await talking(saver).ainvoke({"messages": [HumanMessage("again", id="2")]}, config())
    await saver.acopy_thread("t", "copy")

    for thread in ("t", "copy"):
        found = await LangGraphSaver(sessions).aget_tuple(config(thread))
        assert found is not None
        assert len(found.checkpoint["channel_values"]["messages"]) == 4
    async with sessions.open(saver.session_id("copy")) as copy:  # with what was said itself, and no summary beside it
        assert [each["role"] for each in await copy.messages()] == ["user", "assistant"]
    await LangGraphSaver(sessions).aprune(["t"])
    assert len([each async for each in saver.alist(config())]) == 1
