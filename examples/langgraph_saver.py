"""A LangGraph graph that keeps its checkpoints in a store of ours, and goes on in another process.

To run: python examples/langgraph_saver.py
It prints: how many messages there are after each turn, the last one in a second process, and what the turns used.
"""

import asyncio
import subprocess
import sys
import tempfile
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph, add_messages

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.langgraph import LangGraphSaver

THREAD: Any = {"configurable": {"thread_id": "oslo-trip"}}


class Talk(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def model(state: Talk) -> dict[str, Any]:
    """Answer from a script, as a model would, with what it used."""
    used: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    text = f"You asked {len(state['messages']) // 2 + 1} times."
    return {"messages": [AIMessage(text, usage_metadata=used, response_metadata={"model_name": "gpt-4o"})]}


async def talk(url: str, *turns: int) -> None:
    builder: Any = StateGraph(Talk)
    builder.add_node("model", model)
    builder.add_edge(START, "model")
    builder.add_edge("model", END)
    async with SessionManager.from_url(url) as sessions:
        saver = LangGraphSaver(sessions)
        graph = builder.compile(checkpointer=saver)
        for turn in turns:
            state = await graph.ainvoke({"messages": [HumanMessage(f"Question {turn}?")]}, THREAD)
            where = "" if turn < 3 else ", in a second process"
            print(f"turn {turn}{where}: {len(state['messages'])} messages", flush=True)
        if turns[-1] == 3:
            usage = await sessions.usage(saver.session_id("oslo-trip"))
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")
            print("steps:", len([step async for step in graph.aget_state_history(THREAD)]))


if sys.argv[1:]:
    asyncio.run(talk(sys.argv[1], 3))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(talk(place, 1, 2))
        subprocess.run([sys.executable, __file__, place], check=True)
