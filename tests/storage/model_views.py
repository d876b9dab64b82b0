"""What a model must be given of a plain session: the view of its own events, and its open calls the obvious way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from a2a_session_manager import EventSource, EventType, MessageView, SessionEvent, event_from_message
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


def plain_prompt(plain: PlainSession) -> MessageView:
    """Return the view under the compaction that counts: its summary, what it leaves, and what comes after it."""
    at = plain.in_force
    if at is None:
        return plain_view(plain)
    first = plain.compactions[at].first
    others = [seq for seq in plain.shown if seq not in plain.compactions]
    order = [[seq for seq in others if seq < first], [at], [seq for seq in others if seq >= first]]
    events = MessageColumns.of(_message(plain, seq) for some in order for seq in some)
    return view_of(prompt_of(said_in(events), None, summary=at), None, plain.id, compaction=at)


def plain_view(plain: PlainSession, *, run_id: str | None = None, repair: bool = True) -> MessageView:
    """Return the view of all that is visible, or of what is one run's."""
    visible = [_message(plain, seq) for seq in plain.visible if seq not in plain.compactions]
    events = MessageColumns.of(each for each in visible if run_id in (None, each.task_id))
    return view_of(prompt_of(said_in(events), None, repair=repair), None, plain.id)


def plain_open_calls(plain: PlainSession) -> list[tuple[str, int, str | None]]:
    """Return the id, the seq and the run of each call that waits for its result."""
    waiting: list[tuple[str, int, str | None]] = []
    for seq in plain.visible:
        message, run_id = plain.log[seq - 1].message, _run_id(plain, seq)
        if not isinstance(message, dict) or seq in plain.compactions or is_of_budget(message):
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


def plain_open_calls_at(plain: PlainSession, seq: int) -> list[tuple[str, int, str | None]]:
    """Return the calls that would be open in a fork at an event; an older one has been given up."""
    shown = [each for each in plain.visible if each <= seq]
    count = 16
    while count < len(shown) and _are_results(plain, shown[-count:]):
        count *= 4
    older = dict.fromkeys(shown[:-count], "")
    return plain_open_calls(replace(plain, log=plain.log[:seq], hider={**plain.hider, **older}))


def _are_results(plain: PlainSession, seqs: list[int]) -> bool:
    """Tell whether what was said in some events are results, so that their calls are further up."""
    messages = [plain.log[seq - 1].message for seq in seqs if seq not in plain.compactions]
    said = [each for each in messages if each is not None and not is_of_budget(each)]
    return bool(said) and all(isinstance(each, dict) and each["role"] == "tool" for each in said)


def plain_findings(plain: PlainSession) -> list[tuple[str, tuple[int, ...]]]:
    """Return the code and the seqs of what a check finds."""
    found = [(str(each.code), each.seqs) for each in plain_view(plain).report]
    for run_id, status in plain.runs.items():
        if status not in FINAL:
            found.append(("unfinished_run", tuple(seq for seq in plain.visible if _run_id(plain, seq) == run_id)[-1:]))
    return [*found, *(("repeated_usage", tuple(seqs)) for seqs in plain.repeated.values())]


def is_of_budget(message: object) -> bool:
    """Tell whether an event tells of a budget, to whom follows; no model is given it."""
    return isinstance(message, dict) and "role" not in message


def _message(plain: PlainSession, seq: int) -> EventMessage:
    row, run_id = plain.log[seq - 1], _run_id(plain, seq)
    if is_of_budget(row.message):
        event = SessionEvent(id=row.id, message=row.message, source=EventSource.SYSTEM, type=EventType.BUDGET)
    elif isinstance(row.message, dict):
        event = event_from_message(row.message, id=row.id, task_id=run_id)
    else:
        role = EventSource.USER if seq in plain.compactions else EventSource.LLM  # as a summary speaks
        event = SessionEvent(id=row.id, message=row.message, task_id=run_id, source=role)
    return message_of(event)._replace(seq=seq)


def _run_id(plain: PlainSession, seq: int) -> str | None:
    return plain.run_ids.get(plain.log[seq - 1].id)
