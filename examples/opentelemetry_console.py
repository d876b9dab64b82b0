"""A run and what it writes and reads as spans of OpenTelemetry, on the console; the second run fails.

To run: python examples/opentelemetry_console.py  (pip install 'a2a_session_manager[otel]' opentelemetry-sdk)
It prints: a line for each span when it ends, children before their parent. No network.
"""

import asyncio
from contextlib import suppress

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from a2a_session_manager import SessionManager, TokenUsage
from a2a_session_manager.integrations.opentelemetry import instrument

SHOWN = ("gen_ai.conversation.id", "a2a_session_manager.run.status", "gen_ai.usage.input_tokens", "error.type")


def one_line(span: ReadableSpan) -> str:
    attributes = span.attributes or {}
    shown = [f"{name.rpartition('.')[2]}={attributes[name]!s}" for name in SHOWN if name in attributes]
    return " ".join(["  " if span.parent else "", f"{span.name}:", *shown]).lstrip("" if span.parent else " ") + "\n"


async def main() -> None:
    provider = TracerProvider()  # a service takes the global one, which its own set-up makes
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=one_line)))

    async with SessionManager.from_url("memory:") as sessions:
        instrument(sessions.store, tracer_provider=provider)
        async with sessions.open("oslo-trip") as chat:
            await chat.user("Two days in Oslo?")
            async with chat.run(agent="planner") as run:
                await chat.messages()
                usage = TokenUsage(prompt_tokens=90, completion_tokens=12, model="gpt-4o-mini")
                await run.assistant("Take a coat.", usage=usage)
            with suppress(ConnectionError):
                async with chat.run(agent="booker"):
                    raise ConnectionError("what it says is in the session's run, and in no span")
    provider.shutdown()


asyncio.run(main())
