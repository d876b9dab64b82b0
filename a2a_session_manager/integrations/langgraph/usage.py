"""What the answers in a channel cost, as events of their own: each once, in the session of its thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.usage.recorded import recorded_usage

USAGE: Final = "langgraph_usage"


def usage_events(values: Iterable[Any]) -> Iterator[SessionEvent[Any]]:
    """Yield the usage of each answer of a model among `values`, and among the items of those that are lists.

    An answer goes from state to state, and is told by its id; its event has an id made of that.
    """
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            usage = getattr(item, "usage_metadata", None)
            if not usage or getattr(item, "type", None) not in ("ai", "AIMessageChunk"):
                continue
            response: Mapping[str, Any] = getattr(item, "response_metadata", None) or {}
            known = [response.get(name) for name in ("model_name", "model", "model_id")]
            model = next((name for name in known if isinstance(name, str)), None)
            provider = response.get("model_provider")
            message_id = getattr(item, "id", None) or derived_id(f"{item!r}")
            yield SessionEvent(
                id=derived_id(f"usage of {message_id}"),
                source=EventSource.LLM,
                type=USAGE,
                token_usage=recorded_usage(
                    item,
                    model=model,
                    provider=provider if isinstance(provider, str) else None,
                    response_id=str(message_id),
                ),
            )
