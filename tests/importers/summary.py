"""What a store holds, in the words of the files `*.expected.json` beside the imported ones."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.importers.records import IMPORTED
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.storage import BaseSessionStore


async def summary_of(store: BaseSessionStore) -> dict[str, Any]:
    """Return of each session what is to be compared."""
    return {session_id: await _session(store, session_id) for session_id in sorted(await store.list_sessions())}


async def _session(store: BaseSessionStore, session_id: str) -> dict[str, Any]:
    session = await store.get(session_id)
    assert session is not None
    source = session.forked_from
    metadata = session.metadata
    events = await store.events(session, after=0 if source is None else source.seq)
    told: dict[str, Any] = {
        "created": metadata.created_at.isoformat(),
        "updated": metadata.updated_at.isoformat(),
        "events": [_event(event) for event in events],
    }
    if source is not None:
        told["fork"] = f"{source.id} at {source.seq}"
    elif session.parent_id is not None:
        told["parent"] = session.parent_id
    if "title" in metadata.properties:
        told["title"] = metadata.properties["title"]
    if session.runs:
        told["runs"] = {run.id: run.status.value for run in session.runs}
    totals = session.token_summary.usage_by_model
    if totals:
        told["usage"] = {
            model: [tally.prompt_tokens, tally.completion_tokens, tally.requests] for model, tally in totals.items()
        }
    return told


def _event(event: SessionEvent[Any]) -> str:
    """Return an event as its id, time, and who says what kind of thing; an opaque one as what it was."""
    message = message_from_event(event)
    if message is None:
        said = f"({event.metadata[IMPORTED]['kind']})"
    else:
        read = read_message(message)
        said = f"{read.role} {'+'.join(type(part).__name__.lower() for part in read.parts)}"
    typed = "" if event.type != "summary" else " summary"
    return f"{event.id} {event.timestamp:%Y-%m-%dT%H:%M:%S} {said}{typed}"
