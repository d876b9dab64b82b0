"""What a model must be given of a plain session: the view of its own events, and its open calls the obvious way."""

from __future__ import annotations

from typing import Any

from a2a_session_manager import MessageView, SessionEvent, event_from_message
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.prompt import prompt_of, said_in, view_of
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, message_of
from tests.storage.model import FINAL, PlainSession

_TOOL = "weather"


def exchange_event(event_id: str, call_id: str, run_id: str | None, *, is_result: bool) -> SessionEvent[Any]:
    """Return the event of a call, or of the result of one."""
    function = {"name": _TOOL, "arguments": "{}"}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": call_id, "content": "sunny"}
    return event_from_message(result if is_result else call, id=event_id, task_id=run_id)


def interruption(call_id: str) -> dict[str, Any]:
    """Return what repairing writes for a call."""
    return {"role": "tool", "tool_call_id": call_id, "content": INTERRUPTED, "name": _TOOL}


def plain_view(plain: PlainSession, *, run_id: str | None = None, repair: bool = True) -> MessageView:
    """Return the view of all that is visible, or of what is one run's."""
    visible = [_message(plain, seq) for seq in plain.visible]
    events = MessageColumns.of(each for each in visible if run_id in (None, each.task_id))
    return view_of(prompt_of(said_in(events), None, repair=repair), None, plain.id)


def plain_open_calls(plain: PlainSession) -> list[tuple[str, int, str | None]]:
    """Return the id, the seq and the run of each call that waits for its result."""
    waiting: list[tuple[str, int, str | None]] = []
    for seq in plain.visible:
        message, run_id = plain.log[seq - 1].message, _run_id(plain, seq)
        if not isinstance(message, dict):
            continue
        call_id = message.get("tool_call_id") or message["tool_calls"][0]["id"]
        same = [each for each in waiting if each[0] == call_id]
        own = [each for each in same if each[2] == run_id]
        if message["role"] == "tool":
            answered = (own or same)[-1:]
            waiting = [each for each in waiting if each not in answered]
        elif not same or same[-1][2] != run_id:  # else it is the same call, said again
            waiting.append((call_id, seq, run_id))
    return waiting


def plain_findings(plain: PlainSession) -> list[tuple[str, tuple[int, ...]]]:
    """Return the code and the seqs of what a check finds."""
    found = [(str(each.code), each.seqs) for each in plain_view(plain).report]
    for run_id, status in plain.runs.items():
        if status not in FINAL:
            found.append(("unfinished_run", tuple(seq for seq in plain.visible if _run_id(plain, seq) == run_id)[-1:]))
    return [*found, *(("repeated_usage", tuple(seqs)) for seqs in plain.repeated.values())]


def _message(plain: PlainSession, seq: int) -> EventMessage:
    row, run_id = plain.log[seq - 1], _run_id(plain, seq)
    if isinstance(row.message, dict):
        event = event_from_message(row.message, id=row.id, task_id=run_id)
    else:
        event = SessionEvent(id=row.id, message=row.message, task_id=run_id)
    return message_of(event)._replace(seq=seq)


def _run_id(plain: PlainSession, seq: int) -> str | None:
    return plain.run_ids.get(plain.log[seq - 1].id)
