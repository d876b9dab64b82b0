"""`check` names the events whose usages are of one response, which counted once."""

from __future__ import annotations

import pytest

from a2a_session_manager import SessionEvent, SessionManager, TokenUsage
from a2a_session_manager.context import repeated_usage
from a2a_session_manager.context.findings import Finding


def used(response_id: str | None, model: str = "m", tokens: int = 1) -> SessionEvent[None]:
    usage = TokenUsage(prompt_tokens=tokens, model=model, response_id=response_id)
    return SessionEvent(type="model_response", token_usage=usage)


async def test_check_names_each_response_and_all_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_usage, "_EVENTS_A_READ", 2)
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        await chat.append(used("msg_1"), used(None), used("msg_2"))
        assert await chat.check() == []
        await chat.append(used("msg_1", "", 5), used(None), used("msg_3"), used("msg_2", "n"), used("msg_1"))
        await chat.retract(last=2)

        found = await chat.check()

    once = "it counts once, with the most of each counter"
    assert found == [
        Finding("repeated_usage", (1, 4, 8), f"response 'msg_1' has a usage in 3 events: {once}"),
        Finding(
            "repeated_usage",
            (3, 7),
            f"response 'msg_2' has a usage in 2 events: {once}; they differ in `model`, which is 'm' and 'n': the cost "
            "is a lower bound",
        ),
    ]


async def test_claude_codes_lines_count_as_one_response() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 15_000, "output_tokens": 8}
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        for number, output in enumerate((8, 8, 400)):
            message = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-opus-4-1",
                "content": "…",
            }
            await chat.append({**message, "usage": {**usage, "output_tokens": output}}, id=f"u{number}")
        total = (await chat.usage()).total

    assert (total.requests, total.total_tokens, total.repeated_requests) == (1, 15_410, 2)
    assert chat.session.token_summary.total == total
    assert chat.session.context_size == 15_410
