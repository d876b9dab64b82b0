"""The event of a usage alone: made of the bytes of another event, it is what encoding it anew would be."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import EventSource, SessionEvent, TokenUsage
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.models.usage_event import usage_event
from a2a_session_manager.serialization.json_check import unlimited
from a2a_session_manager.storage.codec import decode_event, encode_event
from a2a_session_manager.storage.records import EncodedEvent
from a2a_session_manager.storage.usage_events import usage_of

USAGE = TokenUsage(prompt_tokens=3, completion_tokens=2, model='m","source":"x', cost_pico_usd=21)
MISLEADING = ',"source":"llm","type":"x","timestamp":"'


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "hello"},
        {"message": MISLEADING, "id": f"id {MISLEADING}", "task_id": f"run {MISLEADING} ø", "type": MISLEADING},
        {"message": {"source": "llm", "timestamp": "x", "k": {"a": 1, "source": "y", "timestamp": "z"}}},
        {"message": "a lone \ud800 surrogate", "source": EventSource.USER},
        {"message": None, "metadata": {"a": 1, "source": "y", "timestamp": "z"}},
        {"token_usage": USAGE.model_copy(update={"details": {"a": 1, "source": "y", "timestamp": "z"}})},
        {"token_usage": TokenUsage(model="m", basis="unknown")},
    ],
)
def test_the_usage_of_an_event_is_what_encoding_it_would_be(fields: dict[str, Any]) -> None:
    event: SessionEvent[Any] = SessionEvent(**{"message": "said", "token_usage": USAGE, **fields})
    encoded = encode_event(event, unlimited(), "events", 0)
    make = usage_of([event], DEFAULT_LIMITS)
    assert make is not None

    made = make(encoded)

    expected = encode_event(usage_event(event), unlimited(), "events", 0)
    assert made._replace(data=b"") == expected._replace(data=b"")
    assert _decoded(made) == _decoded(expected)
    assert _decoded(made).token_usage == event.token_usage


def test_events_without_a_usage_have_none_to_be_stored() -> None:
    assert usage_of([SessionEvent(message="said")], DEFAULT_LIMITS) is None


def _decoded(event: EncodedEvent) -> SessionEvent[Any]:
    return decode_event(event.data, "talk", 1, retracted=False)
