"""Without OpenTelemetry nothing is imported and all works; with its API alone, an instrumented store does as well."""

from __future__ import annotations

import asyncio
import subprocess
import sys

CHAT = """
import asyncio, sys, tempfile
from a2a_session_manager import SessionManager

async def chat(sessions):
    async with sessions, sessions.open("talk") as chat:
        await chat.user("Hello")
        async with chat.run(agent="planner") as run:
            await run.assistant("Hi")
        return len(await chat.messages())
"""


def printed(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHAT + code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


async def test_who_does_not_ask_for_it_imports_nothing_of_it() -> None:
    code = """
with tempfile.TemporaryDirectory() as place:
    for url in ("memory:", f"file:{place}/sessions"):
        print(asyncio.run(chat(SessionManager.from_url(url))))
print([name for name in sys.modules if "opentelemetry" in name])
"""
    assert await asyncio.to_thread(printed, code) == ["2", "2", "[]"]


async def test_where_it_is_not_installed_the_pip_line_is_the_error() -> None:
    code = """
sys.modules["opentelemetry"] = None
from a2a_session_manager import MissingDependency
print(asyncio.run(chat(SessionManager.from_url("memory:"))))
try:
    from a2a_session_manager.integrations.opentelemetry import instrument
except MissingDependency as missing:
    print(missing)
"""
    line = "opentelemetry-api is not installed: pip install 'a2a_session_manager[otel]'"
    assert await asyncio.to_thread(printed, code) == ["2", line]


async def test_the_api_alone_is_enough_and_an_sdk_that_comes_later_is_heard() -> None:
    code = """
sys.modules["opentelemetry.sdk"] = None
from opentelemetry import trace
from a2a_session_manager.integrations.opentelemetry import instrument
sessions = SessionManager.from_url("memory:")
instrument(sessions.store)
print(asyncio.run(chat(sessions)))

class Provider(trace.TracerProvider):
    def get_tracer(self, name, *arguments, **options):
        print(name)
        return trace.NoOpTracer()

trace.set_tracer_provider(Provider())
asyncio.run(chat(SessionManager(instrument(SessionManager.from_url("memory:").store))))
"""
    assert await asyncio.to_thread(printed, code) == ["2", "a2a_session_manager"]
