"""An answer that is said chunk by chunk, and what is kept of it."""

from __future__ import annotations

import pytest

from a2a_session_manager.integrations.fastapi import StreamedAnswer, streaming


async def say(answer: StreamedAnswer, text: str, *, usage: object = None, then: Exception | None = None) -> None:
    """Let the block say `text`, and end by `then`."""
    async with answer:
        if text:
            answer.write(text)
        if usage is not None:
            answer.set_usage(usage)
        if then is not None:
            raise then


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PAUSES", (0.0, 0.0, 0.0))
