"""The API of 0.1, awaited where it touches the store.

To run: python examples/session_example.py
It prints: the conversation as it was stored, its tokens, its run, and the tree around it.
"""

import asyncio

from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import InMemorySessionStore, SessionStoreProvider


async def keep_a_conversation(store: InMemorySessionStore) -> Session:
    session: Session = Session()
    session.add_event(SessionEvent(message="What is the capital of Norway?", source=EventSource.USER))
    usage = TokenUsage(prompt_tokens=8, completion_tokens=1, model="gpt-4o")
    session.add_event(SessionEvent(message="Oslo.", source=EventSource.LLM, token_usage=usage))
    await store.save(session)  # nothing is stored before this line

    again = await store.get(session.id)
    assert again is not None  # None would mean that there is no such session
    for event in again.events:
        print(f"{event.seq} {event.source}: {event.message}")
    print(f"tokens: {again.total_tokens} in all, {again.usage_by_model['gpt-4o'].prompt_tokens} of them in prompts")
    return again


async def run_something(store: InMemorySessionStore, session: Session) -> None:
    run = SessionRun()
    session.runs.append(run)
    run.mark_running()
    await store.save(session)
    print(f"active run: {session.active_run is not None}")
    session.add_event(SessionEvent(message="And of Sweden?", source=EventSource.USER, task_id=run.id))
    run.mark_completed()
    await store.save(session)  # commits what changed since the last save: an event and the end of the run
    print(f"run: {run.status}, events: {session.last_seq}")


async def grow_a_tree(store: InMemorySessionStore, session: Session) -> None:
    child: Session = Session(parent_id=session.id)
    await store.save(child)
    grandchild: Session = Session(parent_id=child.id)
    await store.save(grandchild)

    above = [each.id for each in await grandchild.ancestors()]  # nearest first
    below = [each.id for each in await session.descendants()]  # depth first
    print(f"ancestors in order: {above == [child.id, session.id]}")
    print(f"descendants in order: {below == [child.id, grandchild.id]}")


async def main() -> None:
    store = InMemorySessionStore()
    SessionStoreProvider.set_store(store)
    session = await keep_a_conversation(store)
    await run_something(store, session)
    await grow_a_tree(store, session)
    await store.delete(session.id, children="cascade")
    print(f"sessions left: {await store.list_sessions()}")


asyncio.run(main())
