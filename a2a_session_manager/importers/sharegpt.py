"""Data sets in ShareGPT's format: a session for each entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import sharegpt
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.openai_chat import event_of
from a2a_session_manager.importers.records import ConversationIds, Record, SessionStart, opaque, without
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock

NAME: Final = "sharegpt"
WHAT: Final = "data sets in ShareGPT's format"


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are such entries."""
    return all(isinstance(value, Mapping) and sharegpt.is_entry(value) for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield a session for each entry, named by its id, or by the file and its number."""
    names = ConversationIds()
    for number, value in enumerate(source.values(), start=1):
        entry, clock = value.data, Clock(source.modified_at)
        named = entry.get("id") if isinstance(entry, Mapping) else None
        own = text_of(str(named) if isinstance(named, int) else named)
        session_id = names.of(own or f"{source.name}-{number}", number)
        if not (isinstance(entry, Mapping) and sharegpt.is_entry(entry)):
            yield SessionStart(session_id)
            yield opaque(session_id, entry, "entry", id="entry", at=clock.at(None), weight=value.weight)
            continue
        rest = without(entry, "id", "conversations", "items", "system")
        yield SessionStart(session_id, about={"record": rest} if rest else {})
        held = list(sharegpt.messages_of(entry))
        for place, each in enumerate(held, start=1):
            yield event_of(session_id, each, str(place), clock, value.weight // len(held))
