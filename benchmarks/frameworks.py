"""One turn through each framework, with our store and with its own best one of the same engine, in one run.

Run it in an environment that has the frameworks: `python -m benchmarks.frameworks [TURNS] [FRAMEWORK]…`. Both stores
of a pair write to the disk of this machine, without fsync in ours and as theirs does by default. Where the framework
brings one in memory alone, ours in memory is its pair, and ours on files is shown. The turns alternate between them, so
that both meet the same load. A framework that is not installed is named and left out.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from a2a_session_manager import SessionManager

# Makes one turn, a message and its answer; the number of the turn is its argument.
Turn = Callable[[int], Awaitable[None]]
Pair = Callable[[Path, SessionManager], Any]

TURNS = 100
_TEXT = "Two days in Oslo, by the fjord and in the hills. " * 4


@asynccontextmanager
async def adk(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """The ADK: a turn reads the session and appends two events; theirs is SqliteSessionService."""
    events = importlib.import_module("google.adk.events.event")
    types = importlib.import_module("google.genai.types")
    theirs = importlib.import_module("google.adk.sessions.sqlite_session_service")
    ours = importlib.import_module("a2a_session_manager.integrations.google_adk")
    names = {"app_name": "app", "user_id": "ann", "session_id": "trip"}

    async def turn_of(service: Any) -> Turn:
        await service.create_session(**names)

        async def turn(number: int) -> None:
            session = await service.get_session(**names)
            for author, role in (("user", "user"), ("planner", "model")):
                content = types.Content(role=role, parts=[types.Part(text=_TEXT)])
                await service.append_event(session, events.Event(author=author, content=content))

        return turn

    yield {
        "ours, files": await turn_of(ours.ADKSessionService(sessions)),
        "SqliteSessionService": await turn_of(theirs.SqliteSessionService(str(directory / "adk.db"))),
    }


@asynccontextmanager
async def a2a(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """The A2A SDK: a turn is one more chunk of a task that is streamed; theirs is VersionedDatabaseTaskStore."""
    cluster = importlib.import_module("a2a.server.cluster")
    pb = importlib.import_module("a2a.types.a2a_pb2")
    append = importlib.import_module("a2a.server.tasks.task_manager").append_artifact_to_task
    context = importlib.import_module("a2a.server.context").ServerCallContext()
    create_async_engine = importlib.import_module("sqlalchemy.ext.asyncio").create_async_engine
    ours = importlib.import_module("a2a_session_manager.integrations.a2a")
    engine = create_async_engine(f"sqlite+aiosqlite:///{directory}/a2a.db")

    async def turn_of(store: Any) -> Turn:
        task, missing = pb.Task(id="t-1", context_id="c-1"), cluster.TaskVersion.MISSING
        version = await store.save(task, event=task, prev=None, prev_version=missing, context=context)

        async def turn(number: int) -> None:
            nonlocal version
            artifact = pb.Artifact(artifact_id="plan", parts=[pb.Part(text=_TEXT)])
            event = pb.TaskArtifactUpdateEvent(task_id="t-1", context_id="c-1", artifact=artifact, append=number > 0)
            append(task, event)
            version = await store.save(task, event=event, prev=task, prev_version=version, context=context)

        return turn

    try:
        yield {
            "ours, files": await turn_of(ours.A2AVersionedTaskStore(sessions)),
            "VersionedDatabaseTaskStore, SQLite": await turn_of(cluster.VersionedDatabaseTaskStore(engine)),
        }
    finally:
        await engine.dispose()


@asynccontextmanager
async def strands(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """Strands: a turn appends two messages, and every tenth one lists them; theirs is FileSessionManager."""
    records = importlib.import_module("strands.types.session")
    theirs = importlib.import_module("strands.session.file_session_manager")
    ours = importlib.import_module("a2a_session_manager.integrations.strands")

    def turn_of(repository: Any) -> Turn:
        if repository.read_session("trip") is None:
            repository.create_session(records.Session("trip", records.SessionType.AGENT))
        repository.create_agent("trip", records.SessionAgent("planner", {}, {}))

        async def turn(number: int) -> None:
            for place, role in enumerate(("user", "assistant")):
                message: Any = {"role": role, "content": [{"text": _TEXT}]}
                stored = records.SessionMessage.from_message(message, 2 * number + place)
                repository.create_message("trip", "planner", stored)
            if number % 10 == 0:
                repository.list_messages("trip", "planner")

        return turn

    with ours.StrandsSessionRepository.from_url(f"file:{directory}/strands-ours") as repository:
        yield {
            "ours, files": await asyncio.to_thread(turn_of, repository),
            "FileSessionManager": turn_of(theirs.FileSessionManager("trip", str(directory / "strands"))),
        }


@asynccontextmanager
async def langgraph(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """LangGraph: a turn is a question and an answer of a graph of one node; theirs is AsyncSqliteSaver."""
    graphs = importlib.import_module("langgraph.graph")
    messages = importlib.import_module("langchain_core.messages")
    theirs = importlib.import_module("langgraph.checkpoint.sqlite.aio")
    ours = importlib.import_module("a2a_session_manager.integrations.langgraph")
    where = {"configurable": {"thread_id": "trip"}}

    def turn_of(saver: Any) -> Turn:
        builder = graphs.StateGraph(graphs.MessagesState)
        builder.add_node("model", lambda state: {"messages": [messages.AIMessage(_TEXT)]})
        builder.set_entry_point("model")
        graph = builder.compile(checkpointer=saver)

        async def turn(number: int) -> None:
            await graph.ainvoke({"messages": [messages.HumanMessage(_TEXT)]}, where)

        return turn

    async with theirs.AsyncSqliteSaver.from_conn_string(f"{directory}/langgraph.db") as saver:
        yield {"ours, files": turn_of(ours.LangGraphSaver(sessions)), "AsyncSqliteSaver": turn_of(saver)}


@asynccontextmanager
async def claude(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """The Claude Agent SDK: a turn appends a batch of four lines; theirs is InMemorySessionStore, so is ours."""
    sdk = importlib.import_module("claude_agent_sdk")
    ours = importlib.import_module("a2a_session_manager.integrations.claude_agent")
    key = {"project_key": "-home-ann", "session_id": "5f0c"}

    def turn_of(store: Any) -> Turn:
        async def turn(number: int) -> None:
            await store.append(
                key,
                [
                    {"type": role, "uuid": f"{number} {place}", "message": {"role": role, "content": _TEXT}}
                    for place, role in enumerate(("user", "assistant", "user", "assistant"))
                ],
            )

        return turn

    async with SessionManager.from_url("memory:") as in_memory:
        yield {
            "ours, memory": turn_of(ours.ClaudeSessionStore(in_memory)),
            "InMemorySessionStore": turn_of(sdk.InMemorySessionStore()),
            "ours, files": turn_of(ours.ClaudeSessionStore(sessions)),
        }


@asynccontextmanager
async def pydantic_ai(directory: Path, sessions: SessionManager) -> AsyncIterator[dict[str, Turn]]:
    """pydantic-ai: a turn loads, runs and saves; theirs is InMemoryConversationStore, so is ours."""
    ai = importlib.import_module("pydantic_ai")
    testing = importlib.import_module("pydantic_ai.models.test")
    conversations = importlib.import_module("pydantic_ai.conversation")
    theirs = importlib.import_module("pydantic_ai.conversation_store")
    ours = importlib.import_module("a2a_session_manager.integrations.pydantic_ai")
    agent = ai.Agent(testing.TestModel(custom_output_text=_TEXT))
    # A conversation goes on with the requests that it has counted, and 50 are the most by default.
    no_limits = ai.UsageLimits(request_limit=None)

    def turn_of(store: Any) -> Turn:
        async def turn(number: int) -> None:
            conversation = await store.load("trip") or conversations.Conversation(conversation_id="trip")
            await store.save(await agent.run(_TEXT, conversation=conversation, usage_limits=no_limits))

        return turn

    async with SessionManager.from_url("memory:") as in_memory:
        yield {
            "ours, memory": turn_of(ours.PydanticAIConversationStore(in_memory)),
            "InMemoryConversationStore": turn_of(theirs.InMemoryConversationStore()),
            "ours, files": turn_of(ours.PydanticAIConversationStore(sessions)),
        }


PAIRS: dict[str, Pair] = {
    "google-adk": adk,
    "a2a-sdk": a2a,
    "strands-agents": strands,
    "langgraph": langgraph,
    "claude-agent-sdk": claude,
    "pydantic-ai": pydantic_ai,
}


async def measured(pair: Pair, turns: int) -> dict[str, tuple[float, float]]:
    """Return of each store the median of all turns and of the last tenth, in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            directory = Path(name)
            sessions = await stack.enter_async_context(SessionManager.from_url(f"file:{directory}/ours"))
            stores = await stack.enter_async_context(pair(directory, sessions))
            times: dict[str, list[float]] = {store: [] for store in stores}
            for number in range(turns):
                for store, turn in stores.items():
                    begun = perf_counter()
                    await turn(number)
                    times[store].append(1000 * (perf_counter() - begun))
        return {store: (median(each), median(each[-max(1, turns // 10) :])) for store, each in times.items()}


def main() -> None:
    """Print a line for each store."""
    wanted = sys.argv[2:] or list(PAIRS)
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    print(f"{'framework':16} {'store':36} {'ms a turn':>10} {'at the end':>11}")
    for framework in wanted:
        try:
            found = asyncio.run(measured(PAIRS[framework], turns))
        except ImportError as error:
            print(f"{framework:16} left out: {error}")
            continue
        for store, (whole, end) in found.items():
            print(f"{framework:16} {store:36} {whole:10.2f} {end:11.2f}")


if __name__ == "__main__":
    main()
