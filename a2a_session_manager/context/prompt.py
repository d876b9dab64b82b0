"""From what was said to what a model may be given: pure functions of events, so that a log always gives the same."""

from __future__ import annotations

from itertools import compress

from a2a_session_manager.context.arrangement import Arranged
from a2a_session_manager.context.arranging import arranged
from a2a_session_manager.context.conversion import converted, shape_of_format
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.fitting import Unit, begins_turn, find_left_out_words
from a2a_session_manager.context.matching import Said
from a2a_session_manager.context.messages import are_chat_messages, are_said, message_from_event
from a2a_session_manager.context.regular_messages import end_of_regular
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.models.event_message import MessageColumns
from a2a_session_manager.shapes.normal_form import text_of
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.shapes.shape import Shape


def said_in(events: MessageColumns) -> Said:
    """Return what was said in events, as chat messages; what was never said to a model is left out."""
    if are_chat_messages(events):
        return _said_as_it_is(events)
    messages = list(map(message_from_event, events))
    is_said = [message is not None for message in messages]
    said = [message for message in messages if message is not None]
    return Said(said, list(compress(events.seqs, is_said)), list(compress(events.task_ids, is_said)))


def view_at_once(events: MessageColumns, session_id: str, *, compaction: int | None = None) -> MessageView | None:
    """Return the messages in events as they are stored, where there is nothing to be done to them; None elsewhere.

    It takes less than a microsecond a message.
    """
    messages, seqs = events.messages, events.seqs
    if not are_said(events) or end_of_regular(messages, 0, (), ()) < len(messages):
        return None
    return MessageView(messages, seqs=seqs, session_id=session_id, log_seqs=seqs, compaction=compaction)


def prompt_of(
    said: Said, format: str | None, *, repair: bool = True, has_earlier: bool = False, summary: int | None = None
) -> Arranged:
    """Return messages in `format`, None for as they are stored; without `repair`, in the order of the log.

    With `has_earlier`, they are the newest ones only. `summary` is the seq of the messages that stand for what a
    compaction covers, and that are never left out.
    """
    if summary is not None and format is not None:
        said = _with_readable_summary(said, summary, shape_of_format(format))
    is_compacted = summary is not None
    found = (
        arranged(said, format=format, has_earlier=has_earlier, is_compacted=is_compacted)
        if repair
        else _as_stored(said)
    )
    if format is None:
        return found
    shape = shape_of_format(format)
    if repair and shape.begins_with_user and not has_earlier:
        found = _without_opening(found, summary)
    return converted(found, shape)


def view_of(
    found: Arranged, format: str | None, session_id: str, *, is_cut: bool = False, compaction: int | None = None
) -> MessageView:
    """Return arranged messages as a caller gets them."""
    return MessageView(
        found.messages,
        seqs=found.seqs,
        system=found.system,
        report=found.findings,
        format=format,
        session_id=session_id,
        unfinished=_in_units(found, found.unfinished),
        log_seqs=found.log_seqs,
        is_cut=is_cut,
        compaction=compaction,
    )


def _said_as_it_is(events: MessageColumns) -> Said:
    return Said(events.messages, events.seqs, events.task_ids)


def _as_stored(said: Said) -> Arranged:
    return Arranged(list(said.messages), list(said.seqs), list(range(len(said.messages))), log_seqs=said.seqs)


def _in_units(found: Arranged, numbers: set[int]) -> frozenset[int]:
    units = found.units() if numbers else []
    return frozenset(index for number in numbers for index in range(*units[number]))


def _with_readable_summary(said: Said, summary: int, shape: Shape) -> Said:
    """Let what a summary's provider has made for itself speak as the user, as far as another format can read it."""
    messages = list(said.messages)
    for at in (at for at, seq in enumerate(said.seqs) if seq == summary):
        read = read_message(messages[at])
        if read.role == "assistant" and read.shape != shape.name and (text := text_of(read.parts)):
            messages[at] = {"role": "user", "content": text}
    return said._replace(messages=messages)


def _without_opening(found: Arranged, summary: int | None) -> Arranged:
    """Leave out what is said before the user speaks for the first time, but not what the system says, nor a summary."""
    kept: list[tuple[int, int]] = []
    opening: list[Unit] = []
    for unit in found.units():
        if found.seqs[unit[0]] == summary or read_message(found.messages[unit[0]]).role == "system":
            kept.append(unit)
        elif begins_turn(found, unit):
            kept.append((unit[0], len(found.messages)))
            break
        else:
            opening.append(unit)
    if not opening:
        return found
    seqs = tuple(found.events_at(index for unit in opening for index in range(*unit)))
    found.findings.append(Finding("opening", seqs, f"event {seqs[0]} is said before the user speaks, and is left out"))
    find_left_out_words(found, opening)
    return found.only(kept)
