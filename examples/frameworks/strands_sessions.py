"""An agent of Strands that keeps its messages in a store of ours, and goes on in another process.

To run: python examples/frameworks/strands_sessions.py
It prints: what a scripted model answers, the last time in a second process, and what the requests used.
"""

import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import Any

from strands import Agent
from strands.models.model import Model
from strands.session.repository_session_manager import RepositorySessionManager

from a2a_session_manager.integrations.strands import StrandsSessionRepository
from a2a_session_manager.sync import SyncSessionManager


class ScriptedModel(Model):
    """Answers from a script, as a model would, with what it used."""

    def update_config(self, **model_config: Any) -> None: ...

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "gpt-4o-mini"}

    def structured_output(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        raise NotImplementedError

    async def stream(self, messages: Any, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        asked = sum(message["role"] == "user" for message in messages)
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": f"You asked {asked} times."}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}
        usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
        yield {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}


def ask(url: str, *questions: str) -> None:
    with StrandsSessionRepository.from_url(url, model="gpt-4o-mini") as repository:
        manager = RepositorySessionManager("oslo-trip", repository)
        agent = Agent(model=ScriptedModel(), agent_id="planner", session_manager=manager, callback_handler=None)
        for question in questions:
            print(str(agent(question)).strip(), flush=True)
    if len(questions) == 1:
        with SyncSessionManager.from_url(url) as sessions:
            usage = sessions.usage("session/oslo-trip", tree=True)
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    ask(sys.argv[1], "And in winter?")
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        ask(place, "Two days in Oslo?", "And in summer?")
        subprocess.run([sys.executable, __file__, place], check=True)
