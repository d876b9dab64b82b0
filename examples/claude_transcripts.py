"""Transcripts of claude-agent-sdk in a store of ours, read again by another process, with what all agents used.

To run: python examples/claude_transcripts.py
It prints: the entries that a second process finds, the sub-agents, and the usage of the whole tree. In an application
the SDK appends the entries, by ClaudeAgentOptions(session_store=…), and loads them to resume; here a script does.
"""

import asyncio
import subprocess
import sys
import tempfile
from typing import Any

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.claude_agent import ClaudeSessionStore

MAIN: Any = {"project_key": "-home-ann-trip", "session_id": "5f0c9d1e"}
AGENT: Any = {**MAIN, "subpath": "subagents/agent-1"}


def user(uuid: str, text: str) -> Any:
    return {"type": "user", "uuid": uuid, "message": {"role": "user", "content": text}}


def answer(uuid: str, response: str, text: str, output: int) -> Any:
    """Return one line of a response; a response may have several, each with what was used up to there."""
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": 100, "output_tokens": output}
    message = {"id": response, "model": "claude-sonnet-4-5", "role": "assistant", "content": content, "usage": usage}
    return {"type": "assistant", "uuid": uuid, "message": message}


async def first(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = ClaudeSessionStore(sessions)
        await store.append(MAIN, [user("u1", "Two days in Oslo?"), answer("a1", "m1", "Let me", 20)])
        await store.append(MAIN, [answer("a2", "m1", "Let me ask.", 60)])
        await store.append(AGENT, [user("u2", "Flights?"), answer("a3", "m2", "120 EUR", 40)])


async def second(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = ClaudeSessionStore(sessions)
        # The line of the first process comes once more, as after a timeout.
        await store.append(MAIN, [answer("a2", "m1", "Let me ask.", 60), user("u3", "And?")])
        await store.append(MAIN, [answer("a4", "m3", "Fly.", 60)])
        print("in a second process:", [entry["type"] for entry in await store.load(MAIN) or []])
        print("sub-agents:", await store.list_subkeys(MAIN))
        usage = await sessions.usage(store.session_id("-home-ann-trip", "5f0c9d1e"), tree=True)
        print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(second(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(first(place))
        subprocess.run([sys.executable, __file__, place], check=True)
