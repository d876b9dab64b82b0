"""A server of the A2A SDK that keeps its tasks in a store of ours, and goes on with them in another process.

To run: python examples/frameworks/a2a_tasks.py
It prints: the events that a follower gets while a scripted agent streams, what a second process finds, and the usage.
"""

import asyncio
import subprocess
import sys
import tempfile

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    Task,
    TaskState,
    TaskStatus,
)

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.a2a import (
    A2APushNotificationConfigStore,
    A2ATaskEventStream,
    A2AVersionedTaskStore,
)

CARD = AgentCard(
    name="planner",
    version="1",
    description="Plans trips",
    supported_interfaces=[AgentInterface(url="http://localhost/", protocol_binding="JSONRPC", protocol_version="1.0")],
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="plan", name="plan", description="Plans a trip, day by day", tags=["travel"])],
    capabilities=AgentCapabilities(streaming=True, push_notifications=True),
)
USER = ServerCallContext()


class Planner(AgentExecutor):
    """Answers in parts, and says at the end what the model used."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = Task(id=context.task_id, context_id=context.context_id, status=TaskStatus())
        task.status.state = TaskState.TASK_STATE_SUBMITTED
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await updater.start_work()
        for number in range(3):
            part = Part(text=f"Day {number + 1}: the fjord. ")
            await updater.add_artifact([part], artifact_id="plan", append=number > 0, last_chunk=number == 2)
        usage = {"usage": {"prompt_tokens": 90, "completion_tokens": 12, "model": "gpt-4o-mini"}}
        await updater.update_status(TaskState.TASK_STATE_COMPLETED, metadata=usage)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def handler_over(sessions: SessionManager) -> DefaultRequestHandler:
    return DefaultRequestHandler(
        agent_executor=Planner(),
        agent_card=CARD,
        task_store=A2AVersionedTaskStore(sessions, usage_key="usage"),
        event_stream=A2ATaskEventStream(sessions),
        push_config_store=A2APushNotificationConfigStore(sessions),
    )


async def serve(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        handler = handler_over(sessions)
        asked = Message(message_id="m-1", role=Role.ROLE_USER, parts=[Part(text="Two days in Oslo?")])
        async for event in handler.on_message_send_stream(SendMessageRequest(message=asked), USER):
            print(type(event).__name__, flush=True)


async def find(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        handler = handler_over(sessions)
        [listed] = (await handler.on_list_tasks(ListTasksRequest(), USER)).tasks
        task = await handler.on_get_task(GetTaskRequest(id=listed.id), USER)
        if task is not None:
            print("in a second process:", "".join(part.text for part in task.artifacts[0].parts))
        [session] = await sessions.list_sessions("task/")
        usage = await sessions.usage(session)
        print(f"{usage.total.requests} request, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(find(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(serve(place))
        subprocess.run([sys.executable, __file__, place], check=True)
