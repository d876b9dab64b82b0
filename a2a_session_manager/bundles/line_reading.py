"""What a line of a bundle holds: a record, a value, a run or an event, as its bytes are.

Raises SessionManagerError, ValueError, TypeError or KeyError for a line that a store would refuse.
"""

from __future__ import annotations

import re
from typing import Final

from a2a_session_manager.bundles.carried_events import CarriedEvent, carried, checked
from a2a_session_manager.bundles.records import EVENT_PREFIX, RUN_PREFIX, SessionRecord, record_in, value_prefix
from a2a_session_manager.identifiers import checked_id, shown
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.storage.records import StoredRun
from a2a_session_manager.storage.run_codec import decode_run, encode_run

_CONTROL: Final = re.compile(rb"[\x00-\x1f]")


def record_of_line(line: bytes) -> tuple[SessionRecord, dict[str, int]]:
    """Return the record that the first line of a session has, and how many values and runs are to come."""
    record, counts = record_in(parsed(line)["session"])
    checked_id(record.id, "session id")
    if record.parent_id is not None:
        checked_id(record.parent_id, "session id")
    return record, counts


def value_of_line(line: bytes, kind: str, limits: StoreLimits) -> tuple[str, bytes]:
    """Return the name and the value of a property or of the state."""
    document = parsed(line)
    name = document[kind]
    if type(name) is not str or len(document) != 2:
        raise ValueError(f"a {kind} without a name")
    encode_value(document["value"], SizeCheck(limits.event_bytes), kind, name)
    return name, _raw(line, value_prefix(kind, name))


def run_of_line(line: bytes, session_id: str, limits: StoreLimits) -> tuple[str, StoredRun]:
    """Return a run, and its id."""
    data = _raw(line, RUN_PREFIX)
    run = decode_run(StoredRun("", data), session_id)
    return run.id, StoredRun(encode_run(run, SizeCheck(limits.event_bytes)).status, data)


def event_of_line(line: bytes, seq: int, session_id: str, limits: StoreLimits) -> CarriedEvent:
    """Return the event of a line that nobody has looked at."""
    data = _raw(line, EVENT_PREFIX)
    if len(data) > limits.event_bytes:
        raise ValueError(f"{len(data)} bytes, and this store takes {limits.event_bytes} an event")
    return checked(data, seq, session_id, limits)


def known_event_of_line(line: bytes, seq: int, session_id: str, limits: StoreLimits) -> CarriedEvent:
    """Return an event that was checked before, as the digest will tell."""
    return carried(_raw(line, EVENT_PREFIX), seq, session_id, limits, creation_id="")


def _raw(line: bytes, prefix: bytes) -> bytes:
    """Return what a line has between its prefix and its end, as it is."""
    if not (line.startswith(prefix) and line.endswith(b"}\n")) or _CONTROL.search(line, 0, len(line) - 1):
        raise ValueError(f"a line that should begin with {shown(prefix.decode(errors='replace'))}")
    return line[len(prefix) : -2]
